"""The ground truth: what every stone ever listed really is, and what an honest reader makes of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from diamond_opus.simulator.hostile import Failure, FieldPath, Overrides, Verdict, kind_of
from diamond_opus.simulator.inventory import Inventory
from diamond_opus.simulator.view import View
from diamond_opus.simulator.vocabulary import AVAILABILITIES, SHAPES

_CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class StoneTruth:
    """One stone. ``price_cents``, ``carats`` and ``shape`` are what the supplier answers (None where it
    answers null); ``listed_price_cents`` is what its filters and orders go by.

    Event numbers count every change since the start, which is 0: the stone is listed from ``first_event``
    until ``last_event`` (None while it is present). ``price_history`` holds (event number, listed cents),
    oldest first.
    """

    id: str
    offer_id: str
    lab_grown: bool
    price_cents: Any
    listed_price_cents: int
    carats: Any
    shape: str | None
    availability: str | None
    certificate_number: str
    hostile: str | None
    verdict: Verdict
    reason: str | None
    present: bool
    created_ms: int
    updated_ms: int
    first_event: int
    last_event: int | None
    first_at_ms: int | None
    last_at_ms: int | None
    price_history: list[tuple[int, int]]
    hold_id: str | None
    order_item_id: str | None


def truths(inventory: Inventory) -> Iterator[StoneTruth]:
    """Every stone ever listed, in the order they came."""
    for start in range(0, inventory.born, _CHUNK):
        yield from _chunk(inventory, start)


def ndjson(inventory: Inventory) -> Iterator[bytes]:
    """The same as lines of JSON, in chunks."""
    for start in range(0, inventory.born, _CHUNK):
        yield b"".join(
            orjson.dumps(truth, option=orjson.OPT_APPEND_NEWLINE) for truth in _chunk(inventory, start)
        )


def _chunk(inventory: Inventory, start: int) -> list[StoneTruth]:
    view = View(inventory, np.arange(start, min(start + _CHUNK, inventory.born)))
    overrides = view.overrides()
    return [_truth(view, position, overrides.get(position, {})) for position in range(len(view))]


def _truth(view: View, position: int, overrides: Overrides) -> StoneTruth:
    inventory, row = view.inventory, view.row_list[position]

    def of(column: str) -> Any:
        return view.column(column)[position]

    kind = kind_of(of("hostile"))
    listed = of("price_cents")
    first, last = of("first_event"), of("last_event")
    return StoneTruth(
        id=view.stone_ids[position],
        offer_id=f"DIAMOND/{view.stone_ids[position]}",
        lab_grown=of("lab_grown"),
        price_cents=_answered(overrides, ("price",), listed),
        listed_price_cents=listed,
        carats=_answered(overrides, ("diamond", "certificate", "carats"), of("carats_h") / 100),
        shape=_answered(overrides, ("diamond", "certificate", "shape"), SHAPES.text(of("shape"))),
        availability=_answered(
            overrides, ("diamond", "availability"), AVAILABILITIES.text(of("availability"))
        ),
        certificate_number=view.certificate_numbers[position],
        hostile=kind.name if kind else None,
        verdict=kind.verdict if kind else "accepted",
        reason=kind.reason if kind else None,
        present=of("present"),
        created_ms=of("created_ms"),
        updated_ms=of("updated_ms"),
        first_event=first,
        last_event=None if last < 0 else last,
        first_at_ms=inventory.log.at_ms(first) if first else None,
        last_at_ms=inventory.log.at_ms(last) if last >= 0 else None,
        price_history=inventory.price_history.get(row) or [(first, listed)],
        hold_id=inventory.hold_ids.get(row),
        order_item_id=inventory.order_item_ids.get(row),
    )


def _answered(overrides: Overrides, path: FieldPath, otherwise: Any) -> Any:
    value = overrides.get(path)
    if value is None:
        return otherwise
    return None if isinstance(value, Failure) else orjson.loads(value)
