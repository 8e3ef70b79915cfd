"""Up to which moment a feed has been read, looked at and set by a person."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from diamond_opus.api.answers import answer_json
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.operators import Operator, Parts
from diamond_opus.api.query_string import describe_parameters, read_query, refuse_parameters
from diamond_opus.api.schemas import One
from diamond_opus.api.schemas_operators import CurrentWatermark, WatermarkAnswer, WatermarkBody
from diamond_opus.catalog.parameters import (
    BadValueError,
    InvalidParameters,
    OneOf,
    Parameter,
    Problem,
    read_parameters,
)
from diamond_opus.db.audit import record_act
from diamond_opus.runs import store
from diamond_opus.runs.model import Run
from diamond_opus.watermark.document import to_document
from diamond_opus.watermark.protocol import Watermark, WatermarkConflict
from diamond_opus.wiring import FEEDS

router = APIRouter(prefix="/analytics", tags=["analytics"], route_class=GuardedRoute)

PARAMETERS = {"feed": Parameter("feed", OneOf(FEEDS), "Of this feed.", default=FEEDS[0])}


def read_feed(given: str | None) -> str:
    """A feed that there is; the first one unless told. Raises InvalidParameters."""
    try:
        return FEEDS[0] if given is None else OneOf(FEEDS).read(given)
    except BadValueError as error:
        raise InvalidParameters([Problem("feed", given, str(error), error.allowed)]) from error


@router.get(
    "/watermark",
    summary="Up to when a feed has been read",
    responses={200: {"model": CurrentWatermark}},
    openapi_extra={"parameters": describe_parameters(PARAMETERS.values())},
)
async def read_watermark(request: Request, _caller: Operator, dependencies: Dependencies) -> Response:
    """The planning time of the newest run that was consolidated completely; the next run reads from there on."""
    values = read_parameters(PARAMETERS, read_query(request))
    feed = values.get("feed", FEEDS[0])
    found = await dependencies.pipeline.watermarks.read(feed)
    return answer_json({"data": None if found is None else _shown(feed, found)})


@router.put("/watermark", summary="Set the watermark", responses={200: {"model": One[WatermarkAnswer]}})
async def set_watermark(
    request: Request, caller: Operator, dependencies: Dependencies, parts: Parts, body: WatermarkBody
) -> Response:
    """Back, to have a window read again, or forward, which leaves a window unread. Never into the future.

    Refused while a run of the feed is active: its end would move the watermark on, over what you asked for.
    Kept in the audit log.
    """
    refuse_parameters(request)
    feed = read_feed(body.feed)
    watermarks = dependencies.pipeline.watermarks
    async with dependencies.unit_of_work() as conn:
        now = await store.database_time(conn)
        if body.last_updated_at > now:
            raise InvalidParameters(
                [Problem("lastUpdatedAt", body.last_updated_at.isoformat(), f"is after {now.isoformat()}")]
            )
        active = await store.find_active_run(conn, feed)
        if active is not None or feed in parts.planning:
            raise _will_be_moved(feed, active)
        present = await watermarks.read(feed)
        version = present.version if present else None
        if body.version is not None and body.version != version:
            raise _moved(feed)
        wanted = Watermark(body.last_updated_at, body.last_run_id, body.last_run_completed_at)
        await record_act(
            conn,
            actor=caller.id,
            action="watermark.set",
            subject=feed,
            details={"from": to_document(present) if present else None, "to": to_document(wanted)},
        )
        try:
            # Inside, so that a change without its line in the audit log takes a crash between two commits.
            written = await watermarks.write(feed, wanted, expected_version=version)
        except WatermarkConflict as error:
            raise _moved(feed) from error
    return answer_json({"data": _shown(feed, written)})


def _shown(feed: str, watermark: Watermark) -> dict[str, str | None]:
    return {"feed": feed, **to_document(watermark), "version": watermark.version}


def _will_be_moved(feed: str, active: Run | None) -> ApiError:
    run = (
        f"run {active.run_id} of {feed} is {active.state}" if active else f"a run of {feed} is being planned"
    )
    return ApiError(
        409,
        ErrorCode.CONFLICT,
        f"{run}, and will move the watermark when it ends",
        hint="Wait for its end, or cancel it with POST /api/v2/triggers/cancel-run.",
    )


def _moved(feed: str) -> ApiError:
    return ApiError(
        409,
        ErrorCode.CONFLICT,
        f"the watermark of {feed} was moved by somebody else",
        hint="Read it again with GET /api/v2/analytics/watermark and decide anew.",
    )
