"""What bodies and answers look like: the routes write JSON from rows, and a test compares the two."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from diamond_opus.api.errors import ErrorCode
from diamond_opus.domain.grades import Availability

Item = TypeVar("Item")

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_COST = "Only shown to keys with the permission cost; otherwise the field is left out."


class Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Body(BaseModel):
    """What a client sends: names in camelCase or snake_case, and nothing that is not known.

    Texts may hold no character that PostgreSQL or a log cannot: NUL, or half of a surrogate pair.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", str_strip_whitespace=True
    )

    @model_validator(mode="before")
    @classmethod
    def _check_texts(cls, content: Any) -> Any:
        if any(_UNSTORABLE.search(text) for text in _texts(content)):
            raise ValueError("holds a text with a NUL or half of a surrogate pair")
        return content


class YourHold(Answer):
    """A live hold of a stone, as its client sees it with the stone."""

    id: UUID
    status: Literal["sending", "active", "unknown", "releasing"] = Field(
        description="active: only you can buy the stone. sending, unknown and releasing: it is being found out."
    )
    until: datetime | None = Field(description="When an active hold ends by itself.")


class Diamond(Answer):
    """A stone. Every field is always there, null when unknown, but `yourHold` and those that need `cost`.

    Money is whole US cents, weights are carats, timestamps are UTC.
    """

    id: UUID = Field(description="The same stone has the same id for ever.")
    feed: str = Field(description="Where the stone was read from.")
    supplier_stone_id: str | None = Field(None, description=_COST)
    offer_id: str | None = Field(None, description=_COST)
    shape: str
    carats: float = Field(description="Weight, exact to two decimals.")
    color: str | None = Field(description="D to Z, or FANCY.")
    clarity: str | None
    cut: str | None
    polish: str | None
    symmetry: str | None
    fluorescence: str | None
    fancy_color: str | None
    fancy_intensity: str | None
    fancy_overtone: str | None
    lab_grown: bool
    treated: bool
    feed_price_cents: int | None = Field(None, description=f"What we pay. {_COST}")
    price_per_carat_cents: int | None = Field(None, description=f"What we pay for a carat. {_COST}")
    price_model_price_cents: int = Field(description="The selling price.")
    price_model_price_per_carat_cents: int | None = Field(description="The selling price of a carat.")
    markup_ratio: float | None = Field(None, description=f"Selling price / feed price. {_COST}")
    rule_id: UUID | None = Field(None, description=f"The pricing rule that matched. {_COST}")
    rating: int | None = Field(description="1 to 10, by our rules.")
    availability: Availability
    raw_availability: str | None = Field(description="The feed's own word.")
    hold_id: str | None = Field(None, description=_COST)
    image_url: str | None
    video_url: str | None
    certificate_lab: str | None
    certificate_number: str | None
    certificate_pdf_url: str | None
    length_mm: float | None
    width_mm: float | None
    depth_mm: float | None
    ratio: float | None = Field(description="Length / width.")
    table_percent: float | None
    depth_percent: float | None
    eye_clean: bool | None
    delivery_days_min: int | None
    delivery_days_max: int | None
    returnable: bool | None
    measurements: dict[str, Any] | None = Field(description="As the certificate says.")
    attributes: dict[str, Any] | None
    supplier_name: str | None = Field(None, description=f"The vendor. {_COST}")
    supplier_legal_name: str | None = Field(None, description=_COST)
    status: Literal["active", "deleted"]
    source_updated_at: datetime | None
    last_seen_at: datetime = Field(description="When the feed last showed the stone.")
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    your_hold: YourHold | None = Field(
        None, description="null when you do not hold it, whoever else does. Lists leave it out."
    )


class Pagination(Answer):
    total: int = Field(description="Everything that the search finds, exactly.")
    page: int | None = Field(description="null when a cursor was followed.")
    limit: int
    total_pages: int
    next_cursor: str | None = Field(description="Goes on behind this page; null at the end.")


class ListOf(Answer, Generic[Item]):
    data: list[Item]
    pagination: Pagination

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """What generated clients call it: DiamondList for ListOf[Diamond]."""
        return f"{_plain_name(params[0])}List"


class One(Answer, Generic[Item]):
    data: Item

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """What generated clients call it: DiamondAnswer for One[Diamond]."""
        return f"{_plain_name(params[0])}Answer"


class ErrorDetails(Answer):
    code: ErrorCode
    message: str = Field(description="For people; may change.")
    details: Any = Field(None, description="What exactly; its shape depends on the code.")
    hint: str = Field(description="What to do, and where the code is explained.")
    trace_id: str = Field(description="Name it when you ask about this error.")


class Error(Answer):
    error: ErrorDetails


class Health(Answer):
    status: Literal["ok"]
    timestamp: datetime


class Component(Answer):
    status: Literal["ok", "failed"]
    problem: str | None = None


class Readiness(Answer):
    status: Literal["ready", "not_ready"]
    timestamp: datetime
    components: dict[str, Component]


def _plain_name(item: Any) -> str:
    """The name of a type in the name of another: list[Diamond] is DiamondArray."""
    if get_origin(item) is list:
        return f"{_plain_name(get_args(item)[0])}Array"
    name: str = item.__name__
    return name[0].upper() + name[1:]


def _texts(content: Any) -> Iterator[str]:
    """Every text in plain JSON, names included."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for name, value in content.items():
            yield from _texts(name)
            yield from _texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value)
