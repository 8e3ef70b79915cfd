"""What the catalogue's further answers look like: lists, facets, the explanation of a price, the raw answer."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from diamond_opus.api.schemas import Answer, Diamond, ListOf


def _require_only_the_id(schema: dict[str, Any]) -> None:
    schema["required"] = ["id"]


class ListedDiamond(Diamond):
    """A stone in a list: all its fields, or with the parameter `fields` only those, and its id."""

    model_config = ConfigDict(json_schema_extra=_require_only_the_id)


class DiamondList(ListOf[ListedDiamond]):
    """A page of stones."""


class TextCount(Answer):
    value: str | None = Field(description="null stands for stones of which it is not known.")
    count: int


class BooleanCount(Answer):
    value: bool
    count: int


class PriceBar(Answer):
    from_: int = Field(alias="from", description="The lowest selling price in it, in US cents.")
    to: int | None = Field(description="The lowest of the next bar; null for the last one.")
    count: int


class CaratBar(Answer):
    from_: float = Field(alias="from", description="The lowest weight in it.")
    to: float | None = Field(description="The lowest of the next bar; null for the last one.")
    count: int


class Facets(Answer):
    """Counts of the stones that a search finds; each facet as if its own filter were not set."""

    total: int = Field(description="Stones that meet every filter.")
    shape: list[TextCount]
    color: list[TextCount]
    clarity: list[TextCount]
    cut: list[TextCount]
    polish: list[TextCount]
    symmetry: list[TextCount]
    fluorescence: list[TextCount]
    certificate_lab: list[TextCount]
    availability: list[TextCount]
    lab_grown: list[BooleanCount]
    price: list[PriceBar]
    carats: list[CaratBar]


class Price(Answer):
    price_model_price_cents: int
    markup_ratio: float
    rating: int | None
    rule_id: UUID | None = Field(
        description="null: no rule matched, so the default of 1.15 and rating 5 holds."
    )


class ExplainedRule(Answer):
    id: UUID
    priority: int
    markup_ratio: float
    rating: int | None
    unmet: list[str] = Field(description="Its criteria that the stone does not meet.")
    is_decisive: bool = Field(description="The first rule with nothing unmet decides.")


class PriceExplanation(Answer):
    """Why a stone costs what it costs.

    `stored` is what the catalogue shows, `now` what the rules say now; they differ when rules changed since.
    """

    id: UUID
    feed_price_cents: int
    stored: Price
    now: Price
    rules: list[ExplainedRule] = Field(description="The active rules in the order in which they are tried.")


class RawAnswer(Answer):
    """The supplier's own words about a stone."""

    feed: str
    supplier_stone_id: str
    offer_id: str
    run_id: UUID = Field(description="The run that brought this payload.")
    payload: dict[str, Any] | None = Field(
        description="Exactly as it was received; null when it was dropped."
    )
    payload_hash: str = Field(description="Its SHA-256; empty when it was dropped.")
    payload_dropped_at: datetime | None = Field(
        description="When it was dropped, because the stone was gone for RAW_RETENTION_DAYS."
    )
    asked_lab_grown: bool
    asked_price_from: int = Field(description="Whole dollars, as is asked_price_to.")
    asked_price_to: int | None
    consolidated: bool
    consolidated_at: datetime | None
    fetched_at: datetime
    last_seen_at: datetime
    last_seen_run_id: UUID
    removed_at: datetime | None
