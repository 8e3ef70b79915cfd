"""Whoever wants to know of every SQL statement is told its name and how long it took; nobody is, and it costs nothing.

The name is that of the query in its .sql file. A statement that comes from none is known by its first word alone: its
text may hold values.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, AsyncCursor, sql
from psycopg.abc import Query

from diamond_opus.db.queries import find_name

#: Gives the context a statement runs in, by its name and the file that holds it.
Observer = Callable[[str, str | None], AbstractContextManager[Any]]

_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*\n)*([a-zA-Z]{1,20})")

_observer: Observer | None = None


def observe_statements(observer: Observer | None) -> None:
    """For connections made from now on; None for nobody. A process has one observer."""
    global _observer
    _observer = observer


def let_observe(conn: AsyncConnection[Any]) -> None:
    """Called with each new connection."""
    if _observer is not None:
        conn.cursor_factory = _observed_by(_observer)


def _observed_by(observer: Observer) -> type[AsyncCursor[Any]]:
    class Observed(AsyncCursor[Any]):
        async def execute(self, query: Query, *args: Any, **kwargs: Any) -> Any:
            with observer(*_name_of(query)):
                return await super().execute(query, *args, **kwargs)

        async def executemany(self, query: Query, *args: Any, **kwargs: Any) -> None:
            with observer(*_name_of(query)):
                await super().executemany(query, *args, **kwargs)

        @asynccontextmanager
        async def copy(self, statement: Query, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            with observer(*_name_of(statement)):
                async with super().copy(statement, *args, **kwargs) as copy:
                    yield copy

    return Observed


def _name_of(query: Query) -> tuple[str, str | None]:
    """A query that was composed is known by its text up to the first part that was put in."""
    text = _text_of(query)
    known = find_name(text)
    if known is not None:
        return known
    word = _FIRST_WORD.match(text)
    return (word[1].upper() if word else "SQL"), None


def _text_of(query: Query) -> str:
    if isinstance(query, bytes):
        return query[:200].decode(errors="replace")
    part: object = next(iter(query), "") if isinstance(query, sql.Composed) else query
    return part.as_string(None) if isinstance(part, sql.SQL) else str(part)
