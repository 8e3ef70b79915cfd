"""What the operators' routes share: counts taken once for all, events for all, work that outlives its request."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, cast

from fastapi import Depends, FastAPI, Request

from diamond_opus.analytics import catalogue
from diamond_opus.analytics.catalogue import Group
from diamond_opus.analytics.remembered import Counter
from diamond_opus.api.auth import Caller, Needs
from diamond_opus.api.background import Background
from diamond_opus.api.dependencies import ApiDependencies
from diamond_opus.api.event_hub import EventHub
from diamond_opus.keys.permissions import Permission

#: Who may call an operators' route.
Operator = Annotated[Caller, Depends(Needs(Permission.ADMIN))]

#: Counting a million rows may take longer than a search may.
_COUNTING_TIMEOUT_MS = 60_000


class OperatorParts:
    """One for each application."""

    def __init__(self, dependencies: ApiDependencies) -> None:
        self.background = Background()
        self.events = EventHub(dependencies, self.background)
        #: Feeds that this process plans a run for, and whether it scans.
        self.planning: set[str] = set()
        self.scanning = asyncio.Lock()
        self.catalogue: Counter[Sequence[Group]] = Counter(
            dependencies.pool,
            dependencies.clock,
            read_key=catalogue.dataset_key,
            count=catalogue.count_catalogue,
            spawn=self.background.start,
            connection_timeout_seconds=dependencies.connection_timeout_seconds,
            statement_timeout_ms=_COUNTING_TIMEOUT_MS,
        )
        self.raw: Counter[int] = Counter(
            dependencies.pool,
            dependencies.clock,
            read_key=catalogue.raw_key,
            count=catalogue.count_raw,
            spawn=self.background.start,
            connection_timeout_seconds=dependencies.connection_timeout_seconds,
            statement_timeout_ms=_COUNTING_TIMEOUT_MS,
        )


async def _parts_of(request: Request) -> OperatorParts:
    return cast("OperatorParts", request.app.state.operators)


#: A route's parameter through which it gets them.
Parts = Annotated[OperatorParts, Depends(_parts_of)]


@asynccontextmanager
async def ended_with(app: FastAPI, stop: asyncio.Event | None = None) -> AsyncIterator[None]:
    """While it serves: streams end when ``stop`` is set, all else that the application began ends with the block.

    Then the log has the last request too.
    """
    parts = cast("OperatorParts", app.state.operators)
    stopping = asyncio.create_task(_end_streams(parts, stop)) if stop is not None else None
    try:
        yield
    finally:
        if stopping is not None:
            stopping.cancel()
        parts.events.close()
        await parts.background.close()
        app.state.request_log.close()


async def _end_streams(parts: OperatorParts, stop: asyncio.Event) -> None:
    await stop.wait()
    parts.events.close()
