"""Where unexpected errors are kept for the operator: one row each in ``error_logs``, bounded and masked."""

import asyncio
import traceback
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.redact import clean_fields, clean_text
from diamond_opus.observability.trace import current_trace

MESSAGE_LIMIT_BYTES = 2_000
STACK_LIMIT_BYTES = 16 * 1024
CONTEXT_VALUE_LIMIT_BYTES = 2_000
CONTEXT_MOST_FIELDS = 30

# A caller in trouble must not wait for a database that is in trouble too.
_PATIENCE_SECONDS = 5.0

# Here and not in a queries.sql: the loader of those belongs to db, which this room must not import.
_INSERT = """
INSERT INTO error_logs (service, error_message, stack_trace, context, created_at)
VALUES (%(service)s, %(error_message)s, %(stack_trace)s, %(context)s, coalesce(%(now)s, clock_timestamp()))
"""

log = get_logger(__name__)


async def record_error(
    pool: AsyncConnectionPool[Any],
    *,
    service: str,
    error_message: str,
    stack_trace: str | None = None,
    context: Mapping[str, object] | None = None,
    now: datetime | None = None,
) -> bool:
    """Write one row to ``error_logs``, masked and bounded, in a transaction of its own.

    Never raises and never takes longer than 5 s: False means that it could not be written, which is logged,
    with the error itself. ``now`` None is the database's own time. A present trace is added to ``context`` as
    ``traceId``.
    """
    row = _row(service, error_message, stack_trace, context, now)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), pool.connection() as connection:
            await connection.execute(_INSERT, row)
    except Exception:
        log.exception("error_not_recorded", of_service=service, error_message=row["error_message"])
        return False
    return True


async def write_error(
    conn: AsyncConnection[Any],
    *,
    service: str,
    error_message: str,
    context: Mapping[str, object] | None = None,
) -> None:
    """The same row as a part of the caller's transaction, and with the database's errors."""
    await conn.execute(_INSERT, _row(service, error_message, None, context, None))


async def record_exception(
    pool: AsyncConnectionPool[Any],
    error: BaseException,
    *,
    service: str,
    context: Mapping[str, object] | None = None,
) -> bool:
    """:func:`record_error` for an exception: its class and message, and its traceback."""
    return await record_error(
        pool,
        service=service,
        error_message=f"{type(error).__name__}: {error}",
        stack_trace="".join(traceback.format_exception(error)),
        context=context,
    )


def _row(
    service: str,
    error_message: str,
    stack_trace: str | None,
    context: Mapping[str, object] | None,
    now: datetime | None,
) -> dict[str, Any]:
    return {
        "service": clean_text(service, limit_bytes=50),
        "error_message": clean_text(error_message, limit_bytes=MESSAGE_LIMIT_BYTES),
        "stack_trace": None
        if stack_trace is None
        else clean_text(stack_trace, limit_bytes=STACK_LIMIT_BYTES, keep_end=True),
        "context": Jsonb(_context(context or {})),
        "now": now,
    }


def _context(context: Mapping[str, object]) -> dict[str, Any]:
    fields = dict(list(context.items())[:CONTEXT_MOST_FIELDS])
    trace = current_trace()
    if trace is not None:
        fields.setdefault("traceId", trace.trace_id)
    return dict(clean_fields(fields, limit_bytes=CONTEXT_VALUE_LIMIT_BYTES))
