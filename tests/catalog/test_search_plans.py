"""The questions that shops ask most are answered by an index, not by reading the table."""

from collections.abc import Sequence
from typing import Any

import pytest
from catalog_rows import load_rows, make_rows
from psycopg import sql

from diamond_opus.catalog.search import page_statement, parse_search, search_by_sql
from diamond_opus.db.pool import Pool


@pytest.mark.parametrize(
    ("pairs", "index"),
    [
        ([], "idx_diamonds_created"),
        ([("sort_order", "asc")], "idx_diamonds_created"),
        ([("sort_by", "price"), ("sort_order", "asc")], "idx_diamonds_selling_price"),
        ([("sort_by", "price"), ("sort_order", "desc")], "idx_diamonds_selling_price"),
        (
            [("shape", "ROUND"), ("carat_min", "1.01"), ("carat_max", "1.02"), ("color", "D,E")],
            "idx_diamonds_search",
        ),
        ([("ids", "57c74cc7-de68-59ff-87ef-b7e5ced48928")], "diamonds_pkey"),
    ],
)
async def test_a_frequent_search_uses_its_index(
    pool: Pool, pairs: Sequence[tuple[str, str]], index: str
) -> None:
    await fill(pool)

    assert index in await indexes_used(pool, pairs)


async def test_a_cursor_starts_inside_the_index_instead_of_walking_to_its_place(pool: Pool) -> None:
    await fill(pool)
    cursor = await next_cursor(pool, [("sort_by", "price")])

    plan = await explain(pool, [("sort_by", "price"), ("cursor", cursor)])

    [scan] = [node for node in plan if node.get("Index Name") == "idx_diamonds_selling_price"]
    assert "ROW(price_model_price, id)" in scan["Index Cond"]


async def fill(pool: Pool) -> None:
    async with pool.connection() as conn:
        await load_rows(conn, make_rows(4_000, seed=3))
        await conn.execute("ANALYZE diamonds")


async def next_cursor(pool: Pool, pairs: Sequence[tuple[str, str]]) -> str:
    async with pool.connection() as conn:
        page = await search_by_sql(conn, parse_search(pairs, with_cost=False))
    assert page.next_cursor is not None
    return page.next_cursor


async def indexes_used(pool: Pool, pairs: Sequence[tuple[str, str]]) -> set[str]:
    return {node["Index Name"] for node in await explain(pool, pairs) if "Index Name" in node}


async def explain(pool: Pool, pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The nodes of the plan of a page."""
    statement, parameters = page_statement(parse_search(pairs, with_cost=False))
    async with pool.connection() as conn:
        cursor = await conn.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(statement), parameters)
        row = await cursor.fetchone()
    assert row is not None
    nodes: list[dict[str, Any]] = []
    waiting = [row[0][0]["Plan"]]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        waiting += node.get("Plans", [])
    return nodes
