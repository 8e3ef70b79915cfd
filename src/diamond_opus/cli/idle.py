"""When a process that was asked to stop at idle may stop: nothing due is left, and what others hold they tend."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row

from diamond_opus.db.queries import load_queries
from diamond_opus.domain.waiting import wait_for_event
from diamond_opus.wiring import FEEDS, Pipeline

_QUERIES = load_queries("diamond_opus.cli")

#: How often the database is asked again while something waits for its next attempt or for a lease to prove itself.
LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class OpenWork:
    """A piece of work that is not over; ``held_until`` is its present lease."""

    key: str
    state: Literal["open", "held", "blocked"]
    held_until: datetime | None


class Tending:
    """Tells a lease that is renewed from one whose holder died: only the former's work may be left to it."""

    def __init__(self) -> None:
        self._first_seen: dict[str, datetime | None] = {}

    def is_idle(self, open_work: Sequence[OpenWork]) -> bool:
        """Whether everything still open is in the hands of somebody who renewed its lease under our eyes."""
        held = {work.key: work.held_until for work in open_work if work.state == "held"}
        self._first_seen = {key: self._first_seen.get(key, until) for key, until in held.items()}
        tended = all(self._first_seen[key] != until for key, until in held.items())
        return tended and not any(work.state == "open" for work in open_work)


async def work_until_idle(pipeline: Pipeline, stop: asyncio.Event) -> None:
    """Read partitions until none is left for a worker."""
    await _until_idle(pipeline, "open_partitions", pipeline.consume_work, stop)


async def consolidate_until_idle(pipeline: Pipeline, stop: asyncio.Event) -> None:
    """Consolidate until no run waits for it; a run that is still read is not waited for."""
    await _until_idle(pipeline, "open_consolidations", pipeline.consume_consolidation, stop)


async def _until_idle(
    pipeline: Pipeline, query: str, consume: Callable[..., Awaitable[None]], stop: asyncio.Event
) -> None:
    """Rounds of: wake what is due, empty the queue, look what is left.

    The sweep comes without the duty, for we may not stop before what is due has been woken.
    """
    sweeper = pipeline.sweeper(alone=True, seconds=LOOK_SECONDS)
    tending = Tending()
    while not stop.is_set():
        await sweeper.sweep()
        await consume(stop, until_idle=True)
        if tending.is_idle(await _look(pipeline, query)):
            return
        await wait_for_event(stop, pipeline.clock, at_most_seconds=LOOK_SECONDS)


async def _look(pipeline: Pipeline, query: str) -> Sequence[OpenWork]:
    async with pipeline.pool.connection() as conn, conn.cursor(row_factory=class_row(OpenWork)) as cursor:
        await cursor.execute(_QUERIES[query], {"feeds": list(FEEDS)})
        return await cursor.fetchall()
