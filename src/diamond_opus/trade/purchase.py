"""What a client wants to buy, and when two such wishes are the same."""

import hashlib
import json
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Purchase:
    """One wish to buy a stone under an idempotency key.

    ``max_price_cents`` is the most that the stone may cost us; with ``limits_selling_price`` the most that it may be
    sold for, by today's rules: who may not see cost must not find it by trying limits.
    """

    idempotency_key: str
    destination_id: str | None = None
    reference: str | None = None
    comments: str | None = None
    return_option: bool | None = None
    max_price_cents: int | None = None
    limits_selling_price: bool = False

    def digest(self, stone_id: UUID) -> str:
        """SHA-256 of the canonical body, the stone included: spelling and order of the fields do not matter.

        >>> stone = UUID(int=1)
        >>> Purchase("a", reference="PO-1").digest(stone) == Purchase("b", reference="PO-1").digest(stone)
        True
        >>> Purchase("a").digest(stone) == Purchase("a").digest(UUID(int=2))
        False
        """
        body = {
            "comments": self.comments,
            "destinationId": self.destination_id,
            "diamondId": str(stone_id),
            "maxPriceCents": self.max_price_cents,
            "reference": self.reference,
            "returnOption": self.return_option,
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
