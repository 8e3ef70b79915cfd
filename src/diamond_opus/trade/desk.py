"""What every use case of trade works with, and how the supplier is asked while a lease is kept alive."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import psycopg

from diamond_opus.alerts.protocol import Alerts
from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.db.pool import Connection, Pool, run_in_transaction
from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.domain.tasks import end
from diamond_opus.feeds.protocol import StoneMapper
from diamond_opus.feeds.trading import Trader
from diamond_opus.observability.logging import get_logger
from diamond_opus.trade.look import Look, look_at, supplier_failed
from diamond_opus.trade.model import StoneKey, SupplierFailed, TradedStone
from diamond_opus.trade.stones import database_time

log = get_logger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of a process that trades.

    A row that is being sent is leased for ``lease_seconds`` and the lease is renewed every ``renew_seconds``: one
    that lapses means that the process is gone. No connection is held while the supplier is asked.
    """

    pool: Pool
    traders: Mapping[str, Trader]
    mappers: Mapping[str, StoneMapper]
    alerts: Alerts
    lease_seconds: float = 20.0
    renew_seconds: float = 5.0
    #: Whoever waits for the supplier's word at a screen waits no longer than this.
    patience_seconds: float = 20.0
    #: A statement that takes longer gives up, so that a lock somebody holds never hangs a client.
    statement_timeout_ms: int = 5_000

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

    async def transact(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """One short transaction, tried again when it fails in passing; ``work`` must be repeatable."""
        return await run_in_transaction(self.pool, work, statement_timeout_ms=self.statement_timeout_ms)

    def trader(self, feed: str) -> Trader:
        """The feed's counter. Raises SupplierFailed where this process has none."""
        trader = self.traders.get(feed)
        if trader is None:
            raise SupplierFailed(f"stones of the feed {feed} cannot be traded by this process")
        return trader

    async def look(self, key: StoneKey, known: TradedStone | None) -> Look:
        """Ask the supplier about one stone. Raises SupplierFailed."""
        trader, mapper = self.trader(key.feed), self.mappers[key.feed]
        async with self.pool.connection() as conn:
            asked_at = await database_time(conn)
        async with self.asking():
            return await look_at(trader, mapper, key, known, asked_at)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """For questions that change nothing: a supplier that fails or takes too long is SupplierFailed."""
        try:
            async with asyncio.timeout(self.patience_seconds):
                yield
        except TimeoutError as error:
            raise SupplierFailed(
                f"the supplier did not answer within {self.patience_seconds:g} s; nothing was done"
            ) from error
        except (Retryable, Fatal) as error:
            raise supplier_failed(error) from error

    @asynccontextmanager
    async def keeping(self, renew: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Renew a lease for as long as the block runs."""
        renewing = asyncio.create_task(self._renew_for_ever(renew))
        try:
            yield
        finally:
            await end(renewing)

    async def _renew_for_ever(self, renew: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self.renew_seconds)
            try:
                await renew()
            except (psycopg.Error, DatabaseUnavailable) as error:
                # The answer counts all the same: it is recorded by its token, lapsed or not.
                log.warning("lease_not_renewed", reason=str(error))
