"""How a route that changes something is entered: credentials, then the body, exactly as it was written, or none."""

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, NoReturn

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from diamond_opus.api.auth import Needs
from diamond_opus.api.errors import ApiError, ErrorCode

#: Far more than any body of ours has, and far fewer than the interpreter can descend.
MOST_LEVELS = 32


class GuardedRoute(APIRoute):
    """For every router that changes something or takes a body, as its ``route_class``.

    FastAPI itself reads and parses the body first, for strangers too, and ignores one that a route does not take.
    Numbers with a point or an exponent become Decimal: 1.15 never passes through a binary fraction.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        doors = [one.call for one in self.dependant.dependencies if isinstance(one.call, Needs)]
        takes_no_body = self.body_field is None and self.methods != {"GET"}

        async def enter(request: Request) -> Response:
            exact = _ExactRequest(request.scope, request.receive)
            for needs in doors:
                await needs(exact)
            if takes_no_body and not _says_nothing(await exact.body()):
                raise _refused("this route takes no body")
            return await handle(exact)

        return enter


def _says_nothing(body: bytes) -> bool:
    return b"".join(body.split()) in (b"", b"{}")


class _ExactRequest(Request):
    async def json(self) -> Any:
        """The body, nested in no more levels than a walk through it can bear.

        Raises JSONDecodeError for what is no JSON, which FastAPI tells with its place, else ApiError.
        """
        content = _read_exactly(await self.body())
        if _is_deeper_than(MOST_LEVELS, content):
            raise _too_deep()
        return content


def _read_exactly(text: bytes) -> Any:
    def refuse(word: str) -> NoReturn:
        raise json.JSONDecodeError(f"{word} is no number of JSON", text.decode(errors="replace"), 0)

    try:
        return json.loads(text, parse_float=Decimal, parse_constant=refuse)
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise _too_deep() from error
    except UnicodeDecodeError as error:
        raise _refused(f"is no {error.encoding.upper()}: {error.reason} at byte {error.start}") from error
    except (ValueError, ArithmeticError) as error:  # of int and of Decimal
        raise _refused("holds a number with too many digits") from error


def _is_deeper_than(levels: int, content: Any) -> bool:
    """Looked at level by level, because to descend is what a deep one makes impossible."""
    level = [content]
    for _ in range(levels):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _inside(content: Any) -> list[Any]:
    if isinstance(content, dict):
        return [*content.values()]
    return content if isinstance(content, list) else []


def _too_deep() -> ApiError:
    return _refused(f"is nested too deep: more than {MOST_LEVELS} levels")


def _refused(message: str) -> ApiError:
    return ApiError(
        400,
        ErrorCode.VALIDATION_ERROR,
        "invalid: body; details says why",
        details=[{"parameter": "body", "message": message}],
    )
