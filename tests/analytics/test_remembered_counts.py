"""A remembered count is exact while nothing changed; when it is not, that is said, and nobody waits long."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from diamond_opus.analytics.remembered import OLDEST_SECONDS, TRUST_SECONDS, Counter
from diamond_opus.api.background import Background
from diamond_opus.db.pool import Connection
from diamond_opus.domain.clock import ManualClock
from pipeline_builders import Pool


class Data:
    """Something to count that a test changes, and a count that may take its time."""

    def __init__(self) -> None:
        self.key: object | None = 1
        self.value = 10
        self.counts = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.problem: Exception | None = None
        self.takes_long: Callable[[], None] = lambda: None

    async def read_key(self, _conn: Connection) -> object | None:
        return self.key

    async def count(self, _conn: Connection) -> int:
        self.counts += 1
        value = self.value
        self.takes_long()
        await self.may_go_on.wait()
        if self.problem is not None:
            raise self.problem
        return value

    def change(self, value: int) -> None:
        self.key, self.value = object(), value


@pytest.fixture
def data() -> Data:
    return Data()


@pytest.fixture
async def counter(pool: Pool, clock: ManualClock, data: Data) -> Any:
    background = Background()
    yield Counter(
        pool,
        clock,
        read_key=data.read_key,
        count=data.count,
        spawn=background.start,
        connection_timeout_seconds=5,
        statement_timeout_ms=5_000,
    )
    await background.close()


async def test_nothing_is_counted_twice_for_one_state(counter: Counter[int], data: Data) -> None:
    answers = await asyncio.gather(*(counter.read() for _ in range(20)))
    assert {(a.value, a.is_current) for a in answers} == {(10, True)}
    assert data.counts == 1


async def test_a_change_is_counted_at_once_when_that_is_quick(counter: Counter[int], data: Data) -> None:
    await counter.read()
    data.change(11)
    answer = await counter.read()
    assert (answer.value, answer.is_current) == (11, True)


async def test_a_short_count_is_always_waited_for(counter: Counter[int], data: Data) -> None:
    await counter.read()
    data.change(11)
    data.may_go_on.clear()
    waiting = asyncio.create_task(counter.read())
    await asyncio.sleep(0.1)
    assert not waiting.done()
    data.may_go_on.set()
    assert (await waiting).value == 11


async def test_a_long_count_is_not_waited_for_and_the_last_one_says_that_it_is_old(
    counter: Counter[int], data: Data, clock: ManualClock
) -> None:
    data.takes_long = lambda: clock.advance(seconds=1)
    await counter.read()
    data.change(11)
    clock.advance(seconds=3)
    data.may_go_on.clear()
    old = await counter.read()
    data.may_go_on.set()
    async with asyncio.timeout(30):
        while not (new := await counter.read()).is_current:  # noqa: ASYNC110 - the background counts
            await asyncio.sleep(0.01)
    assert (old.value, old.is_current) == (10, False)
    assert (new.value, new.is_current) == (11, True)
    assert data.counts == 2


async def test_a_long_count_is_followed_by_a_rest(
    counter: Counter[int], data: Data, clock: ManualClock
) -> None:
    data.takes_long = lambda: clock.advance(seconds=1)
    await counter.read()
    data.change(11)
    answers = [await counter.read() for _ in range(5)]
    assert {(a.value, a.is_current) for a in answers} == {(10, False)}
    assert data.counts == 1


async def test_a_count_that_began_before_the_question_does_not_answer_it(
    counter: Counter[int], data: Data
) -> None:
    data.may_go_on.clear()
    early = asyncio.create_task(counter.read())
    async with asyncio.timeout(30):
        while data.counts < 1:  # noqa: ASYNC110 - the count under way is seen in no other way
            await asyncio.sleep(0.005)
    data.change(11)
    late = asyncio.create_task(counter.read())
    await asyncio.sleep(0.05)
    data.may_go_on.set()
    assert (await late).value == 11
    assert (await early).value == 10


async def test_a_very_old_count_is_given_to_nobody(
    counter: Counter[int], data: Data, clock: ManualClock
) -> None:
    data.takes_long = lambda: clock.advance(seconds=1)
    await counter.read()
    data.change(11)
    data.may_go_on.clear()
    clock.advance(seconds=OLDEST_SECONDS + 1)
    waiting = asyncio.create_task(counter.read())
    await asyncio.sleep(0.1)
    assert not waiting.done()
    data.may_go_on.set()
    assert (await waiting).value == 11


async def test_even_without_a_change_it_is_counted_anew_now_and_then(
    counter: Counter[int], data: Data, clock: ManualClock
) -> None:
    await counter.read()
    data.value = 11  # and nobody said so
    clock.advance(seconds=TRUST_SECONDS + 1)
    assert (await counter.read()).value == 10
    for _ in range(100):
        if (await counter.read()).value == 11:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it was not counted anew")


async def test_where_nothing_is_known_of_changes_everybody_counts(counter: Counter[int], data: Data) -> None:
    data.key = None
    await counter.read()
    data.value = 11
    assert (await counter.read()).value == 11


async def test_who_goes_away_does_not_stop_the_count_for_others(counter: Counter[int], data: Data) -> None:
    data.may_go_on.clear()
    first, second = asyncio.create_task(counter.read()), asyncio.create_task(counter.read())
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.sleep(0)
    data.may_go_on.set()
    assert (await second).value == 10
    assert data.counts == 1


async def test_a_count_that_fails_is_told_and_the_next_one_tries_again(
    counter: Counter[int], data: Data
) -> None:
    data.problem = OSError("no such luck")
    with pytest.raises(OSError, match="no such luck"):
        await counter.read()
    data.problem = None
    assert (await counter.read()).value == 10
