"""Totals and facets by SQL: for what the index does not know, and while it is being loaded."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from psycopg import sql
from psycopg.rows import tuple_row

from diamond_opus.catalog.facets import (
    HISTOGRAMS,
    LAB_GROWN,
    TEXT_FACETS,
    FacetCounts,
    filters_beside,
    in_order,
)
from diamond_opus.catalog.filters import bind, conditions
from diamond_opus.db.pool import Connection

_WHOLE: Mapping[str, LiteralString] = {
    "price": "(price_model_price * 100)::int8",
    "carats": "(carats * 100)::int8",
}


async def count_facets_by_sql(conn: Connection, filters: Mapping[str, Any]) -> FacetCounts:
    """``conn`` must be in a snapshot: each facet is a statement of its own."""
    values: dict[str, Sequence[tuple[str | bool | None, int]]] = {}
    for name in TEXT_FACETS:
        values[name] = in_order(name, dict(await _group(conn, sql.Identifier(name), name, filters)))
    grown = dict(await _group(conn, sql.Identifier(LAB_GROWN), LAB_GROWN, filters))
    values[LAB_GROWN] = [(value, grown[value]) for value in (False, True) if value in grown]
    bars = {}
    for name, edges in HISTOGRAMS.items():
        bar = sql.SQL("width_bucket({}, {}) - 1").format(sql.SQL(_WHOLE[name]), sql.Literal(list(edges)))
        counts = dict(await _group(conn, bar, name, filters))
        bars[name] = [counts.get(position, 0) for position in range(len(edges))]
    [(_, total)] = await _group(conn, sql.SQL("1"), "", filters) or [(1, 0)]
    return FacetCounts(total, values, bars)


async def _group(
    conn: Connection, key: sql.Composable, facet: str, filters: Mapping[str, Any]
) -> list[tuple[Any, int]]:
    """How many stones each value of the key has, among those that meet the other filters."""
    kept = {name: filters[name] for name in filters_beside(facet, list(filters))}
    statement = sql.SQL("SELECT {} AS value, count(*)\nFROM diamonds\nWHERE {}\nGROUP BY 1").format(
        key, sql.SQL("\n  AND ").join(conditions(kept))
    )
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(statement, bind(kept))
        return await cursor.fetchall()
