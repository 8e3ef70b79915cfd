"""How a route with a body is entered: credentials first, then the body, whose decimals are what the client wrote."""

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, NoReturn

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from diamond_opus.api.auth import Needs


class GuardedRoute(APIRoute):
    """For every router with bodies, as its ``route_class``.

    FastAPI itself reads and parses the body first, for strangers too. Numbers with a point or an exponent become
    Decimal: 1.15 never passes through a binary fraction.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        doors = [one.call for one in self.dependant.dependencies if isinstance(one.call, Needs)]

        async def enter(request: Request) -> Response:
            exact = _ExactRequest(request.scope, request.receive)
            for needs in doors:
                await needs(exact)
            return await handle(exact)

        return enter


class _ExactRequest(Request):
    async def json(self) -> Any:
        text = await self.body()

        def refuse(word: str) -> NoReturn:
            raise json.JSONDecodeError(f"{word} is no number of JSON", text.decode(errors="replace"), 0)

        return json.loads(text, parse_float=Decimal, parse_constant=refuse)
