"""What a person does about a run: retry, consolidate, resume, cancel, accept removals. Messages only wake."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from diamond_opus.analytics import consolidation, runs
from diamond_opus.api.admin.runs import RunId
from diamond_opus.api.answers import answer_json
from diamond_opus.api.auth import Caller
from diamond_opus.api.dependencies import ApiDependencies, Dependencies
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.operators import Operator
from diamond_opus.api.query_string import refuse_parameters
from diamond_opus.api.schemas import One
from diamond_opus.api.schemas_runs import FailedPartitions
from diamond_opus.api.schemas_triggers import (
    Cancelled,
    ConsolidateBody,
    ConsolidationStarted,
    RemovalsAccepted,
    Retried,
    RetryBody,
    RunBody,
)
from diamond_opus.consolidate.acceptance import accept_removals
from diamond_opus.queue.protocol import CONSOLIDATE, WORK_ITEMS
from diamond_opus.runs import consolidating, store
from diamond_opus.runs.model import DueRun, Run, RunState
from diamond_opus.wakeups import wake_partitions, wake_runs

router = APIRouter(prefix="/triggers", tags=["triggers"], route_class=GuardedRoute)


@router.post(
    "/consolidate",
    status_code=202,
    summary="Consolidate a run",
    responses={202: {"model": One[ConsolidationStarted]}},
)
async def consolidate_run(
    request: Request, caller: Operator, dependencies: Dependencies, body: ConsolidateBody
) -> Response:
    """A run that is read, or that failed while it was consolidated; with `force` also one with failed partitions.

    By force the watermark stays, so that the next run reads the missing ranges.
    """
    refuse_parameters(request)
    return await _consolidate(dependencies, caller, body.run_id, force=body.force)


@router.post(
    "/resume-consolidation",
    status_code=202,
    summary="Let a consolidation go on now",
    responses={202: {"model": One[ConsolidationStarted]}},
)
async def resume_consolidation(
    request: Request, caller: Operator, dependencies: Dependencies, body: RunBody
) -> Response:
    """One that waits for its next attempt goes on at once; one that failed begins again where it was."""
    refuse_parameters(request)
    return await _consolidate(dependencies, caller, body.run_id, force=False)


@router.post(
    "/retry-workers",
    status_code=202,
    summary="Retry failed partitions",
    responses={202: {"model": One[Retried]}},
)
async def retry_workers(
    request: Request, caller: Operator, dependencies: Dependencies, body: RetryBody
) -> Response:
    """Each goes on at its cursor. Refused when a newer run of the feed exists: an older one can only be closed."""
    refuse_parameters(request)
    async with dependencies.unit_of_work() as conn:
        retried = await store.retry_run(conn, body.run_id, partition_id=body.partition_id, actor=caller.id)
        run = await store.get_run(conn, body.run_id)
        due = await store.take_due_partitions(conn, quiet_seconds=0, feed=run.feed, limit=10_000)
    await wake_partitions(dependencies.pipeline.queues[WORK_ITEMS], due)
    content = {
        "message": f"{len(retried)} partitions are queued again",
        "runId": body.run_id,
        "retriedPartitions": retried,
        "remainingFailed": run.failed_workers,
    }
    return answer_json({"data": content}, status=202)


@router.post("/cancel-run", summary="Close a run", responses={200: {"model": One[Cancelled]}})
async def cancel_run(
    request: Request, caller: Operator, dependencies: Dependencies, body: RunBody
) -> Response:
    """One that is not completed. What it stored stays, and the next run consolidates it."""
    refuse_parameters(request)
    async with dependencies.unit_of_work() as conn:
        await store.cancel_run(conn, body.run_id, actor=caller.id)
    content = {"message": "the run is cancelled", "runId": body.run_id, "state": RunState.CANCELLED}
    return answer_json({"data": content})


@router.post(
    "/accept-removals",
    status_code=202,
    summary="Let stones be removed that the guard kept",
    responses={202: {"model": One[RemovalsAccepted]}},
)
async def accept_run_removals(
    request: Request, caller: Operator, dependencies: Dependencies, body: RunBody
) -> Response:
    """The list is that of the run's end. What was seen since stays; the supplier is asked about the rest, stone by
    stone, and only what it denies is removed. A consolidator does that; `removedRecords` of the run tells how many.
    POST /analytics/query/removal_candidates shows the list beforehand.
    """
    refuse_parameters(request)
    async with dependencies.unit_of_work() as conn:
        accepted = await accept_removals(conn, body.run_id, actor=caller.id)
        due = await store.take_run(conn, body.run_id)
    await _wake(dependencies, due)
    content = {
        "message": f"{accepted.candidates} stones are asked for, and removed if they are gone",
        "runId": body.run_id,
        "candidates": accepted.candidates,
    }
    return answer_json({"data": content}, status=202)


@router.get(
    "/failed-workers/{runId}",
    summary="Partitions of a run that wait for a person",
    responses={200: {"model": One[FailedPartitions]}},
)
async def read_failed_workers(
    request: Request, _caller: Operator, dependencies: Dependencies, run_id: RunId
) -> Response:
    """With the reason of the last attempt. POST /triggers/retry-workers takes them up again."""
    refuse_parameters(request)
    async with dependencies.snapshot() as conn:
        failed = await runs.failed_partitions(conn, run_id)
    return answer_json({"data": {"runId": run_id, "totalFailed": len(failed), "workers": failed}})


async def _consolidate(
    dependencies: ApiDependencies, caller: Caller, run_id: UUID, *, force: bool
) -> Response:
    """The step is taken in the database first; the message only says where to look."""
    async with dependencies.unit_of_work() as conn:
        run = await consolidating.start_consolidating(conn, run_id, force=force, actor=caller.id)
        pending = await consolidation.count_pending(conn)
        due = await store.take_run(conn, run_id)
    await _wake(dependencies, due)
    return answer_json({"data": _consolidation(run, pending, force=force)}, status=202)


async def _wake(dependencies: ApiDependencies, due: DueRun) -> None:
    await wake_runs(dependencies.pipeline.queues[CONSOLIDATE], [due])


def _consolidation(run: Run, pending: int, *, force: bool) -> dict[str, Any]:
    return {
        "message": "the consolidation is queued",
        "runId": run.run_id,
        "traceId": run.trace_id,
        "force": force,
        "pendingDiamonds": pending,
        "runMetadata": {
            "runType": run.run_type,
            "state": run.state,
            "expectedWorkers": run.expected_workers,
            "completedWorkers": run.completed_workers,
            "failedWorkers": run.failed_workers,
        },
    }
