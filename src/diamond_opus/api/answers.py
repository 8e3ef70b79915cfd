"""How answers are written: JSON by orjson, errors in one envelope, and 304 for what a client has already."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from fastapi import Request
from starlette.responses import Response

from diamond_opus.observability.metrics import count_cache
from diamond_opus.observability.trace import current_trace

_OPTIONS = orjson.OPT_UTC_Z
# An answer depends on who asks: no shared cache may keep it, and a private one must ask whether it still holds.
_REVALIDATE = {"Cache-Control": "private, no-cache", "Vary": "X-API-Key, X-Client-Id"}
_NEVER_KEPT = {"Cache-Control": "no-store"}


def answer_json(content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """``content`` as JSON; timestamps come out as ISO 8601 in UTC."""
    body = orjson.dumps(content, option=_OPTIONS)
    return Response(body, status, dict(headers or _NEVER_KEPT), "application/json")


def answer_error(
    status: int,
    code: str,
    message: str,
    *,
    details: Any = None,
    hint: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The one envelope of every error: ``{"error": {code, message, details?, hint, traceId}}``.

    The hint ends with where the code is explained.
    """
    where = f"See docs/errors.md#{code.lower()}."
    error = {
        "code": code,
        "message": message,
        "details": details,
        "hint": f"{hint} {where}" if hint else where,
    }
    trace = current_trace()
    content = {name: value for name, value in error.items() if value is not None}
    content["traceId"] = trace.trace_id if trace else None
    return answer_json({"error": content}, status=status, headers={**_NEVER_KEPT, **(headers or {})})


def paginated(
    data: Sequence[Any], *, total: int, page: int | None, limit: int, next_cursor: str | None = None
) -> dict[str, Any]:
    """The one shape of every list; ``page`` is None when a cursor was followed."""
    pagination = {
        "total": total,
        "page": page,
        "limit": limit,
        "totalPages": -(-total // limit),
        "nextCursor": next_cursor,
    }
    return {"data": data, "pagination": pagination}


def newest(data: Sequence[Any], *, total: int | None = None) -> dict[str, Any]:
    """The shape of a list that comes whole (``total`` None), or of which only the newest are shown."""
    return paginated(data, total=len(data) if total is None else total, page=1, limit=max(1, len(data)))


def iso_timestamp(moment: datetime) -> str:
    return orjson.dumps(moment, option=_OPTIONS).decode().strip('"')


def make_etag(*parts: str) -> str:
    """A weak validator for an answer that is fully decided by ``parts``."""
    return f'W/"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'


def answer_with_etag(etag: str | None, content: Any) -> Response:
    """The answer with its validator, if it has one."""
    return answer_json(content, headers=_REVALIDATE if etag is None else {**_REVALIDATE, "ETag": etag})


def answer_not_modified(request: Request, etag: str | None) -> Response | None:
    """304 when the client says (If-None-Match) that it holds this very answer."""
    given = request.headers.get("if-none-match")
    if given is None or etag is None:
        return None
    held = {part.strip().removeprefix("W/") for part in given.split(",")}
    is_held = not held.isdisjoint({"*", etag.removeprefix("W/")})
    count_cache("etag", hit=is_held)
    if not is_held:
        return None
    return Response(status_code=304, headers={**_REVALIDATE, "ETag": etag})
