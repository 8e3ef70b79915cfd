"""What a database is made of, read from its catalogs as comparable values."""

from typing import Any

from psycopg import AsyncConnection

_QUERIES = {
    "relations": """
        SELECT relname, relkind::text, relpersistence::text, reloptions, pg_get_partkeydef(oid),
               pg_get_expr(relpartbound, oid)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 't' ORDER BY relname""",
    "columns": """
        SELECT a.attrelid::regclass::text, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attidentity::text, a.attgenerated::text, a.attstorage::text, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid AND c.relnamespace = 'public'::regnamespace
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "triggers": """
        SELECT t.tgrelid::regclass::text, t.tgname, pg_get_triggerdef(t.oid)
        FROM pg_trigger AS t
        JOIN pg_class AS c ON c.oid = t.tgrelid AND c.relnamespace = 'public'::regnamespace
        WHERE NOT t.tgisinternal ORDER BY 1, 2""",
    "functions": """
        SELECT proname, pg_get_functiondef(oid)
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind <> 'a' ORDER BY 1, 2""",
    "comments": """
        SELECT classoid::regclass::text, objsubid, description
        FROM pg_description WHERE objoid >= 16384 ORDER BY 1, 2, 3""",
}
_MOMENTS = ("applied_at", "created_at", "updated_at")


async def read_catalog(conn: AsyncConnection[Any]) -> dict[str, list[Any]]:
    """Every relation, column, default, index, constraint, trigger and function of public, and every row of it."""
    found = {kind: await _rows(conn, query) for kind, query in _QUERIES.items()}
    for name, *_ in await _rows(
        conn, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    ):
        row = f"to_jsonb(t) - '{{{','.join(_MOMENTS)}}}'::text[]"
        found[f"rows of {name}"] = await _rows(conn, f'SELECT {row} FROM "{name}" AS t ORDER BY 1')
    return found


async def _rows(conn: AsyncConnection[Any], query: str) -> list[Any]:
    return await (await conn.execute(query.encode())).fetchall()
