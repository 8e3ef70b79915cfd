"""Reads one range to its end: passes until one finds nothing new, then a fresh count to compare with."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from diamond_opus.domain.errors import Fatal
from diamond_opus.domain.money import is_ten_times_off
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import Page, RawItem, StoneSource, Unreadable
from diamond_opus.ingest.allowance import Allowance
from diamond_opus.ingest.store import Fetched
from diamond_opus.ingest.walk import Pass, Tolerance

#: Payloads that a range keeps until its end, 2 to 3 KB each: more than one that is not read deep can have, and no more
#: bytes than they usually are. What is not kept is only decoded again.
_MOST_KNOWN = 2_000
_MOST_KNOWN_BYTES = 8_000_000

#: Items without an identity are kept until a range's end. They are null, of four bytes each, unless the supplier has
#: changed the form of its answers; then no amount of them is worth the memory.
_MOST_UNREADABLE_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class ReadingSettings:
    """How ranges are read; the reasons stand in docs/adr/0004-complete-reading.md.

    ``max_offset`` is the deepest offset asked; ``reserve`` keeps a range that grows while it is read within it.
    ``batch_rows`` and ``batch_bytes`` are how much one transaction stores at most.
    """

    overlap: int = 5
    max_offset: int = 1000
    reserve: int = 100
    max_passes: int = 6
    tolerance: Tolerance = field(default_factory=Tolerance)
    batch_rows: int = 1000
    batch_bytes: int = 8_000_000

    @property
    def range_limit(self) -> int:
        """The most stones a range may count and still be read in one piece."""
        return self.max_offset - self.reserve


class Unsettled(Exception):
    """Every pass found stones that were new: the rows change places faster than they can be read."""


@dataclass(slots=True)
class Batch:
    """What one transaction stores: stones new or changed since they were last stored, and unreadable rows."""

    stones: list[Fetched] = field(default_factory=list)
    unreadable: list[tuple[str, Unreadable]] = field(default_factory=list)
    size_bytes: int = 0
    pages: int = 0
    first_seen: int = 0

    def add(self, stone: Fetched) -> None:
        self.stones.append(stone)
        self.size_bytes += len(stone.item.payload)


@dataclass(frozen=True, slots=True)
class RangeOutcome:
    """How a range ended: the ids found in it, how often pages had to step back, and what is worth a note."""

    ids: frozenset[str]
    unreadable: int
    steps_back: int
    passes: int
    disputed: bool
    notes: tuple[str, ...]


#: Stores a batch; ``is_last`` says that nothing is left of the range.
StoreBatch = Callable[[Batch], Awaitable[None]]


class RangeReader:
    """Reads ``selection`` completely, handing batches to ``store`` as they fill.

    ``label`` names the partition in made-up ids of unreadable rows. ``now`` gives database time. ``allowance``
    is the partition's. Raises TooDeep when the range grew past the depth allowed and Unsettled when its passes never
    agreed (``deep`` lifts both limits), Fatal when its pages do not end, when too much of it has no identity, or when
    the supplier's prices are in another unit than its filter, and whatever the source raises.
    """

    def __init__(
        self,
        source: StoneSource,
        selection: Selection,
        settings: ReadingSettings,
        *,
        store: StoreBatch,
        now: Callable[[], datetime],
        label: str,
        allowance: Allowance,
        deep: bool = False,
    ) -> None:
        self._source = source
        self._allowance = allowance
        self._selection = selection
        self._settings = settings
        self._store = store
        self._now = now
        self._label = label
        self._is_deep = deep
        self._max_offset = None if deep else settings.max_offset
        self._stored: dict[str, str] = {}  # id -> hash of the payload last handed to the batch
        self._known: dict[bytes, RawItem] = {}  # by payload, to tell at once what comes again
        self._known_bytes = 0
        self._batch = Batch()
        self._unreadable: list[Unreadable] = []  # those of the last pass, in their order
        self._steps_back = 0

    async def read(self) -> RangeOutcome:
        """The last batch is left for the caller to store with the range's end; see ``rest``.

        One quiet pass (nothing new) ends a range whose count is exact. One that differs needs two in a row, however
        little it differs: rows that change places may hide one of them from a pass, hardly from two.
        """
        quiet = 0
        for number in range(1, self._settings.max_passes + 1):
            known = len(self._stored)
            await self._walk()
            quiet = quiet + 1 if len(self._stored) == known else 0
            if not quiet:
                continue
            counted = await self._source.count(self._selection)
            if self._is_exact(counted) or (quiet > 1 and self._is_near(counted)):
                return self._outcome(number, disputed=False, notes=())
            if quiet > 1:
                return self._dispute(number, counted)
        return await self._end_unsettled()

    @property
    def rest(self) -> Batch:
        """What was read and not stored yet."""
        return self._batch

    async def _end_unsettled(self) -> RangeOutcome:
        """No two passes agreed. Smaller parts would: what fits one page is complete in whatever order it comes."""
        if not self._is_deep and len(self._stored) > self._source.page_limit:
            raise Unsettled(f"{self._selection}: {self._settings.max_passes} passes did not come to rest")
        passes, counted = self._settings.max_passes, await self._source.count(self._selection)
        if not self._is_near(counted):
            return self._dispute(passes, counted)
        note = f"{self._selection}: {passes} passes did not come to rest, and it is small or cannot be split"
        return self._outcome(passes, disputed=False, notes=(note,))

    def _is_exact(self, counted: int) -> bool:
        return counted in (len(self._stored), len(self._stored) + len(self._unreadable))

    def _is_near(self, counted: int) -> bool:
        found = len(self._stored)
        accepts = self._settings.tolerance.accepts
        return accepts(found=found, counted=counted) or accepts(
            found=found + len(self._unreadable), counted=counted
        )

    def _dispute(self, passes: int, counted: int) -> RangeOutcome:
        found = len(self._stored)
        note = f"{self._selection}: found {found} stones in {passes} passes, the supplier counts {counted}"
        return self._outcome(passes, disputed=True, notes=(note,))

    def _outcome(self, passes: int, *, disputed: bool, notes: tuple[str, ...]) -> RangeOutcome:
        self._batch.unreadable = [
            (self._made_up_id(number), row) for number, row in enumerate(self._unreadable, start=1)
        ]
        return RangeOutcome(
            ids=frozenset(self._stored),
            unreadable=len(self._unreadable),
            steps_back=self._steps_back,
            passes=passes,
            disputed=disputed,
            notes=notes,
        )

    async def _walk(self) -> None:
        walk = Pass(
            page_limit=self._source.page_limit, overlap=self._settings.overlap, max_offset=self._max_offset
        )
        unreadable: dict[int, Unreadable] = {}
        while not walk.is_over:
            ask = walk.next_ask()
            asked_at = self._now()
            page = await self._source.read_page(
                self._selection, offset=ask.offset, limit=ask.limit, known=self._known
            )
            self._refuse_other_unit(page)
            known = len(self._stored)
            before = walk.place
            walk.take(ask, [row.supplier_stone_id if isinstance(row, RawItem) else None for row in page.rows])
            unreadable = {at: row for at, row in unreadable.items() if at < walk.place}
            self._batch.pages += 1
            for position, row in enumerate(page.rows, start=ask.offset):
                if isinstance(row, RawItem):
                    self._take(row, asked_at)
                elif before <= position < walk.place:
                    unreadable[position] = row
            self._refuse_unreadable(unreadable.values())
            await self._allowance.spend(rows=len(page.rows), found=len(self._stored) - known)
            await self._store_when_full()
        self._steps_back += walk.steps_back
        self._unreadable = [unreadable[position] for position in sorted(unreadable)]

    def _refuse_unreadable(self, rows: Collection[Unreadable]) -> None:
        size = sum(len(row.payload) for row in rows)
        if size > _MOST_UNREADABLE_BYTES:
            example = next(iter(rows))
            raise Fatal(
                f"{self._source.name}: {len(rows)} items of {self._selection} have no identity ({example.reason} at "
                f"{example.json_path}), {size / 1e6:.0f} MB of them; the supplier's form may have changed"
            )

    def _made_up_id(self, number: int) -> str:
        """Run, partition, range and the item's place among the range's unreadable ones.

        Its offset would not do: it moves with every stone that comes, goes or changes places with its equal, and one
        item would be told as several.
        """
        asked = self._selection
        parts = [
            str(asked.price_from),
            str(asked.carats_from or 0),
            *(asked.shapes or ())[:1],
            *(asked.colors or ())[:1],
        ]
        return f"{self._label}:{'-'.join(parts)}:{number}"

    def _take(self, item: RawItem, asked_at: datetime) -> None:
        """A stone joins the batch when it is new to this range, or its answer changed since."""
        stored = self._stored.get(item.supplier_stone_id)
        if stored == item.payload_hash:
            return
        if stored is None:
            self._batch.first_seen += 1
        else:
            self._batch.stones = [
                s for s in self._batch.stones if s.item.supplier_stone_id != item.supplier_stone_id
            ]
        self._stored[item.supplier_stone_id] = item.payload_hash
        if len(self._known) < _MOST_KNOWN and self._known_bytes + len(item.payload) <= _MOST_KNOWN_BYTES:
            self._known[item.payload] = item
            self._known_bytes += len(item.payload)
        self._batch.add(Fetched(item, asked_at))

    async def _store_when_full(self) -> None:
        batch = self._batch
        if len(batch.stones) >= self._settings.batch_rows or batch.size_bytes >= self._settings.batch_bytes:
            self._batch = Batch()
            await self._store(batch)

    def _refuse_other_unit(self, page: Page) -> None:
        prices = [
            row.price_cents for row in page.rows if isinstance(row, RawItem) and row.price_cents is not None
        ]
        asked = self._selection
        off = sum(is_ten_times_off(price, asked.price_from, asked.price_to) for price in prices)
        if len(prices) >= 5 and 2 * off > len(prices):
            raise Fatal(
                f"{self._source.name}: {off} of {len(prices)} prices of {asked} are ten times or more off the range "
                f"asked (one is {prices[0]} cents); the supplier's unit may have changed, so nothing of it is stored"
            )
