"""What went wrong and who did what: the error log and the audit log."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.rows import scalar_row

from diamond_opus.analytics.rows import Page, fetch_page, fetch_value
from diamond_opus.db.audit import record_act
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries

QUERIES = load_queries("diamond_opus.analytics", "logs.sql")


async def list_errors(conn: Connection, service: str | None, *, limit: int, offset: int) -> Page:
    """The newest first."""
    return await fetch_page(
        conn,
        QUERIES["list_errors"],
        QUERIES["count_errors"],
        {"service": service},
        limit=limit,
        offset=offset,
    )


async def error_services(conn: Connection) -> Sequence[str]:
    """Which services have errors in the log."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(QUERIES["error_services"])
        return await cursor.fetchall()


async def delete_errors(conn: Connection, service: str | None, *, actor: str) -> int:
    """Forget the errors of a service, or all; returns how many there were."""
    async with conn.transaction():
        deleted = int(await fetch_value(conn, QUERIES["delete_errors"], {"service": service}))
        await record_act(
            conn,
            actor=actor,
            action="error_logs.delete",
            subject=service or "all",
            details={"deleted": deleted},
        )
    return deleted


async def list_acts(conn: Connection, wanted: Mapping[str, Any], *, limit: int, offset: int) -> Page:
    """The newest first; ``wanted`` may hold actor, action, subject, created_after, created_before."""
    names = ("actor", "action", "subject", "created_after", "created_before")
    values = {name: wanted.get(name) for name in names}
    return await fetch_page(
        conn, QUERIES["list_acts"], QUERIES["count_acts"], values, limit=limit, offset=offset
    )
