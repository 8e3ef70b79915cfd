"""Queues in Azure Service Bus for tests: the real SDK, and a broker on loopback that speaks the bus's protocol to it.

Needs the extra ``azure`` and the group ``broker``; a test that finds them missing is skipped.
"""

import gc
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("azure.servicebus", reason="the extra azure is not installed")
pytest.importorskip("proton", reason="the group broker is not installed")

from azure.servicebus.aio import ServiceBusClient

from diamond_opus.queue.limits import QueueLimits
from diamond_opus.queue.service_bus import ServiceBusQueue
from service_bus_broker import QueueOptions, ServiceBusFixture

DUPLICATE_WINDOW_SECONDS = 600


@asynccontextmanager
async def open_client(connection_string: str) -> AsyncIterator[ServiceBusClient]:
    # The SDK closes no connection that was cut off: the collector does, here and not in the middle of another test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        async with ServiceBusClient.from_connection_string(
            connection_string, retry_backoff_factor=0.05, socket_timeout=0.05
        ) as client:
            yield client
        gc.collect()


def open_broker(queues: Mapping[str, QueueLimits]) -> ServiceBusFixture:
    """Queues as infrastructure/terraform declares them."""
    return ServiceBusFixture(
        {
            name: QueueOptions(
                lock_duration=limits.lease_seconds,
                max_delivery_count=limits.max_deliveries,
                duplicate_window=DUPLICATE_WINDOW_SECONDS,
            )
            for name, limits in queues.items()
        }
    )


@asynccontextmanager
async def open_queue(
    name: str, limits: QueueLimits
) -> AsyncIterator[tuple[ServiceBusQueue, ServiceBusFixture]]:
    with open_broker({name: limits}) as broker:
        async with open_client(broker.connection_string) as client:
            queue = ServiceBusQueue(client, name, limits)
            yield queue, broker
            await queue.close()
