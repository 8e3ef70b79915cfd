"""What the tests of alerts share: a deliverer that may always work, rows, and patience."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

from diamond_opus.alerts.channels import channels_of
from diamond_opus.alerts.deliver import Deliverer
from diamond_opus.db.pool import Connection, Pool
from diamond_opus.domain.clock import SystemClock


async def _on_duty(_: Connection) -> bool:
    return True


def deliverer(pool: Pool, urls: str, **settings: Any) -> Deliverer:
    """Its back-off is nothing, so that each turn is a try."""
    given = {
        "take_duty": _on_duty,
        "clock": SystemClock(),
        "first_backoff_seconds": 0.0,
        "seconds": 0.02,
        **settings,
    }
    return Deliverer(pool, channels_of(urls), **given)


async def rows(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    async with pool.connection() as conn:
        cursor = await conn.execute(query.encode())
        return await cursor.fetchall()


async def eventually(is_so: Callable[[], Any | Awaitable[Any]]) -> None:
    """Wait until it is true, at most 30 s: a process that loads Apprise on a busy machine takes some of them."""
    async with asyncio.timeout(30):
        while True:
            answer = is_so()
            if await answer if isawaitable(answer) else answer:
                return
            await asyncio.sleep(0.01)
