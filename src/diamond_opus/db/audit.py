"""Who did what: one line in ``audit_log`` for each change that a person made, in the transaction that makes it."""

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries

_QUERIES = load_queries("diamond_opus.db", "audit.sql")


async def record_act(
    conn: Connection, *, actor: str, action: str, subject: str, details: Mapping[str, Any] | None = None
) -> None:
    """Note an act such as ``run.retry``; ``subject`` is what it was done to, ``details`` are plain JSON."""
    values = {"actor": actor, "action": action, "subject": subject, "details": Jsonb(dict(details or {}))}
    await conn.execute(_QUERIES["record_act"], values)
