"""What a feed must be able to do; nothing outside ``feeds/`` and ``wiring`` knows which one it is.

A feed has two halves, because two processes need one each: a *source* talks to the supplier (scheduler, worker), a
*mapper* turns stored raw bytes into stones (consolidator) and never does I/O.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

from diamond_opus.domain.errors import Warned
from diamond_opus.domain.selection import Selection
from diamond_opus.domain.stone import Stone


@dataclass(frozen=True, slots=True)
class RawItem:
    """One stone as the supplier sent it.

    ``payload`` is the exact bytes received, ``payload_hash`` its SHA-256 in hex. ``price_cents`` is what the item
    asks, None when it cannot be read; the mapper says why later.
    """

    supplier_stone_id: str
    offer_id: str
    payload: bytes
    payload_hash: str
    price_cents: int | None


#: Items read before, by their payloads.
KnownItems = Mapping[bytes, RawItem]

NONE_KNOWN: KnownItems = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item without an identity (null, or no id in it); ``payload`` is what came, for a person to look at."""

    reason: str
    json_path: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """One answer, in the supplier's order. Only an empty page (no row at all) is the end of a range."""

    rows: Sequence[RawItem | Unreadable]


@dataclass(frozen=True, slots=True)
class Presence:
    """What the supplier says of stones asked for by id: those it showed, and those it counts but cannot show."""

    found: Sequence[RawItem]
    uncertain_ids: frozenset[str]


class StoneSource(Protocol):
    """The supplier's inventory, asked through the account's request budget.

    Errors: ``Retryable`` (asked again later), ``Fatal`` (wrong credentials, refused filter). Each call has already
    been retried as far as one request is worth it.
    """

    @property
    def name(self) -> str: ...

    @property
    def page_limit(self) -> int:
        """The most rows one page can hold."""
        ...

    @property
    def shapes(self) -> Sequence[str]:
        """Every shape the supplier's filter knows, for splitting what prices and carats cannot split."""
        ...

    @property
    def colors(self) -> Sequence[str]: ...

    async def count(self, selection: Selection) -> int:
        """How many stones match now, by the supplier's only trustworthy count."""
        ...

    async def read_page(
        self, selection: Selection, *, offset: int, limit: int, known: KnownItems = NONE_KNOWN
    ) -> Page:
        """Rows ``offset`` and on, oldest first by the supplier's creation time.

        A row whose bytes are ``known`` may come as that very item, without being read again.
        """
        ...

    async def look_up(self, supplier_stone_ids: Sequence[str], *, lab_grown: bool) -> Presence:
        """Ask for stones by id, within the inventory's filter; at most ``page_limit`` of them."""
        ...

    async def is_answering(self) -> bool:
        """Whether a small question is answered now, at the first try: tells an outage from a question's own failure."""
        ...


class RawStone(NamedTuple):
    """A stored raw row as the mapper needs it: the payload and what was asked when it came.

    The asked price range is in whole dollars; None as its end means open.
    """

    supplier_stone_id: str
    offer_id: str
    payload: bytes
    asked_lab_grown: bool
    asked_price_from: int
    asked_price_to: int | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a payload cannot become a diamond."""

    json_path: str
    reason: str


class StoneMapper(Protocol):
    """Turns raw payloads into stones: pure, fast, and never raising for a bad one."""

    def map_stone(self, raw: RawStone, warnings: list[Warned]) -> Stone | Rejected:
        """A stone, or why not; odd single fields become null and are appended to ``warnings``."""
        ...
