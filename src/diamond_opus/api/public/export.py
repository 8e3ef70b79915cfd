"""The catalogue as a file: streamed, so that a million stones take no more memory than one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from diamond_opus.api.answers import iso_timestamp
from diamond_opus.api.auth import Caller, Needs
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.public.diamonds import AS_OF_HEADER
from diamond_opus.api.query_string import describe_parameters, read_query
from diamond_opus.catalog.export import EXPORT_APPLICATION, Format, export_stones, read_as_of
from diamond_opus.catalog.filters import RANGES
from diamond_opus.catalog.parameters import OneOf, Parameter, read_parameters, require_ordered
from diamond_opus.catalog.search import FIELDS_PARAMETER, FILTER_PARAMETERS, read_fields
from diamond_opus.db.pool import connect, transaction
from diamond_opus.keys.permissions import Permission

router = APIRouter(prefix="/diamonds", tags=["diamonds"])

#: Each holds a connection and a snapshot for as long as its client takes; a client has one at a time.
MOST_AT_ONCE = 4
_RETRY_SECONDS = 15
#: A client that takes longer is too slow to be waited for: its snapshot would keep the database from tidying up.
_LONGEST_SECONDS = 900
#: A table that somebody has locked is an error at once, not a download that never begins.
_LOCK_TIMEOUT = b"SET LOCAL lock_timeout = '5s'"

_FORMAT = Parameter("format", OneOf(tuple(Format)), "The form of the lines.", default=Format.CSV.value)
_PARAMETERS = {**FILTER_PARAMETERS, FIELDS_PARAMETER.name: FIELDS_PARAMETER, _FORMAT.name: _FORMAT}
_MEDIA_TYPES = {Format.CSV: "text/csv; charset=utf-8", Format.NDJSON: "application/x-ndjson"}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One line for each stone, under the names of the search's fields.",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}


@router.get(
    "/export",
    summary="Download the catalogue",
    responses=_FILES,
    response_class=StreamingResponse,
    openapi_extra={"parameters": describe_parameters(_PARAMETERS.values())},
)
async def export_diamonds(
    request: Request, caller: Annotated[Caller, Depends(Needs(Permission.READ))], dependencies: Dependencies
) -> Response:
    """Every stone that meets the filters, as one moment shows it, in no particular order.

    The header `X-As-Of` is the time to give as `updated_since` when the copy is brought up to date.
    """
    values = read_parameters(_PARAMETERS, read_query(request), may={"cost"} if caller.sees_cost else ())
    require_ordered(values, RANGES)
    names = read_fields(values, with_cost=caller.sees_cost)
    output = Format(values.get(_FORMAT.name, _FORMAT.default))
    filters = {name: value for name, value in values.items() if name in FILTER_PARAMETERS}
    stack = AsyncExitStack()
    try:
        stack.enter_context(_slot(request, caller.id))
        # A connection of its own: a slow download must not make anybody wait for one of the few.
        conninfo = str(dependencies.pipeline.pool.conninfo)
        conn = await connect(conninfo, application_name=EXPORT_APPLICATION)
        await stack.enter_async_context(conn)
        as_of = await read_as_of(conn)
        await stack.enter_async_context(transaction(conn, statement_timeout_ms=0, snapshot=True))
        await conn.execute(_LOCK_TIMEOUT)
        lines = export_stones(conn, filters, output, names=names, with_cost=caller.sees_cost)
        beginning = await anext(lines)  # what fails, fails before an answer is begun
    except BaseException:
        await stack.aclose()
        raise
    headers = {
        AS_OF_HEADER: iso_timestamp(as_of),
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="diamonds.{output}"',
    }
    return _Download(stack, _chain(beginning, lines, stack), headers=headers, media_type=_MEDIA_TYPES[output])


async def _chain(
    beginning: bytes, lines: AsyncIterator[bytes], stack: AsyncExitStack
) -> AsyncIterator[bytes]:
    """All pieces; the stack is closed before the client learns that this was the end, and may ask again."""
    yield beginning
    async for piece in lines:
        yield piece
    await stack.aclose()


class _Download(StreamingResponse):
    """Gives back connection, snapshot and slot also when it breaks off, even before the first line."""

    def __init__(self, stack: AsyncExitStack, lines: AsyncIterator[bytes], **response: Any) -> None:
        super().__init__(lines, **response)
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._stack, asyncio.timeout(_LONGEST_SECONDS):
            await super().__call__(scope, receive, send)


@contextmanager
def _slot(request: Request, caller_id: str) -> Iterator[None]:
    """Raises ApiError 429 while this client has an export under way, or too many others have."""
    exporting: set[str] = request.app.state.exporting
    if caller_id in exporting or len(exporting) >= MOST_AT_ONCE:
        whose = "you have one export" if caller_id in exporting else f"{MOST_AT_ONCE} exports are"
        raise ApiError(
            429,
            ErrorCode.RATE_LIMITED,
            f"{whose} under way already",
            hint=f"Let it end, or try again in {_RETRY_SECONDS} s.",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        )
    exporting.add(caller_id)
    try:
        yield
    finally:
        exporting.discard(caller_id)
