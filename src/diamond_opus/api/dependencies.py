"""What the API is given by whoever starts it: values and open doors; it reads no settings of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from diamond_opus.api.rate_limits import RateLimits
from diamond_opus.catalog.engine import Catalog, Moment
from diamond_opus.db.migrate import pending
from diamond_opus.db.pool import Connection, Pool, transaction
from diamond_opus.domain.clock import Clock, SystemClock
from diamond_opus.keys.signatures import HmacClient
from diamond_opus.wiring import Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDependencies:
    """``pool`` is open and stays its owner's to close; so is what ``pipeline`` holds: feeds, queues, watermarks.

    ``cors_origins`` holds "*" for any; ``trusted_proxies`` are addresses or networks whose X-Forwarded-For is
    believed; ``pending_migrations`` tells what the database still lacks.
    """

    pool: Pool
    pipeline: Pipeline
    version: str
    catalog: Catalog = field(default_factory=Catalog)
    clock: Clock = field(default_factory=SystemClock)
    hmac_clients: Mapping[str, HmacClient] = field(default_factory=dict)
    cors_origins: Sequence[str] = ("*",)
    trusted_proxies: Sequence[str] = ()
    statement_timeout_ms: int = 5_000
    rate_limits: RateLimits = field(default_factory=RateLimits)
    #: How long a request waits for a connection before it is told to come back.
    connection_timeout_seconds: float = 5.0
    pending_migrations: Callable[[Connection], Awaitable[Sequence[str]]] = pending

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that the route's success commits; statements are bounded as in a snapshot."""
        async with (
            self.pool.connection(timeout=self.connection_timeout_seconds) as conn,
            transaction(conn, statement_timeout_ms=self.statement_timeout_ms),
        ):
            yield conn

    @asynccontextmanager
    async def catalogue(
        self, filters: Mapping[str, Any] | None = None
    ) -> AsyncIterator[tuple[Connection, Moment]]:
        """The same for questions to the catalogue, with the moment they see: see ``Catalog.moment``."""
        async with (
            self.pool.connection(timeout=self.connection_timeout_seconds) as conn,
            self.catalog.moment(
                conn, statement_timeout_ms=self.statement_timeout_ms, filters=filters
            ) as moment,
        ):
            yield conn, moment

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A connection whose reads all see one moment, and none of which may run longer than allowed."""
        async with (
            self.pool.connection(timeout=self.connection_timeout_seconds) as conn,
            transaction(conn, statement_timeout_ms=self.statement_timeout_ms, snapshot=True),
        ):
            yield conn


# Async only because FastAPI would send a plain function to a thread.
async def dependencies_of(request: Request) -> ApiDependencies:
    return cast("ApiDependencies", request.app.state.dependencies)


#: A route's parameter through which it gets them.
Dependencies = Annotated[ApiDependencies, Depends(dependencies_of)]
