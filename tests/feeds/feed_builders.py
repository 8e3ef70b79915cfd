"""What the tests of the Nivoda feed build: items that are valid unless a test says otherwise, clients, clocks."""

import json
import random
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any

from diamond_opus.domain.clock import ManualClock
from diamond_opus.domain.errors import Warned
from diamond_opus.domain.selection import Selection
from diamond_opus.domain.stone import Stone
from diamond_opus.feeds.budget import Outcome, UnlimitedBudget
from diamond_opus.feeds.health import SupplierHealth
from diamond_opus.feeds.nivoda import NivodaAccount, NivodaClient, NivodaMapper
from diamond_opus.feeds.protocol import RawStone, Rejected, StoneMapper

USERNAME = "buyer@example.com"
PASSWORD = "correct horse battery"
STONE_ID = "8c6982cd-9e10-4795-93bc-b19938405167"
NATURAL = Selection(lab_grown=False, price_from=1200, price_to=1340)


class RecordingClock(ManualClock):
    """Remembers what it was asked to sleep; time passes at once."""

    def __init__(self) -> None:
        super().__init__(datetime(2026, 1, 1, tzinfo=UTC))
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await super().sleep(seconds)


class RecordingBudget(UnlimitedBudget):
    """Remembers every outcome in full."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[Outcome] = []

    async def report(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        await super().report(outcome)


class FullJitter(random.Random):
    """Always the longest wait, so that a test can tell it."""

    def random(self) -> float:
        return 1.0


def make_client(
    url: str,
    *,
    clock: ManualClock | None = None,
    budget: UnlimitedBudget | None = None,
    base_filter: dict[str, Any] | None = None,
    health: SupplierHealth | None = None,
    **account: Any,
) -> NivodaClient:
    return NivodaClient(
        NivodaAccount(url, USERNAME, PASSWORD, **account),
        budget=budget or UnlimitedBudget(),
        clock=clock or RecordingClock(),
        base_filter=base_filter,
        health=health,
        jitter=FullJitter(),
    )


def make_item(stone_id: str = STONE_ID, *, drop: str = "", **changes: Any) -> dict[str, Any]:
    """An item as the supplier sends it. ``changes`` are paths with double underscores: ``diamond__image=None``."""
    item: dict[str, Any] = {
        "id": f"DIAMOND/{stone_id}",
        "price": 130_000,
        "diamond": {
            "id": stone_id,
            "availability": "AVAILABLE",
            "HoldId": None,
            "image": "https://example.com/1/500/500/image.jpg",
            "video": "https://example.com/1/video/500/500",
            "supplier_video_link": None,
            "eyeClean": "100%",
            "brown": "No",
            "green": "No",
            "milky": "No",
            "mine_of_origin": None,
            "location": "INDIA",
            "return_window": 30,
            "delivery_time": {
                "min_business_days": 4,
                "max_business_days": 7,
                "express_timeline_applicable": False,
            },
            "certificate": {
                "lab": "GIA",
                "certNumber": "2446266314",
                "pdfUrl": "https://example.com/2446266314.pdf",
                "shape": "ROUND",
                "carats": 1.51,
                "color": "E",
                "clarity": "VS1",
                "cut": "EX",
                "polish": "VG",
                "symmetry": "GD",
                "floInt": "FNT",
                "floCol": "B",
                "labgrown": False,
                "labgrown_type": None,
                "treated": False,
                "length": "6.990000",
                "width": "7.060000",
                "depth": "4.680000",
                "depthPercentage": "66.700000",
                "table": "61.000000",
                "crownAngle": "34.5",
                "girdle": "Medium - Very Thick",
                "keyToSymbols": "Feather, Cloud",
                "comments": None,
            },
            "supplier": {"name": "Example Gems", "legal_name": "Example Gems Ltd", "id": "s-1"},
        },
        "discount": -3736,
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        reduce(lambda place, name: place[name], parents, item)[last] = value
    if drop:
        *parents, last = drop.split("__")
        del reduce(lambda place, name: place[name], parents, item)[last]
    return item


def make_raw(
    item: dict[str, Any] | bytes,
    *,
    lab_grown: bool = False,
    price_from: int = 1200,
    price_to: int | None = 1340,
    stone_id: str = STONE_ID,
    offer_id: str | None = None,
) -> RawStone:
    payload = item if isinstance(item, bytes) else json.dumps(item).encode()
    offer = f"DIAMOND/{stone_id}" if offer_id is None else offer_id
    return RawStone(stone_id, offer, payload, lab_grown, price_from, price_to)


def read_sample(name: str) -> Any:
    """The payload of a published answer."""
    return json.loads(Path(__file__).with_name("samples").joinpath(f"{name}.json").read_text())["payload"]


MAPPER: StoneMapper = NivodaMapper()


def map_quietly(item: dict[str, Any] | bytes, **asked: Any) -> Stone:
    """The stone of an item in which nothing is odd."""
    warnings: list[Warned] = []
    stone = MAPPER.map_stone(make_raw(item, **asked), warnings)
    assert isinstance(stone, Stone), stone
    assert warnings == []
    return stone


def map_warned(item: dict[str, Any] | bytes, **asked: Any) -> tuple[Stone, list[tuple[str, str]]]:
    """The stone and what was odd about it, as (path, example)."""
    warnings: list[Warned] = []
    stone = MAPPER.map_stone(make_raw(item, **asked), warnings)
    assert isinstance(stone, Stone), stone
    return stone, [(warned.json_path, warned.example) for warned in warnings]


def reject(item: dict[str, Any] | bytes, **asked: Any) -> Rejected:
    rejected = MAPPER.map_stone(make_raw(item, **asked), [])
    assert isinstance(rejected, Rejected), rejected
    return rejected
