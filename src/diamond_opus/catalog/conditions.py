"""What a filter asks of a stone, in words that both SQL and the index in memory understand.

Numbers are whole: cents, hundredths of a carat, thousandths of a ratio; ``scale`` says how many make one.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The text column holds one of the values asked for."""

    column: str


@dataclass(frozen=True, slots=True)
class AtLeast:
    column: str
    scale: int = 1

    def bound(self, value: Decimal | int) -> int:
        """The smallest whole number that is enough.

        >>> AtLeast("ratio", 1000).bound(Decimal("1.2341"))
        1235
        """
        return int((Decimal(value) * self.scale).to_integral_value(ROUND_CEILING))


@dataclass(frozen=True, slots=True)
class AtMost:
    column: str
    scale: int = 1

    def bound(self, value: Decimal | int) -> int:
        """The largest whole number that is not too much.

        >>> AtMost("ratio", 1000).bound(Decimal("1.2349"))
        1234
        """
        return int((Decimal(value) * self.scale).to_integral_value(ROUND_FLOOR))


@dataclass(frozen=True, slots=True)
class IsTrue:
    """A fact about the stone that is true, false or (``nullable``) unknown; unknown meets neither question."""

    fact: str
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class OnlySql:
    """Left to the database: it finds few stones by an index, or reaches beyond those on sale."""


Condition = AnyOf | AtLeast | AtMost | IsTrue | OnlySql


def is_in_memory(conditions: Collection[Condition]) -> bool:
    """Whether the index can answer a question with these."""
    return not any(isinstance(condition, OnlySql) for condition in conditions)
