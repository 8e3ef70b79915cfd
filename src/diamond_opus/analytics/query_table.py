"""A free question to one table: every column, operator and value is known before any SQL is written."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from psycopg import sql

from diamond_opus.analytics.rows import Page, fetch_all
from diamond_opus.analytics.tables import TABLES, Kind, Table
from diamond_opus.catalog.parameters import InvalidParameters, Problem
from diamond_opus.db.pool import Connection

AGGREGATES = ("count", "sum", "avg", "min", "max")
OPERATORS = ("eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "in", "is")
MOST_ROWS = 1_000
MOST_VALUES = 1_000
MOST_TEXT = 1_000

_COMPARISONS = {
    "eq": sql.SQL("{} = {}"),
    "neq": sql.SQL("{} <> {}"),
    "gt": sql.SQL("{} > {}"),
    "gte": sql.SQL("{} >= {}"),
    "lt": sql.SQL("{} < {}"),
    "lte": sql.SQL("{} <= {}"),
    "like": sql.SQL("{} LIKE {}"),
    "ilike": sql.SQL("{} ILIKE {}"),
    "in": sql.SQL("{} = ANY ({})"),
}
_IS = {
    None: sql.SQL("{} IS NULL"),
    "null": sql.SQL("{} IS NULL"),
    "not_null": sql.SQL("{} IS NOT NULL"),
    True: sql.SQL("{} IS TRUE"),
    False: sql.SQL("{} IS FALSE"),
}
_CALL = re.compile(r"(\w+)\s*\(\s*(\*|\w+)\s*\)(?:\s+as\s+(\w+))?", re.IGNORECASE)
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_ALIAS = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Question:
    """As it came, not looked at: ``order`` is a column (or a name of the selection) and whether it ascends."""

    table: str
    select: str = "*"
    filters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    order: tuple[str, bool] | None = None
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class _Selected:
    """One item of the selection; ``column`` is None for an aggregate."""

    name: str
    expression: sql.Composable
    column: str | None


async def query_table(conn: Connection, question: Question) -> Page:
    """The rows by column name, money as the table keeps it (dollars), and how many there are in all.

    Plain columns beside aggregates are what is grouped by. Raises InvalidParameters, naming what is allowed.
    """
    statement = compile_question(question)
    rows = await fetch_all(conn, statement.rows, statement.values)
    [counted] = await fetch_all(conn, statement.total, statement.values)
    return Page([{name: _plain(value) for name, value in row.items()} for row in rows], counted["total"])


@dataclass(frozen=True, slots=True)
class Statements:
    rows: sql.Composed
    total: sql.Composed
    values: Mapping[str, Any]


def compile_question(question: Question) -> Statements:
    """The two statements that answer it. Raises InvalidParameters with every fault there is."""
    table = TABLES.get(question.table)
    if table is None:
        raise InvalidParameters(
            [Problem("table", _shown(question.table), "cannot be queried", sorted(TABLES))]
        )
    problems: list[Problem] = []
    selected = _read_select(table, question.select, problems)
    conditions, values = _read_filters(table, question.filters, problems)
    order = _read_order(table, selected, question.order, problems)
    if problems:
        raise InvalidParameters(problems)
    grouped = [item for item in selected if item.column is not None]
    aggregated = len(grouped) < len(selected)
    body = sql.SQL("SELECT {} FROM {}{}{}").format(
        sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(item.expression, sql.Identifier(item.name)) for item in selected
        ),
        sql.Identifier(table.relation),
        sql.SQL(" WHERE ") + sql.SQL(" AND ").join(conditions) if conditions else sql.SQL(""),
        sql.SQL(" GROUP BY ") + sql.SQL(", ").join(item.expression for item in grouped)
        if aggregated and grouped
        else sql.SQL(""),
    )
    page = {"row_limit": question.limit, "row_offset": question.offset}
    return Statements(
        sql.SQL("{} ORDER BY {} LIMIT %(row_limit)s OFFSET %(row_offset)s").format(body, order),
        sql.SQL("SELECT count(*) AS total FROM ({}) AS found").format(body),
        {**values, **page},
    )


def _read_select(table: Table, text: str, problems: list[Problem]) -> list[_Selected]:
    """``*`` stands for the allowed columns, never for all that the table has."""
    if text.strip() == "*":
        return [_Selected(name, sql.Identifier(name), name) for name in table.columns]
    selected = [_read_item(table, item.strip(), problems) for item in text.split(",")]
    found = [item for item in selected if item is not None]
    names = [item.name for item in found]
    problems.extend(
        Problem("select", name, "is there twice; give one of them another name with `as`")
        for name in sorted({name for name in names if names.count(name) > 1})
    )
    return found


def _read_item(table: Table, text: str, problems: list[Problem]) -> _Selected | None:
    if text in table.columns:
        return _Selected(text, sql.Identifier(text), text)
    call = _CALL.fullmatch(text)
    if call is None:
        problems.append(_no_column("select", text, table))
        return None
    function, column, alias = call[1].lower(), call[2], call[3]
    if function not in AGGREGATES:
        problems.append(Problem("select", _shown(text), "is no aggregate that is allowed", AGGREGATES))
        return None
    if column != "*" and column not in table.columns:
        problems.append(_no_column("select", column, table))
        return None
    if not _fits(function, column, table):
        problems.append(Problem("select", _shown(text), f"{function} cannot take {column}"))
        return None
    if alias is not None and not _ALIAS.fullmatch(alias):
        problems.append(
            Problem("select", _shown(alias), "is no name: small letters, digits and _, at most 63 characters")
        )
        return None
    argument = sql.SQL("*") if column == "*" else sql.Identifier(column)
    name = alias or (function if column == "*" else f"{function}_{column}")
    return _Selected(name, sql.SQL("{}({})").format(sql.SQL(function), argument), None)


def _fits(function: str, column: str, table: Table) -> bool:
    if function == "count":
        return True
    if column == "*":
        return False
    kind = table.columns[column]
    return kind == "number" if function in ("sum", "avg") else kind not in ("boolean", "uuid")


def _read_filters(
    table: Table, filters: Mapping[str, Mapping[str, Any]], problems: list[Problem]
) -> tuple[list[sql.Composable], dict[str, Any]]:
    conditions: list[sql.Composable] = []
    values: dict[str, Any] = {}
    for column, operators in filters.items():
        if column not in table.columns:
            problems.append(_no_column("filters", column, table))
            continue
        for operator, given in operators.items():
            where = f"filters.{column}.{_shown(operator)}"
            try:
                value = _read_value(table.columns[column], operator, given)
            except ValueError as error:
                allowed = None if operator in OPERATORS else OPERATORS
                problems.append(Problem(where, _shown(str(given)), str(error), allowed))
                continue
            name = f"value_{len(values)}"
            conditions.append(_condition(column, operator, value, name))
            values[name] = value
    return conditions, values


def _condition(column: str, operator: str, value: Any, name: str) -> sql.Composable:
    if operator == "is":
        return _IS[value].format(sql.Identifier(column))
    return _COMPARISONS[operator].format(sql.Identifier(column), sql.Placeholder(name))


def _read_value(kind: Kind, operator: str, given: Any) -> Any:
    """The value in the column's type. Raises ValueError, saying what would be right."""
    if operator not in OPERATORS:
        raise ValueError("is no operator")
    if operator == "is":
        if given not in (None, "null", "not_null") and not (isinstance(given, bool) and kind == "boolean"):
            raise ValueError('takes null, "not_null", and for truth values true or false')
        return given
    if operator in ("like", "ilike") and kind != "text":
        raise ValueError(f"is for texts; this column is a {kind}")
    if operator in ("like", "ilike"):
        return _read_pattern(given)
    if operator == "in":
        if not isinstance(given, Sequence) or isinstance(given, str) or not 0 < len(given) <= MOST_VALUES:
            raise ValueError(f"takes a list of 1 to {MOST_VALUES} values")
        return [_READERS[kind](value) for value in given]
    return _READERS[kind](given)


def _read_text(given: Any) -> str:
    if not isinstance(given, str) or len(given) > MOST_TEXT or _UNSTORABLE.search(given):
        raise ValueError(f"takes a text of at most {MOST_TEXT} characters")
    return given


def _read_pattern(given: Any) -> str:
    pattern = _read_text(given)
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        raise ValueError("must not end with a single backslash, which would escape nothing")
    return pattern


def _read_number(given: Any) -> Decimal:
    try:
        number = Decimal(str(given)) if isinstance(given, int | float | str | Decimal) else None
    except InvalidOperation:
        number = None
    if number is None or isinstance(given, bool) or not number.is_finite() or abs(number.adjusted()) > 30:
        raise ValueError("takes a number")
    return number


def _read_boolean(given: Any) -> bool:
    if not isinstance(given, bool):
        raise ValueError("takes true or false")
    return given


def _read_moment(given: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("takes a time with its zone, such as 2026-01-31T18:00:00Z")
    return moment


def _read_uuid(given: Any) -> UUID:
    try:
        return UUID(given) if isinstance(given, str) else _refuse_uuid()
    except ValueError:
        return _refuse_uuid()


def _refuse_uuid() -> UUID:
    raise ValueError("takes a UUID, such as 57c74cc7-de68-59ff-87ef-b7e5ced48928")


_READERS: Mapping[Kind, Callable[[Any], Any]] = {
    "text": _read_text,
    "number": _read_number,
    "boolean": _read_boolean,
    "moment": _read_moment,
    "uuid": _read_uuid,
}


def _read_order(
    table: Table, selected: Sequence[_Selected], order: tuple[str, bool] | None, problems: list[Problem]
) -> sql.Composable:
    """What the client names, then what makes it stable: the table's own order, or all that is grouped by."""
    names = [item.name for item in selected]
    aggregated = any(item.column is None for item in selected)
    allowed = names if aggregated else [*table.columns]
    tie_breaks = [item.name for item in selected if item.column] if aggregated else [*table.order]
    parts: list[sql.Composable] = []
    if order is not None:
        column, ascending = order
        if column not in allowed:
            problems.append(Problem("order.column", _shown(column), "cannot be ordered by", sorted(allowed)))
        direction = sql.SQL("{} ASC NULLS LAST") if ascending else sql.SQL("{} DESC NULLS LAST")
        parts.append(direction.format(sql.Identifier(column)))
    parts += [sql.Identifier(name) for name in tie_breaks]
    return sql.SQL(", ").join(parts) if parts else sql.SQL("1")


def _no_column(where: str, name: str, table: Table) -> Problem:
    return Problem(where, _shown(name), "there is no such column", sorted(table.columns))


def _shown(text: str) -> str:
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text[:100])


def _plain(value: Any) -> Any:
    """NUMERIC as exact text, as SPEC's answers have it."""
    return str(value) if isinstance(value, Decimal) else value
