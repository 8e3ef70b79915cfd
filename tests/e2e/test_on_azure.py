"""The whole pipeline as on Azure: Service Bus, Blob Storage, a transaction pooler, and processes that are killed.

What a quiet run on one machine leaves behind is what must be there; only settings differ.
"""

import asyncio
import random
from pathlib import Path

import pytest

from diamond_opus.queue.limits import LIMITS
from pipeline_builders import Pool
from pipeline_processes import (
    Processes,
    assert_same,
    changed_supplier,
    content,
    inventory,
    newest_run,
    quiet_content,
    until_over,
)
from pooler import transaction_pooler

service_bus = pytest.importorskip("service_bus")
blob_storage = pytest.importorskip("blob_storage")

WORKERS, CONSOLIDATORS = 3, 2


@pytest.mark.long  # five processes, killed and started again and again
async def test_a_run_on_azure_leaves_what_a_quiet_one_leaves(
    pool: Pool, database_url: str, azurite: str, tmp_path: Path
) -> None:
    settings = inventory(11, answer_delay_seconds=0.15)
    expected = await quiet_content(settings, pool, database_url)
    random_ones = random.Random(11)
    with transaction_pooler(database_url, tmp_path) as pooled_url, service_bus.open_broker(LIMITS) as broker:
        async with (
            blob_storage.open_container(azurite) as container,
            changed_supplier(settings, database_url) as simulator,
            Processes(
                pooled_url,
                simulator,
                tmp_path,
                azure_service_bus_connection_string=broker.connection_string,
                azure_storage_connection_string=azurite,
            ) as processes,
        ):
            assert await processes.run("schedule", "--type", "full") == 0
            names = ("worker",) * WORKERS + ("consolidator",) * CONSOLIDATORS
            running = [await processes.start(name) for name in names]
            over = asyncio.create_task(until_over(pool, processes))
            kills = 0
            while not (await asyncio.wait({over}, timeout=random_ones.uniform(1, 3)))[0]:
                victim = random_ones.randrange(len(running))
                await processes.kill(running[victim])
                running[victim] = await processes.start("worker" if victim < WORKERS else "consolidator")
                kills += 1
            await over

            found = await content(pool)
            run = await newest_run(pool)
            watermark = await blob_storage.BlobWatermarkStore(container).read("nivoda")
        sent = {name: broker.sent_to(name) for name in LIMITS}
    assert found.pop("watermark") == [(False, False, True)], "the table has only that of the run before"
    expected.pop("watermark")
    assert_same(found, expected)
    assert watermark is not None
    assert (watermark.last_updated_at, watermark.last_run_id) == (run["updated_to"], str(run["run_id"]))
    assert kills >= 3, "the run was over before much could go wrong"
    assert sent["work-items"] > run["expected_workers"], "every kill costs a wake-up more"
    assert sent["work-done"] > 0
