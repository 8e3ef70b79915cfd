"""Runs for operators: what ran, how it went, what failed, and what became of its stones."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from diamond_opus.analytics import consolidation, quality, runs
from diamond_opus.analytics.runs import STATUSES, RunFilter
from diamond_opus.api.answers import answer_json, newest, paginated
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.listing import listing, position_of
from diamond_opus.api.operators import Operator, Parts
from diamond_opus.api.query_string import describe_parameters, read_query, refuse_parameters
from diamond_opus.api.schemas import ListOf, One
from diamond_opus.api.schemas_runs import (
    ConsolidationOfRun,
    ConsolidationTotals,
    FailedAttempt,
    Quality,
    RunConsolidation,
    RunDetail,
    RunSummary,
)
from diamond_opus.catalog.parameters import (
    Moment,
    OneOf,
    Parameter,
    Text,
    WholeNumber,
    read_parameters,
    require_ordered,
)
from diamond_opus.runs.model import RunState, RunType

router = APIRouter(prefix="/analytics", tags=["analytics"])
RunId = Annotated[UUID, Path(alias="runId")]

RUN_PARAMETERS = listing(
    Parameter("feed", Text(max_length=50), "Of this feed."),
    Parameter("run_type", OneOf(tuple(RunType)), "Of this type."),
    Parameter("status", OneOf(STATUSES), "Where it stands, in one word.", many=True),
    Parameter("state", OneOf(tuple(RunState)), "Its exact state.", many=True),
    Parameter("started_after", Moment(), "Started then or later."),
    Parameter("started_before", Moment(), "Started then or earlier."),
)


def at_most(default: int, most: int) -> dict[str, Parameter]:
    """The one parameter of a list that has no pages."""
    return {"limit": Parameter("limit", WholeNumber(1, most), "How many, the newest first.", default=default)}


FAILED_PARAMETERS = at_most(20, 100)
STATUS_PARAMETERS = at_most(10, 50)


@router.get(
    "/runs",
    summary="Runs, the newest first",
    responses={200: {"model": ListOf[RunSummary]}},
    openapi_extra={"parameters": describe_parameters(RUN_PARAMETERS.values())},
)
async def list_runs(request: Request, _caller: Operator, dependencies: Dependencies) -> Response:
    """Filters may be combined; several values of `status` or `state` mean any of them."""
    values = read_parameters(RUN_PARAMETERS, read_query(request))
    require_ordered(values, [("started_after", "started_before")])
    position = position_of(values)
    wanted = RunFilter(
        feed=values.get("feed"),
        run_type=values.get("run_type"),
        states=values.get("state"),
        statuses=values.get("status"),
        started_after=values.get("started_after"),
        started_before=values.get("started_before"),
    )
    async with dependencies.snapshot() as conn:
        page = await runs.list_runs(conn, wanted, limit=position.limit, offset=position.offset)
    return answer_json(paginated(page.rows, total=page.total, page=position.page, limit=position.limit))


@router.get("/runs/{runId}", summary="One run, explained", responses={200: {"model": One[RunDetail]}})
async def read_run(
    request: Request, _caller: Operator, dependencies: Dependencies, run_id: RunId
) -> Response:
    """The run, its partitions, every attempt, and each difference between its figures with the reason."""
    refuse_parameters(request)
    async with dependencies.snapshot() as conn:
        return answer_json({"data": await runs.explain_run(conn, run_id)})


@router.get(
    "/runs/{runId}/quality", summary="What a run could not use", responses={200: {"model": One[Quality]}}
)
async def read_run_quality(
    request: Request, _caller: Operator, dependencies: Dependencies, run_id: RunId
) -> Response:
    """Rejected stones by reason with examples, items without an identity, and odd fields that became null."""
    refuse_parameters(request)
    async with dependencies.snapshot() as conn:
        return answer_json({"data": await quality.quality_report(conn, run_id)})


@router.get(
    "/failed-workers",
    summary="The newest failed attempts",
    responses={200: {"model": ListOf[FailedAttempt]}},
    openapi_extra={"parameters": describe_parameters(FAILED_PARAMETERS.values())},
)
async def list_failed_workers(request: Request, _caller: Operator, dependencies: Dependencies) -> Response:
    """Of all runs; `partitionState` tells whether a later attempt put it right."""
    limit = _limit(FAILED_PARAMETERS, request)
    async with dependencies.snapshot() as conn:
        rows = await runs.failed_attempts(conn, limit=limit)
        return answer_json(newest(rows, total=await runs.count_failed_attempts(conn)))


@router.get(
    "/consolidation",
    summary="How much is consolidated",
    responses={200: {"model": One[ConsolidationTotals]}},
)
async def read_consolidation(
    request: Request, _caller: Operator, dependencies: Dependencies, parts: Parts
) -> Response:
    """Over every answer that the suppliers ever gave; pending ones wait for a run's consolidation."""
    refuse_parameters(request)
    raw = await parts.raw.read()
    async with dependencies.snapshot() as conn:
        return answer_json({"data": await consolidation.consolidation_totals(conn, raw)})


@router.get(
    "/consolidation/status",
    summary="The consolidation of the newest runs",
    responses={200: {"model": ListOf[RunConsolidation]}},
    openapi_extra={"parameters": describe_parameters(STATUS_PARAMETERS.values())},
)
async def list_consolidations(request: Request, _caller: Operator, dependencies: Dependencies) -> Response:
    """`liveProgress` is there while a run is consolidated."""
    limit = _limit(STATUS_PARAMETERS, request)
    async with dependencies.snapshot() as conn:
        rows = await consolidation.newest_consolidations(conn, limit=limit)
        return answer_json(newest(rows, total=await runs.count_runs(conn)))


@router.get(
    "/consolidation/{runId}",
    summary="The consolidation of one run",
    responses={200: {"model": One[ConsolidationOfRun]}},
)
async def read_run_consolidation(
    request: Request, _caller: Operator, dependencies: Dependencies, run_id: RunId
) -> Response:
    """Of the answers that the run brought."""
    refuse_parameters(request)
    async with dependencies.snapshot() as conn:
        return answer_json({"data": await consolidation.consolidation_of_run(conn, run_id)})


def _limit(known: dict[str, Parameter], request: Request) -> int:
    values: dict[str, Any] = read_parameters(known, read_query(request))
    limit: int = values.get("limit", known["limit"].default)
    return limit
