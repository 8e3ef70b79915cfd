"""The heatmap counts as a run's planner does, shows what that would plan, and never holds a request for ever."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from operator_support import Desk, is_exactly, open_desk

from diamond_opus.api.schemas_triggers import Heatmap, StoredScan
from diamond_opus.domain.errors import Retryable
from diamond_opus.domain.selection import Selection
from pipeline_builders import Pool, World
from pipeline_supplier import ScriptedSupplier, stones

SMALL: dict[str, Any] = {"heatmap_min_records_per_worker": 20, "records_per_worker": 40}


@pytest.fixture
async def desk(pool: Pool) -> AsyncIterator[Desk]:
    supplier = ScriptedSupplier([*stones(200), *stones(100, lab_grown=True)])
    async with open_desk(World(pool, supplier, **SMALL)) as opened:
        yield opened


async def test_a_scan_shows_the_partitions_that_a_full_run_would_have(desk: Desk) -> None:
    answer = await desk.post("/heatmap/run", {"mode": "two-pass"})
    shown = answer.json()["data"]
    run = await desk.world.plan()
    planned = {
        (p.partition_id, p.price_from, p.price_to, p.expected_records)
        for p in (await desk.world.partitions(run.run_id)).values()
        if p.kind == "range"
    }

    is_exactly(Heatmap, shown)
    assert shown["totalRecords"] == 300
    assert shown["workerCount"] == len(shown["partitions"]) > 2
    assert {
        (p["partitionId"], p["minPrice"], p["maxPrice"], p["totalRecords"]) for p in shown["partitions"]
    } == planned
    assert shown["stats"]["apiCalls"] > 0
    assert shown["stats"]["usedTwoPass"] is True
    assert sum(cell["count"] for cell in shown["densityMap"]) >= 300


async def test_a_scan_is_kept_with_those_of_runs_and_a_preview_is_not(desk: Desk) -> None:
    await desk.post("/heatmap/run", {"labGrown": False})
    await desk.post("/heatmap/preview", {})
    kept = await desk.get("/heatmap/history")
    [scan] = kept.json()["data"]
    is_exactly(StoredScan, scan)
    assert (scan["labGrown"], scan["total"], scan["runId"]) == (False, 200, None)
    assert scan["densityMap"][0]["minPrice"] == 0
    assert len(await desk.acts("heatmap.run")) == 1

    run = await desk.world.run()
    assert {row["runId"] for row in await desk.data("/heatmap/history")} == {None, str(run.run_id)}
    assert len(await desk.data("/heatmap/history", lab_grown="true")) == 1
    assert (await desk.get("/heatmap/history", lab_grown="perhaps")).status_code == 400


async def test_a_preview_takes_few_counts_and_shows_the_prices_asked_for(desk: Desk) -> None:
    answer = await desk.post("/heatmap/preview", {"min_price": 300, "maxPrice": 900, "lab_grown": False})
    shown = answer.json()["data"]
    is_exactly(Heatmap, shown)
    assert shown["stats"]["apiCalls"] <= 40
    assert len(shown["partitions"]) <= 10
    assert {cell["labGrown"] for cell in shown["densityMap"]} == {False}
    for cell in shown["densityMap"]:
        assert cell["minPrice"] <= 900
        assert cell["maxPrice"] is None or cell["maxPrice"] >= 300


async def test_fixed_steps_and_limits_are_as_asked(desk: Desk) -> None:
    answer = await desk.post(
        "/heatmap/run",
        {
            "mode": "single-pass",
            "denseZoneThreshold": 2_000,
            "denseZoneStep": 500,
            "max_workers": 4,
            "maxTotalRecords": 1,
        },
    )
    shown = answer.json()["data"]
    assert shown["stats"]["usedTwoPass"] is False
    assert shown["workerCount"] == 3
    assert len(shown["partitions"]) == 1
    assert {500, 1_000, 1_500} < {cell["minPrice"] for cell in shown["densityMap"]}


@pytest.mark.parametrize(
    "body",
    [
        {"mode": "three-pass"},
        {"maxWorkers": 1},
        {"minPrice": -1},
        {"minPrice": 10, "maxPrice": 9},
        {"denseZoneThreshold": 1_000_000},
        {"mode": "single-pass", "denseZoneStep": 1},
        {"feed": "another"},
        {"prices": 1},
        {"maxPrice": 10**30},
    ],
)
async def test_a_scan_that_cannot_be_made_is_400_and_asks_nothing(
    desk: Desk, body: dict[str, object]
) -> None:
    answer = await desk.post("/heatmap/run", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert desk.world.supplier.counts == []


async def test_a_scan_ends_when_its_time_is_over_and_only_one_is_made_at_once(pool: Pool) -> None:
    supplier = ScriptedSupplier(stones(10))
    counting = asyncio.Event()

    async def never(_selection: Selection, _offset: int) -> None:
        counting.set()
        await asyncio.Event().wait()

    supplier.before_count = never
    async with open_desk(World(pool, supplier, heatmap_timeout_seconds=0.3)) as desk:
        first = asyncio.create_task(desk.post("/heatmap/run", {}))
        await counting.wait()
        second = await desk.post("/heatmap/preview", {})
        answer = await first

        assert (second.status_code, second.json()["error"]["code"]) == (409, "CONFLICT")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert "HEATMAP_TIMEOUT_SECONDS" in answer.json()["error"]["hint"]
        supplier.before_count = None
        assert (await desk.post("/heatmap/preview", {})).status_code == 200


async def test_a_supplier_who_is_away_is_503(desk: Desk) -> None:
    async def away(_selection: Selection, _offset: int) -> None:
        raise Retryable("the supplier is away")

    desk.world.supplier.before_count = away
    answer = await desk.post("/heatmap/preview", {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert await desk.data("/heatmap/history") == []
