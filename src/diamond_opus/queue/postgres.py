"""Queues in PostgreSQL on PGMQ's tables and functions; any server will do, also behind a transaction pooler.

A message sent twice under the same id, as by a retry whose first answer was lost, is delivered twice: this
transport drops no doubles, and nothing relies on it.
"""

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, tuple_row
from psycopg.types.json import Jsonb

from diamond_opus.db.errors import is_outage
from diamond_opus.db.pool import Connection, Pool
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.clock import Clock, SystemClock
from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.queue.limits import MAX_DELIVERIES_EXCEEDED, QueueLimits, too_often
from diamond_opus.queue.pgmq_schema import dead_table_name, table_name
from diamond_opus.queue.protocol import DeadLetter, LeaseLost, Message, Received

SEND_RETRIES = 3
FIRST_RETRY_SECONDS = 0.2

# An idle receiver asks less and less often, up to the longest.
SHORTEST_POLL_SECONDS = 0.05
LONGEST_POLL_SECONDS = 1.0

_LARGEST_NUMBER = 2**63 - 1
_QUERIES = load_queries("diamond_opus.queue")
_MISSING = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidSchemaName,
)


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How full a queue is; ``hidden`` are leased or delayed, ``dead`` are set aside."""

    visible: int
    hidden: int
    dead: int
    oldest_age_seconds: int


@dataclass(frozen=True, slots=True)
class _Token:
    """What a lease is known by: the message's number and how often it was leased."""

    msg_id: int
    read_ct: int


class PostgresQueue:
    """One queue; leases last whole seconds.

    Errors: Retryable when the database is out of reach, Fatal when the queues were not created in it.
    """

    def __init__(
        self,
        pool: Pool,
        name: str,
        limits: QueueLimits,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._pool = pool
        self._name = name
        self._limits = limits
        self._clock = clock or SystemClock()
        self._queue = table_name(name)
        self._dead_queue = dead_table_name(name)
        self._poll_seconds = SHORTEST_POLL_SECONDS

    @property
    def name(self) -> str:
        return self._name

    async def send(self, messages: Sequence[Message], *, delay_seconds: float = 0) -> None:
        """All or none of ``messages``; tried again up to 3 times when the database is out of reach."""
        if not messages:
            return
        parameters = {
            "bodies": [Jsonb(dict(message.body)) for message in messages],
            "headers": [Jsonb(_headers(message)) for message in messages],
            "delay": timedelta(seconds=delay_seconds),
        }
        for retry in range(SEND_RETRIES):
            try:
                await self._fetch("send_messages", parameters)
            except Retryable:
                await self._clock.sleep(FIRST_RETRY_SECONDS * 2**retry * random.uniform(0.5, 1.0))
            else:
                return
        await self._fetch("send_messages", parameters)

    async def receive(self, limit: int = 1, *, wait_seconds: float = 1.0) -> Sequence[Received]:
        deadline = self._clock.monotonic() + wait_seconds
        while True:
            found = await self._lease(limit)
            remaining = deadline - self._clock.monotonic()
            if found:
                self._poll_seconds = SHORTEST_POLL_SECONDS
                return found
            if remaining <= 0:
                return []
            pause = self._poll_seconds * random.uniform(0.5, 1.0)
            self._poll_seconds = min(self._poll_seconds * 1.5, LONGEST_POLL_SECONDS)
            await self._clock.sleep(min(pause, remaining))

    async def complete(self, message: Received) -> None:
        await self._settle("complete_message", message)

    async def abandon(self, message: Received, *, delay_seconds: float = 0) -> bool:
        token = _token(message)
        if token.read_ct >= self._limits.max_deliveries:
            await self.dead_letter(
                message, reason=MAX_DELIVERIES_EXCEEDED, description=too_often(token.read_ct)
            )
            return False
        await self._settle("abandon_message", message, delay=timedelta(seconds=delay_seconds))
        return True

    async def dead_letter(self, message: Received, *, reason: str, description: str = "") -> None:
        await self._settle("dead_letter_message", message, why=_why(reason, description))

    async def renew(self, message: Received) -> Received:
        leased_until = self._clock.now() + self._lease_length
        await self._settle("renew_message", message, lease=self._lease_length)
        return replace(message, leased_until=leased_until)

    async def dead_letters(self, limit: int = 100) -> Sequence[DeadLetter]:
        rows = await self._fetch("list_dead_letters", {"batch_size": limit})
        return [_dead_letter(row) for row in rows]

    async def replay(self, dead_letter_id: str) -> bool:
        number = int(dead_letter_id) if dead_letter_id.isdecimal() else -1
        if not 0 <= number <= _LARGEST_NUMBER:
            return False
        return bool(await self._fetch("replay_dead_letter", {"msg_id": number}))

    async def count_dead_letters(self, before: datetime) -> int:
        [(dead,)] = await self._fetch("count_dead_letters", {"before": before})
        return int(dead)

    async def purge_dead_letters(self, before: datetime, *, limit: int) -> int:
        return len(await self._fetch("purge_dead_letters", {"before": before, "batch_size": limit}))

    async def depth(self) -> QueueDepth:
        """Counts every message: for people and dashboards, not for each poll."""
        [(visible, hidden, oldest_age_seconds, dead)] = await self._fetch("measure_queue", {})
        return QueueDepth(visible, hidden, dead, oldest_age_seconds)

    @property
    def _lease_length(self) -> timedelta:
        return timedelta(seconds=self._limits.lease_seconds)

    async def _lease(self, limit: int) -> list[Received]:
        """Visible messages, less those delivered too often already, whose workers must have died."""
        most = self._limits.max_deliveries
        while True:
            # This process's clock, read before the server's: no lease is taken to last longer than it does.
            leased_until = self._clock.now() + self._lease_length
            async with self._connection() as connection:
                rows = await self._run(
                    connection,
                    "lease_messages",
                    {"lease_seconds": self._limits.lease_seconds, "batch_size": limit},
                )
                for msg_id, read_ct, _, _ in rows:
                    if read_ct > most:
                        why = _why(MAX_DELIVERIES_EXCEEDED, too_often(read_ct - 1))
                        token = {"msg_id": msg_id, "read_ct": read_ct}
                        await self._run(connection, "dead_letter_message", {**token, "why": why})
            found = [_received(row, leased_until) for row in rows if row[1] <= most]
            if found or not rows:
                return found

    async def _settle(self, query: str, message: Received, **parameters: object) -> None:
        token = _token(message)
        rows = await self._fetch(query, {"msg_id": token.msg_id, "read_ct": token.read_ct, **parameters})
        if not rows:
            raise LeaseLost(f"{self._name}: the lease of message {message.id} ran out; nothing was changed")

    async def _fetch(self, query: str, parameters: Mapping[str, object]) -> list[TupleRow]:
        async with self._connection() as connection:
            return await self._run(connection, query, parameters)

    async def _run(
        self, connection: Connection, query: str, parameters: Mapping[str, object]
    ) -> list[TupleRow]:
        statement = sql.SQL(_QUERIES[query]).format(
            queue=sql.Identifier("pgmq", f"q_{self._queue}"),
            dead_queue=sql.Identifier("pgmq", f"q_{self._dead_queue}"),
        )
        names = {"queue": self._queue, "dead_queue": self._dead_queue}
        async with connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(statement, {**names, **parameters})
            return await cursor.fetchall()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """A connection whose errors are told in the queue's terms; each statement commits by itself."""
        try:
            async with self._pool.connection() as connection:
                yield connection
        except _MISSING as error:
            raise Fatal(
                f"{self._name}: the queue's tables are missing in the database; run `diamond db migrate`"
            ) from error
        except psycopg.Error as error:
            if is_outage(error):
                raise Retryable(f"{self._name}: the database is out of reach: {error}") from error
            raise


def _headers(message: Message) -> dict[str, object]:
    return {"messageId": message.id, "properties": dict(message.properties)}


def _received(row: TupleRow, leased_until: datetime) -> Received:
    msg_id, read_ct, body, headers = row
    told = _object(headers)  # none, or anything, on a message that another program put into the queue
    return Received(
        str(told.get("messageId") or msg_id),
        body,
        _object(told.get("properties")),
        read_ct - 1,
        leased_until,
        _Token(msg_id, read_ct),
    )


def _why(reason: str, description: str) -> Jsonb:
    return Jsonb({"deadLetter": {"reason": reason, "description": description}})


def _dead_letter(row: TupleRow) -> DeadLetter:
    msg_id, body, headers = row
    told = _object(headers)
    why = _object(told.get("deadLetter"))
    return DeadLetter(
        str(msg_id), body, _object(told.get("properties")), why.get("reason", ""), why.get("description", "")
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _token(message: Received) -> _Token:
    if not isinstance(message.token, _Token):
        raise TypeError(f"message {message.id} was received from another transport")
    return message.token
