"""Deliveries: one row for each channel that is told of an incident's beginning or end, and its states.

::

    addressed --> pending --claimed--> sending --delivered----------------> delivered
                   |  ^                 |  |  `--answer lost, again-------> unknown
                   |  |                 |  `-----away, for three days ----> abandoned
                   |  '-----------------'
                   |    away: later, 15 min at most; answer lost, or the process died, once: again
                   |----its channel is configured nowhere any more--------> abandoned
                   |----told under another id-----------------------------> abandoned, or unknown
                   |----over, and not sent for three days; restored-------> abandoned, or unknown
                   `----the end of a beginning that was abandoned---------> abandoned

What nobody sends any more ends as unknown if an answer was lost before. A trigger of migration 0013 refuses every other
step. A message is repeated once at most when it may have arrived.

What is told directly (``direct.py``) may have another id than the incident, for it was told before anybody could ask.
A row's ``told_as`` is the id that the channel knows; a beginning under each has an end of its own.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from psycopg.rows import class_row, dict_row

from diamond_opus.alerts.channels import Channel
from diamond_opus.alerts.protocol import Severity
from diamond_opus.alerts.transport import Answer, Outcome
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries

QUERIES = load_queries("diamond_opus.alerts", "deliveries.sql")

#: How long a channel is tried, and how long an incident that is over is still worth telling.
PATIENCE = timedelta(days=3)
FIRST_BACKOFF_SECONDS = 5.0
LONGEST_BACKOFF_SECONDS = 900.0
#: A channel that no process has tried for so long is configured in none: a rolling restart takes less.
UNHEARD_AFTER = timedelta(minutes=15)


class State(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    UNKNOWN = "unknown"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is being sent. ``unanswered`` of the ``attempts`` before this one had no answer."""

    id: int
    incident_id: UUID
    kind: str
    channel: str
    told_as: UUID
    attempts: int
    unanswered: int
    lease_token: UUID
    age: timedelta


@dataclass(frozen=True, slots=True)
class Ended:
    """A delivery that ended without anybody sending it now."""

    id: int
    incident_id: UUID
    kind: str
    channel: str
    state: str


async def address(conn: Connection, channels: Sequence[Channel], *, incident_id: UUID | None = None) -> None:
    """Write what each channel has to be told, of one incident or of all; who has its row gets no second one."""
    async with conn.transaction():
        ids = [incident_id] if incident_id else await _to_address(conn)
        if ids:
            await address_opened(conn, channels, ids)
            await conn.execute(QUERIES["mark_addressed"], {"ids": ids})
        names = [channel.name for channel in channels]
        await conn.execute(
            QUERIES["add_resolved"], {"window": PATIENCE, "incident_id": incident_id, "channels": names}
        )


async def address_opened(conn: Connection, channels: Sequence[Channel], ids: Sequence[UUID]) -> None:
    """Write that each channel has to be told of the beginning of those that are bad enough for it."""
    for channel in channels:
        severities = [severity.value for severity in Severity if severity.reaches(channel.least)]
        await conn.execute(
            QUERIES["add_opened"], {"ids": ids, "channel": channel.name, "severities": severities}
        )


async def address_told(conn: Connection, channel: str, incident_id: UUID, *, told_as: UUID) -> None:
    """Write that the channel was told of the beginning under this id, whoever told it under another."""
    values = {"channel": channel, "incident_id": incident_id, "told_as": told_as}
    await conn.execute(QUERIES["add_told"], values)


async def _to_address(conn: Connection) -> list[UUID]:
    cursor = await conn.execute(QUERIES["to_address"], {"window": PATIENCE})
    return [row[0] for row in await cursor.fetchall()]


async def end_lost(conn: Connection, channels: Sequence[Channel]) -> Sequence[Ended]:
    """Take back what dead processes were sending, and give up what is told nobody any more; returns what ended so."""
    names = [channel.name for channel in channels]
    async with conn.cursor(row_factory=class_row(Ended)) as cursor:
        await cursor.execute(QUERIES["settle_lapsed"])
        lapsed = await cursor.fetchall()
        await cursor.execute(QUERIES["abandon_strangers"], {"channels": names, "unheard": UNHEARD_AFTER})
        strangers = await cursor.fetchall()
        await cursor.execute(QUERIES["give_up_old"], {"window": PATIENCE})
        old = await cursor.fetchall()
        await cursor.execute(QUERIES["settle_told"])
        await cursor.execute(QUERIES["abandon_ends"])  # their beginnings were told as lost
    return [*(ended for ended in lapsed if ended.state != State.PENDING), *strangers, *old]


async def settle_restored(conn: Connection, *, reason: str) -> None:
    """Give up what a backup has waiting of incidents that are over, for it may have been told since."""
    await conn.execute(QUERIES["settle_restored"], {"reason": reason})
    await conn.execute(QUERIES["tell_nobody_of_the_past"])


async def claim(
    conn: Connection,
    channel: str,
    *,
    lease_seconds: float,
    incident_id: UUID | None = None,
    told_as: UUID | None = None,
) -> Claimed | None:
    """Take the next delivery of the channel to send it: one that is due, or one of this very incident (and id)."""
    values = {
        "channel": channel,
        "incident_id": incident_id,
        "told_as": told_as,
        "lease": timedelta(seconds=lease_seconds),
    }
    async with conn.cursor(row_factory=class_row(Claimed)) as cursor:
        await cursor.execute(QUERIES["claim_delivery"], values)
        return await cursor.fetchone()


async def settle(
    conn: Connection,
    claimed: Claimed,
    answer: Answer,
    *,
    first_backoff_seconds: float = FIRST_BACKOFF_SECONDS,
    is_last: bool = False,
) -> State | None:
    """Write what became of it; None when the lease was lost meanwhile."""
    state = next_state(answer.outcome, unanswered=claimed.unanswered, age=claimed.age, is_last=is_last)
    values = {
        "id": claimed.id,
        "token": claimed.lease_token,
        "state": state,
        "unanswered": int(answer.outcome is Outcome.UNKNOWN),
        "wait": timedelta(seconds=backoff(claimed.attempts, first_backoff_seconds)),
        "error": answer.reason or None,
    }
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["settle_delivery"], values)
        return state if await cursor.fetchone() else None


def next_state(outcome: Outcome, *, unanswered: int, age: timedelta, is_last: bool = False) -> State:
    """Where an answer leads; ``is_last`` leads to an end in any case.

    >>> next_state(Outcome.UNKNOWN, unanswered=0, age=timedelta()).value
    'pending'
    >>> next_state(Outcome.UNKNOWN, unanswered=1, age=timedelta()).value
    'unknown'
    """
    if outcome is Outcome.DELIVERED:
        return State.DELIVERED
    if outcome is Outcome.UNKNOWN:
        return State.UNKNOWN if unanswered or is_last else State.PENDING
    if not is_last and age <= PATIENCE:
        return State.PENDING
    return State.UNKNOWN if unanswered else State.ABANDONED


def backoff(attempts: int, first_seconds: float) -> float:
    """Seconds to wait after so many attempts: doubled each time, half of it left to chance."""
    longest = min(LONGEST_BACKOFF_SECONDS, first_seconds * 2.0 ** min(attempts - 1, 30))
    return random.uniform(longest / 2, longest)
