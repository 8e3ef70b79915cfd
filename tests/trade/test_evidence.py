"""What a look at a stone proves, and what it does not."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest

from diamond_opus.feeds.nivoda import NivodaMapper
from diamond_opus.feeds.nivoda.answers import identify
from diamond_opus.feeds.nivoda.offers import read_offer
from diamond_opus.feeds.protocol import RawItem, RawStone
from diamond_opus.testing import make_item
from diamond_opus.trade.evidence import Patience, ends_hold, judge_hold, judge_order, judge_release
from diamond_opus.trade.look import Look
from diamond_opus.trade.model import HoldRecord, HoldStatus, OrderRecord, OrderStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(minutes=10)
PATIENCE = Patience()


def look(availability: str = "AVAILABLE", *, order_item: str | None = None, hold: str | None = None) -> Look:
    marks = {"availability": availability, "OrderItemId": order_item, "HoldId": hold}
    item = identify(orjson.dumps(make_item(supplier_stone_id="s", diamond=marks)), "$")
    assert isinstance(item, RawItem)
    raw = RawStone(item.supplier_stone_id, item.offer_id, item.payload, False, 0, None)
    return Look(NOW, item, read_offer(item), NivodaMapper().map_stone(raw, []))


def order(
    status: OrderStatus = OrderStatus.UNKNOWN,
    *,
    before: str | None = None,
    free_since: datetime | None = LONG_AGO,
    sent_at: datetime = LONG_AGO,
) -> OrderRecord:
    return OrderRecord(
        id=uuid4(), diamond_id=None, feed="nivoda", supplier_stone_id="s", offer_id="DIAMOND/s", client="key:1",
        idempotency_key="k", body_hash="h", status=status, feed_order_id=None, reference=None, comments=None,
        destination_id=None, return_option=None, max_price_cents=None, feed_price_cents=None,
        order_item_before=before, reason=None, sent_at=sent_at, free_since=free_since, reported_at=None,
        resolved_by=None, resolved_at=None, resolved_how=None, resolution_note=None, answer_status=None,
        answer_body=None, created_at=LONG_AGO, updated_at=LONG_AGO,
    )  # fmt: skip


def hold(status: HoldStatus = HoldStatus.ACTIVE, *, feed_hold_id: str | None = "hold-1") -> HoldRecord:
    return HoldRecord(
        id=uuid4(), diamond_id=None, feed="nivoda", supplier_stone_id="s", offer_id="DIAMOND/s", client="key:1",
        status=status, denied=False, by_hand=False, feed_hold_id=feed_hold_id, hold_until=None, reason=None,
        sent_at=LONG_AGO, free_since=LONG_AGO, created_at=LONG_AGO, updated_at=LONG_AGO,
    )  # fmt: skip


GONE = Look(NOW)


@pytest.mark.parametrize(
    ("asked", "seen", "outcome"),
    [
        (order(), look("ON_HOLD", order_item="new"), OrderStatus.ORDERED),
        (order(), look("SOLD", order_item="new"), OrderStatus.CONFIRMED),
        (order(OrderStatus.ORDERED), look("SOLD", order_item="new"), OrderStatus.CONFIRMED),
        (order(OrderStatus.ORDERED), look("ON_HOLD", order_item="new"), None),
        (order(before="old"), look("ON_HOLD", order_item="old"), None),
        (order(before="old"), look("ON_HOLD", order_item="new"), OrderStatus.ORDERED),
        (order(), look("SOLD"), None),
        (order(), look("ON_HOLD"), None),
        (order(), GONE, None),
        (order(), look(), OrderStatus.REFUSED),
        (order(before="old"), look(order_item="old"), OrderStatus.REFUSED),
        (order(OrderStatus.ORDERED, free_since=NOW - timedelta(minutes=14)), look(), None),
        (order(OrderStatus.ORDERED, free_since=NOW - timedelta(minutes=15)), look(), OrderStatus.REFUSED),
        (order(free_since=None), look(), None),
        (order(free_since=NOW - timedelta(seconds=59)), look(), None),
        (order(sent_at=NOW - timedelta(seconds=149)), look(), None),
    ],
)
def test_only_conclusive_evidence_settles_an_order(
    asked: OrderRecord, seen: Look, outcome: OrderStatus | None
) -> None:
    assert judge_order(asked, seen, NOW, PATIENCE) is outcome


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (look("HOLD", hold="hold-9"), HoldStatus.ACTIVE),
        (look("HOLD"), None),
        (look(), HoldStatus.FAILED),
        (GONE, HoldStatus.FAILED),
    ],
)
def test_a_lost_hold_is_settled_by_the_mark_on_the_stone(seen: Look, outcome: HoldStatus | None) -> None:
    assert judge_hold(hold(HoldStatus.UNKNOWN, feed_hold_id=None), seen, NOW, PATIENCE) is outcome


@pytest.mark.parametrize(
    ("seen", "is_over"),
    [
        (look("HOLD", hold="hold-1"), False),
        (look("HOLD", hold="hold-2"), False),
        (look("HOLD"), False),
        (look(), True),
        (look("SOLD"), True),
        (GONE, True),
    ],
)
def test_a_hold_ends_only_when_the_supplier_says_so_of_that_stone(seen: Look, *, is_over: bool) -> None:
    assert ends_hold(hold(), seen) is is_over


def test_a_hold_that_was_to_end_is_over_when_the_stone_does_not_bear_it_any_more() -> None:
    releasing = hold(HoldStatus.RELEASING)
    assert judge_release(releasing, look("HOLD", hold="hold-1")) is HoldStatus.ACTIVE
    assert judge_release(releasing, look("HOLD", hold="hold-2")) is HoldStatus.RELEASED
    assert judge_release(releasing, GONE) is HoldStatus.RELEASED
