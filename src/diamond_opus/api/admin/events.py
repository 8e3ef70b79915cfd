"""Server-sent events: what goes on, as it happens, for a dashboard that need not poll."""

from collections.abc import AsyncIterator
from typing import cast

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from diamond_opus.analytics.progress import State
from diamond_opus.api.auth import API_KEY_HEADER, Authenticator
from diamond_opus.api.dependencies import ApiDependencies, Dependencies
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.event_hub import MOST_LISTENERS, EventHub
from diamond_opus.api.operators import Operator, Parts
from diamond_opus.api.query_string import refuse_parameters
from diamond_opus.keys.permissions import Permission

router = APIRouter(prefix="/analytics", tags=["analytics"])

HEARTBEAT_SECONDS = 15.0
#: Then the client connects again, and is asked again who it is.
LONGEST_SECONDS = 600.0
_MEDIA_TYPE = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
#: How often it is looked whether the key still holds.
_RECHECK_SECONDS = 3.0


@router.get(
    "/events",
    summary="What goes on, as it happens",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "`event: run|partition|consolidation|attention`, `data:` JSON.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def stream_events(
    request: Request, _caller: Operator, dependencies: Dependencies, parts: Parts
) -> Response:
    """First everything as it is, then each change within about a second: a run's state and figures, its partitions, its
    consolidation, and what needs attention. `data` is the newest state of a thing, so a missed event costs nothing.

    Read it with fetch, so that the key travels in a header. A comment comes every 15 s. The stream ends after 10
    minutes, when the server stops, or when the key is revoked; connect again, and it starts from the present.
    """
    refuse_parameters(request)
    if parts.events.is_full:
        raise ApiError(
            503,
            ErrorCode.SERVICE_UNAVAILABLE,
            f"{MOST_LISTENERS} clients listen already",
            hint="Close another dashboard, or try again later.",
            headers={"Retry-After": "30"},
        )
    if request.scope["state"]["called_method"] == "HEAD":  # whose body nobody would read to its end
        return Response(media_type=_MEDIA_TYPE, headers=_HEADERS)
    return StreamingResponse(
        _stream(request, dependencies, parts.events), media_type=_MEDIA_TYPE, headers=_HEADERS
    )


async def _stream(request: Request, dependencies: ApiDependencies, hub: EventHub) -> AsyncIterator[bytes]:
    """Until the client goes, the server stops, the key falls or the time is over."""
    clock = dependencies.clock
    started = quiet_since = clock.monotonic()
    # Here and not before the answer begins: a client that goes at once never comes so far, and leaves nothing behind.
    async with hub.listen() as listener:
        yield b"retry: 2000\n\n"
        while clock.monotonic() - started < LONGEST_SECONDS:
            states = await listener.next(at_most_seconds=_RECHECK_SECONDS)
            if states is None or not await _may_still_listen(request):
                return
            if states:
                yield b"".join(map(_encode, states))
                quiet_since = clock.monotonic()
            elif clock.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
                yield b": still here\n\n"
                quiet_since = clock.monotonic()


async def _may_still_listen(request: Request) -> bool:
    """A key is looked up again, from memory mostly; a signature holds for its one request, to the stream's end."""
    if API_KEY_HEADER not in request.headers:
        return True
    authenticator = cast("Authenticator", request.app.state.authenticator)
    try:
        caller = await authenticator.identify(request)
    except ApiError:
        return False
    return Permission.ADMIN in caller.permissions


def _encode(state: State) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (
        state.event.encode(),
        orjson.dumps(state.data, option=orjson.OPT_UTC_Z),
    )
