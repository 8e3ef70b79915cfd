"""Bodies whose decimals are what the client wrote: 1.15 never passes through a binary fraction."""

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, NoReturn

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response


class ExactJsonRoute(APIRoute):
    """A route whose JSON body is read with Decimal for every number that has a point or an exponent.

    Give it to a router as ``route_class``.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_exactly(request: Request) -> Response:
            return await handle(_ExactRequest(request.scope, request.receive))

        return handle_exactly


class _ExactRequest(Request):
    async def json(self) -> Any:
        text = await self.body()

        def refuse(word: str) -> NoReturn:
            raise json.JSONDecodeError(f"{word} is no number of JSON", text.decode(errors="replace"), 0)

        return json.loads(text, parse_float=Decimal, parse_constant=refuse)
