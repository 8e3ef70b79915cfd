"""How a query string becomes typed values: every parameter is known, every problem named, nothing ignored."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Protocol
from uuid import UUID

from diamond_opus.domain.errors import DiamondError

MOST_VALUES = 100

_MOST_SHOWN = 100
_SEPARATORS = re.compile(r"[\s_-]+")
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_DECIMAL = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,20})?(?:[eE][-+]?[0-9]{1,2})?")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a request: which parameter, its value, why, and what would be right."""

    parameter: str
    value: str | None
    message: str
    allowed: Sequence[str] | None = None


class InvalidParameters(DiamondError):
    """The request cannot be understood; ``problems`` holds every one of its faults."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{problem.parameter}: {problem.message}" for problem in problems))
        self.problems = problems


class PermissionMissing(DiamondError):
    """What was asked needs a permission that the caller lacks."""

    def __init__(self, permission: str, subject: str) -> None:
        super().__init__(f"{subject} needs the permission {permission!r}")
        self.permission = permission


class BadValueError(ValueError):
    """A text that is no value of its parameter: why, and what is allowed."""

    def __init__(self, message: str, allowed: Sequence[str] | None = None) -> None:
        super().__init__(message)
        self.allowed = allowed


class Kind(Protocol):
    """A type of value: how it is read, and how OpenAPI describes it."""

    def read(self, text: str) -> Any:
        """The value. Raises BadValueError."""
        ...

    def schema(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Parameter:
    """A name, what it takes, and which permission it needs beyond that of its route, if any."""

    name: str
    kind: Kind
    description: str
    many: bool = False
    needs: str | None = None
    default: Any = None


def read_parameters(
    known: Mapping[str, Parameter], pairs: Iterable[tuple[str, str]], *, may: Collection[str] = ()
) -> dict[str, Any]:
    """The values by name, as far as given; a parameter that takes many yields a tuple without doubles.

    ``pairs`` are the decoded names and values of a query string, in order. Many values may be written
    ``color=D&color=E``, ``color[]=D`` or ``color=D,E``. ``may`` are the caller's permissions.
    Raises InvalidParameters, or PermissionMissing for a parameter that the caller may not use.
    """
    given: dict[str, list[str]] = {}
    problems: list[Problem] = []
    usable = {
        name: parameter for name, parameter in known.items() if not parameter.needs or parameter.needs in may
    }
    for name, text in pairs:
        parameter = _find(known, name)
        if parameter is None:
            problems.append(_unknown(name, text, usable))
        elif parameter.name not in usable:
            raise PermissionMissing(parameter.needs or "", f"the parameter {parameter.name}")
        else:
            given.setdefault(parameter.name, []).append(text)
    values: dict[str, Any] = {}
    for name, texts in given.items():
        try:
            values[name] = _read(known[name], texts)
        except InvalidParameters as error:
            problems.extend(error.problems)
    if problems:
        raise InvalidParameters(problems)
    return values


def require_ordered(values: Mapping[str, Any], ranges: Iterable[tuple[str, str]]) -> None:
    """Check that no minimum is above its maximum. Raises InvalidParameters."""
    problems = [
        Problem(low, str(values[low]), f"must not be above {high}, which is {values[high]}")
        for low, high in ranges
        if low in values and high in values and values[low] > values[high]
    ]
    if problems:
        raise InvalidParameters(problems)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a closed list, in any case and with any separators; ``synonyms`` are further spellings."""

    values: Sequence[str]
    synonyms: Mapping[str, str] = field(default_factory=dict)
    _spellings: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        spellings = {_fold(value): value for value in self.values}
        spellings |= {_fold(spelling): value for spelling, value in self.synonyms.items()}
        object.__setattr__(self, "_spellings", spellings)

    def read(self, text: str) -> str:
        value = self._spellings.get(_fold(text))
        if value is None:
            raise BadValueError("is not known", self.values)
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class Text:
    """A short printable text, brought to the spelling in which it is stored."""

    normalise: Callable[[str], str] = str.strip
    max_length: int = 100

    def read(self, text: str) -> str:
        if len(text) > self.max_length:
            raise BadValueError(f"is longer than {self.max_length} characters")
        if _UNPRINTABLE.search(text):
            raise BadValueError("holds a control character")
        value = self.normalise(text)
        if not value:
            raise BadValueError("is empty")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": self.max_length}


@dataclass(frozen=True, slots=True)
class WholeNumber:
    minimum: int
    maximum: int

    def read(self, text: str) -> int:
        value = int(text) if _WHOLE.fullmatch(text) else None
        if value is None or not self.minimum <= value <= self.maximum:
            raise BadValueError(f"must be a whole number from {self.minimum} to {self.maximum}")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, slots=True)
class DecimalNumber:
    """An exact decimal; nothing is ever rounded to compare."""

    minimum: int
    maximum: int

    def read(self, text: str) -> Decimal:
        value = Decimal(text) if _DECIMAL.fullmatch(text) else None
        if value is None or not self.minimum <= value <= self.maximum:
            raise BadValueError(
                f"must be a decimal number from {self.minimum} to {self.maximum}, such as 1.25"
            )
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, slots=True)
class TrueOrFalse:
    def read(self, text: str) -> bool:
        if text not in ("true", "false"):
            raise BadValueError("must be true or false", ("true", "false"))
        return text == "true"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Identifier:
    """A UUID in its usual spelling."""

    def read(self, text: str) -> UUID:
        try:
            value = UUID(text)
        except ValueError:
            value = None
        if value is None or str(value) != text.lower():
            raise BadValueError("must be a UUID, such as 57c74cc7-de68-59ff-87ef-b7e5ced48928")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "uuid"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time in ISO 8601, which must name its zone; a ``+`` that became a blank on its way is understood."""

    def read(self, text: str) -> datetime:
        try:
            moment = datetime.fromisoformat(text.replace(" ", "+"))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise BadValueError("must be a time with its zone, such as 2026-01-31T18:00:00Z")
        return moment

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


def _invalid(problem: Problem) -> InvalidParameters:
    return InvalidParameters([problem])


def _find(known: Mapping[str, Parameter], name: str) -> Parameter | None:
    parameter = known.get(name)
    if parameter is None and name.endswith("[]"):
        parameter = known.get(name.removesuffix("[]"))
        return parameter if parameter is not None and parameter.many else None
    return parameter


def _unknown(name: str, text: str, usable: Mapping[str, Parameter]) -> Problem:
    close = get_close_matches(name.partition("[")[0].lower(), usable, n=1)
    message = (
        f"there is no such parameter; did you mean {close[0]}?" if close else "there is no such parameter"
    )
    return Problem(_shown(name), _shown(text), message, sorted(usable))


def _read(parameter: Parameter, texts: Sequence[str]) -> Any:
    if not parameter.many:
        if len(texts) > 1:
            raise _invalid(Problem(parameter.name, _shown(", ".join(texts)), "takes one value, not several"))
        return _read_one(parameter, texts[0])
    parts = [part.strip() for text in texts for part in text.split(",")]
    if len(parts) > MOST_VALUES:
        raise _invalid(
            Problem(parameter.name, None, f"takes at most {MOST_VALUES} values; there are {len(parts)}")
        )
    return tuple(dict.fromkeys(_read_one(parameter, part) for part in parts))


def _read_one(parameter: Parameter, text: str) -> Any:
    try:
        return parameter.kind.read(text)
    except BadValueError as error:
        message = "must not be empty" if not text else str(error)
        raise _invalid(Problem(parameter.name, _shown(text), message, error.allowed)) from error


def _fold(text: str) -> str:
    return _SEPARATORS.sub("", text).upper()


def _shown(text: str) -> str:
    text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
