"""Which rule prices a stone and what comes out: rules compiled to tables, whole batches at once, exact.

Of one feed, the first matching rule depends on nothing but the shape, the type and the carat interval between
two bounds of rules. Every such combination is decided once, when the rules are compiled; a stone then costs a
search among the bounds and a look-up, however many rules there are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diamond_opus.domain.errors import Skippable
from diamond_opus.domain.money import RATIO_SCALE, cents_to_dollars
from diamond_opus.domain.shapes import normalise_shape
from diamond_opus.pricing.rules import (
    HIGHEST_CARATS_HUNDREDTHS,
    InvalidRule,
    PricingRule,
    matching_order,
)

#: A stone that no rule matches.
NO_RULE = -1
DEFAULT_RATIO_E4 = 11_500
DEFAULT_RATING = 5
#: ``rating`` of a stone whose rule gives none.
NO_RATING = 0

#: What NUMERIC(12,2) holds; times the highest ratio it still fits 64 bits.
HIGHEST_CENTS = 999_999_999_999

_OTHER_SHAPE = 0
_MOST_REMEMBERED_SHAPES = 10_000

Ints = NDArray[np.int64]


class UnpriceableStone(Skippable):
    """Stones of a batch that have no price: a cost or a weight out of range, or a price too big to store.

    ``positions`` are all such stones of the batch; the message tells of the first. ``rule_id`` is its rule's,
    None when none matched or none was looked for.
    """

    def __init__(self, message: str, positions: Sequence[int], rule_id: UUID | str | None) -> None:
        super().__init__(message)
        self.positions = tuple(positions)
        self.rule_id = rule_id


@dataclass(frozen=True, slots=True, eq=False)
class PricedColumns:
    """The prices of a batch, one entry a stone, in its order.

    ``price_model_price_cents`` is the selling price, ``price_per_carat_cents`` is of the cost. ``rating`` is
    NO_RATING (0) where the rule gives none. ``rule_index`` points into ``rules``; NO_RULE (-1) is no match.
    """

    price_model_price_cents: Ints
    price_per_carat_cents: Ints
    markup_ratio_e4: Ints
    rating: NDArray[np.int16]
    rule_index: NDArray[np.int32]
    rules: tuple[PricingRule, ...]
    rule_ids: NDArray[np.object_]

    def matched_rule_ids(self) -> NDArray[np.object_]:
        """The id of the rule that priced each stone, None where none matched."""
        matched: NDArray[np.object_] = self.rule_ids[self.rule_index]
        return matched

    def count_by_rule(self) -> int:
        """How many were priced by a rule that is not made for every stone."""
        # The last is what a stone without a rule gets, where the index -1 points.
        is_own = np.array([*(not rule.takes_every_stone for rule in self.rules), False], np.bool_)
        return int(np.count_nonzero(is_own[self.rule_index]))


class RuleBook:
    """The active rules in their order, compiled; never changes, so any number of readers may share it.

    Raises InvalidRule when two active rules have one id.
    """

    def __init__(self, rules: Iterable[PricingRule]) -> None:
        self.rules = tuple(sorted((rule for rule in rules if rule.active), key=matching_order))
        _refuse_doubled_ids(self.rules)
        names = sorted(set().union(*(rule.normalised_shapes or () for rule in self.rules)))
        shape_codes = {name: code for code, name in enumerate(names, start=_OTHER_SHAPE + 1)}
        self._codes_by_spelling = _CodesBySpelling(shape_codes)
        feeds = {None, *(rule.feed for rule in self.rules)}
        self._tables = {feed: _MatchTable(self.rules, feed, shape_codes) for feed in feeds}
        # Each ends with what a stone without a rule gets, which is where the index -1 points.
        self._ratios = np.array([*(rule.markup_ratio_e4 for rule in self.rules), DEFAULT_RATIO_E4], np.int64)
        self._ratings = np.array(
            [*(rule.rating or NO_RATING for rule in self.rules), DEFAULT_RATING], np.int16
        )
        self.rule_ids: NDArray[np.object_] = np.empty(len(self.rules) + 1, np.object_)
        self.rule_ids[:-1] = [rule.id for rule in self.rules]
        self.rule_ids.flags.writeable = False

    def match(
        self, feed: str, carats_hundredths: ArrayLike, shapes: Sequence[str], lab_grown: ArrayLike
    ) -> NDArray[np.int32]:
        """The index of the first matching rule for each stone, NO_RULE where there is none.

        Raises UnpriceableStone for carats out of range, and otherwise as ``price_columns``.
        """
        types = _booleans("lab_grown", lab_grown, len(shapes))
        return self._look_up(feed, _carats(carats_hundredths, len(shapes), None), shapes, types)

    def price_columns(
        self,
        feed: str,
        carats_hundredths: ArrayLike,
        shapes: Sequence[str],
        lab_grown: ArrayLike,
        feed_price_cents: ArrayLike,
        *,
        stone_ids: Sequence[str] | None = None,
    ) -> PricedColumns:
        """Price a batch: whole cents, rounded half up once; ``stone_ids`` only name stones in errors.

        Raises UnpriceableStone for stones without a price, ValueError for columns of different lengths and
        TypeError for a column that is not of integers (of booleans for ``lab_grown``).
        """
        carats = _carats(carats_hundredths, len(shapes), stone_ids)
        costs = _whole_numbers("feed_price_cents", feed_price_cents, len(shapes), HIGHEST_CENTS, stone_ids)
        index = self._look_up(feed, carats, shapes, _booleans("lab_grown", lab_grown, len(shapes)))
        ratios = self._ratios[index]
        prices = (costs * ratios + RATIO_SCALE // 2) // RATIO_SCALE
        per_carat = (costs * 200 + carats) // (2 * carats)
        self._refuse_too_big("selling price", prices, costs, index, stone_ids)
        self._refuse_too_big("price per carat", per_carat, costs, index, stone_ids)
        return PricedColumns(
            prices, per_carat, ratios, self._ratings[index], index, self.rules, self.rule_ids
        )

    def _look_up(
        self, feed: str, carats: Ints, shapes: Sequence[str], lab_grown: NDArray[np.bool_]
    ) -> NDArray[np.int32]:
        codes = np.fromiter(map(self._codes_by_spelling.__getitem__, shapes), np.intp, len(shapes))
        return self._tables.get(feed, self._tables[None]).look_up(codes, lab_grown, carats)

    def _refuse_too_big(
        self, what: str, cents: Ints, costs: Ints, index: NDArray[np.int32], stone_ids: Sequence[str] | None
    ) -> None:
        if int(cents.max(initial=0)) <= HIGHEST_CENTS:
            return
        positions = np.flatnonzero(cents > HIGHEST_CENTS).tolist()
        first = positions[0]
        rule_id = self.rule_ids[index[first]]
        by = "no rule, the default ratio" if rule_id is None else f"pricing rule {rule_id}"
        raise UnpriceableStone(
            f"{_named(first, stone_ids)}: its {what} would be {cents_to_dollars(int(cents[first]))} dollars"
            f" (cost {cents_to_dollars(int(costs[first]))}, {by}), which is more than"
            f" {cents_to_dollars(HIGHEST_CENTS)}; correct its cost or the rule{_others(positions)}",
            positions,
            rule_id,
        )


class _MatchTable:
    """For one feed, the index of the first matching rule by shape code, type and carat interval."""

    def __init__(
        self, rules: Sequence[PricingRule], feed: str | None, shape_codes: Mapping[str, int]
    ) -> None:
        own = [(index, rule) for index, rule in enumerate(rules) if rule.feed is None or rule.feed == feed]
        starts = {rule.carat_min_hundredths for _, rule in own if rule.carat_min_hundredths is not None}
        ends = {rule.carat_max_hundredths + 1 for _, rule in own if rule.carat_max_hundredths is not None}
        self._bounds: Ints = np.array(sorted(starts | ends), np.int64)
        first_match = np.full((len(shape_codes) + 1, 2, len(self._bounds) + 1), NO_RULE, np.int32)
        for index, rule in reversed(own):
            types = slice(None) if rule.lab_grown is None else slice(rule.lab_grown, rule.lab_grown + 1)
            shapes = rule.normalised_shapes
            codes = slice(None) if shapes is None else [shape_codes[name] for name in shapes]
            first_match[codes, types, self._intervals(rule)] = index
        self._intervals_a_type = first_match.shape[2]
        self._first_match = first_match.ravel()

    def _intervals(self, rule: PricingRule) -> slice:
        low, high = rule.carat_min_hundredths, rule.carat_max_hundredths
        start = 0 if low is None else int(np.searchsorted(self._bounds, low, side="right"))
        end = len(self._bounds) if high is None else int(np.searchsorted(self._bounds, high, side="right"))
        return slice(start, end + 1)

    def look_up(
        self, shape_codes: NDArray[np.intp], lab_grown: NDArray[np.bool_], carats: Ints
    ) -> NDArray[np.int32]:
        interval = np.searchsorted(self._bounds, carats, side="right")
        found: NDArray[np.int32] = self._first_match[
            (shape_codes * 2 + lab_grown) * self._intervals_a_type + interval
        ]
        return found


class _CodesBySpelling(dict[str, int]):
    """Shape codes by the text a stone carries, each normalised once; shapes without a rule share one code."""

    def __init__(self, codes: Mapping[str, int]) -> None:
        super().__init__()
        self._codes = codes

    def __missing__(self, spelling: str) -> int:
        code = self._codes.get(normalise_shape(spelling), _OTHER_SHAPE)
        if len(self) < _MOST_REMEMBERED_SHAPES:
            self[spelling] = code
        return code


def _refuse_doubled_ids(rules: Sequence[PricingRule]) -> None:
    seen: set[str] = set()
    for rule in rules:
        if str(rule.id) in seen:
            raise InvalidRule(rule.id, "id", str(rule.id), "an id that no other active rule has")
        seen.add(str(rule.id))


def _booleans(name: str, values: ArrayLike, length: int) -> NDArray[np.bool_]:
    array = _of_length(name, values, length)
    if length and array.dtype.kind != "b":
        raise TypeError(f"{name} must be booleans, not {array.dtype}")
    return array.astype(np.bool_, copy=False)


def _carats(hundredths: ArrayLike, length: int, stone_ids: Sequence[str] | None) -> Ints:
    return _whole_numbers("carats_hundredths", hundredths, length, HIGHEST_CARATS_HUNDREDTHS, stone_ids)


def _whole_numbers(
    name: str, values: ArrayLike, length: int, highest: int, stone_ids: Sequence[str] | None
) -> Ints:
    """The column in 64 bits, checked in its own type: a value that does not fit must not wrap into range."""
    array = _of_length(name, values, length)
    if length and array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be whole numbers of at most 64 bits, not {array.dtype}")
    if length and not (array.min() >= 1 and array.max() <= highest):
        positions = np.flatnonzero((array < 1) | (array > highest)).tolist()
        raise UnpriceableStone(
            f"{_named(positions[0], stone_ids)}: {name} is {array[positions[0]]}, allowed is 1 to {highest};"
            f" such a stone cannot be priced{_others(positions)}",
            positions,
            None,
        )
    return array.astype(np.int64, copy=False)


def _of_length(name: str, values: ArrayLike, length: int) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != (length,):
        raise ValueError(
            f"{name} has the shape {array.shape}, wanted is one entry for each of {length} stones"
        )
    return array


def _named(position: int, stone_ids: Sequence[str] | None) -> str:
    return f"stone {position} of the batch" if stone_ids is None else f"stone {stone_ids[position]}"


def _others(positions: Sequence[int]) -> str:
    return "" if len(positions) == 1 else f" ({len(positions) - 1} more of the batch as well)"
