"""How long each queue lends a message, and how often one may fail before it is set aside."""

from collections.abc import Mapping
from dataclasses import dataclass

from diamond_opus.queue.protocol import CONSOLIDATE, WORK_DONE, WORK_ITEMS

#: The reason of a dead letter that nobody gave up on deliberately, in the words of Azure Service Bus.
MAX_DELIVERIES_EXCEEDED = "MaxDeliveryCountExceeded"


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """``lease_seconds`` is how long a message is hidden from others unless its holder renews it."""

    lease_seconds: int
    max_deliveries: int


LIMITS: Mapping[str, QueueLimits] = {
    WORK_ITEMS: QueueLimits(lease_seconds=120, max_deliveries=5),
    WORK_DONE: QueueLimits(lease_seconds=60, max_deliveries=3),
    CONSOLIDATE: QueueLimits(lease_seconds=300, max_deliveries=3),
}


def too_often(deliveries: int) -> str:
    """The description that goes with MAX_DELIVERIES_EXCEEDED."""
    return f"delivered {deliveries} times and never completed; the log has a line for each delivery"
