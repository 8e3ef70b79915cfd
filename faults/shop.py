"""A customer who trades while everything breaks: each stone under one key, again until he has an answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import httpx2
import psycopg

from diamond_opus.db.pool import connect
from diamond_opus.keys.api_keys import create_key
from faults.oracle import Expected

if TYPE_CHECKING:
    from faults.play import Play

#: How many stones he holds, asks about and buys, in this turn.
_WISHES = {"hold": 2, "availability": 2, "purchase": 4}

#: How long he asks on, in vain, when nothing disturbs the service any more.
_PATIENCE_SECONDS = 60.0

#: Answers after which a customer does not ask again: bought, unknown, refused for good.
_FINAL = frozenset({200, 201, 202, 404, 409, 422})


class Shop:
    def __init__(self, play: "Play", expected: Expected) -> None:
        self._play = play
        self._expected = expected
        self._headers: dict[str, str] = {}
        self._trading: list[asyncio.Task[None]] = []
        self.traded: set[str] = set()
        self.complaints: list[str] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Choose the stones while nothing is disturbed, and begin to buy them one after the other."""
        play = self._play
        async with await connect(play.url, application_name="shop") as conn:
            key, _ = await create_key(
                conn, name="shop", permissions=["trade"], actor="faults", now=datetime.now(UTC)
            )
            cursor = await conn.execute(
                "SELECT id, supplier_stone_id FROM diamonds WHERE availability = 'available'"
                " AND supplier_stone_id = ANY (%s) ORDER BY md5(supplier_stone_id || %s) LIMIT %s",
                (
                    list(self._expected.present),
                    str(play.schedule.seed),
                    sum(_WISHES.values()) * play.schedule.apis,
                ),
            )
            stones = await cursor.fetchall()
        self._headers = {"X-API-Key": key}
        self.traded = {stone_id for _, stone_id in stones}
        turn = [wish for wish, times in _WISHES.items() for _ in range(times)]
        wishes = [(diamond_id, wish) for (diamond_id, _), wish in zip(stones, turn, strict=False)]
        trading = asyncio.create_task(self._trade(wishes))
        self._trading = [trading]
        try:
            yield self
        finally:
            trading.cancel()
            await asyncio.gather(trading, return_exceptions=True)

    async def finish(self) -> None:
        await asyncio.gather(*self._trading)

    async def _trade(self, wishes: Sequence[tuple[Any, str]]) -> None:
        async with httpx2.AsyncClient(timeout=10) as client:
            for number, (diamond_id, wish) in enumerate(wishes):
                await self._wish(client, diamond_id, wish, f"{wish}-{number}")

    def _address(self) -> str | None:
        return next(
            (member.url for member in self._play.crew.members if member.role == "api" and member.url), None
        )

    async def _ask(
        self, client: httpx2.AsyncClient, api: str, diamond_id: Any, wish: str, key: str
    ) -> httpx2.Response:
        """The answer; a process that is killed meanwhile gives none, and its customer notices at once."""
        asking = asyncio.create_task(
            client.post(
                f"{api}/api/v2/diamonds/{diamond_id}/{wish}",
                headers={**self._headers, "Idempotency-Key": key},
            )
        )
        while not asking.done():
            await asyncio.wait((asking,), timeout=0.05)
            if self._address() != api and not asking.done():
                asking.cancel()
                raise ConnectionError("the API was killed")
        return asking.result()

    async def _wish(self, client: httpx2.AsyncClient, diamond_id: Any, wish: str, key: str) -> None:
        said: object = "nothing"
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self._play.is_disturbed:
                deadline = time.monotonic() + _PATIENCE_SECONDS
            api = self._address()
            if api is not None:
                try:
                    answer = await self._ask(client, api, diamond_id, wish, key)
                except (httpx2.HTTPError, ConnectionError) as error:
                    said = error
                else:
                    said = answer.text
                    if answer.status_code in _FINAL and "Retry-After" not in answer.headers:
                        return
            await asyncio.sleep(0.25)
        with psycopg.connect(self._play.url) as conn:
            rows = conn.execute(
                "SELECT status, reason FROM purchase_history WHERE diamond_id = %(id)s"
                " UNION ALL SELECT status, reason FROM hold_history WHERE diamond_id = %(id)s ORDER BY status DESC",
                {"id": diamond_id},
            ).fetchall()
        if rows and rows[0][0] == "unknown":
            return  # blocked, and reported; evidence takes longer than this schedule
        self.complaints.append(f"{key} was never answered: {said} {rows}")
