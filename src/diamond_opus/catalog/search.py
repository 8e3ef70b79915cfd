"""What a search of the catalogue is: how it is read from a query string, and how its answer comes from SQL."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import orjson
from psycopg import sql
from psycopg.rows import scalar_row

from diamond_opus.catalog.fields import FIELDS, answer_cursor, needs_cost, select_list
from diamond_opus.catalog.filters import FILTERS, RANGES, bind, conditions
from diamond_opus.catalog.index.catalog_index import View
from diamond_opus.catalog.index.pages import Place, Sequencing
from diamond_opus.catalog.parameters import (
    InvalidParameters,
    OneOf,
    Parameter,
    PermissionMissing,
    Problem,
    WholeNumber,
    read_parameters,
    require_ordered,
)
from diamond_opus.catalog.sorts import DEFAULT_SORT, SORTS, Cursor, CursorText, Sort, write_cursor
from diamond_opus.db.pool import Connection

DEFAULT_LIMIT = 50
MOST_PER_PAGE = 100
#: How deep pages by number go; a cursor goes to the end.
DEEPEST_ROW = 10_000

_PAGE = Parameter(
    "page", WholeNumber(1, 1_000_000), "Which page, from 1; page times limit is at most 10,000."
)
_LIMIT = Parameter("limit", WholeNumber(1, MOST_PER_PAGE), "Stones a page.", default=DEFAULT_LIMIT)
_SORT_BY = Parameter(
    "sort_by",
    OneOf(tuple(SORTS)),
    "The order: grades from best to worst, nulls last. price_per_carat is that of the selling price; feed_price and "
    "supplier_price_cents need the permission cost.",
    default=DEFAULT_SORT.name,
)
_SORT_ORDER = Parameter("sort_order", OneOf(("asc", "desc")), "Upwards or downwards.", default="desc")
_CURSOR = Parameter(
    "cursor",
    CursorText(),
    "nextCursor of the page before: goes on exactly behind it, however deep. Repeat the filters; leave page out.",
)

FIELDS_PARAMETER = Parameter(
    "fields",
    OneOf(tuple(field.name for field in FIELDS)),
    "Only these fields of each stone, and its id; those of cost need the permission cost.",
    many=True,
)

#: Everything that a search takes, by name.
PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        *(one.parameter for one in FILTERS.values()),
        _PAGE,
        _LIMIT,
        _SORT_BY,
        _SORT_ORDER,
        _CURSOR,
        FIELDS_PARAMETER,
    )
}
#: Everything that narrows a search, and nothing that orders or pages it.
FILTER_PARAMETERS: Mapping[str, Parameter] = {name: one.parameter for name, one in FILTERS.items()}


@dataclass(frozen=True)
class Search:
    """One question to the catalogue. ``filters`` are values by parameter name, as ``filters.py`` reads them.

    ``page`` is None when a cursor leads the way; ``fields`` are the JSON names to show, none for all.
    """

    filters: Mapping[str, Any]
    sort: Sort
    descending: bool
    limit: int
    page: int | None
    cursor: Cursor | None
    with_cost: bool
    fields: tuple[str, ...] = ()

    @property
    def skip(self) -> int:
        """How many stones stand on the pages before."""
        return ((self.page or 1) - 1) * self.limit

    @cached_property
    def filters_digest(self) -> str:
        """The same for the same filters, however they were written."""
        canonical = {
            name: sorted(map(str, value)) if isinstance(value, tuple) else str(value)
            for name, value in self.filters.items()
        }
        return hashlib.sha256(orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    @cached_property
    def identity(self) -> str:
        """The same for questions with the same answer, while the data stays the same."""
        cursor = None if self.cursor is None else write_cursor(self.cursor)
        parts = (
            self.filters_digest,
            self.sort.name,
            self.descending,
            self.limit,
            self.page,
            cursor,
            self.with_cost,
            self.fields,
        )
        return repr(parts)


@dataclass(frozen=True, slots=True)
class SearchPage:
    """``diamonds`` are finished answers (see ``fields.py``); ``total`` counts the whole search, exactly."""

    diamonds: Sequence[Mapping[str, Any]]
    total: int
    page: int | None
    limit: int
    next_cursor: str | None


def parse_search(pairs: Iterable[tuple[str, str]], *, with_cost: bool) -> Search:
    """The search that a query string means. Raises InvalidParameters or PermissionMissing."""
    values = read_parameters(PARAMETERS, pairs, may={"cost"} if with_cost else ())
    require_ordered(values, RANGES)
    cursor: Cursor | None = values.get("cursor")
    sort, descending = _order(values, cursor)
    if sort.needs and not with_cost:
        raise PermissionMissing(sort.needs, f"sorting by {sort.name}")
    search = Search(
        filters={name: value for name, value in values.items() if name in FILTERS},
        sort=sort,
        descending=descending,
        limit=values.get("limit", DEFAULT_LIMIT),
        page=None if cursor is not None else values.get("page", 1),
        cursor=cursor,
        with_cost=with_cost,
        fields=read_fields(values, with_cost=with_cost),
    )
    _check_position(search, values)
    return search


async def search_by_sql(conn: Connection, search: Search) -> SearchPage:
    """The page and its total; ``conn`` must be in a transaction whose reads all see one moment."""
    statement, parameters = page_statement(search)
    async with answer_cursor(conn) as cursor:
        await cursor.execute(statement, parameters)
        rows = await cursor.fetchall()
    total = await _count(conn, search, len(rows))
    return _page(search, rows, total)


async def search_by_index(conn: Connection, view: View, search: Search) -> SearchPage:
    """The same; the ids and the total come from ``view``, which must show the moment that ``conn`` sees.

    Raises ValueError for an order that the index does not have.
    """
    if search.sort.column is None:
        raise ValueError(f"the index does not sort by {search.sort.name}")
    after = None if search.cursor is None else _place(search.cursor)
    sequencing = Sequencing(search.sort.column, search.descending, after)
    ids, total = view.page(search.filters, sequencing, skip=search.skip, limit=search.limit + 1)
    statement = sql.SQL(
        "SELECT\n    {fields},\n    {key} AS sort_key\nFROM diamonds\nWHERE id = ANY (%(ids)s)"
    ).format(fields=_select_list(search), key=sql.SQL(search.sort.key))
    async with answer_cursor(conn) as cursor:
        await cursor.execute(statement, {"ids": ids})
        found = {row["id"]: row for row in await cursor.fetchall()}
    return _page(search, [found[one] for one in ids], total)


def page_statement(search: Search) -> tuple[sql.Composed, Mapping[str, Any]]:
    """The SQL of a page, which asks for one stone more than fits, and its parameters."""
    where, parameters = conditions(search.filters), bind(search.filters)
    if search.cursor is not None:
        where.append(search.sort.after(search.cursor.key, descending=search.descending))
        parameters |= {"after_key": search.cursor.key, "after_id": search.cursor.id}
    parameters |= {"rows": search.limit + 1, "offset": search.skip}
    # The fields are made of the stones of the page only: beside the sort they would be made of every stone it sorts.
    statement = sql.SQL(
        "SELECT\n    {fields},\n    sort_key\n"
        "FROM (\nSELECT *, {key} AS sort_key\nFROM diamonds\nWHERE {where}\nORDER BY {order}\n"
        "LIMIT %(rows)s OFFSET %(offset)s\n) AS page\n"
        "ORDER BY {order}"
    ).format(
        fields=_select_list(search),
        key=sql.SQL(search.sort.key),
        where=_all_of(where),
        order=search.sort.order_by(descending=search.descending),
    )
    return statement, parameters


def count_statement(search: Search) -> tuple[sql.Composed, Mapping[str, Any]]:
    """The SQL that counts all stones of the search, whatever the page, and its parameters."""
    statement = sql.SQL("SELECT count(*)\nFROM diamonds\nWHERE {}").format(
        _all_of(conditions(search.filters))
    )
    return statement, bind(search.filters)


async def _count(conn: Connection, search: Search, rows: int) -> int:
    """Counted by the database only when the page does not tell: it does when it is the last one."""
    is_last = rows <= search.limit
    if search.page is not None and is_last and (rows or search.page == 1):
        return search.skip + rows
    statement, parameters = count_statement(search)
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(statement, parameters)
        total = await cursor.fetchone()
    return cast("int", total)


def _page(search: Search, rows: list[dict[str, Any]], total: int) -> SearchPage:
    """``rows`` hold one more than fits when there is a page behind this one."""
    keys = [row.pop("sort_key") for row in rows]
    shown, end = rows[: search.limit], search.limit - 1
    next_cursor = None
    if len(rows) > search.limit:
        last = Cursor(search.sort, search.descending, keys[end], rows[end]["id"], search.filters_digest)
        next_cursor = write_cursor(last)
    return SearchPage(shown, total, search.page, search.limit, next_cursor)


def _place(cursor: Cursor) -> Place:
    return Place(None if cursor.key is None else cursor.sort.to_whole(cursor.key), cursor.id)


def _select_list(search: Search) -> sql.SQL:
    return select_list(with_cost=search.with_cost, names=search.fields)


def _all_of(where: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL("\n  AND ").join(where) if where else sql.Composed([sql.SQL("TRUE")])


def parse_filters(pairs: Iterable[tuple[str, str]], *, with_cost: bool) -> Mapping[str, Any]:
    """Only the filters of a query string, for what has neither order nor pages. Raises as ``parse_search``."""
    values = read_parameters(FILTER_PARAMETERS, pairs, may={"cost"} if with_cost else ())
    require_ordered(values, RANGES)
    return values


def read_fields(values: Mapping[str, Any], *, with_cost: bool) -> tuple[str, ...]:
    """The fields asked for, in one order. Raises PermissionMissing."""
    names: tuple[str, ...] = values.get(FIELDS_PARAMETER.name, ())
    hidden = [] if with_cost else needs_cost(names)
    if hidden:
        raise PermissionMissing("cost", f"the field {hidden[0]}")
    return tuple(sorted(names))


def _order(values: Mapping[str, Any], cursor: Cursor | None) -> tuple[Sort, bool]:
    """The order asked for; a cursor brings its own, which what is said beside it must not contradict."""
    if cursor is None:
        return SORTS[values.get("sort_by", DEFAULT_SORT.name)], values.get("sort_order", "desc") == "desc"
    direction = "desc" if cursor.descending else "asc"
    problems = []
    if SORTS[values.get("sort_by", cursor.sort.name)] is not cursor.sort:
        problems.append(
            Problem(
                "sort_by", values["sort_by"], f"the cursor goes by {cursor.sort.name}", [cursor.sort.name]
            )
        )
    if values.get("sort_order", direction) != direction:
        problems.append(
            Problem("sort_order", values["sort_order"], f"the cursor goes {direction}", [direction])
        )
    if problems:
        raise InvalidParameters(problems)
    return cursor.sort, cursor.descending


def _check_position(search: Search, values: Mapping[str, Any]) -> None:
    if search.cursor is not None:
        if "page" in values:
            raise InvalidParameters(
                [Problem("page", str(values["page"]), "cannot stand beside cursor; leave one out")]
            )
        if search.cursor.filters_digest != search.filters_digest:
            raise InvalidParameters(
                [
                    Problem(
                        "cursor",
                        None,
                        "belongs to a search with other filters; repeat them, or start without it",
                    )
                ]
            )
    elif (search.page or 1) * search.limit > DEEPEST_ROW:
        message = f"times limit ({search.limit}) must be at most {DEEPEST_ROW}; go on with nextCursor instead"
        raise InvalidParameters([Problem("page", str(search.page), message)])
