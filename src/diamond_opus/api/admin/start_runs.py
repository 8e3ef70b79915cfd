"""A run that a person starts: planned in the background of this process, read by the workers."""

from uuid import UUID, uuid4

import psycopg
from fastapi import APIRouter, Request
from starlette.responses import Response

from diamond_opus.api.admin.watermark import read_feed
from diamond_opus.api.answers import answer_json
from diamond_opus.api.dependencies import ApiDependencies, Dependencies
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.operators import Operator, OperatorParts, Parts
from diamond_opus.api.query_string import refuse_parameters
from diamond_opus.api.schemas import One
from diamond_opus.api.schemas_triggers import StartBody, Started
from diamond_opus.db.audit import record_act
from diamond_opus.domain.errors import DiamondError, Fatal, Retryable
from diamond_opus.observability.error_log import record_exception
from diamond_opus.observability.logging import get_logger
from diamond_opus.runs import store
from diamond_opus.runs.model import RunType
from diamond_opus.schedule.container_apps_job import ContainerAppsJob

router = APIRouter(prefix="/triggers", tags=["triggers"], route_class=GuardedRoute)

log = get_logger(__name__)


@router.post("/scheduler", status_code=202, summary="Start a run", responses={202: {"model": One[Started]}})
async def start_run(
    request: Request,
    caller: Operator,
    dependencies: Dependencies,
    parts: Parts,
    body: StartBody | None = None,
) -> Response:
    """Answers at once with the run's id; planning asks the supplier for counts and takes seconds to minutes.

    Where a scheduler job is configured (AZURE_SCHEDULER_JOB_NAME) it is started and plans the run, else this process.

    The run appears under that id when its plan is whole. If planning fails nothing is stored of it, and the error log
    has the reason. While the feed has an active run, or this process plans one, the answer is 409.
    """
    refuse_parameters(request)
    body = body or StartBody()
    feed = read_feed(body.feed)
    if dependencies.pipeline.scheduler_job is None and feed not in dependencies.pipeline.sources:
        raise ApiError(
            503,
            ErrorCode.SERVICE_UNAVAILABLE,
            f"this process has no account with {feed}",
            hint="Start the run with `diamond schedule`, or give the API the supplier's settings.",
        )
    if feed in parts.planning:
        raise _conflict(f"a run of {feed} is being planned already")
    run_id = uuid4()
    settings = dependencies.pipeline.settings
    chosen = body.run_type or settings.run_type
    run_type = RunType(chosen) if chosen else None
    await _begin(dependencies, parts, caller.id, feed, run_type, run_id)
    content = {
        "message": f"a run of {feed} is being planned",
        "runId": run_id,
        "runType": run_type,
        "feed": feed,
        "status": "planning",
        "requestedAt": dependencies.clock.now(),
    }
    return answer_json({"data": content}, status=202)


async def _begin(
    dependencies: ApiDependencies,
    parts: OperatorParts,
    actor: str,
    feed: str,
    run_type: RunType | None,
    run_id: UUID,
) -> None:
    """The job plans the run, or this process in its background."""
    parts.planning.add(feed)
    is_planned_here = False
    try:
        await _refuse_beside_another(dependencies, feed)
        if dependencies.pipeline.scheduler_job is not None:
            await _start_job(dependencies.pipeline.scheduler_job, feed, run_type, run_id)
        await _note_start(dependencies, actor, feed, run_type, run_id)
        if dependencies.pipeline.scheduler_job is None:
            parts.background.start(_plan(dependencies, parts, feed, run_type, run_id))
            is_planned_here = True
    finally:
        if not is_planned_here:
            parts.planning.discard(feed)


async def _refuse_beside_another(dependencies: ApiDependencies, feed: str) -> None:
    """Raises ApiError while the feed has an active run."""
    async with dependencies.unit_of_work() as conn:
        active = await store.find_active_run(conn, feed)
    if active is not None:
        raise _conflict(f"run {active.run_id} of {feed} is {active.state}")


async def _start_job(job: ContainerAppsJob, feed: str, run_type: RunType | None, run_id: UUID) -> None:
    """Raises ApiError, with the command that does without the job."""
    command = ["diamond", "schedule", "--feed", feed, "--run-id", str(run_id)]
    command += ["--type", run_type] if run_type else []
    try:
        execution = await job.start(command)
    except (Retryable, Fatal) as error:
        raise ApiError(
            503,
            ErrorCode.SERVICE_UNAVAILABLE,
            str(error),
            hint=f"Without the job, where the supplier's settings are: {' '.join(command)}",
        ) from error
    log.info("scheduler_job_started", run_id=run_id, feed=feed, execution=execution)


async def _note_start(
    dependencies: ApiDependencies, actor: str, feed: str, run_type: RunType | None, run_id: UUID
) -> None:
    async with dependencies.unit_of_work() as conn:
        await record_act(
            conn,
            actor=actor,
            action="run.start",
            subject=str(run_id),
            details={"feed": feed, "runType": run_type},
        )


async def _plan(
    dependencies: ApiDependencies, parts: OperatorParts, feed: str, run_type: RunType | None, run_id: UUID
) -> None:
    """Nobody waits for it any more: what goes wrong is kept for the operator."""
    try:
        await dependencies.pipeline.plan_run(feed, run_type, run_id=run_id)
    except (DiamondError, psycopg.Error, OSError) as error:
        log.error("run_not_planned", run_id=run_id, feed=feed, reason=str(error))
        await record_exception(
            dependencies.pool, error, service="api", context={"runId": str(run_id), "feed": feed}
        )
    finally:
        parts.planning.discard(feed)


def _conflict(message: str) -> ApiError:
    return ApiError(
        409,
        ErrorCode.CONFLICT,
        message,
        hint="Wait for its end, or cancel it with POST /api/v2/triggers/cancel-run.",
    )
