"""The conflicts that several use cases of trade answer with, in one wording."""

from diamond_opus.trade.model import TradeConflict

#: How soon somebody may ask again about what is being sent.
IN_FLIGHT_SECONDS = 2


def not_available(why: str, *, retry_after_seconds: int | None = None) -> TradeConflict:
    """A stone that cannot be held or bought now."""
    return TradeConflict(
        f"the stone cannot be had: {why}",
        hint="Look for stones with availability=available.",
        retry_after_seconds=retry_after_seconds,
    )
