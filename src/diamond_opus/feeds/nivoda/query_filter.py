"""Which DiamondQuery asks for a selection: within the operator's base filter, never wider than either."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.trading import OfferQuestion

if TYPE_CHECKING:
    from graphql import GraphQLSchema

#: The end of an open price range: the largest Int of GraphQL.
OPEN_PRICE = 2_147_483_647

#: The end of an open carat range.
OPEN_CARATS = 1_000_000.0

#: New stones join at the end, so that the offsets of what was read stay as they are.
OLDEST_FIRST: Mapping[str, str] = {"type": "createdAt", "direction": "ASC"}

#: The supplier's list of shapes; several spellings of one shape are separate values of its filter.
SHAPES: Sequence[str] = (
    "ROUND", "OCTAGONAL", "ASSCHER", "ROUND MODIFIED BRILLIANT", "OTHER", "EMERALD", "PENTAGONAL",
    "RECTANGULAR", "BRIOLETTE", "PEAR MODIFIED BRILLIANT", "OLD EUROPEAN", "SQUARE", "PEAR", "CUSHION B",
    "KITE", "EUROPEAN", "HEXAGONAL", "BULLET", "RECTANGLE", "TRAPEZOID", "HALFMOON", "SHIELD",
    "OVAL MIXED CUT", "OVAL", "TRAPEZE", "BAGUETTE", "CUSHION MODIFIED", "CUSHION BRILLIANT", "RADIANT",
    "FAN", "TETRAGONAL",
    "TAPERED BAGUETTE", "CUSHION", "SQUARE EMERALD", "HEART", "ASCHER", "HALF MOON", "PRAD", "LOZENGE",
    "PRINCESS", "HEPTAGONAL", "TRILLIANT", "ROSE", "SQUARE RADIANT", "FLANDERS", "OLD MINER", "MARQUISE",
    "NONAGONAL", "EUROPEAN CUT", "TRIANGULAR",
)  # fmt: skip

#: The values of the schema's DiamondColor.
COLORS: Sequence[str] = (
    "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "NO", "O", "OP", "PR", "P", "Q", "QR", "R", "S",
    "SZ", "ST", "T", "U", "UV", "V", "W", "WX", "X", "XY", "Y", "YZ", "Z", "FANCY",
)  # fmt: skip

_OWN_FIELDS: Mapping[str, str] = {
    "labgrown": "both types are asked for, one after the other",
    "dollar_value": "the price range is what the inventory is divided by",
    "updated": "the run sets it",
    "filter_ids": "stones are looked up by it",
    "certificate_numbers": "the supplier then ignores the rest of the query",
}


#: The schema's messages end with the whole value, which the reader has before them.
_FOUND = re.compile(r",? found: .*$", re.DOTALL | re.IGNORECASE)


def validate_filter(text: str) -> dict[str, Any]:
    """``NIVODA_FILTER`` as the DiamondQuery it stands for, checked against the supplier's schema.

    Single values where the schema has lists become lists, as the supplier reads them.
    Raises ConfigurationError that names every wrong field.
    """
    if not text.strip():
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigurationError(f"NIVODA_FILTER is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigurationError(
            'NIVODA_FILTER must be a JSON object, such as {"availability": ["AVAILABLE"]}'
        )
    base, problems = _coerce(value)
    problems += [f"{name} cannot be set: {why}" for name, why in _OWN_FIELDS.items() if name in value]
    problems += [problem for name, part in base.items() for problem in _doubtful(name, part)]
    if problems:
        raise ConfigurationError(f"NIVODA_FILTER: {'; '.join(problems)}")
    return base


def build_query(base: Mapping[str, Any], selection: Selection) -> dict[str, Any] | None:
    """The DiamondQuery for ``selection`` within ``base`` (see :func:`validate_filter`).

    None when nothing can match both. Raises ValueError for an inverted or empty selection, to which the
    supplier would answer with arbitrary stones.

    >>> build_query({}, Selection(lab_grown=False, price_from=1200, price_to=1340))
    {'labgrown': False, 'dollar_value': {'from': 1200, 'to': 1340}}
    """
    _refuse_inverted(selection)
    query: dict[str, Any] = {**base, "labgrown": selection.lab_grown}
    if selection.price_from > 0 or selection.price_to is not None:
        to = OPEN_PRICE if selection.price_to is None else selection.price_to
        query["dollar_value"] = {"from": selection.price_from, "to": to}
    if selection.carats_from is not None or selection.carats_to is not None:
        query["sizes"] = _clip_sizes(base.get("sizes"), selection)
    if selection.shapes is not None:
        query["shapes"] = _intersect(base.get("shapes"), selection.shapes)
    if selection.colors is not None:
        query["color"] = _intersect(base.get("color"), selection.colors)
    if selection.updated_from is not None:
        query["updated"] = {"from": _iso(selection.updated_from)}
    return None if [] in (query.get("sizes"), query.get("shapes"), query.get("color")) else query


def build_lookup(base: Mapping[str, Any], ids: Sequence[str], *, lab_grown: bool) -> dict[str, Any]:
    """The DiamondQuery for single stones within the base filter."""
    return {**base, "labgrown": lab_grown, "filter_ids": list(ids)}


def build_offer_query(question: OfferQuestion) -> dict[str, Any]:
    """The DiamondQuery of a person's question; the inventory's own filter does not narrow it.

    >>> build_offer_query(OfferQuestion(price_from=1000, carats_to=150, has_video=True))
    {'labgrown': False, 'dollar_value': {'from': 1000, 'to': 2147483647}, 'sizes': [{'from': 0.0, 'to': 1.5}], \
'has_v360': True}
    """
    query: dict[str, Any] = {"labgrown": question.lab_grown}
    if question.price_from is not None or question.price_to is not None:
        to = OPEN_PRICE if question.price_to is None else question.price_to
        query["dollar_value"] = {"from": question.price_from or 0, "to": to}
    if question.carats_from is not None or question.carats_to is not None:
        high = OPEN_CARATS if question.carats_to is None else question.carats_to / 100
        query["sizes"] = [{"from": (question.carats_from or 0) / 100, "to": high}]
    if question.shapes:
        query["shapes"] = list(question.shapes)
    if question.has_image is not None:
        query["has_image"] = question.has_image
    if question.has_video is not None:
        query["has_v360"] = question.has_video
    return query


def _refuse_inverted(selection: Selection) -> None:
    price_to = OPEN_PRICE if selection.price_to is None else selection.price_to
    if not 0 <= selection.price_from <= price_to <= OPEN_PRICE:
        raise ValueError(f"no price can be in this selection: {selection}")
    if selection.carats_to is not None and not (selection.carats_from or 0) <= selection.carats_to:
        raise ValueError(f"no weight can be in this selection: {selection}")
    if (selection.carats_from or 0) < 0 or selection.shapes == () or selection.colors == ():
        raise ValueError(f"no stone can be in this selection: {selection}")
    if selection.updated_from is not None and selection.updated_from.tzinfo is None:
        raise ValueError(f"updated_from must be aware: {selection.updated_from}")


def _clip_sizes(base: Sequence[Mapping[str, float]] | None, selection: Selection) -> list[dict[str, float]]:
    low = (selection.carats_from or 0) / 100
    high = OPEN_CARATS if selection.carats_to is None else selection.carats_to / 100
    if base is None:
        return [{"from": low, "to": high}]
    clipped = ({"from": max(low, part["from"]), "to": min(high, part["to"])} for part in base)
    return [part for part in clipped if part["from"] <= part["to"]]


def _intersect(base: Sequence[str] | None, asked: Sequence[str]) -> list[str]:
    if base is None:
        return list(asked)
    allowed = {name.upper() for name in base}
    return [name for name in asked if name.upper() in allowed]


def _iso(moment: datetime) -> str:
    """UTC with milliseconds cut off, never rounded up: a later start would miss stones."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def _schema() -> "GraphQLSchema":
    from graphql import build_schema  # a third of a second to import, needed only where a filter is set

    return build_schema(files("diamond_opus.feeds.nivoda").joinpath("schema.graphql").read_text())


def _coerce(value: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The filter as the schema reads it, without nulls, and what the schema has against it."""
    from graphql import GraphQLError, GraphQLInputObjectType
    from graphql.utilities import coerce_input_value, validate_input_value

    problems: list[str] = []

    def note(error: GraphQLError, path: list[str | int]) -> None:
        place = ".".join(str(part) for part in path)
        message = _FOUND.sub("", error.message)
        problems.append(f"{place}: {message}" if place else message)

    kind = _schema().type_map["DiamondQuery"]
    if not isinstance(kind, GraphQLInputObjectType):
        raise TypeError("schema.graphql has no input type DiamondQuery")
    validate_input_value(value, kind, note)
    if problems:
        return {}, problems
    coerced = coerce_input_value(value, kind)
    return {name: part for name, part in coerced.items() if part is not None}, problems


def _doubtful(name: str, part: Any) -> list[str]:
    """What the schema allows and the supplier would answer with arbitrary stones, or not at all."""
    if isinstance(part, list):
        if not part:
            return [f"{name}: an empty list; leave the field out instead"]
        if None in part:
            return [f"{name}: a null in the list"]
        return [problem for one in part for problem in _doubtful(name, one)]
    if isinstance(part, dict) and "from" in part and "to" in part and part["from"] > part["to"]:
        return [f"{name}: from {part['from']} to {part['to']} is the wrong way round"]
    return []
