"""What of Azure the settings ask for: who the process is there, and what is said when the SDKs are missing."""

import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from diamond_opus import azure
from diamond_opus.domain.clock import SystemClock
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.queue.limits import LIMITS
from diamond_opus.queue.protocol import WORK_ITEMS, Message
from diamond_opus.settings import load_settings


class IdentityEndpoint:
    """Where Container Apps hands out tokens to whoever runs in them."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Any] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append({**request.query, "secret": request.headers.get("X-IDENTITY-HEADER")})
        return web.json_response(
            {"access_token": "t1", "expires_on": "4102444800", "token_type": "Bearer", "resource": "r"}
        )


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[IdentityEndpoint]:
    endpoint = IdentityEndpoint()
    app = web.Application()
    app.router.add_get("/msi/token", endpoint.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://{host}:{port}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "h1")
    monkeypatch.setenv("AZURE_CLIENT_ID", "c1")
    yield endpoint
    await runner.cleanup()


async def test_a_process_is_the_managed_identity_that_azure_client_id_names(
    endpoint: IdentityEndpoint,
) -> None:
    pytest.importorskip("azure.identity", reason="the extra azure is not installed")
    async with azure.open_identity() as credential:
        token = await credential.get_token("https://servicebus.azure.net/.default")

    assert token.token == "t1"
    [asked] = endpoint.asked
    assert (asked["resource"], asked["client_id"], asked["secret"]) == (
        "https://servicebus.azure.net",
        "c1",
        "h1",
    )


async def test_the_settings_alone_put_queues_on_the_bus_and_watermarks_into_blobs(azurite: str) -> None:
    service_bus = pytest.importorskip("service_bus")
    blob_storage = pytest.importorskip("blob_storage")
    with service_bus.open_broker(LIMITS) as broker:
        settings = load_settings(
            azure_service_bus_connection_string=broker.connection_string,
            azure_storage_connection_string=azurite,
        )
        async with (
            azure.open_queues(settings, LIMITS, SystemClock()) as queues,
            azure.open_watermarks(settings) as watermarks,
            blob_storage.open_container(azurite),
        ):
            await queues[WORK_ITEMS].send([Message({"n": 1}, "id-1")])
            [received] = await queues[WORK_ITEMS].receive(1, wait_seconds=5)
            assert await watermarks.read("nivoda") is None

    assert (set(queues), received.id) == (set(LIMITS), "id-1")


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"azure_service_bus_namespace": "d.servicebus.windows.net"}, "azure.servicebus"),
        ({"azure_storage_account_url": "https://d.blob.core.windows.net"}, "azure.storage.blob"),
    ],
)
def test_missing_sdks_are_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(
        ConfigurationError, match=r"AZURE_.* needs Azure's SDKs.*pip install 'diamond-opus\[azure\]'"
    ):
        azure.check_settings(load_settings(**settings))
