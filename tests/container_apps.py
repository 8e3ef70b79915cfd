"""The part of Azure's management API that starts a Container Apps job, on loopback, and an identity that it knows."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from diamond_opus.schedule.container_apps_job import ContainerAppsJob

pytest.importorskip("azure.core", reason="the extra azure is not installed")

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

JOB = "/subscriptions/s1/resourceGroups/g1/providers/Microsoft.App/jobs/diamond-prod-scheduler"
TEMPLATE: dict[str, Any] = {
    "containers": [
        {"name": "log-shipper", "image": "shipper@sha256:1"},
        {
            "name": "scheduler",
            "image": "registry/diamond-scheduler@sha256:2",
            "command": ["diamond", "schedule"],
            "args": ["--type", "full"],
            "env": [{"name": "DATABASE_URL", "secretRef": "database-url"}],
            "resources": {"cpu": 0.25, "memory": "0.5Gi"},
        },
    ],
    "initContainers": [{"name": "wait"}],
    "volumes": None,
}


class Azure:
    """The two answers of Azure's management API that are asked for, and what came with the questions."""

    def __init__(self) -> None:
        self.status = 200
        self.started: list[Any] = []
        self.tokens: set[str | None] = set()

    async def answer(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers.get("Authorization"))
        assert request.query["api-version"] == "2024-03-01"
        if self.status != 200:
            return web.json_response({"error": {"message": "not like that"}}, status=self.status)
        if request.method == "GET":
            return web.json_response({"properties": {"template": TEMPLATE}})
        self.started.append(await request.json())
        return web.json_response({"id": f"{JOB}/executions/e1", "name": "e1"}, status=202)


class Identity:
    """What azure-identity's credentials look like."""

    def __init__(self) -> None:
        self.is_known = True

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        if not self.is_known:
            raise ClientAuthenticationError("no managed identity endpoint found")
        assert scopes == ("https://management.azure.com/.default",)
        return AccessToken("t1", int(time.time()) + 3600)


@asynccontextmanager
async def open_job(azure: Azure, identity: Identity) -> AsyncIterator[ContainerAppsJob]:
    app = web.Application()
    app.router.add_get(JOB, azure.answer)
    app.router.add_post(f"{JOB}/start", azure.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        address, port = runner.addresses[0][:2]
        job = ContainerAppsJob.open(
            subscription="s1",
            resource_group="g1",
            name="diamond-prod-scheduler",
            credential=identity,  # type: ignore[arg-type]  # only get_token is asked for
            management_url=f"http://{address}:{port}",
        )
        async with job as opened:
            yield opened
    finally:
        await runner.cleanup()
