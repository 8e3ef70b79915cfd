"""The heatmap: how the inventory lies by price now, and how a run would be cut, asked through the request budget."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from diamond_opus.analytics.rows import Answer
from diamond_opus.analytics.scans import list_scans, show_scan
from diamond_opus.api.admin.watermark import read_feed
from diamond_opus.api.answers import answer_json, paginated
from diamond_opus.api.dependencies import ApiDependencies, Dependencies
from diamond_opus.api.errors import RETRY_AFTER_SECONDS, ApiError, ErrorCode
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.listing import listing, position_of
from diamond_opus.api.operators import Operator, OperatorParts, Parts
from diamond_opus.api.query_string import describe_parameters, read_query, refuse_parameters
from diamond_opus.api.schemas import ListOf, One
from diamond_opus.api.schemas_triggers import Heatmap, PreviewBody, ScanBody, StoredScan
from diamond_opus.catalog.parameters import (
    InvalidParameters,
    OneOf,
    Parameter,
    Problem,
    TrueOrFalse,
    read_parameters,
)
from diamond_opus.db.audit import record_act
from diamond_opus.partitioning.plan import plan_partitions
from diamond_opus.partitioning.settings import HeatmapSettings
from diamond_opus.room_settings import planning_settings
from diamond_opus.runs import density
from diamond_opus.schedule.count_density import Scan, count_density
from diamond_opus.wiring import FEEDS

router = APIRouter(prefix="/heatmap", tags=["heatmap"], route_class=GuardedRoute)

HISTORY_PARAMETERS = listing(
    Parameter("feed", OneOf(FEEDS), "Of this feed."),
    Parameter("lab_grown", TrueOrFalse(), "Of this type."),
)

#: A preview shows the shape, with few counts, into few partitions.
_PREVIEW_WORKERS = 10
_PREVIEW_CALLS = 40
_MOST_FIXED_CALLS = 1_000


@router.post("/run", summary="Scan the whole inventory", responses={200: {"model": One[Heatmap]}})
async def run_heatmap(
    request: Request,
    caller: Operator,
    dependencies: Dependencies,
    parts: Parts,
    body: ScanBody | None = None,
) -> Response:
    """Counts as a full run does when it is planned, and shows what it would plan. The scan is kept in the history, and
    incremental runs borrow its shape. One at a time; one that takes longer than HEATMAP_TIMEOUT_SECONDS ends as 503.
    """
    refuse_parameters(request)
    body = body or ScanBody()
    feed = read_feed(body.feed)
    settings = _settings_of(dependencies, body)
    scanned_at = dependencies.clock.now()
    scans, answer = await _scan(dependencies, parts, feed, settings, body)
    async with dependencies.unit_of_work() as conn:
        for scan in scans:
            await density.store_density_scan(
                conn,
                feed=feed,
                run_id=None,
                scan=scan.density.to_json(),
                api_calls=scan.api_calls,
                scanned_at=scanned_at,
            )
        await record_act(
            conn,
            actor=caller.id,
            action="heatmap.run",
            subject=feed,
            details={"apiCalls": answer["stats"]["apiCalls"], "totalRecords": answer["totalRecords"]},
        )
    return answer_json({"data": answer})


@router.post(
    "/preview", summary="Look at the inventory with few counts", responses={200: {"model": One[Heatmap]}}
)
async def preview_heatmap(
    request: Request,
    _caller: Operator,
    dependencies: Dependencies,
    parts: Parts,
    body: PreviewBody | None = None,
) -> Response:
    """At most 40 counts and 10 partitions; nothing is kept."""
    refuse_parameters(request)
    body = body or PreviewBody()
    whole = planning_settings(dependencies.pipeline.settings).heatmap
    settings = replace(
        whole,
        mode="bisect",
        max_workers=min(whole.max_workers, _PREVIEW_WORKERS),
        max_calls=min(whole.max_calls, _PREVIEW_CALLS),
    )
    asked = ScanBody(min_price=body.min_price, max_price=body.max_price, lab_grown=body.lab_grown)
    _, answer = await _scan(dependencies, parts, read_feed(body.feed), settings, asked)
    return answer_json({"data": answer})


@router.get(
    "/history",
    summary="Scans, the newest first",
    responses={200: {"model": ListOf[StoredScan]}},
    openapi_extra={"parameters": describe_parameters(HISTORY_PARAMETERS.values())},
)
async def list_heatmaps(request: Request, _caller: Operator, dependencies: Dependencies) -> Response:
    """One for each type, made by a person or when a full run was planned."""
    values = read_parameters(HISTORY_PARAMETERS, read_query(request))
    at = position_of(values)
    async with dependencies.snapshot() as conn:
        page = await list_scans(
            conn, values.get("feed"), values.get("lab_grown"), limit=at.limit, offset=at.offset
        )
    return answer_json(paginated(page.rows, total=page.total, page=at.page, limit=at.limit))


def _settings_of(dependencies: ApiDependencies, body: ScanBody) -> HeatmapSettings:
    """The configured ones with what the body says instead. Raises InvalidParameters."""
    whole = planning_settings(dependencies.pipeline.settings).heatmap
    try:
        return replace(
            whole,
            mode="fixed" if body.mode == "single-pass" else "bisect",
            # Fixed steps decide how many counts there are; beyond these they are refused.
            max_calls=_MOST_FIXED_CALLS if body.mode == "single-pass" else whole.max_calls,
            max_workers=body.max_workers or whole.max_workers,
            dense_zone_threshold=body.dense_zone_threshold or whole.dense_zone_threshold,
            dense_zone_step=body.dense_zone_step or whole.dense_zone_step,
        )
    except ValueError as error:
        raise InvalidParameters([Problem("body", None, str(error))]) from error


async def _scan(
    dependencies: ApiDependencies,
    parts: OperatorParts,
    feed: str,
    settings: HeatmapSettings,
    body: ScanBody,
) -> tuple[Sequence[Scan], Answer]:
    """Bounded in time and to one at once, because the request budget is everybody's. Raises ApiError."""
    if body.min_price > body.max_price:
        raise InvalidParameters(
            [
                Problem(
                    "minPrice", str(body.min_price), f"must not be above maxPrice, which is {body.max_price}"
                )
            ]
        )
    source = dependencies.pipeline.sources.get(feed)
    if source is None:
        raise _unavailable(
            f"this process has no account with {feed}", "Give the API the supplier's settings."
        )
    if parts.scanning.locked():
        raise ApiError(409, ErrorCode.CONFLICT, "a scan is under way", hint="Wait for its end.")
    types = (False, True) if body.lab_grown is None else (body.lab_grown,)
    limit = dependencies.pipeline.settings.heatmap_timeout_seconds
    started = dependencies.clock.monotonic()
    async with parts.scanning:
        try:
            async with asyncio.timeout(limit):
                scans = await count_density(source, settings, types=types)
        except TimeoutError as error:
            raise _unavailable(
                f"the scan took longer than {limit:g} s",
                "Preview it, scan one type, or raise HEATMAP_TIMEOUT_SECONDS.",
            ) from error
    answer = show_scan(
        scans,
        plan_partitions([scan.density for scan in scans], settings),
        price_from=body.min_price,
        price_to=body.max_price,
        most_records=body.max_total_records,
        milliseconds=round((dependencies.clock.monotonic() - started) * 1000),
        in_two_passes=settings.mode == "bisect",
    )
    return scans, answer


def _unavailable(message: str, hint: str) -> ApiError:
    return ApiError(
        503,
        ErrorCode.SERVICE_UNAVAILABLE,
        message,
        hint=hint,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
