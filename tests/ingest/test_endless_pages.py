"""However a supplier's pages misbehave, a partition ends: complete if its list is one, else failed with figures."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random

import pytest

from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import NONE_KNOWN, KnownItems, Page, RawItem, Unreadable
from diamond_opus.runs.model import RunState
from pipeline_builders import Pool, World
from pipeline_supplier import Listed, ScriptedSupplier, stones

#: More requests than this for the 100 stones that are counted would be no bound.
_MOST_PAGES = 5_000


class Endless(ScriptedSupplier, ABC):
    """Counts its list, and gives pages that have little to do with it."""

    def __init__(self, listed: Sequence[Listed]) -> None:
        super().__init__(listed)
        self.numbers = itertools.count()
        self.most_rows = 50

    @abstractmethod
    def rows(self, selection: Selection, offset: int) -> list[RawItem | Unreadable]:
        """The page at this offset."""

    async def read_page(
        self, selection: Selection, *, offset: int, limit: int, known: KnownItems = NONE_KNOWN
    ) -> Page:
        self.pages.append((selection, offset))
        assert len(self.pages) < _MOST_PAGES, "it is read for ever"
        return Page([known.get(row.payload, row) for row in self.rows(selection, offset)[:limit]])


def priced(selection: Selection, stone_id: str) -> RawItem | Unreadable:
    return Listed(stone_id, price_cents=100 * selection.price_from + 50, lab_grown=selection.lab_grown).item()


class NewStonesForEver(Endless):
    def rows(self, selection: Selection, offset: int) -> list[RawItem | Unreadable]:
        return [priced(selection, f"new-{next(self.numbers)}") for _ in range(50)]


class NewStonesAtEveryOffset(Endless):
    """The same page at the same place, so that it joins; only it never comes to an end."""

    def rows(self, selection: Selection, offset: int) -> list[RawItem | Unreadable]:
        return [priced(selection, f"at-{at}") for at in range(offset, offset + 50)]


class OneRowForEver(Endless):
    def rows(self, selection: Selection, offset: int) -> list[RawItem | Unreadable]:
        return [priced(selection, f"at-{offset}")]


class TheSamePageForEver(Endless):
    def rows(self, selection: Selection, offset: int) -> list[RawItem | Unreadable]:
        return [priced(selection, f"same-{at}") for at in range(50)]


class FiltersIgnored(Endless):
    """Everything is counted and shown in every part, however small it is cut."""

    async def count(self, selection: Selection) -> int:
        return 400

    def rows(self, selection: Selection, offset: int) -> list[RawItem | Unreadable]:
        return [priced(selection, f"at-{at}") for at in range(offset, min(offset + 50, 400))]


class NullsForEver(Endless):
    def rows(self, selection: Selection, offset: int) -> list[RawItem | Unreadable]:
        return [Unreadable("null item", "$", b"null")] * 50


@pytest.mark.parametrize(
    "kind",
    [
        NewStonesForEver,
        NewStonesAtEveryOffset,
        OneRowForEver,
        TheSamePageForEver,
        FiltersIgnored,
        NullsForEver,
    ],
)
async def test_pages_that_never_end_fail_the_partition_with_both_figures(
    pool: Pool, kind: type[Endless]
) -> None:
    supplier = kind(stones(100))
    world = World(pool, supplier, worker_max_offset=200)

    run = await world.run()

    assert run.state is RunState.FAILED
    reason = (await world.partitions(run.run_id))["natural-01"].last_error or ""
    assert "do not end" in reason
    assert "are counted" in reason
    assert await world.watermark() is None


async def test_what_nothing_can_split_is_not_read_for_ever_either(pool: Pool) -> None:
    """One dollar, one weight, one shape and color: it is read deep, where no offset is too large."""
    supplier = NewStonesAtEveryOffset([Listed(f"s-{n}", price_cents=10_050) for n in range(1_200)])
    world = World(pool, supplier)
    run = await world.run()
    assert run.state is RunState.FAILED
    assert "do not end" in ((await world.partitions(run.run_id))["natural-01"].last_error or "")


async def test_a_range_that_grew_is_counted_anew_and_read_to_its_end(pool: Pool) -> None:
    """A hundred stones were counted; thousands were listed before the first page came."""
    supplier = ScriptedSupplier([Listed(f"s-{n}", price_cents=10_050) for n in range(100)])
    world = World(pool, supplier, worker_max_offset=20_000)
    run = await world.plan()

    async def grow(_selection: Selection, _offset: int) -> None:
        supplier.before_page = None
        supplier.list(*[Listed(f"late-{n}", price_cents=10_050) for n in range(6_000)])

    supplier.before_page = grow
    finished = await world.finish(run.run_id)

    assert (finished.state, finished.distinct_records) == (RunState.COMPLETED, 6_100)


async def test_items_without_identity_are_not_kept_by_the_megabyte(pool: Pool) -> None:
    class HeavyAndNameless(Endless):
        def rows(self, selection: Selection, offset: int) -> list[RawItem | Unreadable]:
            rows = [Unreadable("no id", "$.id", b"x" * 170_000) for _ in range(400)]
            return list(rows[offset : offset + 50])

    world = World(pool, HeavyAndNameless(stones(400)))
    run = await world.run()
    assert run.state is RunState.FAILED
    reason = (await world.partitions(run.run_id))["natural-01"].last_error or ""
    assert "have no identity (no id at $.id), 8 MB of them" in reason


class Restless(ScriptedSupplier):
    """An honest list as bad as one can be: each page as short as it likes, in an order of its own."""

    def __init__(self, listed: Sequence[Listed], random: Random) -> None:
        super().__init__(listed)
        self.random = random
        self.longest = random.choice((1, 3, 50))
        self.is_shuffled = random.random() < 0.5
        self.counts_low = random.choice((1.0, 1.0, 0.6))
        self.count_factor = self.counts_low

    async def read_page(
        self, selection: Selection, *, offset: int, limit: int, known: KnownItems = NONE_KNOWN
    ) -> Page:
        if self.is_shuffled:
            rows = list(self.stones.items())
            self.random.shuffle(rows)
            self.stones = dict(rows)
        limit = min(limit, self.random.randint(1, self.longest))
        return await super().read_page(selection, offset=offset, limit=limit, known=known)


@pytest.mark.parametrize("seed", range(16))
async def test_an_honest_list_is_never_called_endless(pool: Pool, seed: int) -> None:
    random = Random(seed)
    count = random.choice((0, 1, 2, 7, 40, 250))
    crowded = random.random() < 0.3
    listed = [Listed(f"s-{n}", price_cents=10_050) for n in range(count)] if crowded else stones(count)
    world = World(pool, Restless(listed, random), worker_max_offset=200)

    run = await world.run()

    assert run.state is RunState.COMPLETED, run.error
