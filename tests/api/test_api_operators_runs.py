"""Operators read runs as they were: lists, filters, one run explained, its quality, what failed."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from operator_support import Desk, is_exactly, open_desk

from diamond_opus.api.schemas_runs import (
    ConsolidationOfRun,
    ConsolidationTotals,
    FailedAttempt,
    FailedPartitions,
    Partition,
    Quality,
    RunConsolidation,
    RunDetail,
    RunSummary,
)
from diamond_opus.domain.errors import Fatal
from diamond_opus.domain.selection import Selection
from diamond_opus.runs.model import RunType
from pipeline_builders import Pool, World
from pipeline_supplier import Listed, ScriptedSupplier, stones


@pytest.fixture
async def desk(pool: Pool) -> AsyncIterator[Desk]:
    async with open_desk(World(pool, ScriptedSupplier([*stones(30), *stones(20, lab_grown=True)]))) as opened:
        yield opened


async def fail_natural(selection: Selection, _offset: int) -> None:
    if not selection.lab_grown:
        raise Fatal("the supplier refuses")


async def test_a_run_is_listed_with_what_it_read(desk: Desk) -> None:
    run = await desk.world.run()
    answer = await desk.get("/analytics/runs")
    [shown] = answer.json()["data"]

    is_exactly(RunSummary, shown)
    assert answer.json()["pagination"]["total"] == 1
    assert shown["runId"] == str(run.run_id)
    assert (shown["state"], shown["status"]) == ("completed", "completed")
    assert (shown["expectedRecords"], shown["distinctRecords"], shown["totalRecordsProcessed"]) == (
        50,
        50,
        50,
    )
    assert shown["durationMs"] > 0
    assert shown["watermarkAfter"] is not None


async def test_runs_are_filtered_by_every_parameter_and_by_several_at_once(desk: Desk) -> None:
    """B5: the date and status filters of the original were a 500, and failed runs were counted by nobody."""
    full = await desk.world.run()
    desk.world.supplier.change("nat-00001", price_cents=77_700)
    incremental = await desk.world.run(RunType.INCREMENTAL)
    desk.world.supplier.before_page = fail_natural
    failed = await desk.world.run()
    everything = {str(run.run_id): run for run in (full, incremental, failed)}

    async def found(**filters: Any) -> set[str]:
        answer = await desk.get("/analytics/runs", **filters)
        rows = answer.json()["data"]
        assert answer.json()["pagination"]["total"] == len(rows)
        return {row["runId"] for row in rows}

    between = (full.started_at + timedelta(microseconds=1)).isoformat()
    assert await found() == set(everything)
    assert await found(run_type="incremental") == {str(incremental.run_id)}
    assert await found(status="completed") == {str(full.run_id), str(incremental.run_id)}
    assert await found(status="failed") == {str(failed.run_id)}
    assert await found(status="running,partial") == set()
    assert await found(state="failed") == {str(failed.run_id)}
    assert await found(started_after=between) == {str(incremental.run_id), str(failed.run_id)}
    assert await found(started_before=between) == {str(full.run_id)}
    assert await found(started_after=between, status="completed") == {str(incremental.run_id)}
    assert await found(feed="another") == set()


async def test_the_list_of_runs_has_pages_the_newest_first(desk: Desk) -> None:
    first, second = await desk.world.run(), await desk.world.run()
    pages = [await desk.get("/analytics/runs", limit=1, page=page) for page in (1, 2, 3)]
    assert [[row["runId"] for row in page.json()["data"]] for page in pages] == [
        [str(second.run_id)],
        [str(first.run_id)],
        [],
    ]
    assert pages[0].json()["pagination"] == {
        "total": 2,
        "page": 1,
        "limit": 1,
        "totalPages": 2,
        "nextCursor": None,
    }


async def test_a_run_under_way_shows_the_figures_of_its_partitions(desk: Desk) -> None:
    await desk.world.plan()
    await desk.world.work()
    [shown] = await desk.data("/analytics/runs")
    assert (shown["status"], shown["fetchedRecords"] > 0, shown["durationMs"] >= 0) == ("running", True, True)


async def test_one_run_is_explained_with_partitions_attempts_and_differences(desk: Desk) -> None:
    desk.world.supplier.list(Listed("bad", price_cents=0), Listed("nothing", is_null=True))
    run = await desk.world.run()
    shown = await desk.data(f"/analytics/runs/{run.run_id}")

    is_exactly(RunDetail, shown)
    is_exactly(RunSummary, shown["run"])
    for partition in shown["partitions"]:
        is_exactly(Partition, partition)
    assert {row["partitionId"] for row in shown["workers"]} == {
        row["partitionId"] for row in shown["partitions"]
    }
    steps = {(step["fromName"], step["toName"]): step for step in shown["reconciliation"]}
    assert list(steps) == [
        ("expected", "fetched"),
        ("fetched", "distinct"),
        ("distinct", "changed"),
        ("changed", "accepted"),
    ]
    for step in steps.values():
        assert step["toValue"] - step["fromValue"] == step["difference"]
        assert step["explanation"]
    assert steps["changed", "accepted"]["difference"] == -run.rejected_records == -1
    assert "-1: cannot become a diamond" in steps["changed", "accepted"]["explanation"]


async def test_the_quality_report_counts_reasons_with_examples_and_warnings_by_path(desk: Desk) -> None:
    desk.world.supplier.list(
        Listed("free-1", price_cents=0),
        Listed("free-2", price_cents=0),
        Listed("nothing", is_null=True),
        Listed("odd", certificate={"cut": "SPLENDID"}),
    )
    run = await desk.world.run()
    report = await desk.data(f"/analytics/runs/{run.run_id}/quality")

    is_exactly(Quality, report)
    [refused] = report["rejections"]
    assert (refused["jsonPath"], refused["stones"], refused["open"]) == ("$.price", 2, 2)
    assert sorted(refused["examples"]) == ["free-1", "free-2"]
    assert report["rejectedRecords"] == 2
    assert report["unreadableRecords"] == sum(row["stones"] for row in report["unreadable"]) == 1
    assert "$.diamond.certificate.cut" in {row["jsonPath"] for row in report["warnings"]}


async def test_what_failed_is_listed_for_all_runs_and_for_one(desk: Desk) -> None:
    desk.world.supplier.before_page = fail_natural
    run = await desk.world.run()

    attempts = await desk.data("/analytics/failed-workers")
    of_run = await desk.data(f"/triggers/failed-workers/{run.run_id}")

    [attempt] = attempts
    is_exactly(FailedAttempt, attempt)
    assert (attempt["partitionId"], attempt["partitionState"]) == ("natural-01", "failed")
    assert attempt["errorMessage"] == "the supplier refuses"
    is_exactly(FailedPartitions, of_run)
    assert of_run["totalFailed"] == 1
    assert of_run["workers"][0]["errorMessage"] == "the supplier refuses"
    assert of_run["workers"][0]["hasPayload"] is True
    assert len(await desk.data("/analytics/failed-workers", limit=1)) == 1


async def test_consolidation_is_shown_over_all_for_the_newest_runs_and_for_one(desk: Desk) -> None:
    run = await desk.world.read_run()
    before = await desk.data("/analytics/consolidation")
    waiting = await desk.data(f"/analytics/consolidation/{run.run_id}")
    [not_started] = await desk.data("/analytics/consolidation/status")
    await desk.world.finish(run.run_id)
    after = await desk.data("/analytics/consolidation")
    done = await desk.data(f"/analytics/consolidation/{run.run_id}")
    [success] = await desk.data("/analytics/consolidation/status", limit=5)

    for totals in (before, after):
        is_exactly(ConsolidationTotals, totals)
    assert (before["totalRaw"], before["totalPending"], before["progressPercent"]) == (50, 50, 0)
    assert (after["totalRaw"], after["totalPending"], after["progressPercent"]) == (50, 0, 100)
    is_exactly(ConsolidationOfRun, waiting)
    assert (waiting["totalRawDiamonds"], waiting["pendingCount"]) == (50, 50)
    assert waiting["oldestPendingCreatedAt"] is not None
    assert (done["totalRawDiamonds"], done["consolidatedCount"], done["failedCount"]) == (50, 50, 0)
    is_exactly(RunConsolidation, success)
    assert (not_started["outcome"], success["outcome"]) == ("not_started", "success")
    assert success["consolidationProcessed"] == 50


@pytest.mark.parametrize(
    "path",
    [
        "/analytics/runs/{}",
        "/analytics/runs/{}/quality",
        "/analytics/consolidation/{}",
        "/triggers/failed-workers/{}",
    ],
)
async def test_an_unknown_run_is_404_and_what_is_no_id_is_400(desk: Desk, path: str) -> None:
    unknown = await desk.get(path.format(uuid4()))
    no_id = await desk.get(path.format("nonsense"))
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert (no_id.status_code, no_id.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("parameters", "allowed"),
    [
        ({"status": "fine"}, ["running", "completed", "failed", "partial"]),
        ({"run_type": "half"}, ["full", "incremental"]),
        ({"started_after": "2026-01-01"}, None),
        ({"limit": "101"}, None),
        ({"page": "0"}, None),
        ({"colour": "D"}, None),
    ],
)
async def test_a_wrong_filter_is_400_and_names_what_is_allowed(
    desk: Desk, parameters: dict[str, str], allowed: list[str] | None
) -> None:
    answer = await desk.get("/analytics/runs", **parameters)
    [problem] = answer.json()["error"]["details"]
    assert answer.status_code == 400
    assert problem["parameter"] == next(iter(parameters))
    if allowed is not None:
        assert problem["allowed"] == allowed
