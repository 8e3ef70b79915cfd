"""The supplier's stock: which stones are listed, at what price, and every change since the beginning."""

from collections import Counter

import numpy as np

from diamond_opus.simulator.columns import Columns, Rows
from diamond_opus.simulator.events import EventKind, EventLog
from diamond_opus.simulator.hostile import DUPLICATE_CERTIFICATE
from diamond_opus.simulator.identity import Identities
from diamond_opus.simulator.stones import BLOCK, make_block


class Inventory:
    """Rows 0 .. ``born`` - 1 were listed at some time; the rows after them are made but wait to be inserted.

    Every change goes through a method here, so that the log, and with it every index, knows of it.
    """

    def __init__(
        self,
        *,
        seed: int,
        stones: int,
        hostile_share: float = 0.005,
        hostile_options: frozenset[str] = frozenset(),
    ) -> None:
        self._seed = seed
        self._initial = stones
        self._hostile_share = hostile_share
        self._hostile_options = hostile_options
        self.identities = Identities(seed)
        self.log = EventLog()
        self.price_history: dict[int, list[tuple[int, int]]] = {}
        self.hold_ids: dict[int, str] = {}
        self.order_item_ids: dict[int, str] = {}
        self.born = stones
        self._made = 0
        self.columns = Columns.allocate(-(-max(stones, 1) // BLOCK) * BLOCK)
        while self._made < self.columns.capacity:
            self._make_more()
        self.columns.present[stones:] = False
        self.present_count = stones

    @property
    def initial(self) -> int:
        """How many stones there were in the beginning."""
        return self._initial

    def stone_id(self, row: int) -> str:
        return self.identities.stone_ids(np.array([row]))[0]

    def row_of(self, stone_id: str) -> int | None:
        """The row of a bare UUID, if that stone was ever listed."""
        return self.identities.row_of(stone_id, self.born)

    def certificate_rows(self, rows: Rows) -> Rows:
        """The rows whose certificates these stones carry: their own, but for duplicates."""
        sources: Rows = rows - (self.columns.hostile[rows] == DUPLICATE_CERTIFICATE)
        return sources

    def twins_of(self, row: int) -> list[int]:
        """Every listed stone with the same certificate as ``row``, itself included if listed."""
        source = int(self.certificate_rows(np.array([row]))[0])
        group = [source]
        if source + 1 < self.born and self.columns.hostile[source + 1] == DUPLICATE_CERTIFICATE:
            group.append(source + 1)
        return [member for member in group if self.columns.present[member]]

    def reprice(self, row: int, cents: int, at_ms: int) -> None:
        before = int(self.columns.price_cents[row])
        self.columns.price_cents[row] = cents
        self.columns.updated_ms[row] = at_ms
        number = self.log.append(at_ms, EventKind.REPRICED, row, before, cents)
        self.price_history.setdefault(row, [(int(self.columns.first_event[row]), before)]).append(
            (number, cents)
        )

    def remove(self, row: int, at_ms: int) -> None:
        self.columns.present[row] = False
        self.columns.last_event[row] = self.log.append(at_ms, EventKind.REMOVED, row)
        self.present_count -= 1

    def insert(self, at_ms: int, *, created_ms: int | None = None) -> int:
        """List a stone never seen before; with an old ``created_ms`` it joins in the middle of that order."""
        if self.born == self._made:
            if self._made == self.columns.capacity:
                self.columns.grow(
                    self.columns.capacity + max(BLOCK, self.columns.capacity // 8 // BLOCK * BLOCK)
                )
            self._make_more()
            self.columns.present[self.born : self._made] = False
        row = self.born
        self.born += 1
        self.columns.created_ms[row] = at_ms if created_ms is None else created_ms
        self.columns.updated_ms[row] = at_ms
        self._list(row, EventKind.INSERTED, at_ms)
        self.columns.first_event[row] = self.log.version
        return row

    def relist(self, row: int, at_ms: int) -> None:
        """A stone that had vanished is back, with its id and its old place in the order of creation."""
        self.columns.updated_ms[row] = at_ms
        self._list(row, EventKind.RELISTED, at_ms)

    def set_availability(self, row: int, code: int, at_ms: int) -> None:
        before = int(self.columns.availability[row])
        self.columns.availability[row] = code
        self.columns.updated_ms[row] = at_ms
        self.log.append(at_ms, EventKind.AVAILABILITY, row, before, code)

    def hostile_counts(self) -> Counter[int]:
        """How many present stones there are of each hostile code."""
        codes = self.columns.hostile[: self.born][self.columns.present[: self.born]]
        return Counter({code: int(n) for code, n in enumerate(np.bincount(codes)) if code and n})

    def _list(self, row: int, kind: EventKind, at_ms: int) -> None:
        self.columns.present[row] = True
        self.columns.last_event[row] = -1
        self.log.append(at_ms, kind, row)
        self.present_count += 1

    def _make_more(self) -> None:
        block = make_block(
            self._seed,
            self._made // BLOCK,
            total=self._initial,
            hostile_share=self._hostile_share,
            hostile_options=self._hostile_options,
        )
        self.columns.write(self._made, block)
        self._made += BLOCK
