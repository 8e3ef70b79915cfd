"""A feed is emptied by batches side by side: every stone once, in no more batches at a time than chosen, and told."""

import asyncio
import math
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from diamond_opus.consolidate.batch import BatchOutcome
from diamond_opus.consolidate.drain import Drain
from diamond_opus.consolidate.tuning import Choice
from diamond_opus.domain.clock import ManualClock


class Table:
    """Pending stones, claimed as the database does it: in order, behind an id, what others hold left out.

    A batch takes ``seconds_a_stone`` of the clock for each stone, and as often more as others are beside it.
    """

    def __init__(self, stones: int, *, seconds_a_stone: float = 1e-4, payload_bytes: int = 3000) -> None:
        self.clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.pending = {f"{number:06}" for number in range(stones)}
        self.held: set[str] = set()
        self.done: list[str] = []
        self.sizes: list[int] = []
        self.under_way = 0
        self.most_under_way = 0
        self._seconds = seconds_a_stone
        self._bytes = payload_bytes

    async def batch(self, after: str, limit: int) -> BatchOutcome:
        claimed = sorted(stone for stone in self.pending - self.held if stone > after)[:limit]
        if not claimed:
            return BatchOutcome(0, 0, None)
        self.held |= set(claimed)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.clock.advance(seconds=len(claimed) * self._seconds)
        self.under_way -= 1
        self.pending -= set(claimed)
        self.held -= set(claimed)
        self.done += claimed
        self.sizes.append(len(claimed))
        return BatchOutcome(len(claimed), 0, claimed[-1], len(claimed) * self._bytes)


def make_drain(table: Table, *, most: int = 2, largest: int = 2000, **told: object) -> Drain:
    return Drain("nivoda", largest_batch=largest, most_lanes=most, clock=table.clock, **told)  # type: ignore[arg-type]  # on_choice only


async def test_every_stone_is_taken_once() -> None:
    table = Table(30_000)
    await make_drain(table, most=4).drain(table.batch)
    assert sorted(table.done) == [f"{number:06}" for number in range(30_000)]
    assert 2 <= table.most_under_way <= 4
    assert max(table.sizes) == 2000


async def test_what_others_gave_back_behind_us_is_taken_too() -> None:
    table = Table(6000)
    table.held = {"000003"}

    async def batch(after: str, limit: int) -> BatchOutcome:
        outcome = await table.batch(after, limit)
        if len(table.pending) == 1:
            table.held.clear()
        return outcome

    await make_drain(table, most=1).drain(batch)
    assert table.done[-1] == "000003"
    assert not table.pending


async def test_large_payloads_make_small_batches() -> None:
    table = Table(3000, payload_bytes=100_000)
    await make_drain(table, most=1).drain(table.batch)
    assert max(table.sizes[1:]) == math.floor(16 * 1024 * 1024 / 100_000)


async def test_a_slow_database_gets_small_batches_and_who_watches_is_told() -> None:
    table, chosen = Table(4000, seconds_a_stone=0.01), list[tuple[str, Choice]]()
    drain = make_drain(table, most=1, on_choice=lambda feed, choice: chosen.append((feed, choice)))
    with capture_logs() as logs:
        await drain.drain(table.batch)
    assert chosen == [("nivoda", Choice(375, 1))]
    assert max(table.sizes) == 375
    [line] = [line for line in logs if line["event"] == "consolidation_tuned"]
    assert (line["feed"], line["batch_size"], line["concurrency"]) == ("nivoda", 375, 1)


async def test_what_was_learned_is_there_for_the_next_run_but_its_first_batch_is_small() -> None:
    table = Table(5000)
    drain = make_drain(table, most=1)
    await drain.drain(table.batch)
    table.pending = {f"{number:06}" for number in range(5000)}
    table.sizes.clear()
    with capture_logs() as logs:
        await drain.drain(table.batch)
    assert table.sizes == [200, 2000, 2000, 800]
    assert logs == []


async def test_a_batch_that_fails_ends_the_others() -> None:
    table, cancelled = Table(100), asyncio.Event()
    begun = 0

    async def batch(_after: str, _limit: int) -> BatchOutcome:
        nonlocal begun
        begun += 1
        if begun == 2:
            raise OSError("the database went away")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError("nobody sets it")

    with pytest.raises(OSError, match="went away"):
        await make_drain(table).drain(batch)
    assert cancelled.is_set()


async def test_a_second_drain_waits_and_finds_what_the_first_has_left() -> None:
    """A run's last range and its end are told by a message each, and both lead here."""
    table = Table(20_000)
    drain = make_drain(table, most=1)
    await asyncio.gather(drain.drain(table.batch), drain.drain(table.batch))
    assert table.most_under_way == 1
    assert len(table.done) == 20_000
