"""The whole at a glance: summary, feeds, vendors."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from diamond_opus.analytics import catalogue
from diamond_opus.analytics.summary import summarise
from diamond_opus.api.answers import answer_json, newest, paginated
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.listing import listing, position_of
from diamond_opus.api.operators import Operator, Parts
from diamond_opus.api.query_string import describe_parameters, read_query, refuse_parameters
from diamond_opus.api.schemas import ListOf, One
from diamond_opus.api.schemas_operators import FeedCounts, Summary, SupplierCounts
from diamond_opus.catalog.parameters import read_parameters
from diamond_opus.wiring import FEEDS

router = APIRouter(prefix="/analytics", tags=["analytics"])

SUPPLIER_PARAMETERS = listing()


@router.get("/summary", summary="The system at a glance", responses={200: {"model": One[Summary]}})
async def read_summary(
    request: Request, _caller: Operator, dependencies: Dependencies, parts: Parts
) -> Response:
    """What is on sale and how fresh it is, the last good run, the runs of a week, and what waits for a person.

    Counts are exact for the dataset's present version; while it changes quickly they may be seconds old, and
    `freshness.isCurrent` says so.
    """
    refuse_parameters(request)
    counted = await parts.catalogue.read()
    watermark = await dependencies.pipeline.watermarks.read(FEEDS[0])
    async with dependencies.snapshot() as conn:
        summary = await summarise(conn, counted, watermark, now=dependencies.clock.now())
    return answer_json({"data": summary})


@router.get("/feeds", summary="What each feed has on sale", responses={200: {"model": ListOf[FeedCounts]}})
async def list_feeds(request: Request, _caller: Operator, parts: Parts) -> Response:
    """The biggest first."""
    refuse_parameters(request)
    counted = await parts.catalogue.read()
    return answer_json(newest(catalogue.by_feed(counted.value)))


@router.get(
    "/suppliers",
    summary="What each vendor has on sale",
    responses={200: {"model": ListOf[SupplierCounts]}},
    openapi_extra={"parameters": describe_parameters(SUPPLIER_PARAMETERS.values())},
)
async def list_suppliers(request: Request, _caller: Operator, parts: Parts) -> Response:
    """Vendors of the stones on sale, the biggest first."""
    position = position_of(read_parameters(SUPPLIER_PARAMETERS, read_query(request)))
    counted = await parts.catalogue.read()
    vendors = catalogue.by_supplier(counted.value)
    shown = vendors[position.offset : position.offset + position.limit]
    return answer_json(paginated(shown, total=len(vendors), page=position.page, limit=position.limit))
