"""A supplier that does as a test tells it: which stones it lists, what it answers, and what happens before it does."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson

from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import NONE_KNOWN, KnownItems, Page, Presence, RawItem, Unreadable
from diamond_opus.testing import make_item

FEED = "nivoda"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

Hook = Callable[[Selection, int], Awaitable[None]]


@dataclass(slots=True)
class Listed:
    """A stone in the scripted supplier's list; natural, a round of 1.50 ct, unless told otherwise."""

    stone_id: str
    price_cents: int = 500_000
    lab_grown: bool = False
    carats: float = 1.5
    shape: str = "ROUND"
    color: str = "D"
    availability: str = "AVAILABLE"
    updated_at: datetime = LONG_AGO
    certificate: dict[str, Any] = field(default_factory=dict)
    payload: bytes | None = None
    is_null: bool = False

    def item(self, price_factor: float = 1) -> RawItem | Unreadable:
        price = round(self.price_cents * price_factor)
        if self.is_null:
            return Unreadable("null item", "$.data.diamonds_by_query.items[0]", b"null")
        payload = self.payload or orjson.dumps(
            make_item(
                supplier_stone_id=self.stone_id,
                price=price,
                diamond={"availability": self.availability},
                certificate={
                    "carats": self.carats,
                    "shape": self.shape,
                    "color": self.color,
                    "labgrown": self.lab_grown,
                    **self.certificate,
                },
            )
        )
        digest = hashlib.sha256(payload).hexdigest()
        return RawItem(self.stone_id, f"DIAMOND/{self.stone_id}", payload, digest, price)

    def matches(self, asked: Selection) -> bool:
        dollars = self.price_cents / 100
        hundredths = round(self.carats * 100)
        return (
            self.lab_grown is asked.lab_grown
            and asked.price_from <= dollars
            and (asked.price_to is None or dollars <= asked.price_to)
            and (asked.carats_from is None or hundredths >= asked.carats_from)
            and (asked.carats_to is None or hundredths <= asked.carats_to)
            and (asked.shapes is None or self.shape in asked.shapes)
            and (asked.colors is None or self.color in asked.colors)
            and (asked.updated_from is None or self.updated_at >= asked.updated_from)
        )


class ScriptedSupplier:
    """``StoneSource`` over a list that a test owns; the hooks are awaited before each answer."""

    name = FEED
    page_limit = 50
    shapes: Sequence[str] = ("ROUND", "OVAL", "PEAR", "EMERALD")
    colors: Sequence[str] = ("D", "E", "F", "G")

    def __init__(self, stones: Sequence[Listed] = ()) -> None:
        self.stones = {stone.stone_id: stone for stone in stones}
        self.count_factor = 1.0
        self.price_factor = 1.0
        self.hidden: set[str] = set()  # counted, but shown on no page and by no look-up
        self.uncertain: set[str] = set()  # what a look-up counts but cannot show
        self.look_ups_are_broken = False  # they show nothing, whatever is asked
        self.counts: list[Selection] = []
        self.pages: list[tuple[Selection, int]] = []
        self.look_ups: list[Sequence[str]] = []
        self.before_count: Hook | None = None
        self.before_page: Hook | None = None
        self.is_out = False  # is_answering says no; what else fails is the hooks' business
        self.before_look_up: Callable[[Sequence[str]], Awaitable[None]] | None = None

    def list(self, *stones: Listed) -> None:
        self.stones |= {stone.stone_id: stone for stone in stones}

    def change(self, stone_id: str, **fields: Any) -> None:
        """A newer state of a stone, changed just now."""
        self.stones[stone_id] = replace(
            self.stones[stone_id], **{"updated_at": datetime.now(UTC) + timedelta(seconds=5), **fields}
        )

    def withdraw(self, *stone_ids: str) -> None:
        for stone_id in stone_ids:
            del self.stones[stone_id]

    async def count(self, selection: Selection) -> int:
        self.counts.append(selection)
        if self.before_count:
            await self.before_count(selection, 0)
        return round(self.count_factor * sum(stone.matches(selection) for stone in self.stones.values()))

    async def read_page(
        self, selection: Selection, *, offset: int, limit: int, known: KnownItems = NONE_KNOWN
    ) -> Page:
        self.pages.append((selection, offset))
        if self.before_page:
            await self.before_page(selection, offset)
        shown = [s for s in self.stones.values() if s.matches(selection) and s.stone_id not in self.hidden]
        rows = [stone.item(self.price_factor) for stone in shown[offset : offset + limit]]
        return Page([known.get(row.payload, row) for row in rows])

    async def look_up(self, supplier_stone_ids: Sequence[str], *, lab_grown: bool) -> Presence:
        self.look_ups.append(supplier_stone_ids)
        if self.before_look_up:
            await self.before_look_up(supplier_stone_ids)
        if self.look_ups_are_broken:
            return Presence([], frozenset())
        known = [self.stones[stone_id] for stone_id in supplier_stone_ids if stone_id in self.stones]
        items = [s.item() for s in known if s.lab_grown is lab_grown and s.stone_id not in self.hidden]
        uncertain = self.uncertain & set(supplier_stone_ids)
        return Presence([item for item in items if isinstance(item, RawItem)], frozenset(uncertain))

    async def is_answering(self) -> bool:
        return not self.is_out


def stones(count: int, *, first: int = 0, lab_grown: bool = False, step_cents: int = 1_000) -> list[Listed]:
    """``count`` different stones, from 100 dollars on, 10 dollars apart unless told otherwise."""
    kind = "lab" if lab_grown else "nat"
    return [
        Listed(f"{kind}-{number:05d}", price_cents=10_000 + number * step_cents, lab_grown=lab_grown)
        for number in range(first, first + count)
    ]


def shuffle(supplier: ScriptedSupplier, *, seed: int) -> Hook:
    """Every request sees the rows in another order."""
    order = Random(seed)

    async def hook(_selection: Selection, _offset: int) -> None:
        rows = list(supplier.stones.items())
        order.shuffle(rows)
        supplier.stones = dict(rows)

    return hook
