"""What the supplier says of one stone, asked now: the price before an order, the evidence after a lost answer."""

from dataclasses import dataclass
from datetime import datetime

from diamond_opus.domain.errors import DiamondError
from diamond_opus.domain.grades import Availability
from diamond_opus.domain.stone import Stone
from diamond_opus.feeds.protocol import RawItem, RawStone, Rejected, StoneMapper
from diamond_opus.feeds.trading import Offer, Trader
from diamond_opus.observability.logging import get_logger
from diamond_opus.trade.model import StoneKey, SupplierFailed, TradedStone

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """One answer. ``item`` and ``offer`` are None when the supplier surely has the stone no more.

    ``stone`` is what the mapper makes of the item, or why it is no diamond. ``asked_at`` is the database's time
    before the question.
    """

    asked_at: datetime
    item: RawItem | None = None
    offer: Offer | None = None
    stone: Stone | Rejected | None = None

    @property
    def is_gone(self) -> bool:
        return self.item is None

    @property
    def availability(self) -> Availability:
        """What consolidation would say of it: gone or unusable is unavailable."""
        if isinstance(self.stone, Stone):
            return Availability(self.stone.feed_availability)
        return Availability.UNAVAILABLE

    @property
    def raw_availability(self) -> str | None:
        if self.offer is None or self.offer.raw_availability is None:
            return None
        return self.offer.raw_availability.replace("\0", "")  # which no text of the database may hold

    @property
    def hold_id(self) -> str | None:
        return self.offer.hold_id if self.offer else None

    @property
    def order_item_id(self) -> str | None:
        return self.offer.order_item_id if self.offer else None

    @property
    def price_cents(self) -> int | None:
        """What we would pay, as the mapper reads it; None when that is no price to buy at."""
        return self.stone.feed_price_cents if isinstance(self.stone, Stone) else None

    @property
    def storable_payload(self) -> str | None:
        """The payload as text, None when the database could not take it."""
        if self.item is None:
            return None
        try:
            return self.item.payload.decode()
        except UnicodeDecodeError:
            return None


async def look_at(
    trader: Trader, mapper: StoneMapper, key: StoneKey, known: TradedStone | None, asked_at: datetime
) -> Look:
    """Ask the supplier about this very stone. Raises Retryable or Fatal."""
    item = await trader.get_diamond(key.supplier_stone_id)
    if item is None:
        return Look(asked_at)
    # By id no price range is asked for, so that none is there to judge the price by.
    lab_grown = known.lab_grown if known else False
    raw = RawStone(item.supplier_stone_id, item.offer_id, item.payload, lab_grown, 0, None)
    return Look(asked_at, item, trader.read_offer(item), mapper.map_stone(raw, []))


def supplier_failed(error: DiamondError) -> SupplierFailed:
    """The error that a caller may see; what the supplier said stays in the log."""
    log.warning("supplier_not_asked", reason=str(error))
    return SupplierFailed(
        "the supplier could not be asked; nothing was done",
        retry_after_seconds=getattr(error, "retry_after_seconds", None),
    )
