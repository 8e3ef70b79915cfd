"""Takes a feed's pending stones batch by batch, several batches side by side, as many and as large as does best."""

import asyncio
from collections.abc import Awaitable, Callable, Sized
from dataclasses import dataclass

from diamond_opus.consolidate.batch import BatchOutcome
from diamond_opus.consolidate.tuning import Choice, Tuning
from diamond_opus.domain.clock import Clock
from diamond_opus.observability.logging import get_logger

log = get_logger("consolidate")

#: What the payloads of a batch may be together; in memory a batch is some times as large. 2,000 usual ones have 6 MB.
_BATCH_BYTES = 16 * 1024 * 1024

#: How many stones are looked at to learn how large they are.
_FIRST_BATCH = 200

#: What was chosen is told to the log no more often than this, and once more at the end.
_QUIET_SECONDS = 30.0

#: Consolidates up to ``limit`` stones behind the id ``after``.
Batch = Callable[[str, int], Awaitable[BatchOutcome]]

#: Is told what is chosen for a feed, whenever that changes.
OnChoice = Callable[[str, Choice], None]


@dataclass(slots=True)
class _Walk:
    """Where the pass over the keys is, and how large its next batch may be."""

    limit: int
    after: str = ""
    is_over: bool = False


class Drain:
    """Empties one feed; what it learned of the database is there for the feed's next run."""

    def __init__(
        self,
        feed: str,
        *,
        largest_batch: int,
        most_lanes: int,
        clock: Clock,
        on_choice: OnChoice | None = None,
    ) -> None:
        self._feed = feed
        self._tuning = Tuning(largest_batch=largest_batch, most_lanes=most_lanes)
        self._clock = clock
        self._on_choice = on_choice
        self._chosen: Choice | None = None
        self._told: Choice | None = None
        self._told_at = float("-inf")
        self._turn = asyncio.Lock()

    async def drain(self, batch: Batch) -> None:
        """Batches until a whole pass over the keys claims nothing.

        One at a time: a run is mostly told of twice, and two drains would be twice as many batches as are wanted. The
        second waits, and finds what the first has left.
        """
        async with self._turn:
            await self._pass_over(batch)

    async def _pass_over(self, batch: Batch) -> None:
        walk = _Walk(min(_FIRST_BATCH, self._tuning.choice.batch_size))
        lanes: set[asyncio.Task[None]] = set()
        try:
            while lanes or not walk.is_over:
                while not walk.is_over and len(lanes) < self._tuning.choice.concurrency:
                    lanes.add(asyncio.create_task(self._lane(walk, batch, lanes)))
                done, _ = await asyncio.wait(lanes, return_when=asyncio.FIRST_COMPLETED)
                for lane in done:
                    lane.result()
                lanes -= done
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
        self._tell(is_end=True)

    async def _lane(self, walk: _Walk, batch: Batch, lanes: Sized) -> None:
        """One batch right after the other, so that the database never waits for us, until another number is wanted."""
        await self._step(walk, batch)
        while not walk.is_over and len(lanes) == self._tuning.choice.concurrency:
            await self._step(walk, batch)

    async def _step(self, walk: _Walk, batch: Batch) -> None:
        after, started = walk.after, self._clock.monotonic()
        outcome = await batch(after, walk.limit)
        if outcome.last_id is not None:
            self._tuning.note(outcome.processed, self._clock.monotonic() - started)
            self._tell()
            walk.limit = self._next_limit(outcome)
            walk.after, walk.is_over = max(walk.after, outcome.last_id), False
        elif after:
            walk.after = ""  # once more from the start: what others gave back lies behind us
        else:
            walk.is_over = True

    def _next_limit(self, outcome: BatchOutcome) -> int:
        """As many stones as is best, or as many as will be small enough if they are like the last ones."""
        fitting = _BATCH_BYTES * outcome.processed // max(1, outcome.payload_bytes)
        return max(1, min(self._tuning.choice.batch_size, fitting))

    def _tell(self, *, is_end: bool = False) -> None:
        if self._on_choice is not None and self._chosen != self._tuning.choice:
            self._on_choice(self._feed, self._tuning.choice)
        self._chosen, settled = self._tuning.choice, self._tuning.settled
        now = self._clock.monotonic()
        if settled != self._told and (is_end or now - self._told_at >= _QUIET_SECONDS):
            self._told, self._told_at = settled, now
            log.info(
                "consolidation_tuned",
                feed=self._feed,
                batch_size=settled.batch_size,
                concurrency=settled.concurrency,
            )
