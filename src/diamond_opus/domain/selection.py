"""Which stones a question is about: one immutable value that every feed translates to its own filter."""

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Selection:
    """Stones of one type in closed ranges; every end is inclusive, None means unbounded.

    Prices are whole US dollars, as the suppliers' filters are; carats are hundredths.
    ``updated_from`` asks only for stones that changed at or after it; there is no upper end on
    purpose: a stone that changes while it is read would drop out of such a window.
    """

    lab_grown: bool
    price_from: int = 0
    price_to: int | None = None
    carats_from: int | None = None
    carats_to: int | None = None
    shapes: tuple[str, ...] | None = None
    colors: tuple[str, ...] | None = None
    updated_from: datetime | None = None

    def priced(self, price_from: int, price_to: int | None) -> "Selection":
        return replace(self, price_from=price_from, price_to=price_to)

    def __str__(self) -> str:
        kind = "lab-grown" if self.lab_grown else "natural"
        to = "up" if self.price_to is None else f"{self.price_to}"
        parts = [f"{kind} USD {self.price_from} to {to}"]
        if self.carats_from is not None or self.carats_to is not None:
            parts.append(f"{(self.carats_from or 0) / 100:.2f} to {(self.carats_to or 0) / 100:.2f} ct")
        if self.shapes is not None:
            parts.append(f"{len(self.shapes)} shapes")
        if self.colors is not None:
            parts.append(f"{len(self.colors)} colors")
        return ", ".join(parts)
