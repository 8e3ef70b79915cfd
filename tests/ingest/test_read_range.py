"""A range is read until it is known to be complete, and every difference to the supplier's count is explained."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from diamond_opus.domain.errors import Fatal
from diamond_opus.domain.selection import Selection
from diamond_opus.ingest.allowance import Allowance
from diamond_opus.ingest.read_range import Batch, RangeOutcome, RangeReader, ReadingSettings, Unsettled
from diamond_opus.ingest.walk import TooDeep
from pipeline_supplier import Listed, ScriptedSupplier, shuffle, stones

NATURAL = Selection(lab_grown=False)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Reading:
    """One range read from a scripted supplier; what would be stored is kept, batch by batch."""

    def __init__(
        self,
        supplier: ScriptedSupplier,
        settings: ReadingSettings | None = None,
        *,
        selection: Selection = NATURAL,
        deep: bool = False,
    ) -> None:
        self.batches: list[Batch] = []
        self._ticks = 0
        self.reader = RangeReader(
            supplier,
            selection,
            settings or ReadingSettings(),
            store=self._store,
            now=self._now,
            label="run-1:natural-01",
            allowance=_allowance(supplier),
            deep=deep,
        )

    async def __call__(self) -> RangeOutcome:
        outcome = await self.reader.read()
        await self._store(self.reader.rest)
        return outcome

    @property
    def stored(self) -> dict[str, bytes]:
        """The last payload of each stone, as the batches come in their order."""
        return {s.item.supplier_stone_id: s.item.payload for batch in self.batches for s in batch.stones}

    async def _store(self, batch: Batch) -> None:
        self.batches.append(batch)

    def _now(self) -> datetime:
        self._ticks += 1
        return NOON + timedelta(seconds=self._ticks)


def _allowance(supplier: ScriptedSupplier) -> Allowance:
    allowance = Allowance(supplier)
    allowance.begin(NATURAL, len(supplier.stones))
    allowance.begin_range()
    return allowance


def once(action: Callable[[], None], *, at_page: int) -> Callable[[Selection, int], Awaitable[None]]:
    """Let something happen at the supplier just before the nth page."""
    pages = 0

    async def hook(selection: Selection, offset: int) -> None:
        nonlocal pages
        pages += 1
        if pages == at_page:
            action()

    return hook


async def test_a_still_range_takes_two_passes_and_one_count() -> None:
    supplier = ScriptedSupplier(stones(120))
    reading = Reading(supplier)

    outcome = await reading()

    assert outcome.ids == frozenset(supplier.stones)
    assert (outcome.passes, outcome.disputed, outcome.notes) == (2, False, ())
    assert len(supplier.counts) == 1
    assert sum(batch.pages for batch in reading.batches) == len(supplier.pages)


async def test_an_empty_range_is_one_empty_page() -> None:
    supplier = ScriptedSupplier()
    outcome = await Reading(supplier)()
    assert (outcome.ids, outcome.passes, len(supplier.pages)) == (frozenset(), 1, 1)


async def test_a_stone_hidden_by_a_removal_before_the_readers_place_is_found() -> None:
    """Both the list and its count fall by one: a reader who trusts offsets and counts would not notice."""
    supplier = ScriptedSupplier(stones(120))
    supplier.before_page = once(lambda: supplier.withdraw("nat-00003"), at_page=2)
    naive = {f"nat-{n:05d}" for n in [*range(50), *range(51, 120)]}

    outcome = await Reading(supplier)()

    assert "nat-00050" not in naive
    assert outcome.ids >= frozenset(supplier.stones)
    assert outcome.steps_back > 0


async def test_a_stone_that_joins_while_the_range_is_read_is_found() -> None:
    supplier = ScriptedSupplier(stones(60))
    supplier.before_page = once(lambda: supplier.list(Listed("late", price_cents=20_000)), at_page=3)
    assert "late" in (await Reading(supplier)()).ids


async def test_of_a_stone_that_changes_between_passes_the_newest_answer_is_stored() -> None:
    supplier = ScriptedSupplier(stones(60))
    before = supplier.stones["nat-00007"].item()
    supplier.before_page = once(lambda: supplier.change("nat-00007", availability="HOLD"), at_page=4)
    reading = Reading(supplier)

    outcome = await reading()

    after = supplier.stones["nat-00007"].item()
    assert before != after
    assert reading.stored["nat-00007"] == getattr(after, "payload", None)
    ids = [s.item.supplier_stone_id for s in reading.batches[-1].stones]
    assert len(ids) == len(set(ids)), "a transaction may hold a stone once"
    assert sum(batch.first_seen for batch in reading.batches) == len(outcome.ids) == 60


async def test_a_stone_that_changes_and_changes_back_is_stored_as_it_was_last() -> None:
    supplier = ScriptedSupplier(stones(60))
    original = supplier.stones["nat-00007"]
    at_page = {
        4: lambda: supplier.change("nat-00007", availability="HOLD"),
        5: lambda: supplier.list(Listed("late", price_cents=20_000)),  # a reason for a third pass
        7: lambda: supplier.list(original),
    }

    async def act(selection: Selection, offset: int) -> None:
        if action := at_page.get(len(supplier.pages)):
            action()

    supplier.before_page = act
    reading = Reading(supplier, ReadingSettings(batch_rows=1))
    await reading()

    item = original.item()
    assert reading.stored["nat-00007"] == getattr(item, "payload", None)
    taken = [s for batch in reading.batches for s in batch.stones if s.item.supplier_stone_id == "nat-00007"]
    assert [s.item == item for s in taken] == [True, False, True]


async def test_batches_are_as_small_as_asked_and_hold_everything_once() -> None:
    supplier = ScriptedSupplier(stones(230))
    reading = Reading(supplier, ReadingSettings(batch_rows=60))
    await reading()
    assert all(len(batch.stones) < 60 + supplier.page_limit for batch in reading.batches)
    assert len(reading.batches) > 2
    assert sum(len(batch.stones) for batch in reading.batches) == 230


async def test_a_batch_ends_early_when_its_payloads_are_large() -> None:
    large = [Listed(s.stone_id, s.price_cents, certificate={"comments": "x" * 50_000}) for s in stones(60)]
    reading = Reading(ScriptedSupplier(large), ReadingSettings(batch_bytes=1_000_000))
    await reading()
    assert [len(batch.stones) for batch in reading.batches] == [50, 10]


async def test_of_large_payloads_only_some_are_remembered_and_all_are_stored_once() -> None:
    large = [Listed(s.stone_id, s.price_cents, certificate={"comments": "x" * 300_000}) for s in stones(60)]
    reading = Reading(ScriptedSupplier(large))

    outcome = await reading()

    assert 7_500_000 < sum(map(len, reading.reader._known)) <= 8_000_000
    assert len(outcome.ids) == sum(len(batch.stones) for batch in reading.batches) == 60


async def test_stones_that_are_counted_but_never_shown_make_the_count_disputed() -> None:
    supplier = ScriptedSupplier(stones(200))
    supplier.hidden = {f"nat-{n:05d}" for n in range(50)}

    outcome = await Reading(supplier)()

    assert (len(outcome.ids), outcome.disputed, outcome.passes) == (150, True, 3)
    assert outcome.notes == ("natural USD 0 to up: found 150 stones in 3 passes, the supplier counts 200",)


async def test_a_count_that_differs_within_the_tolerance_is_no_dispute() -> None:
    supplier = ScriptedSupplier(stones(400))
    supplier.hidden = {"nat-00001", "nat-00002", "nat-00003", "nat-00004"}
    outcome = await Reading(supplier)()
    assert (len(outcome.ids), outcome.disputed, outcome.passes) == (396, False, 3)


async def test_rows_that_change_places_now_and_then_are_all_found() -> None:
    """A row hidden from one pass by its neighbour leaves a difference within the tolerance: no reason to stop."""
    supplier = ScriptedSupplier(stones(400))
    rows = list(supplier.stones.values())
    rows[49], rows[50] = (
        rows[50],
        rows[49],
    )  # 50 is the first row of the next page without overlap, 49 was read
    swapped = {row.stone_id: row for row in rows}

    async def hide_one_row_from_the_first_passes(_selection: Selection, _offset: int) -> None:
        supplier.hidden = {"nat-00050"} if len(supplier.pages) < 20 else set()

    supplier.stones = swapped
    supplier.before_page = hide_one_row_from_the_first_passes

    outcome = await Reading(supplier)()

    assert len(outcome.ids) == 400


async def test_null_items_count_as_unreadable_and_not_as_missing() -> None:
    nulls = [Listed(f"null-{n}", 20_000, is_null=True) for n in range(20)]
    supplier = ScriptedSupplier([*stones(40), *nulls, *stones(40, first=40)])
    reading = Reading(supplier)

    outcome = await reading()

    assert (len(outcome.ids), outcome.unreadable, outcome.disputed) == (80, 20, False)
    made_up = [stone_id for batch in reading.batches for stone_id, _ in batch.unreadable]
    assert len(set(made_up)) == 20
    assert all(stone_id.startswith("run-1:natural-01:") for stone_id in made_up)


async def test_null_items_of_different_parts_of_one_dollar_have_different_ids() -> None:
    """Parts by shape or color share prices and carats; their null items must not stand for each other."""
    made_up = []
    for shapes, colors in ((("ROUND",), None), (("OVAL",), None), (("PEAR",), ("D",)), (("PEAR",), ("E",))):
        selection = Selection(False, 100, 101, shapes=shapes, colors=colors)
        color = colors[0] if colors else "D"
        null = Listed("null", 10_000, shape=shapes[0], color=color, is_null=True)
        reading = Reading(ScriptedSupplier([null]), selection=selection)
        await reading()
        made_up += [stone_id for batch in reading.batches for stone_id, _ in batch.unreadable]
    assert len(set(made_up)) == 4


async def test_a_range_that_outgrows_its_depth_is_handed_back_to_be_split() -> None:
    supplier = ScriptedSupplier(stones(150))
    supplier.before_page = once(lambda: supplier.list(*stones(200, first=150)), at_page=3)
    reading = Reading(supplier, ReadingSettings(max_offset=200))

    with pytest.raises(TooDeep):
        await reading()

    assert max(offset for _, offset in supplier.pages) <= 200
    assert reading.reader.rest.stones, "what was read is kept for the caller to store"


async def test_a_range_that_nothing_can_split_may_be_read_deep() -> None:
    supplier = ScriptedSupplier(stones(450, step_cents=0))
    outcome = await Reading(supplier, ReadingSettings(max_offset=200), deep=True)()
    assert len(outcome.ids) == 450
    assert max(offset for _, offset in supplier.pages) > 200


async def test_a_range_whose_order_never_rests_is_handed_back_to_be_split() -> None:
    supplier = ScriptedSupplier(stones(850))
    supplier.before_page = shuffle(supplier, seed=1)
    with pytest.raises(Unsettled, match="1 passes did not come to rest"):
        await Reading(supplier, ReadingSettings(max_passes=1))()


async def test_a_range_of_one_page_is_complete_in_any_order() -> None:
    supplier = ScriptedSupplier(stones(45))
    supplier.before_page = shuffle(supplier, seed=1)
    outcome = await Reading(supplier)()
    assert (len(outcome.ids), outcome.passes, outcome.notes) == (45, 2, ())


@pytest.mark.parametrize("factor", [100, 0.01])
async def test_a_page_mostly_ten_times_off_its_range_stops_the_reading(factor: float) -> None:
    supplier = ScriptedSupplier(stones(80))
    supplier.price_factor = factor
    reading = Reading(supplier, selection=Selection(False, 100, 900))
    with pytest.raises(Fatal, match=r"50 of 50 prices of natural USD 100 to 900 are ten times or more off"):
        await reading()
    assert reading.batches == []


async def test_a_few_odd_prices_stop_nothing() -> None:
    """They are rejected one by one, later, by the range they were asked in."""
    supplier = ScriptedSupplier(stones(80))
    odd = [
        Listed(f"odd-{n}", 20_000, payload=b'{"price":2000000,"diamond":{"id":"odd-%d"}}' % n)
        for n in range(20)
    ]
    supplier.list(*odd)
    outcome = await Reading(supplier, selection=Selection(False, 100, 900))()
    assert len(outcome.ids) == 100
