"""Summary, feeds and vendors: exact for the present dataset, and counted once for many readers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from operator_support import Desk, is_exactly, open_desk

from diamond_opus.api.schemas_operators import FeedCounts, Summary, SupplierCounts
from pipeline_builders import Pool, World
from pipeline_supplier import Listed, ScriptedSupplier, stones


@pytest.fixture
async def desk(pool: Pool) -> AsyncIterator[Desk]:
    supplier = ScriptedSupplier(
        [*stones(30), Listed("held", availability="HOLD"), Listed("free", price_cents=0)]
    )
    async with open_desk(World(pool, supplier)) as opened:
        yield opened


async def test_an_empty_system_has_a_summary_too(desk: Desk) -> None:
    summary = await desk.data("/analytics/summary")
    is_exactly(Summary, summary)
    assert (summary["totalActiveDiamonds"], summary["totalFeeds"]) == (0, 0)
    assert summary["lastSuccessfulRun"] is summary["currentWatermark"] is None
    assert await desk.data("/analytics/feeds") == []


async def test_the_summary_tells_what_the_tables_hold(desk: Desk) -> None:
    run = await desk.world.run()
    summary = await desk.data("/analytics/summary")

    is_exactly(Summary, summary)
    assert summary["diamondsByAvailability"] == {"available": 30, "onHold": 1, "sold": 0, "unavailable": 0}
    assert summary["totalActiveDiamonds"] == 31 == await desk.world.value("SELECT count(*) FROM diamonds")
    assert summary["lastSuccessfulRun"]["runId"] == str(run.run_id)
    assert summary["recentRunsCount"] == {
        "total": 1,
        "completed": 1,
        "failed": 0,
        "partial": 0,
        "running": 0,
    }
    assert summary["needsAttention"]["openRejections"] == 1
    assert summary["freshness"]["isCurrent"] is True
    watermark = await desk.data("/analytics/watermark")
    assert summary["currentWatermark"].rstrip("Z") == watermark["lastUpdatedAt"].rstrip("Z")


async def test_the_summary_follows_every_change_of_the_dataset(desk: Desk) -> None:
    await desk.world.run()
    before = await desk.data("/analytics/summary")
    desk.world.supplier.withdraw("nat-00001")
    await desk.world.run()
    after = await desk.data("/analytics/summary")
    assert (before["totalActiveDiamonds"], after["totalActiveDiamonds"]) == (31, 30)
    assert (before["freshness"]["isCurrent"], after["freshness"]["isCurrent"]) == (True, True)


async def test_one_count_serves_all_who_ask_for_one_version(desk: Desk) -> None:
    await desk.world.run()
    await asyncio.gather(*(desk.data("/analytics/summary") for _ in range(10)))
    parts = desk.api.app.state.operators
    assert parts.catalogue._generation == 1


async def test_a_change_by_hand_is_noticed_too(desk: Desk) -> None:
    await desk.world.run()
    before = await desk.data("/analytics/summary")
    await desk.world.rows("DELETE FROM diamonds WHERE supplier_stone_id = 'nat-00001'")
    after = await desk.data("/analytics/summary")
    assert (before["totalActiveDiamonds"], after["totalActiveDiamonds"]) == (31, 30)


async def test_feeds_and_vendors_sum_up_what_is_on_sale(desk: Desk) -> None:
    await desk.world.run()
    [feed] = await desk.data("/analytics/feeds")
    [vendor] = await desk.data("/analytics/suppliers")

    is_exactly(FeedCounts, feed)
    is_exactly(SupplierCounts, vendor)
    row = await desk.world.row(
        "SELECT round(avg(feed_price) * 100)::bigint AS mean, (min(feed_price) * 100)::bigint AS low,"
        " (max(feed_price) * 100)::bigint AS high, round(avg(price_model_price) * 100)::bigint AS sells"
        " FROM diamonds"
    )
    assert (feed["feed"], feed["totalDiamonds"], feed["onHoldDiamonds"]) == ("nivoda", 31, 1)
    assert (feed["avgFeedPriceCents"], feed["minFeedPriceCents"]) == (row["mean"], row["low"])
    assert (feed["maxFeedPriceCents"], feed["avgPriceModelPriceCents"]) == (row["high"], row["sells"])
    assert (vendor["supplierName"], vendor["totalDiamonds"]) == ("Example Gems", 31)


async def test_old_runs_are_not_recent(desk: Desk) -> None:
    run = await desk.world.run()
    await desk.world.rows(
        "UPDATE run_metadata SET started_at = %s WHERE run_id = %s",
        run.started_at - timedelta(days=8),
        run.run_id,
    )
    summary = await desk.data("/analytics/summary")
    assert summary["recentRunsCount"]["total"] == 0
    assert summary["lastSuccessfulRun"]["runId"] == str(run.run_id)
