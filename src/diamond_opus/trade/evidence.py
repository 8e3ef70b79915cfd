"""What one look at a stone proves about a hold or an order of it: pure, and silent where nothing is proved.

The supplier has no order query. The mark of our order on the stone (``OrderItemId``) proves that it was taken. That
the stone is free proves the opposite only when it stays so for a while, well after the request must have ended: what
the supplier shows may lag behind what it does.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from diamond_opus.domain.grades import Availability
from diamond_opus.trade.look import Look
from diamond_opus.trade.model import HoldRecord, HoldStatus, OrderRecord, OrderStatus


@dataclass(frozen=True, slots=True)
class Patience:
    """When a free stone proves that nothing was done: free for ``free``, and ``settle`` after it was sent.

    Against the supplier's own yes it proves something only when it has been free for ``withdrawn``.
    """

    settle: timedelta = timedelta(seconds=150)
    free: timedelta = timedelta(seconds=60)
    withdrawn: timedelta = timedelta(minutes=15)

    def is_proof(
        self,
        sent_at: datetime | None,
        free_since: datetime | None,
        now: datetime,
        *,
        was_accepted: bool = False,
    ) -> bool:
        if sent_at is None or free_since is None:
            return False
        free = self.withdrawn if was_accepted else self.free
        return now - sent_at >= self.settle and now - free_since >= free


def bears_order(order: OrderRecord, look: Look) -> bool:
    """Whether the stone bears the mark of an order that it did not bear before ours was sent."""
    return look.order_item_id is not None and look.order_item_id != order.order_item_before


def is_free_of_order(order: OrderRecord, look: Look) -> bool:
    """Whether the supplier offers the stone as if it had never been ordered."""
    return look.availability is Availability.AVAILABLE and not bears_order(order, look)


def judge_order(order: OrderRecord, look: Look, now: datetime, patience: Patience) -> OrderStatus | None:
    """What became of an ``unknown`` or ``ordered`` order; None while the look proves nothing new.

    ``now`` is when the supplier was asked: however late its answer is judged, it proves nothing of what came after.
    """
    if bears_order(order, look):
        if look.availability is Availability.SOLD:
            return OrderStatus.CONFIRMED
        return OrderStatus.ORDERED if order.status is OrderStatus.UNKNOWN else None
    was_accepted = order.status is OrderStatus.ORDERED
    if is_free_of_order(order, look) and patience.is_proof(
        order.sent_at, order.free_since, now, was_accepted=was_accepted
    ):
        return OrderStatus.REFUSED
    return None


def is_free_of_hold(look: Look) -> bool:
    """Whether no hold of ours can be on the stone."""
    return look.hold_id is None and look.availability is not Availability.ON_HOLD


def judge_hold(hold: HoldRecord, look: Look, now: datetime, patience: Patience) -> HoldStatus | None:
    """What became of an ``unknown`` hold; None while the look proves nothing."""
    if look.hold_id is not None:
        return HoldStatus.ACTIVE
    if is_free_of_hold(look) and patience.is_proof(hold.sent_at, hold.free_since, now):
        return HoldStatus.FAILED
    return None


def judge_release(hold: HoldRecord, look: Look) -> HoldStatus:
    """What became of a hold that was to be ended: the stone either bears it still or not."""
    return HoldStatus.ACTIVE if _bears_hold(hold, look) else HoldStatus.RELEASED


def ends_hold(hold: HoldRecord, look: Look) -> bool:
    """Whether the supplier says, about this very stone, that an active hold is over.

    A listing proves nothing, and neither does a stone that is on hold without saying whose it is. Of a hold that was
    noted by hand, without an id of the supplier's, the supplier never heard.
    """
    if hold.by_hand and hold.feed_hold_id is None:
        return False
    if hold.status is not HoldStatus.ACTIVE or _bears_hold(hold, look):
        return False
    return look.availability is not Availability.ON_HOLD


def _bears_hold(hold: HoldRecord, look: Look) -> bool:
    return look.hold_id is not None and look.hold_id == hold.feed_hold_id
