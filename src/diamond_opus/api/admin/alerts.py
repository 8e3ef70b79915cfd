"""What is wrong, who was told of it, and a person's word that it is over."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from diamond_opus.alerts.incidents import IncidentOver, UnknownIncident, end_by_hand
from diamond_opus.analytics.incidents import list_incidents
from diamond_opus.api.answers import answer_json, paginated
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.listing import listing, position_of
from diamond_opus.api.operators import Operator
from diamond_opus.api.query_string import describe_parameters, read_query, refuse_parameters
from diamond_opus.api.schemas import Error, ListOf, One
from diamond_opus.api.schemas_operators import AlertAnswer
from diamond_opus.api.schemas_triggers import AlertResolved, ResolveAlertBody
from diamond_opus.catalog.parameters import Parameter, Text, TrueOrFalse, read_parameters

router = APIRouter(route_class=GuardedRoute)

ALERT_PARAMETERS = listing(
    Parameter("open", TrueOrFalse(), "true: what is wrong now; false: what is over."),
    Parameter("event", Text(max_length=100), "Of this kind, such as run_late."),
)


@router.get(
    "/analytics/alerts",
    tags=["analytics"],
    summary="What is wrong, and who was told of it",
    responses={200: {"model": ListOf[AlertAnswer]}},
    openapi_extra={"parameters": describe_parameters(ALERT_PARAMETERS.values())},
)
async def list_alerts(request: Request, _caller: Operator, dependencies: Dependencies) -> Response:
    """The open ones first, the worst of them first, then the newest. Those that are over are kept for a while."""
    values = read_parameters(ALERT_PARAMETERS, read_query(request))
    at = position_of(values)
    async with dependencies.snapshot() as conn:
        page = await list_incidents(
            conn, is_open=values.get("open"), event=values.get("event"), limit=at.limit, offset=at.offset
        )
    return answer_json(paginated(page.rows, total=page.total, page=at.page, limit=at.limit))


@router.post(
    "/triggers/resolve-alert",
    tags=["triggers"],
    summary="Say that an alert is settled",
    responses={
        200: {"model": One[AlertResolved]},
        409: {"model": Error, "description": "CONFLICT: it is over already; the message says how."},
    },
)
async def resolve_alert(
    request: Request, caller: Operator, dependencies: Dependencies, body: ResolveAlertBody
) -> Response:
    """Who was told of it is told of its end. What is seen again is opened anew. It is audited."""
    refuse_parameters(request)
    try:
        async with dependencies.unit_of_work() as conn:
            ended = await end_by_hand(conn, body.alert_id, actor=caller.id, name=caller.name, note=body.note)
    except UnknownIncident as error:
        hint = "GET /api/v2/analytics/alerts lists them."
        raise ApiError(404, ErrorCode.NOT_FOUND, str(error), hint=hint) from error
    except IncidentOver as error:
        raise ApiError(409, ErrorCode.CONFLICT, str(error)) from error
    content = {
        "message": f"{ended.title}: over",
        "alertId": ended.id,
        "event": ended.event,
        "resolvedAt": ended.resolved_at,
        "resolution": ended.resolution,
    }
    return answer_json({"data": content})
