"""Work under a lease ends when it is done, whatever its renewals meet."""

import asyncio

import psycopg

from diamond_opus.domain.clock import SystemClock
from diamond_opus.runs.keeping import keep_while


async def test_a_renewal_that_answers_its_cancellation_with_an_error_keeps_nobody() -> None:
    """A driver may do so: the loop takes it for an outage, and would renew for ever."""
    is_renewing = asyncio.Event()
    renewals = 0

    async def renew() -> None:
        nonlocal renewals
        renewals += 1
        is_renewing.set()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            if renewals == 1:
                raise psycopg.OperationalError("server closed the connection") from None
            raise

    async def work() -> str:
        await is_renewing.wait()
        return "done"

    keeping = keep_while(work(), renew, lease_seconds=0.04, clock=SystemClock())
    assert await asyncio.wait_for(keeping, 5) == "done"
