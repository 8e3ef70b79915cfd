"""Judges a catalogue by the simulator's own record: what was listed throughout a run, and at which prices."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from psycopg.rows import dict_row

from diamond_opus.simulator.events import EventKind
from diamond_opus.simulator.server import Simulator
from diamond_opus.simulator.truth import StoneTruth
from pipeline_builders import Pool
from pipeline_oracle import price_of


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the pipeline made of the inventory."""

    diamonds: dict[str, dict[str, Any]]
    rejected: set[str]
    rules: Sequence[dict[str, Any]]

    @classmethod
    async def read(cls, pool: Pool) -> "Catalogue":
        async with pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                "SELECT supplier_stone_id, feed, status, shape, carats, lab_grown, feed_price,"
                " price_model_price, price_per_carat, markup_ratio, rating, rule_id FROM diamonds"
            )
            diamonds = {row["supplier_stone_id"]: row for row in await cursor.fetchall()}
            await cursor.execute(
                "SELECT supplier_stone_id FROM rejected_diamonds WHERE readable AND resolved_at IS NULL"
            )
            rejected = {row["supplier_stone_id"] for row in await cursor.fetchall()}
            await cursor.execute("SELECT * FROM pricing_rules")
            return cls(diamonds, rejected, await cursor.fetchall())

    def is_on_sale(self, stone_id: str) -> bool:
        return stone_id in self.diamonds and self.diamonds[stone_id]["status"] == "active"


class Judge:
    """Knows which stones were listed throughout, from the moment it was made until it is asked."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._since = simulator.supplier.inventory.log.version

    def listed_throughout(self) -> list[StoneTruth]:
        gone = self._ids_with(EventKind.REMOVED)
        return [
            truth
            for truth in self._simulator.truth()
            if truth.present and truth.first_event <= self._since and truth.id not in gone
        ]

    def absent_throughout(self) -> list[StoneTruth]:
        came_or_went = self._ids_with(EventKind.REMOVED, EventKind.RELISTED, EventKind.INSERTED)
        return [t for t in self._simulator.truth() if not t.present and t.id not in came_or_went]

    def moved(self, kind: EventKind) -> int:
        return len(self._ids_with(kind))

    def possible_prices(self, truth: StoneTruth) -> set[Decimal]:
        """Every price it had since the beginning: one, when it was not repriced."""
        at_start = [cents for event, cents in truth.price_history if event <= self._since][-1:]
        later = [cents for event, cents in truth.price_history if event > self._since]
        return {Decimal(cents).scaleb(-2) for cents in (*at_start, *later)}

    def _ids_with(self, *kinds: EventKind) -> set[str]:
        inventory = self._simulator.supplier.inventory
        return {inventory.stone_id(e.row) for e in inventory.log.since(self._since) if e.kind in kinds}


def check_catalogue(judge: Judge, catalogue: Catalogue) -> None:
    """No stone that was there throughout is missing, deleted or wrongly priced, and none is sold that was not."""
    faults = [fault for truth in judge.listed_throughout() if (fault := judged(judge, catalogue, truth))]
    faults += [
        f"{truth.id} was gone and is on sale"
        for truth in judge.absent_throughout()
        if catalogue.is_on_sale(truth.id)
    ]
    assert not faults, f"{len(faults)} stones: {faults[:10]}"


def judged(judge: Judge, catalogue: Catalogue, truth: StoneTruth) -> str | None:
    """What is wrong with one stone that was listed throughout."""
    on_sale, in_quarantine = catalogue.is_on_sale(truth.id), truth.id in catalogue.rejected
    described = f"{truth.id} ({truth.hostile or 'honest'}, {truth.verdict})"
    if truth.verdict == "accepted":
        if not on_sale or in_quarantine:
            return f"{described} is not on sale"
        return wrongly_priced(judge, catalogue, truth)
    if truth.verdict == "either" and on_sale is in_quarantine:
        return f"{described} is neither or both: on sale {on_sale}, in quarantine {in_quarantine}"
    if truth.verdict == "rejected" and (on_sale or not in_quarantine):
        return f"{described} is not in quarantine"
    if truth.verdict == "unreadable" and on_sale:
        return f"{described} is on sale"
    return None


def wrongly_priced(judge: Judge, catalogue: Catalogue, truth: StoneTruth) -> str | None:
    diamond = catalogue.diamonds[truth.id]
    carats = Decimal(str(truth.carats)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    if diamond["feed_price"] not in judge.possible_prices(truth):
        return f"{truth.id} costs {diamond['feed_price']}, it was {judge.possible_prices(truth)}"
    if (diamond["carats"], diamond["lab_grown"]) != (carats, truth.lab_grown):
        return f"{truth.id} has {diamond['carats']} ct, lab-grown {diamond['lab_grown']}"
    price = price_of(catalogue.rules, diamond)
    wrong = {name: diamond[name] for name in price.__slots__ if diamond[name] != getattr(price, name)}
    return f"{truth.id} is priced {wrong}, it should be {price}" if wrong else None
