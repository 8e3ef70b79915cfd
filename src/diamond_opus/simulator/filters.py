"""Understands a DiamondQuery; a field without an honest effect is refused by name.

An absent, null or empty value filters nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from diamond_opus.simulator import vocabulary as words
from diamond_opus.simulator.columns import Columns, Rows
from diamond_opus.simulator.predicates import PREDICATES, Predicate, RefusedFilterError, marked_up, member

_INT32_MAX = 2_147_483_647

#: Fields that may be given as false only: what they ask for is not simulated.
_HARMLESS_IF_FALSE = frozenset({
    "search_on_preferred_currency", "add_taxes_on_search", "rjc", "cv", "is_fbn", "post_growth",
    "sustainability_rated_diamond", "hearts_arrows",
})  # fmt: skip

#: Fields with an effect.
_KNOWN = frozenset(PREDICATES) | {
    "labgrown", "dollar_value", "search_on_markup_price", "suppliers", "filter_ids", "certificate_numbers",
    "sub", "sue", "sul", "suk", "key_to_symbols_contains",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    """A DiamondQuery, ready to be applied. ``key`` is equal for equal queries.

    ``cents`` is the inclusive price range, kept apart because an index answers it. ``named`` are the rows
    to look at when the query names stones; nothing else is looked at then. ``is_inverted`` marks a
    whole-dollar range whose ends stand the wrong way round.
    """

    key: bytes
    lab_grown: bool | None
    cents: tuple[int, int] | None
    predicates: tuple[Predicate, ...]
    named: tuple[int, ...] | None = None
    is_inverted: bool = False

    def matches(self, columns: Columns, rows: Rows) -> Rows:
        """Those of ``rows`` that are listed and match, in the order given."""
        kept = rows[columns.present[rows]]
        if self.lab_grown is not None:
            kept = kept[columns.lab_grown[kept] == self.lab_grown]
        if self.cents is not None:
            prices = columns.price_cents[kept]
            kept = kept[(prices >= self.cents[0]) & (prices <= self.cents[1])]
        for predicate in self.predicates:
            kept = kept[predicate(columns, kept)]
        return kept


@dataclass(frozen=True, slots=True)
class Lookup:
    """How names become rows; the inventory provides both."""

    rows_of_ids: Callable[[Sequence[str]], list[int]]
    rows_of_certificates: Callable[[Sequence[str]], list[int]]
    supplier_codes: Callable[[Sequence[str]], list[int]]


def compile_filter(query: Mapping[str, Any] | None, lookup: Lookup) -> Filter:
    """A coerced DiamondQuery as a Filter. Raises RefusedFilterError."""
    given = {name: _without_nulls(value) for name, value in (query or {}).items()}
    given = {name: value for name, value in given.items() if value is not None and value != []}
    key = orjson.dumps(given, option=orjson.OPT_SORT_KEYS)
    if numbers := given.get("certificate_numbers"):
        return Filter(key, None, None, (), tuple(lookup.rows_of_certificates(numbers)))
    if refused := [name for name in given if name not in _KNOWN and not _is_harmless(name, given[name])]:
        raise RefusedFilterError(f'The filter "{refused[0]}" is not offered here; leave it out.')
    ids = given.get("filter_ids")
    on_markup = bool(given.get("search_on_markup_price"))
    predicates = [make(given, name) for name, make in PREDICATES.items() if name in given]
    if suppliers := given.get("suppliers"):
        predicates.append(member("supplier", lookup.supplier_codes(suppliers), words.SUPPLIER_COUNT))
    cents = _cents(given.get("dollar_value"))
    if cents and on_markup:
        predicates.append(marked_up(cents))
    return Filter(
        key,
        bool(given.get("labgrown", False)),
        None if on_markup else cents,
        tuple(predicates),
        None if ids is None else tuple(lookup.rows_of_ids(ids)),
        any(
            given[name]["from"] > given[name]["to"]
            for name in ("dollar_value", "dollar_per_carat")
            if name in given
        ),
    )


def _without_nulls(value: Any) -> Any:
    return [item for item in value if item is not None] if isinstance(value, list) else value


def _is_harmless(name: str, value: object) -> bool:
    """Asking for what holds anyway: no taxes, no other currency, the custom query the server defaults to."""
    return (name in _HARMLESS_IF_FALSE and value is False) or (name == "custom_query" and value is True)


def _cents(dollars: Mapping[str, int] | None) -> tuple[int, int] | None:
    if dollars is None:
        return None
    low, high = (max(-1, min(dollars[end] * 100, _INT32_MAX)) for end in ("from", "to"))
    return low, high
