"""What of Azure the settings ask for. Its SDKs are the extra ``azure`` and are loaded only by those who ask."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.queue.limits import LIMITS
from diamond_opus.queue.protocol import Queue
from diamond_opus.schedule.container_apps_job import ContainerAppsJob
from diamond_opus.settings import Settings
from diamond_opus.watermark.protocol import WatermarkStore

if TYPE_CHECKING:
    from azure.identity.aio import DefaultAzureCredential
    from azure.servicebus.aio import ServiceBusClient

    from diamond_opus.queue.service_bus import ServiceBusQueue

# A try of the SDK's own costs half a second more each; what lasts longer is waited out by those who ask.
RETRIES = 3
FIRST_BACKOFF_SECONDS = 0.5
CLOSE_SECONDS = 2.0

# The SDK's own waits are for uploads of gigabytes: two minutes pass until it says that an account is out of reach.
_QUICK: Mapping[str, Any] = {
    "retry_total": RETRIES,
    "initial_backoff": FIRST_BACKOFF_SECONDS,
    "increment_base": 2,
    "connection_timeout": 5,
    "read_timeout": 10,
}

_SERVICE_BUS = "AZURE_SERVICE_BUS_CONNECTION_STRING or AZURE_SERVICE_BUS_NAMESPACE"
_BLOB_STORAGE = "AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT_URL"


def check_settings(settings: Settings) -> None:
    """Raise ConfigurationError for connection strings that nobody can read, and for SDKs that are missing."""
    if settings.uses_service_bus:
        with _needs_extra(_SERVICE_BUS):
            from azure.servicebus import parse_connection_string
        if settings.azure_service_bus_connection_string is not None:
            with _named("AZURE_SERVICE_BUS_CONNECTION_STRING"):
                parsed = parse_connection_string(
                    settings.azure_service_bus_connection_string.get_secret_value()
                )
            if parsed.entity_path is not None:
                raise ConfigurationError(
                    "AZURE_SERVICE_BUS_CONNECTION_STRING is one queue's; copy that of the namespace, under its own"
                    " Shared access policies"
                )
    if settings.uses_blob_storage:
        with _needs_extra(_BLOB_STORAGE):
            from azure.storage.blob import BlobServiceClient
        if settings.azure_storage_connection_string is not None:
            with _named("AZURE_STORAGE_CONNECTION_STRING"):
                BlobServiceClient.from_connection_string(
                    settings.azure_storage_connection_string.get_secret_value()
                ).close()

    if (
        settings.azure_service_bus_namespace
        or settings.azure_storage_account_url
        or settings.azure_scheduler_job_name
    ):
        with _needs_extra("an identity of Azure"):
            import azure.identity  # noqa: F401 - only whether it is there


@asynccontextmanager
async def open_queues(
    settings: Settings, names: Collection[str], clock: Clock
) -> AsyncIterator[Mapping[str, Queue]]:
    """The queues in the Service Bus namespace of the settings, by connection string or by identity."""
    with _needs_extra(_SERVICE_BUS):
        from azure.servicebus.aio import ServiceBusClient

        from diamond_opus.queue.service_bus import ServiceBusQueue
    async with AsyncExitStack() as stack:
        if settings.azure_service_bus_connection_string is not None:
            with _named("AZURE_SERVICE_BUS_CONNECTION_STRING"):
                client = ServiceBusClient.from_connection_string(
                    settings.azure_service_bus_connection_string.get_secret_value(),
                    retry_total=RETRIES,
                    retry_backoff_factor=FIRST_BACKOFF_SECONDS,
                )
        else:
            credential = await stack.enter_async_context(open_identity())
            client = ServiceBusClient(
                settings.azure_service_bus_namespace or "",
                credential,
                retry_total=RETRIES,
                retry_backoff_factor=FIRST_BACKOFF_SECONDS,
            )
        queues = {name: ServiceBusQueue(client, name, LIMITS[name], clock=clock) for name in names}
        stack.push_async_callback(_close, client, queues.values())
        yield queues


async def _close(client: "ServiceBusClient", queues: Iterable["ServiceBusQueue"]) -> None:
    """Within the time that a stopping process has: a bus that is gone answers no farewell."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await asyncio.gather(*(queue.close() for queue in queues), return_exceptions=True)
            await client.close()


@asynccontextmanager
async def open_watermarks(settings: Settings) -> AsyncIterator[WatermarkStore]:
    """The watermarks in the storage account of the settings, by connection string or by identity."""
    with _needs_extra(_BLOB_STORAGE):
        from azure.storage.blob.aio import ContainerClient

        from diamond_opus.watermark.blob import CONTAINER, BlobWatermarkStore
    async with AsyncExitStack() as stack:
        if settings.azure_storage_connection_string is not None:
            with _named("AZURE_STORAGE_CONNECTION_STRING"):
                container = ContainerClient.from_connection_string(
                    settings.azure_storage_connection_string.get_secret_value(), CONTAINER, **_QUICK
                )
        else:
            credential = await stack.enter_async_context(open_identity())
            container = ContainerClient(
                settings.azure_storage_account_url or "", CONTAINER, credential, **_QUICK
            )
        yield BlobWatermarkStore(await stack.enter_async_context(container))


@asynccontextmanager
async def open_scheduler_job(settings: Settings) -> AsyncIterator[ContainerAppsJob]:
    """The Container Apps job that plans runs."""
    async with (
        open_identity() as credential,
        ContainerAppsJob.open(
            subscription=settings.azure_subscription_id or "",
            resource_group=settings.azure_resource_group or "",
            name=settings.azure_scheduler_job_name or "",
            credential=credential,
        ) as job,
    ):
        yield job


@asynccontextmanager
async def open_identity() -> AsyncIterator["DefaultAzureCredential"]:
    """Who this process is in Azure: the managed identity that AZURE_CLIENT_ID names, or whoever signed in with `az`."""
    with _needs_extra("an identity of Azure"):
        from azure.identity.aio import DefaultAzureCredential
    async with DefaultAzureCredential() as credential:
        yield credential


@contextmanager
def _needs_extra(setting: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            f"{setting} needs Azure's SDKs, and {error.name} is not installed: pip install 'diamond-opus[azure]'"
        ) from error


@contextmanager
def _named(setting: str) -> Iterator[None]:
    """A connection string that cannot be read, told without its text."""
    try:
        yield
    except ValueError as error:
        raise ConfigurationError(
            f"{setting} is no connection string; copy it from the Azure portal, under Access keys or"
            " the namespace's Shared access policies"
        ) from error
