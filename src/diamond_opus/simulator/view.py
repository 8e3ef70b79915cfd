"""A few stones of the inventory, with everything their payloads share worked out once."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from diamond_opus.simulator import vocabulary as words
from diamond_opus.simulator.columns import Rows
from diamond_opus.simulator.hostile import Facts, Overrides, kind_of
from diamond_opus.simulator.inventory import Inventory

_CERTIFICATE_PURPOSE, _VIEWER_PURPOSE, _SALT_PURPOSE, _STOCK_PURPOSE = 10, 20, 30, 40

_GIA, _IGI, _NONE = (words.NATURAL_LABS.code(lab) for lab in ("GIA", "IGI", "NONE"))


class View:
    """The stones of ``rows`` in that order; lists are as long as ``rows``."""

    def __init__(self, inventory: Inventory, rows: Rows) -> None:
        self.inventory = inventory
        self.rows = rows
        self._columns: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[int]:
        """A column's values for these stones (bool columns give bools)."""
        known = self._columns.get(name)
        if known is None:
            known = self._columns[name] = getattr(self.inventory.columns, name)[self.rows].tolist()
        return known

    @cached_property
    def row_list(self) -> list[int]:
        numbers: list[int] = self.rows.tolist()
        return numbers

    @cached_property
    def stone_ids(self) -> list[str]:
        return self.inventory.identities.stone_ids(self.rows)

    @cached_property
    def certificate_rows(self) -> Rows:
        return self.inventory.certificate_rows(self.rows)

    @cached_property
    def certificate_ids(self) -> list[str]:
        return self.inventory.identities.derived_ids(self.certificate_rows, _CERTIFICATE_PURPOSE)

    @cached_property
    def viewer_ids(self) -> list[str]:
        return self.inventory.identities.derived_ids(self.rows, _VIEWER_PURPOSE)

    @cached_property
    def certificate_numbers(self) -> list[str]:
        serial = self.inventory.identities.certificate_serial
        return [
            _certificate_number(serial(row), lab, lab_grown=bool(lab_grown))
            for row, lab, lab_grown in zip(
                self.certificate_rows.tolist(), self.column("lab"), self.column("lab_grown"), strict=True
            )
        ]

    @cached_property
    def salts(self) -> list[int]:
        bits: list[int] = self.inventory.identities.salts(self.rows, _SALT_PURPOSE).tolist()
        return bits

    @cached_property
    def stock_numbers(self) -> list[int]:
        bits: list[int] = (
            self.inventory.identities.salts(self.rows, _STOCK_PURPOSE) % np.uint64(10**8)
        ).tolist()
        return bits

    def overrides(self) -> dict[int, Overrides]:
        """What the hostile ones among these stones answer, by position."""
        codes = self.inventory.columns.hostile[self.rows]
        if not codes.any():
            return {}
        found: dict[int, Overrides] = {}
        for position in np.flatnonzero(codes).tolist():
            kind = kind_of(int(codes[position]))
            if kind is not None:
                facts = Facts(
                    self.column("price_cents")[position],
                    self.column("carats_h")[position],
                    self.salts[position],
                )
                found[position] = kind.overrides(facts)
        return found


def rows_of_certificates(inventory: Inventory, numbers: Sequence[str]) -> list[int]:
    """Every listed stone whose certificate has one of these numbers; other texts name none."""
    rows: list[int] = []
    for number in numbers:
        digits = "".join(character for character in number if character.isdigit())[-9:]
        row = inventory.identities.row_of_serial(int(digits), inventory.born) if len(digits) == 9 else None
        if row is not None and View(inventory, np.array([row])).certificate_numbers == [number]:
            rows.extend(inventory.twins_of(row))
    return rows


def _certificate_number(serial: int, lab: int, *, lab_grown: bool) -> str:
    """Ten digits of GIA, LG and nine of IGI for lab-grown stones, a stock string where there is no
    laboratory.
    """
    if lab == _GIA:
        return f"{serial % 6 + 1}{serial}"
    if lab == _IGI:
        return f"LG{serial}" if lab_grown else str(serial)
    if lab == _NONE:
        return f"examplegems{serial}B"
    return f"190{serial}"
