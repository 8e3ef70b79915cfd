"""Tells of incidents that the database cannot take, such as that it is full, and writes them when it can again.

In the background and from memory, so that it ends with the process. What a channel was told is written with the
incident, so that the outbox does not tell it again, and with the id it was told by, for the incident may have another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts import deliveries
from diamond_opus.alerts.channels import LONGEST_SEND_SECONDS, Channel
from diamond_opus.alerts.incidents import Incident, find_open, unwritten
from diamond_opus.alerts.protocol import Alert
from diamond_opus.alerts.render import Kind, render
from diamond_opus.alerts.transport import Answer, Outcome
from diamond_opus.db.errors import is_outage
from diamond_opus.db.pool import Connection
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import DiamondError
from diamond_opus.domain.tasks import end
from diamond_opus.observability.logging import get_logger

log = get_logger(__name__)

Record = Callable[[Connection, Alert, UUID], Awaitable[UUID | None]]

_LONGEST_PAUSE_SECONDS = 30.0
_WRITE_SECONDS = 10.0
#: The first try, before anybody is told, and the last one.
_HASTY_WRITE_SECONDS = 2.0
#: A process that ends waits so long for its first words to the channels.
_CLOSE_SECONDS = 8.0
#: An incident that was told directly is most likely the same when it is raised again within this time: the database
#: knows, and is asked for so long before it is told once more.
_SAME_FOR_SECONDS = 3600.0
_ASK_SECONDS = 120.0


@dataclass(slots=True)
class _Carried:
    """An alert on its way, to be told from ``tell_at`` on, and what each channel answered so far."""

    alert: Alert
    incident: Incident
    channels: Sequence[Channel]
    tell_at: float
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    is_told: asyncio.Event = field(default_factory=asyncio.Event)

    def is_open_to(self, channel: Channel) -> bool:
        """Whether the channel has to be told, or told again: one lost answer is one more try."""
        outcomes = [answer.outcome for answer in self.answers.get(channel.name, ())]
        return Outcome.DELIVERED not in outcomes and outcomes.count(Outcome.UNKNOWN) < 2


class _Written(Enum):
    """What became of a try to write an incident."""

    YES = auto()
    NOT_YET = auto()
    NEVER = auto()


class Direct:
    """Carries each incident once: to the channels it concerns, and into the database."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        channels: Sequence[Channel],
        *,
        clock: Clock,
        record: Record,
        public_url: str | None,
        first_pause_seconds: float,
    ) -> None:
        self._pool = pool
        self._channels = channels
        self._clock = clock
        self._record = record
        self._public_url = public_url
        self._first_pause_seconds = first_pause_seconds
        self._carried: dict[tuple[str, str], tuple[_Carried, asyncio.Task[None]]] = {}
        self._told_at: dict[tuple[str, str], float] = {}

    def carry(self, alert: Alert, *, written_as: UUID | None = None) -> bool:
        """Take the alert over; False when its incident is on its way already.

        ``written_as`` is the id it may have been written with, when nobody heard whether it was.
        """
        key = (alert.event, alert.about)
        if key in self._carried:
            return False
        now = self._clock.monotonic()
        was_told = now - self._told_at.get(key, -_SAME_FOR_SECONDS) < _SAME_FOR_SECONDS
        began_at = alert.since or self._clock.now()
        incident_id = written_as or (uuid4() if was_told else _shared_id(alert, began_at))
        carried = _Carried(
            alert,
            unwritten(alert, incident_id, self._clock.now()),
            [channel for channel in self._channels if alert.severity.reaches(channel.least)],
            tell_at=now + _ASK_SECONDS if was_told else now,
        )
        task = asyncio.create_task(self._carry(carried))
        self._carried[key] = carried, task
        task.add_done_callback(lambda _: self._carried.pop(key, None))
        return True

    async def close(self) -> None:
        """Wait a little until the channels were told, and write what can be written; the rest stands in the log."""
        carried = list(self._carried.values())
        telling = [asyncio.create_task(one.is_told.wait()) for one, _ in carried]
        if telling:
            await asyncio.wait(telling, timeout=_CLOSE_SECONDS)
        for waiting in telling:
            await end(waiting)
        await asyncio.gather(*(self._write_last(one, task) for one, task in carried))

    async def _write_last(self, carried: _Carried, task: "asyncio.Task[None]") -> None:
        if not task.done():
            await end(task)
            await self._write(carried, seconds=_HASTY_WRITE_SECONDS)

    async def _carry(self, carried: _Carried) -> None:
        """Tell and write in turns, until it is written: then the outbox goes on.

        A database that was only slow takes it at the second try, and knows whether it was told before.
        """
        written = await self._write(carried, seconds=_HASTY_WRITE_SECONDS)
        if written is _Written.YES:
            carried.is_told.set()  # by the outbox, soon: nobody waits for it here
            return
        pause = self._first_pause_seconds
        await self._tell(carried)
        while written is not _Written.NEVER and await self._write(carried) is _Written.NOT_YET:
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_SECONDS, 2 * pause)
            await self._tell(carried)

    async def _tell(self, carried: _Carried) -> None:
        now = self._clock.monotonic()
        if now < carried.tell_at:
            carried.is_told.set()  # it was, a while ago: nobody waits for it
            return
        self._told_at[carried.alert.event, carried.alert.about] = now
        incident = carried.incident
        message = render(incident, Kind.OPENED, told_as=incident.id, public_url=self._public_url)
        open_to = [channel for channel in carried.channels if carried.is_open_to(channel)]
        answers = await asyncio.gather(*(channel.send(message) for channel in open_to))
        for channel, answer in zip(open_to, answers, strict=True):
            carried.answers.setdefault(channel.name, []).append(answer)
            log.info(
                "alert_told_directly",
                alert=carried.alert.event,
                channel=channel.name,
                outcome=answer.outcome.value,
                reason=answer.reason,
            )
        carried.is_told.set()

    async def _write(self, carried: _Carried, *, seconds: float = _WRITE_SECONDS) -> _Written:
        try:
            async with asyncio.timeout(seconds), self._pool.connection() as conn, conn.transaction():
                await self._record(conn, carried.alert, carried.incident.id)
                incident_id = await find_open(conn, carried.alert.event, carried.alert.about)
                if incident_id is not None:
                    await self._write_answers(conn, carried, incident_id)
        except psycopg.errors.UniqueViolation:
            # Another process writes the same one at this moment; the next time it is found.
            return _Written.NOT_YET
        except (TimeoutError, DiamondError, psycopg.Error, OSError) as error:
            if isinstance(error, TimeoutError | OSError) or is_outage(error):
                return _Written.NOT_YET
            log.exception("incident_never_recorded", alert=carried.alert.event)
            return _Written.NEVER
        return _Written.YES

    async def _write_answers(self, conn: Connection, carried: _Carried, incident_id: UUID) -> None:
        """Through the states that they went through, as if the outbox had sent it.

        What may have arrived stands there under the id it was told by, also beside what others told the channel.
        """
        told = [channel for channel in carried.channels if channel.name in carried.answers]
        for channel in told:
            answers = carried.answers[channel.name]
            if all(answer.outcome is Outcome.AWAY for answer in answers):
                told_as = incident_id
                await deliveries.address_opened(conn, [channel], [incident_id])
            else:
                told_as = carried.incident.id
                await deliveries.address_told(conn, channel.name, incident_id, told_as=told_as)
            for answer in answers:
                claimed = await deliveries.claim(
                    conn,
                    channel.name,
                    lease_seconds=LONGEST_SEND_SECONDS,
                    incident_id=incident_id,
                    told_as=told_as,
                )
                if claimed is not None:
                    await deliveries.settle(conn, claimed, answer)


def _shared_id(alert: Alert, began_at: datetime) -> UUID:
    """The same in nearly every process that meets this trouble, for none can ask another when it is told."""
    return uuid5(NAMESPACE_URL, f"{alert.event}\n{alert.about}\n{began_at:%Y-%m-%dT%H}")
