"""Work done under a lease: the lease is renewed beside it, and work whose lease is lost ends at once."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import psycopg

from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.tasks import end
from diamond_opus.observability.logging import get_logger

Result = TypeVar("Result")

log = get_logger("runs")

#: A lease is renewed so often in its time: it outlasts three renewals that the database did not answer.
_RENEWALS = 4


async def keep_while(
    work: Coroutine[Any, Any, Result],
    renew: Callable[[], Awaitable[None]],
    *,
    lease_seconds: float,
    clock: Clock,
) -> Result:
    """The work's result; what ``renew`` raises ends it, except that the database is away for a moment.

    Whoever writes under the lease is fenced by it all the same: work may be slow to notice that it has ended.
    """

    async def keep_renewing() -> None:
        while True:
            await clock.sleep(lease_seconds / _RENEWALS)
            try:
                await renew()
            except (psycopg.OperationalError, DatabaseUnavailable) as error:
                log.warning("lease_not_renewed", reason=str(error))

    working, renewing = asyncio.create_task(work), asyncio.create_task(keep_renewing())
    try:
        await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            renewing.result()
        return working.result()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await end(renewing)
        await asyncio.gather(renewing, return_exceptions=True)
