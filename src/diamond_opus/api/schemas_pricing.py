"""What bodies and answers about pricing rules look like; which values a rule may hold, pricing/rules.py decides."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StrictBool, StrictInt, WithJsonSchema

from diamond_opus.api.schemas import Answer, Body

#: What a field holds that was left out and may not be null; pydantic does not check defaults.
_LEFT_OUT: Any = None

Priority = Annotated[StrictInt, Field(ge=-(2**31), le=2**31 - 1)]
Rating = Annotated[StrictInt, Field(ge=1, le=10)]
ShapeName = Annotated[str, Field(min_length=1, max_length=50)]
Shapes = Annotated[list[ShapeName], Field(min_length=1, max_length=100)]
FeedName = Annotated[str, Field(min_length=1, max_length=100)]
Carats = Annotated[Decimal, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 9999.99})]
Ratio = Annotated[Decimal, WithJsonSchema({"type": "number", "minimum": 0.0001, "maximum": 9.9999})]

_PRIORITY = "Lower ones are tried first, equal ones in the order of their ids; the first match wins."
_CARATS = "Two decimals; the bound is part of the range. null: no bound."
_SHAPES = "In any spelling. null: every shape."
_LAB_GROWN = "null: both types."
_FEED = "null: every feed."
_RATIO = "Selling price / feed price, with at most four decimals: 1.15 adds 15 %."
_RATING = "What the stones are rated. null: no rating."


class PricingRule(Answer):
    """Which stones a rule is for, and what it makes of them."""

    id: UUID
    priority: int = Field(description=_PRIORITY)
    carat_min: float | None = Field(description=_CARATS)
    carat_max: float | None = Field(description=_CARATS)
    shapes: list[str] | None = Field(description="As stones carry them. null: every shape.")
    lab_grown: bool | None = Field(description=_LAB_GROWN)
    feed: str | None = Field(description=_FEED)
    markup_ratio: float = Field(description=_RATIO)
    rating: int | None = Field(description=_RATING)
    active: bool = Field(description="An inactive rule prices nothing.")
    created_at: datetime
    updated_at: datetime


class NewPricingRule(Body):
    """A rule to be made; what is left out matches every stone."""

    priority: Priority = Field(description=_PRIORITY)
    carat_min: Carats | None = Field(None, description=_CARATS)
    carat_max: Carats | None = Field(None, description=_CARATS)
    shapes: Shapes | None = Field(None, description=_SHAPES)
    lab_grown: StrictBool | None = Field(None, description=_LAB_GROWN)
    feed: FeedName | None = Field(None, description=_FEED)
    markup_ratio: Ratio = Field(description=_RATIO)
    rating: Rating | None = Field(None, description=_RATING)
    active: StrictBool = True


class PricingRuleChange(Body):
    """What is to be different; what is left out stays, and null clears a criterion or the rating."""

    priority: Priority = Field(_LEFT_OUT, description=_PRIORITY)
    carat_min: Carats | None = Field(None, description=_CARATS)
    carat_max: Carats | None = Field(None, description=_CARATS)
    shapes: Shapes | None = Field(None, description=_SHAPES)
    lab_grown: StrictBool | None = Field(None, description=_LAB_GROWN)
    feed: FeedName | None = Field(None, description=_FEED)
    markup_ratio: Ratio = Field(_LEFT_OUT, description=_RATIO)
    rating: Rating | None = Field(None, description=_RATING)
    active: StrictBool = Field(_LEFT_OUT, description="true takes a deactivated rule back into pricing.")
