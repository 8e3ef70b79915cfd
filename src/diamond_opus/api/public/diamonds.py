"""The catalogue for shops: search, and one stone."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from diamond_opus.api.answers import answer_not_modified, answer_with_etag, make_etag, paginated
from diamond_opus.api.auth import Caller, Needs
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.query_string import describe_parameters, read_query
from diamond_opus.api.schemas import Diamond, ListOf, One
from diamond_opus.catalog.parameters import (
    BadValueError,
    Identifier,
    InvalidParameters,
    Problem,
    read_parameters,
)
from diamond_opus.catalog.search import PARAMETERS, parse_search, search_diamonds
from diamond_opus.catalog.stones import dataset_version, get_diamond
from diamond_opus.keys.permissions import Permission

router = APIRouter(prefix="/diamonds", tags=["diamonds"])
Reader = Annotated[Caller, Depends(Needs(Permission.READ))]

_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "If-None-Match names the present answer."}
}


@router.get(
    "",
    summary="Search the catalogue",
    responses={200: {"model": ListOf[Diamond]}, **_NOT_MODIFIED},
    openapi_extra={"parameters": describe_parameters(PARAMETERS.values())},
)
async def list_diamonds(request: Request, caller: Reader, dependencies: Dependencies) -> Response:
    """Stones on sale that meet every filter given. Ranges include both ends; several values of one filter mean any.

    Several values are written `color=D&color=E`, `color[]=D&color[]=E` or `color=D,E`. Pages by number go to row
    10,000; `nextCursor` goes on from there, and does not skip or repeat a stone when the catalogue changes meanwhile.
    An unknown or invalid parameter is an error, never ignored.
    """
    search = parse_search(read_query(request), with_cost=caller.sees_cost)
    async with dependencies.snapshot() as conn:
        etag = _etag(await dataset_version(conn), search.identity)
        not_modified = answer_not_modified(request, etag)
        if not_modified is not None:
            return not_modified
        page = await search_diamonds(conn, search)
    content = paginated(
        page.diamonds, total=page.total, page=page.page, limit=page.limit, next_cursor=page.next_cursor
    )
    return answer_with_etag(etag, content)


@router.get("/{id}", summary="One stone", responses={200: {"model": One[Diamond]}, **_NOT_MODIFIED})
async def read_diamond(
    request: Request,
    caller: Reader,
    dependencies: Dependencies,
    stone_id: Annotated[str, Path(alias="id", json_schema_extra={"format": "uuid"})],
) -> Response:
    """A stone on sale, by its id; one that was removed is DIAMOND_NOT_FOUND, as one that never was."""
    read_parameters({}, read_query(request))
    known_id = _read_id(stone_id)
    async with dependencies.snapshot() as conn:
        etag = _etag(await dataset_version(conn), f"{known_id} {caller.sees_cost}")
        not_modified = answer_not_modified(request, etag)
        if not_modified is not None:
            return not_modified
        diamond = await get_diamond(conn, known_id, with_cost=caller.sees_cost)
    if diamond is None:
        raise ApiError(404, ErrorCode.DIAMOND_NOT_FOUND, f"there is no diamond with the id {known_id}")
    return answer_with_etag(etag, {"data": diamond})


def _read_id(text: str) -> UUID:
    try:
        return Identifier().read(text)
    except BadValueError as error:
        raise InvalidParameters([Problem("id", text[:100], str(error))]) from error


def _etag(version: str | None, question: str) -> str | None:
    """Without a recorded version nobody knows whether an answer still holds."""
    return None if version is None else make_etag(version, question)
