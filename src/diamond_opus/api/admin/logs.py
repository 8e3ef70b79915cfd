"""What went wrong, who did what, and what was set aside: error log, audit log, quarantine, dead letters."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from diamond_opus.analytics import logs, quality
from diamond_opus.analytics.quality import RejectedFilter
from diamond_opus.api.answers import answer_json, newest, paginated
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.listing import listing, position_of
from diamond_opus.api.operators import Operator
from diamond_opus.api.query_string import describe_parameters, read_query, refuse_parameters
from diamond_opus.api.schemas import ListOf, One
from diamond_opus.api.schemas_operators import (
    Act,
    DeadLetterAnswer,
    Deleted,
    ErrorLog,
    RejectedPayload,
    RejectedStone,
)
from diamond_opus.catalog.parameters import (
    Identifier,
    Moment,
    OneOf,
    Parameter,
    Text,
    TrueOrFalse,
    read_parameters,
    require_ordered,
)
from diamond_opus.queue.protocol import QUEUES

router = APIRouter(prefix="/analytics", tags=["analytics"], route_class=GuardedRoute)

_SERVICE = Parameter("service", Text(max_length=50), "Of this service, such as api or worker.")
ERROR_PARAMETERS = listing(_SERVICE)
DELETE_PARAMETERS = {"service": _SERVICE}
ACT_PARAMETERS = listing(
    Parameter("actor", Text(max_length=200), "Who did it, such as key:ID or cli:USER."),
    Parameter("action", Text(max_length=100), "What was done, such as run.retry."),
    Parameter("subject", Text(max_length=200), "What it was done to, such as a run's id."),
    Parameter("created_after", Moment(), "Then or later."),
    Parameter("created_before", Moment(), "Then or earlier."),
)
REJECTED_PARAMETERS = listing(
    Parameter("reason", Text(max_length=500), "Refused for exactly this reason."),
    Parameter("feed", Text(max_length=50), "Of this feed."),
    Parameter("run_id", Identifier(), "Refused last by this run."),
    Parameter("resolved", TrueOrFalse(), "false: still in quarantine; true: accepted since."),
)
LETTER_PARAMETERS = listing(Parameter("queue", OneOf(QUEUES), "Of this queue."))

#: Dead letters are for a person to look at: the oldest of each queue are enough.
MOST_LETTERS = 1_000


@router.get(
    "/error-logs",
    summary="Unexpected errors, the newest first",
    responses={200: {"model": ListOf[ErrorLog]}},
    openapi_extra={"parameters": describe_parameters(ERROR_PARAMETERS.values())},
)
async def list_error_logs(request: Request, _caller: Operator, dependencies: Dependencies) -> Response:
    """`context.traceId` is the trace id that a client was given."""
    values = read_parameters(ERROR_PARAMETERS, read_query(request))
    at = position_of(values)
    async with dependencies.snapshot() as conn:
        page = await logs.list_errors(conn, values.get("service"), limit=at.limit, offset=at.offset)
    return answer_json(paginated(page.rows, total=page.total, page=at.page, limit=at.limit))


@router.get(
    "/error-logs/services", summary="Which services have errors", responses={200: {"model": ListOf[str]}}
)
async def list_error_services(request: Request, _caller: Operator, dependencies: Dependencies) -> Response:
    """For a filter of the list."""
    refuse_parameters(request)
    async with dependencies.snapshot() as conn:
        return answer_json(newest(await logs.error_services(conn)))


@router.delete(
    "/error-logs",
    summary="Forget errors",
    responses={200: {"model": One[Deleted]}},
    openapi_extra={"parameters": describe_parameters(DELETE_PARAMETERS.values())},
)
async def delete_error_logs(request: Request, caller: Operator, dependencies: Dependencies) -> Response:
    """Those of one service, or all. Kept in the audit log."""
    values = read_parameters(DELETE_PARAMETERS, read_query(request))
    async with dependencies.unit_of_work() as conn:
        deleted = await logs.delete_errors(conn, values.get("service"), actor=caller.id)
    return answer_json({"data": {"deleted": deleted}})


@router.get(
    "/audit-log",
    summary="Who did what, the newest first",
    responses={200: {"model": ListOf[Act]}},
    openapi_extra={"parameters": describe_parameters(ACT_PARAMETERS.values())},
)
async def list_audit_log(request: Request, _caller: Operator, dependencies: Dependencies) -> Response:
    """Every change that a person made, by API or command."""
    values = read_parameters(ACT_PARAMETERS, read_query(request))
    require_ordered(values, [("created_after", "created_before")])
    at = position_of(values)
    async with dependencies.snapshot() as conn:
        page = await logs.list_acts(conn, values, limit=at.limit, offset=at.offset)
    return answer_json(paginated(page.rows, total=page.total, page=at.page, limit=at.limit))


@router.get(
    "/rejected",
    summary="The quarantine, what was seen last first",
    responses={200: {"model": ListOf[RejectedStone]}},
    openapi_extra={"parameters": describe_parameters(REJECTED_PARAMETERS.values())},
)
async def list_rejected(request: Request, _caller: Operator, dependencies: Dependencies) -> Response:
    """Stones that cannot be sold, with JSON path and reason; the payload is on the single one."""
    values = read_parameters(REJECTED_PARAMETERS, read_query(request))
    at = position_of(values)
    wanted = RejectedFilter(
        values.get("feed"), values.get("reason"), values.get("run_id"), values.get("resolved")
    )
    async with dependencies.snapshot() as conn:
        page = await quality.list_rejected(conn, wanted, limit=at.limit, offset=at.offset)
    return answer_json(paginated(page.rows, total=page.total, page=at.page, limit=at.limit))


@router.get(
    "/rejected/{feed}/{supplierStoneId:path}",
    summary="One rejected stone with its payload",
    responses={200: {"model": One[RejectedPayload]}},
)
async def read_rejected(
    request: Request,
    _caller: Operator,
    dependencies: Dependencies,
    feed: Annotated[str, Path(max_length=50)],
    stone_id: Annotated[str, Path(alias="supplierStoneId", max_length=300)],
) -> Response:
    """The payload is what the supplier sent, as it was received."""
    refuse_parameters(request)
    async with dependencies.snapshot() as conn:
        found = await quality.get_rejected(conn, feed.replace("\x00", ""), stone_id.replace("\x00", ""))
    if found is None:
        raise ApiError(404, ErrorCode.NOT_FOUND, f"no stone {stone_id} of {feed} was ever rejected")
    return answer_json({"data": found})


@router.get(
    "/dead-letters",
    summary="Messages that nobody could handle",
    responses={200: {"model": ListOf[DeadLetterAnswer]}},
    openapi_extra={"parameters": describe_parameters(LETTER_PARAMETERS.values())},
)
async def list_dead_letters(request: Request, _caller: Operator, dependencies: Dependencies) -> Response:
    """The oldest first; of each queue the oldest 1,000 are looked at."""
    values = read_parameters(LETTER_PARAMETERS, read_query(request))
    at = position_of(values)
    names = [values["queue"]] if "queue" in values else list(QUEUES)
    found = [
        {
            "queue": name,
            "id": letter.id,
            "body": letter.body,
            "properties": letter.properties,
            "reason": letter.reason,
            "description": letter.description,
        }
        for name in names
        for letter in await dependencies.pipeline.queues[name].dead_letters(MOST_LETTERS)
    ]
    shown = found[at.offset : at.offset + at.limit]
    return answer_json(paginated(shown, total=len(found), page=at.page, limit=at.limit))
