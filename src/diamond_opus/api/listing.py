"""Lists by page: the parameters that each of them has, and which rows they mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diamond_opus.catalog.parameters import Parameter, WholeNumber

_PAGE = Parameter("page", WholeNumber(1, 10_000), "Which page, from 1.", default=1)
_LIMIT = Parameter("limit", WholeNumber(1, 100), "Rows a page.", default=50)


@dataclass(frozen=True, slots=True)
class Position:
    """Which rows of a list are asked for."""

    page: int
    limit: int

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


def listing(*own: Parameter) -> Mapping[str, Parameter]:
    """The parameters of a list: its own filters, then page and limit."""
    return {parameter.name: parameter for parameter in (*own, _PAGE, _LIMIT)}


def position_of(values: Mapping[str, Any]) -> Position:
    return Position(values.get("page", _PAGE.default), values.get("limit", _LIMIT.default))
