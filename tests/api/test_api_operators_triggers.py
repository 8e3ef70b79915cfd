"""What an operator presses does what it says, once, is audited, and is refused with a reason when it cannot be."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from operator_support import Desk, is_exactly, open_desk

from diamond_opus.api.schemas_triggers import (
    Cancelled,
    ConsolidationStarted,
    RejectedReplayed,
    RemovalsAccepted,
    Retried,
    Started,
)
from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.domain.selection import Selection
from diamond_opus.runs.model import Run, RunState
from pipeline_builders import Pool, World
from pipeline_supplier import Listed, ScriptedSupplier, stones


@pytest.fixture
async def desk(pool: Pool) -> AsyncIterator[Desk]:
    supplier = ScriptedSupplier([*stones(20), *stones(20, lab_grown=True)])
    async with open_desk(World(pool, supplier)) as opened:
        yield opened


async def fail_natural(selection: Selection, _offset: int) -> None:
    if not selection.lab_grown:
        raise Fatal("the supplier refuses")


async def failed_run(desk: Desk) -> Run:
    desk.world.supplier.before_page = fail_natural
    run = await desk.world.run()
    desk.world.supplier.before_page = None
    assert run.state is RunState.FAILED
    return run


async def until_planned(desk: Desk, run_id: str) -> None:
    for _ in range(500):
        if (await desk.get(f"/analytics/runs/{run_id}")).status_code == 200:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the run was not planned")


async def test_a_run_is_started_in_the_background_under_the_id_that_was_told(desk: Desk) -> None:
    counting = asyncio.Event()
    go_on = asyncio.Event()

    async def wait(_selection: Selection, _offset: int) -> None:
        counting.set()
        await go_on.wait()

    desk.world.supplier.before_count = wait
    answer = await desk.post("/triggers/scheduler", {"run_type": "full"})
    await counting.wait()
    second = await desk.post("/triggers/scheduler", {"runType": "full"})
    go_on.set()

    started = answer.json()["data"]
    is_exactly(Started, started)
    assert (answer.status_code, started["runType"], started["status"]) == (202, "full", "planning")
    assert (second.status_code, second.json()["error"]["code"]) == (409, "CONFLICT")
    await until_planned(desk, started["runId"])
    third = await desk.post("/triggers/scheduler")
    assert third.status_code == 409
    assert started["runId"] in third.json()["error"]["message"]
    [act] = await desk.acts("run.start")
    assert (act["subject"], act["details"]["runType"]) == (started["runId"], "full")
    assert act["actor"].startswith("key:")


async def test_a_run_that_cannot_be_planned_leaves_nothing_but_the_reason(desk: Desk) -> None:
    async def away(_selection: Selection, _offset: int) -> None:
        raise Retryable("the supplier is away")

    desk.world.supplier.before_count = away
    answer = await desk.post("/triggers/scheduler", {})
    run_id = answer.json()["data"]["runId"]
    for _ in range(500):
        errors = await desk.data("/analytics/error-logs")
        if errors:
            break
        await asyncio.sleep(0.01)
    assert "the supplier is away" in errors[0]["errorMessage"]
    assert errors[0]["context"]["runId"] == run_id
    assert await desk.data("/analytics/runs") == []
    assert answer.json()["data"]["runType"] is None
    assert (await desk.post("/triggers/scheduler", {})).status_code == 202


async def test_a_process_without_the_suppliers_account_says_so(pool: Pool) -> None:
    world = World(pool)
    async with open_desk(world, pipeline=replace(world.process, sources={})) as desk:
        for path in ("/triggers/scheduler", "/heatmap/run", "/heatmap/preview"):
            answer = await desk.post(path, {})
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")


async def test_where_a_scheduler_job_is_configured_it_plans_the_run(pool: Pool) -> None:
    """Then the API needs no account with the supplier."""
    container_apps = pytest.importorskip("container_apps")
    world, management = World(pool), container_apps.Azure()
    async with container_apps.open_job(management, container_apps.Identity()) as job:
        pipeline = replace(world.process, sources={}, scheduler_job=job)
        async with open_desk(world, pipeline=pipeline) as desk:
            answer = await desk.post("/triggers/scheduler", {"runType": "full"})
            management.status = 403
            refused = await desk.post("/triggers/scheduler", {"runType": "full"})
            management.status = 200
            again = await desk.post("/triggers/scheduler", {})

    run_id = answer.json()["data"]["runId"]
    assert answer.status_code == 202
    command = ["diamond", "schedule", "--feed", "nivoda", "--run-id", run_id, "--type", "full"]
    assert management.started[0]["containers"][1]["command"] == command
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert "needs a role that may read and start the job" in error["message"]
    assert "diamond schedule --feed nivoda --run-id" in error["hint"]
    assert again.status_code == 202, "a refusal blocks nobody"


async def test_failed_partitions_are_retried_and_the_run_completes(desk: Desk) -> None:
    run = await failed_run(desk)
    one = await desk.post("/triggers/retry-workers", {"runId": str(run.run_id), "partitionId": "natural-01"})
    nothing_left = await desk.post("/triggers/retry-workers", {"run_id": str(run.run_id)})

    is_exactly(Retried, one.json()["data"])
    assert (one.status_code, one.json()["data"]["retriedPartitions"]) == (202, ["natural-01"])
    assert one.json()["data"]["remainingFailed"] == 0
    assert nothing_left.status_code == 409
    assert (await desk.world.finish(run.run_id)).state is RunState.COMPLETED
    assert len(await desk.acts("run.retry")) == 1


async def test_only_the_newest_run_can_be_retried(desk: Desk) -> None:
    old = await failed_run(desk)
    await desk.world.run()
    answer = await desk.post("/triggers/retry-workers", {"runId": str(old.run_id)})
    assert answer.status_code == 409
    assert "newer run" in answer.json()["error"]["message"]


async def test_a_run_with_failed_partitions_is_consolidated_only_by_force_and_the_watermark_stays(
    desk: Desk,
) -> None:
    run = await failed_run(desk)
    refused = await desk.post("/triggers/consolidate", {"run_id": str(run.run_id)})
    resumed = await desk.post("/triggers/resume-consolidation", {"run_id": str(run.run_id)})
    forced = await desk.post("/triggers/consolidate", {"runId": str(run.run_id), "force": True})
    await desk.world.consolidate()

    assert (refused.status_code, resumed.status_code) == (409, 409)
    assert "--force" in refused.json()["error"]["message"]
    is_exactly(ConsolidationStarted, forced.json()["data"])
    assert (forced.status_code, forced.json()["data"]["pendingDiamonds"]) == (202, 20)
    after = await desk.data(f"/analytics/runs/{run.run_id}")
    assert (after["run"]["state"], after["run"]["status"]) == ("completed", "partial")
    assert await desk.world.watermark() is None
    assert [act["details"] for act in await desk.acts("run.consolidate")] == [{"forced": True}]


async def test_a_consolidation_that_was_postponed_goes_on_at_once(desk: Desk) -> None:
    run = await desk.world.read_run()
    await desk.world.rows(
        "UPDATE run_metadata SET state = 'consolidating', next_attempt_at = now() + interval '1 hour', attempts = 3"
        " WHERE run_id = %s",
        run.run_id,
    )
    answer = await desk.post("/triggers/resume-consolidation", {"runId": str(run.run_id)})
    await desk.world.consolidate()
    assert answer.status_code == 202
    assert (await desk.world.get_run(run.run_id)).state is RunState.COMPLETED


async def test_a_run_that_is_over_is_neither_consolidated_nor_cancelled(desk: Desk) -> None:
    run = await desk.world.run()
    for path in ("consolidate", "resume-consolidation", "cancel-run", "retry-workers", "accept-removals"):
        answer = await desk.post(f"/triggers/{path}", {"runId": str(run.run_id)})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT"), path
        assert answer.json()["error"]["hint"]


async def test_a_run_is_cancelled(desk: Desk) -> None:
    run = await desk.world.plan()
    answer = await desk.post("/triggers/cancel-run", {"runId": str(run.run_id)})
    is_exactly(Cancelled, answer.json()["data"])
    assert (await desk.world.get_run(run.run_id)).state is RunState.CANCELLED
    assert len(await desk.acts("run.cancel")) == 1


async def test_accepted_removals_are_confirmed_and_then_counted(desk: Desk) -> None:
    await desk.world.run()
    gone = [f"nat-{number:05d}" for number in range(10)]
    desk.world.supplier.withdraw(*gone)
    run = await desk.world.run()
    before = await desk.data("/analytics/summary")

    listed = await desk.post(
        "/analytics/query/removal_candidates",
        {"select": "supplier_stone_id", "filters": {"state": {"eq": "guarded"}}},
    )
    answer = await desk.post("/triggers/accept-removals", {"runId": str(run.run_id)})
    await desk.world.consolidate()

    assert [row["supplier_stone_id"] for row in listed.json()["data"]] == gone
    is_exactly(RemovalsAccepted, answer.json()["data"])
    assert before["needsAttention"]["guardedRemovals"] == 10
    assert (answer.status_code, answer.json()["data"]["candidates"]) == (202, 10)
    shown = await desk.data(f"/analytics/runs/{run.run_id}")
    assert shown["run"]["removedRecords"] == 10
    assert shown["removals"] == {"removed": 10}
    assert (await desk.data("/analytics/summary"))["totalActiveDiamonds"] == 30
    assert (await desk.acts("run.accept_removals"))[0]["subject"] == str(run.run_id)


async def test_quarantined_stones_are_replayed_by_reason_or_id(desk: Desk) -> None:
    desk.world.supplier.list(Listed("free", price_cents=0))
    await desk.world.run()
    [rejected] = await desk.data("/analytics/rejected")

    answer = await desk.post("/triggers/replay-rejected", {"reason": rejected["reason"], "feed": "nivoda"})
    replay = answer.json()["data"]
    await desk.world.consolidate()

    is_exactly(RejectedReplayed, replay)
    assert (answer.status_code, replay["stones"], replay["isNew"]) == (202, 1, True)
    shown = await desk.data(f"/analytics/runs/{replay['runId']}")
    assert (shown["run"]["state"], shown["run"]["isReplay"]) == ("completed", True)
    assert (shown["run"]["rejectedRecords"], shown["run"]["watermarkAfter"]) == (1, None)
    assert (await desk.acts("rejected.replay"))[0]["details"]["stones"] == 1
    nothing = await desk.post("/triggers/replay-rejected", {"ids": ["unheard-of"]})
    neither = await desk.post("/triggers/replay-rejected", {})
    assert (nothing.status_code, neither.status_code) == (409, 400)


RUN_TRIGGERS = (
    "consolidate",
    "resume-consolidation",
    "retry-workers",
    "cancel-run",
    "accept-removals",
)


@pytest.mark.parametrize("path", RUN_TRIGGERS)
async def test_an_unknown_run_is_404_and_a_wrong_body_400(desk: Desk, path: str) -> None:
    unknown = await desk.post(f"/triggers/{path}", {"runId": str(uuid4())})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "NOT_FOUND")
    wrong: list[Any] = [None, {}, {"runId": "nonsense"}, {"runId": str(uuid4()), "please": True}]
    for body in wrong:
        answer = await desk.post(f"/triggers/{path}", body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR"), body
    assert (await desk.post(f"/triggers/{path}?force=true", {"runId": str(uuid4())})).status_code == 400
