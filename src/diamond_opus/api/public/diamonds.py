"""The catalogue for shops: search, facets, and one stone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from diamond_opus.api.answers import (
    answer_not_modified,
    answer_with_etag,
    iso_timestamp,
    make_etag,
    paginated,
)
from diamond_opus.api.auth import Caller, Needs
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.query_string import describe_parameters, read_id, read_query, refuse_parameters
from diamond_opus.api.schemas import Diamond, One
from diamond_opus.api.schemas_catalog import DiamondList, Facets
from diamond_opus.catalog.export import read_as_of
from diamond_opus.catalog.facets import HISTOGRAMS, FacetCounts
from diamond_opus.catalog.filters import UPDATED_SINCE
from diamond_opus.catalog.search import (
    FILTER_PARAMETERS,
    PARAMETERS,
    SearchPage,
    parse_filters,
    parse_search,
)
from diamond_opus.catalog.stones import get_diamond
from diamond_opus.db.pool import Connection
from diamond_opus.keys.permissions import Permission
from diamond_opus.trade.holds import live_hold_of

AS_OF_HEADER = "X-As-Of"

router = APIRouter(prefix="/diamonds", tags=["diamonds"])
Reader = Annotated[Caller, Depends(Needs(Permission.READ))]
StoneId = Annotated[str, Path(alias="id", json_schema_extra={"format": "uuid"})]

_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "If-None-Match names the present answer."}
}


@router.get(
    "",
    summary="Search the catalogue",
    responses={200: {"model": DiamondList}, **_NOT_MODIFIED},
    openapi_extra={"parameters": describe_parameters(PARAMETERS.values())},
)
async def list_diamonds(request: Request, caller: Reader, dependencies: Dependencies) -> Response:
    """Stones on sale that meet every filter given. Ranges include both ends; several values of one filter mean any.

    Several values are written `color=D&color=E`, `color[]=D&color[]=E` or `color=D,E`. Pages by number go to row
    10,000; `nextCursor` goes on from there, and does not skip or repeat a stone when the catalogue changes meanwhile.
    An unknown or invalid parameter is an error, never ignored.

    To keep a copy in step, ask with `updated_since` and take the header `X-As-Of` of the first page for the next time.
    """
    search = parse_search(read_query(request), with_cost=caller.sees_cost)
    as_of = await _as_of(dependencies) if UPDATED_SINCE in search.filters else None
    async with dependencies.catalogue(search.filters) as (conn, moment):
        etag = make_etag(moment.version, search.identity)
        response = answer_not_modified(request, etag)
        if response is None:
            page = await dependencies.catalog.search(conn, moment, search)
            response = answer_with_etag(etag, _shown_page(page))
    if as_of is not None:
        response.headers[AS_OF_HEADER] = iso_timestamp(as_of)
    return response


@router.get(
    "/facets",
    summary="Count what a search finds, and what it would find with another choice",
    responses={200: {"model": One[Facets]}, **_NOT_MODIFIED},
    openapi_extra={"parameters": describe_parameters(FILTER_PARAMETERS.values())},
)
async def get_facets(request: Request, caller: Reader, dependencies: Dependencies) -> Response:
    """Exact counts for each value of each facet, as if the facet's own filter were not set.

    With the ETag of a search, both are of the same version of the catalogue.
    """
    filters = parse_filters(read_query(request), with_cost=caller.sees_cost)
    async with dependencies.catalogue(filters) as (conn, moment):
        etag = make_etag(moment.version, "facets", repr(sorted(filters.items())), str(caller.sees_cost))
        not_modified = answer_not_modified(request, etag)
        if not_modified is not None:
            return not_modified
        counts = await dependencies.catalog.facets(conn, moment, filters)
    return answer_with_etag(etag, {"data": _shown_facets(counts)})


@router.get("/{id}", summary="One stone", responses={200: {"model": One[Diamond]}, **_NOT_MODIFIED})
async def read_diamond(
    request: Request, caller: Reader, dependencies: Dependencies, stone_id: StoneId
) -> Response:
    """A stone on sale, by its id; one that was removed is DIAMOND_NOT_FOUND, as one that never was.

    `yourHold` is your own hold of it. Of another's only `availability` tells.
    """
    refuse_parameters(request)
    known_id = read_stone_id(stone_id)
    async with dependencies.catalogue() as (conn, moment):
        hold = await _own_hold(conn, known_id, caller)
        etag = make_etag(moment.version, f"{known_id} {caller.sees_cost}", str(hold))
        not_modified = answer_not_modified(request, etag)
        if not_modified is not None:
            return not_modified
        diamond = await get_diamond(conn, known_id, with_cost=caller.sees_cost)
    if diamond is None:
        raise diamond_not_found(known_id)
    return answer_with_etag(etag, {"data": {**diamond, "yourHold": hold}})


async def _own_hold(conn: Connection, stone_id: UUID, caller: Caller) -> Mapping[str, Any] | None:
    """Only who may trade can have one."""
    if Permission.TRADE not in caller.permissions:
        return None
    hold = await live_hold_of(conn, stone_id, caller.id)
    return None if hold is None else {"id": hold.id, "status": hold.status, "until": hold.hold_until}


def read_stone_id(text: str) -> UUID:
    """Raises InvalidParameters."""
    return read_id("id", text)


def diamond_not_found(stone_id: UUID) -> ApiError:
    return ApiError(404, ErrorCode.DIAMOND_NOT_FOUND, f"there is no diamond with the id {stone_id}")


async def _as_of(dependencies: Dependencies) -> datetime:
    async with dependencies.unit_of_work() as conn:
        return await read_as_of(conn)


def _shown_page(page: SearchPage) -> Mapping[str, Any]:
    return paginated(
        page.diamonds, total=page.total, page=page.page, limit=page.limit, next_cursor=page.next_cursor
    )


def _shown_facets(counts: FacetCounts) -> Mapping[str, Any]:
    shown: dict[str, Any] = {"total": counts.total}
    for name, pairs in counts.values.items():
        shown[_CAMEL.get(name, name)] = [{"value": value, "count": count} for value, count in pairs]
    shown["price"] = _bars("price", counts, lambda edge: edge)
    shown["carats"] = _bars("carats", counts, lambda edge: edge / 100)
    return shown


_CAMEL = {"certificate_lab": "certificateLab", "lab_grown": "labGrown"}


def _bars(name: str, counts: FacetCounts, unit: Any) -> list[Mapping[str, Any]]:
    """Each bar from its edge up to, and without, the next one; the last is open."""
    edges = HISTOGRAMS[name]
    ends = [*edges[1:], None]
    return [
        {"from": unit(start), "to": None if end is None else unit(end), "count": count}
        for start, end, count in zip(edges, ends, counts.histograms[name], strict=True)
    ]
