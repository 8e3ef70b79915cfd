"""What an operator is told of a lost answer: what happened, what it means, what to press."""

from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.trade.model import HoldRecord, OrderRecord


def order_unknown(order: OrderRecord) -> Alert:
    """An order of which nobody knows whether the supplier took it."""
    return Alert(
        Severity.CRITICAL,
        "order_unknown",
        f"It is unknown whether the supplier took order {order.id}",
        "The order is never sent again by itself; its stone is blocked. It is settled by itself when the supplier "
        "shows what became of it.",
        subject=str(order.id),
        since=order.sent_at,
        stones=1,
        cause="The answer was lost, or the process died before it came.",
        action=f"To settle it by hand, ask the supplier for the order of {order.offer_id}, then POST "
        f'/api/v2/triggers/resolve-order {{"orderId": "{order.id}", "outcome": "ordered" | "confirmed" | "refused", '
        '"note": "..."}',
        page="/orders",
        fields={
            "orderId": str(order.id),
            "feed": order.feed,
            "offerId": order.offer_id,
            "client": order.client,
            "reference": order.reference,
            "sentAt": order.sent_at.isoformat() if order.sent_at else None,
        },
    )


def hold_unknown(hold: HoldRecord) -> Alert:
    """A hold of which nobody knows whether the supplier took it: it costs nothing and ends by itself."""
    return Alert(
        Severity.WARNING,
        "hold_unknown",
        f"It is unknown whether the supplier took hold {hold.id}",
        "The stone is blocked until the supplier shows what became of it, at most for 24 hours.",
        subject=str(hold.id),
        since=hold.sent_at,
        stones=1,
        cause="The answer was lost, or the process died before it came.",
        action="Nothing has to be done.",
        page="/holds",
        fields={"holdId": str(hold.id), "feed": hold.feed, "offerId": hold.offer_id, "client": hold.client},
    )
