"""Live offers: searched, counted, shown and read as evidence, whatever the supplier puts into them."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec
import pytest
from feed_builders import STONE_ID, RecordingClock, make_client, make_item
from scripted_server import Answer, ScriptedSupplier

from diamond_opus.feeds.budget import UnlimitedBudget
from diamond_opus.feeds.nivoda import NivodaTrading, NotSent
from diamond_opus.feeds.nivoda.answers import identify
from diamond_opus.feeds.nivoda.connection import ACTION_WAIT_SECONDS
from diamond_opus.feeds.protocol import RawItem
from diamond_opus.feeds.trading import Offer, OfferQuestion, OrderRequest


@pytest.fixture
async def trading(supplier: ScriptedSupplier) -> AsyncIterator[NivodaTrading]:
    async with make_client(supplier.url) as client:
        yield NivodaTrading(client.connection)


def read(trading: NivodaTrading, payload: bytes) -> Offer:
    item = identify(payload, "$")
    assert isinstance(item, RawItem)
    return trading.read_offer(item)


@pytest.mark.parametrize(
    ("offer_id", "stone_id"),
    [
        (f"DIAMOND/{STONE_ID}", STONE_ID),
        (STONE_ID, None),
        ("DIAMOND/", None),
        ("DIAMOND/1", None),
        (f"GEMSTONE/{STONE_ID}", None),
        (f"DIAMOND/{STONE_ID.upper()}", None),
        (f"DIAMOND/{STONE_ID}/x", None),
        ("", None),
    ],
)
def test_the_stone_of_an_offer_is_known_without_asking(
    trading: NivodaTrading, offer_id: str, stone_id: str | None
) -> None:
    assert trading.stone_of_offer(offer_id) == stone_id


def test_an_offer_shows_the_marks_of_our_hold_and_order(trading: NivodaTrading) -> None:
    item = make_item(diamond__HoldId="hold-1", diamond__OrderItemId="item-1", diamond__availability="ON_HOLD")

    offer = read(trading, msgspec.json.encode(item))

    assert (offer.hold_id, offer.order_item_id) == ("hold-1", "item-1")
    assert (offer.availability, offer.raw_availability) == ("on_hold", "ON_HOLD")
    assert (offer.price_cents, offer.supplier_name, offer.discount) == (130_000, "Example Gems", -3736)
    assert offer.certificate is not None
    assert (offer.certificate.carats, offer.certificate.number) == (1.51, "2446266314")


@pytest.mark.parametrize(
    "name", ["diamond__availability", "diamond__certificate", "diamond__supplier", "price"]
)
@pytest.mark.parametrize("value", [None, 1, [], {}, True, "\ud800"])
def test_odd_fields_of_an_offer_count_as_missing_and_can_always_be_told(
    trading: NivodaTrading, name: str, value: object
) -> None:
    changes: dict[str, Any] = {name: value}
    item = make_item(**changes)

    offer = read(trading, json.dumps(item).encode())

    msgspec.json.encode(offer)
    assert offer.supplier_stone_id == STONE_ID
    if name == "diamond__availability":
        assert offer.availability == "unavailable"


async def test_a_question_is_asked_as_the_supplier_filters(
    supplier: ScriptedSupplier, trading: NivodaTrading
) -> None:
    items = [make_item(), None]
    supplier.then(
        Answer({"data": {"diamonds_by_query": {"items": items}}}),
        Answer({"data": {"diamonds_by_query_count": 41}}),
    )
    question = OfferQuestion(
        lab_grown=True, price_to=900, carats_from=50, shapes=("ROUND",), has_image=True, has_video=False
    )

    found = await trading.search(question, offset=10, limit=5)
    count = await trading.count(question)

    query = {
        "labgrown": True,
        "dollar_value": {"from": 0, "to": 900},
        "sizes": [{"from": 0.5, "to": 1_000_000.0}],
        "shapes": ["ROUND"],
        "has_image": True,
        "has_v360": False,
    }
    assert [item.supplier_stone_id for item in found] == [STONE_ID]
    assert count == 41
    page, counted = supplier.seen[-2:]
    assert (page.variables["query"], page.variables["offset"], page.variables["limit"]) == (query, 10, 5)
    assert counted.variables == {"query": query}


class SlowBudget(UnlimitedBudget):
    """Lets every request wait longer than an order may."""

    def __init__(self, clock: RecordingClock) -> None:
        super().__init__()
        self._clock = clock

    async def acquire(self) -> None:
        await self._clock.sleep(ACTION_WAIT_SECONDS + 1)


async def test_an_order_that_could_not_leave_in_time_does_not_leave_at_all(
    supplier: ScriptedSupplier,
) -> None:
    clock = RecordingClock()
    async with make_client(supplier.url, clock=clock, budget=SlowBudget(clock)) as client:
        supplier.then(Answer({"data": {"create_order": "late"}}))
        with pytest.raises(NotSent, match="could not leave within 20 s"):
            await NivodaTrading(client.connection).create_order(OrderRequest(f"DIAMOND/{uuid4()}"))

    assert all("items" not in seen.variables for seen in supplier.seen)


async def test_an_order_whose_process_stood_still_while_it_connected_does_not_leave(
    supplier: ScriptedSupplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = RecordingClock()
    connect = aiohttp.TCPConnector._create_connection

    async def stand_still(connector: aiohttp.TCPConnector, *given: Any, **named: Any) -> Any:
        made = await connect(connector, *given, **named)
        if connector.force_close:  # the connection is for something that changes the supplier
            clock.advance(seconds=ACTION_WAIT_SECONDS + 1)
        return made

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", stand_still)
    async with make_client(supplier.url, clock=clock) as client:
        supplier.then(Answer({"data": {"create_order": "late"}}))
        with pytest.raises(NotSent, match="could not leave within 20 s"):
            await NivodaTrading(client.connection).create_order(OrderRequest(f"DIAMOND/{uuid4()}"))

    assert all("items" not in seen.variables for seen in supplier.seen)
