"""What every watermark store promises, and that ``advance`` on top of it never moves a watermark back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from diamond_opus.db.pool import open_pool
from diamond_opus.watermark.memory import MemoryWatermarkStore
from diamond_opus.watermark.postgres import PostgresWatermarkStore
from diamond_opus.watermark.protocol import Watermark, WatermarkConflict, WatermarkStore, advance

PLANNED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FIRST = Watermark(PLANNED, "7f8a1c70-90b1-4b39-8a5a-0d4a5a0e6c11", PLANNED + timedelta(minutes=40))


def later(hours: float) -> Watermark:
    return replace(
        FIRST, last_updated_at=PLANNED + timedelta(hours=hours), last_run_id=f"run after {hours} h"
    )


@asynccontextmanager
async def memory_store(_request: pytest.FixtureRequest) -> AsyncIterator[WatermarkStore]:
    yield MemoryWatermarkStore()


@asynccontextmanager
async def postgres_store(request: pytest.FixtureRequest) -> AsyncIterator[WatermarkStore]:
    async with open_pool(
        request.getfixturevalue("database_url"), application_name="test", max_size=8
    ) as pool:
        yield PostgresWatermarkStore(pool)


@asynccontextmanager
async def blob_store(request: pytest.FixtureRequest) -> AsyncIterator[WatermarkStore]:
    """Azure's own client against Azurite."""
    storage = pytest.importorskip("blob_storage")
    async with storage.open_store(request.getfixturevalue("azurite")) as opened:
        yield opened


@pytest.fixture(params=[memory_store, postgres_store, blob_store], ids=["memory", "postgres", "blob"])
async def store(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[WatermarkStore]:
    # The database is named here, for one that is only asked for within a loop cannot be made.
    open_store: Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[WatermarkStore]] = request.param
    async with open_store(request) as opened:
        yield opened


class MeetingStore:
    """Lets ``parties`` readers read before any of them writes, so that all but one must lose the race."""

    def __init__(self, store: WatermarkStore, parties: int) -> None:
        self._store = store
        self._barrier = asyncio.Barrier(parties)
        self.conflicts = 0
        self._met = 0
        self._parties = parties

    async def read(self, feed: str) -> Watermark | None:
        present = await self._store.read(feed)
        self._met += 1
        if self._met <= self._parties:
            await self._barrier.wait()
        return present

    async def write(self, feed: str, watermark: Watermark, *, expected_version: str | None) -> Watermark:
        try:
            return await self._store.write(feed, watermark, expected_version=expected_version)
        except WatermarkConflict:
            self.conflicts += 1
            raise


async def test_a_feed_has_no_watermark_before_its_first_complete_run(store: WatermarkStore) -> None:
    assert await store.read("nivoda") is None


async def test_what_was_written_is_read_with_the_version_that_write_returned(store: WatermarkStore) -> None:
    written = await store.write("nivoda", FIRST, expected_version=None)

    assert await store.read("nivoda") == written
    assert replace(written, version="") == FIRST
    assert written.version
    assert (await store.read("nivoda") or FIRST).last_updated_at.utcoffset() == timedelta(0)


async def test_run_and_completion_may_be_unknown(store: WatermarkStore) -> None:
    written = await store.write("nivoda", Watermark(PLANNED, None, None), expected_version=None)

    assert await store.read("nivoda") == written


async def test_feeds_have_watermarks_of_their_own(store: WatermarkStore) -> None:
    await store.write("nivoda", FIRST, expected_version=None)

    assert await store.read("other") is None


async def test_a_write_with_the_present_version_gets_a_new_version(store: WatermarkStore) -> None:
    first = await store.write("nivoda", FIRST, expected_version=None)
    second = await store.write("nivoda", later(24), expected_version=first.version)

    assert second.version != first.version
    assert await store.read("nivoda") == second


async def test_a_write_with_an_old_version_changes_nothing(store: WatermarkStore) -> None:
    first = await store.write("nivoda", FIRST, expected_version=None)
    second = await store.write("nivoda", later(24), expected_version=first.version)

    with pytest.raises(WatermarkConflict, match="watermark of nivoda"):
        await store.write("nivoda", later(48), expected_version=first.version)

    assert await store.read("nivoda") == second


async def test_a_first_write_does_not_replace_a_watermark_that_is_there(store: WatermarkStore) -> None:
    first = await store.write("nivoda", FIRST, expected_version=None)

    with pytest.raises(WatermarkConflict):
        await store.write("nivoda", later(24), expected_version=None)

    assert await store.read("nivoda") == first


@pytest.mark.parametrize("version", ["1", '"0x8D9"', "", "-1"])
async def test_a_write_that_expects_a_watermark_fails_when_there_is_none(
    store: WatermarkStore, version: str
) -> None:
    with pytest.raises(WatermarkConflict):
        await store.write("nivoda", FIRST, expected_version=version)

    assert await store.read("nivoda") is None


async def test_of_many_writers_at_once_exactly_one_wins(store: WatermarkStore) -> None:
    first = await store.write("nivoda", FIRST, expected_version=None)

    answers = await asyncio.gather(
        *(store.write("nivoda", later(n), expected_version=first.version) for n in range(1, 9)),
        return_exceptions=True,
    )

    winners = [answer for answer in answers if isinstance(answer, Watermark)]
    assert len(winners) == 1
    assert sum(isinstance(answer, WatermarkConflict) for answer in answers) == 7
    assert await store.read("nivoda") == winners[0]


async def test_of_many_first_writers_at_once_exactly_one_wins(store: WatermarkStore) -> None:
    answers = await asyncio.gather(
        *(store.write("nivoda", later(n), expected_version=None) for n in range(8)), return_exceptions=True
    )

    assert sum(isinstance(answer, Watermark) for answer in answers) == 1
    assert sum(isinstance(answer, WatermarkConflict) for answer in answers) == 7


async def test_advance_makes_the_first_watermark_and_moves_it_forward(store: WatermarkStore) -> None:
    await advance(store, "nivoda", FIRST)
    moved = await advance(store, "nivoda", later(24))

    assert moved is not None
    assert moved.last_updated_at == PLANNED + timedelta(hours=24)
    assert await store.read("nivoda") == moved


async def test_advance_never_moves_a_watermark_back(store: WatermarkStore) -> None:
    present = await advance(store, "nivoda", later(24))

    assert await advance(store, "nivoda", FIRST) == present
    assert await store.read("nivoda") == present


async def test_advance_leaves_a_watermark_that_was_set_back_or_taken_away(store: WatermarkStore) -> None:
    assert await advance(store, "nivoda", later(24), read_from=later(12).last_updated_at) is None
    set_back = await advance(store, "nivoda", FIRST)

    assert await advance(store, "nivoda", later(24), read_from=later(12).last_updated_at) == set_back
    moved = await advance(store, "nivoda", later(24), read_from=FIRST.last_updated_at)

    assert moved is not None
    assert await store.read("nivoda") == moved != set_back


async def test_advance_replaces_only_the_later_watermark_that_was_found_to_be_wrong(
    store: WatermarkStore,
) -> None:
    wrong = await advance(store, "nivoda", later(24))

    assert await advance(store, "nivoda", FIRST, instead_of=later(23).last_updated_at) == wrong
    replaced = await advance(store, "nivoda", FIRST, instead_of=later(24).last_updated_at)

    assert replaced is not None
    assert replaced.last_updated_at == FIRST.last_updated_at


async def test_advancing_twice_to_the_same_moment_writes_once(store: WatermarkStore) -> None:
    once = await advance(store, "nivoda", FIRST)

    assert await advance(store, "nivoda", FIRST) == once


@pytest.mark.parametrize("hours", [(1.0, 2.0), (2.0, 1.0), (3.0, 1.0, 2.0)])
@pytest.mark.parametrize("is_first", [True, False])
async def test_racing_advances_end_at_the_latest_of_them(
    store: WatermarkStore, hours: tuple[float, ...], is_first: bool
) -> None:
    if not is_first:
        await advance(store, "nivoda", FIRST)
    meeting = MeetingStore(store, len(hours))

    await asyncio.gather(*(advance(meeting, "nivoda", later(n)) for n in hours))

    present = await store.read("nivoda")
    assert present is not None
    assert present.last_updated_at == PLANNED + timedelta(hours=max(hours))
    assert present.last_run_id == f"run after {max(hours)} h"
    assert meeting.conflicts >= 1
