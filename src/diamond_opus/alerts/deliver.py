"""Delivers what stands in the outbox: addresses each incident to the channels, and sends until each has it.

The states of a delivery are drawn in ``deliveries.py``. Nothing is sent inside a transaction: a delivery is claimed
with a lease, sent, and settled, so that a process may die anywhere and the next one knows what may have happened.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts import deliveries
from diamond_opus.alerts.channels import LONGEST_SEND_SECONDS, Channel
from diamond_opus.alerts.deliveries import Claimed, State
from diamond_opus.alerts.incidents import get_incident, open_incident, resolve_incident
from diamond_opus.alerts.protocol import Alert
from diamond_opus.alerts.render import Kind, render
from diamond_opus.alerts.transport import Answer, Outcome
from diamond_opus.db.pool import Connection
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import DiamondError
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.turns import take_turns

log = get_logger(__name__)

DUTY = "alerts"
#: Short, for two that deliver at once do no harm, and nobody should wait long for the work of one that died.
DUTY_LEASE_SECONDS = 15.0
LEASE_SECONDS = 3 * LONGEST_SEND_SECONDS

#: What a channel is sent in one turn: more than a bad night has; and for how long, for the others wait for it.
_MOST_IN_A_TURN = 20
_LONGEST_TURN_SECONDS = 20.0
#: How long a process that is asked to stop waits for what it is sending, or for the end of its test.
_GRACE_SECONDS = 5.0

TakeDuty = Callable[[Connection], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a channel answered to a message of ``diamond alerts test``."""

    kind: Kind
    channel: str
    answer: Answer


class Deliverer:
    """Takes a turn every ``seconds``; of all processes that do, one at a time holds the duty.

    Two that deliver at once do no harm: a delivery is claimed by one of them.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        channels: Sequence[Channel],
        *,
        take_duty: TakeDuty,
        clock: Clock,
        public_url: str | None = None,
        seconds: float = 5.0,
        first_backoff_seconds: float = deliveries.FIRST_BACKOFF_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._pool = pool
        self._channels = channels
        self._take_duty = take_duty
        self._clock = clock
        self._public_url = public_url
        self._seconds = seconds
        self._first_backoff_seconds = first_backoff_seconds
        self._lease_seconds = lease_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``. What is being sent then has 5 s more; without a channel there is nothing to do."""
        if not self._channels:
            await stop.wait()
            return
        await take_turns(
            stop,
            self._turn_on_duty,
            duty=DUTY,
            clock=self._clock,
            pause_seconds=lambda: self._seconds,
            grace_seconds=_GRACE_SECONDS,
        )

    async def _turn_on_duty(self) -> None:
        try:
            async with self._pool.connection() as conn:
                is_ours = await self._take_duty(conn)
            if is_ours:
                await self.turn()
        except (DiamondError, psycopg.Error, OSError) as error:
            log.warning("delivering_failed", reason=str(error))

    async def flush(self, *, seconds: float = 10.0) -> None:
        """Deliver what is due now, before a process ends; what takes longer is left to others."""
        if not self._channels:
            return
        try:
            async with asyncio.timeout(seconds):
                await self.turn()
        except (TimeoutError, DiamondError, psycopg.Error, OSError) as error:
            log.warning("delivering_failed", reason=f"{type(error).__name__}: {error}")

    async def turn(self) -> None:
        """Address what happened, and send what is due."""
        async with self._pool.connection() as conn:
            await deliveries.address(conn, self._channels)
            for ended in await deliveries.end_lost(conn, self._channels):
                _tell_end(ended.incident_id, ended.kind, ended.channel, ended.state)
        await asyncio.gather(*(self._serve(channel) for channel in self._channels))

    async def _serve(self, channel: Channel) -> None:
        """One message after the other, until none is due or its time is over; one that fails ends the turn."""
        ends_at = self._clock.monotonic() + _LONGEST_TURN_SECONDS
        for _ in range(_MOST_IN_A_TURN):
            async with self._pool.connection() as conn:
                claimed = await deliveries.claim(conn, channel.name, lease_seconds=self._lease_seconds)
            if claimed is None:
                return
            answer = await self._send(channel, claimed)
            await self._settle(claimed, answer)
            if answer.outcome is not Outcome.DELIVERED or self._clock.monotonic() > ends_at:
                return

    async def _send(self, channel: Channel, claimed: Claimed) -> Answer:
        async with self._pool.connection() as conn:
            incident = await get_incident(conn, claimed.incident_id)
        if incident is None:
            return Answer(Outcome.AWAY, "the incident is not there any more")
        message = render(incident, Kind(claimed.kind), told_as=claimed.told_as, public_url=self._public_url)
        return await channel.send(message)

    async def _settle(self, claimed: Claimed, answer: Answer, *, is_last: bool = False) -> None:
        async with self._pool.connection() as conn:
            state = await deliveries.settle(
                conn,
                claimed,
                answer,
                first_backoff_seconds=self._first_backoff_seconds,
                is_last=is_last,
            )
        if state in (State.UNKNOWN, State.ABANDONED):
            _tell_end(claimed.incident_id, claimed.kind, claimed.channel, state)
        elif state is not None:
            log.log(
                logging.INFO if state is State.DELIVERED else logging.WARNING,
                "alert_sent",
                incident_id=claimed.incident_id,
                kind=claimed.kind,
                channel=claimed.channel,
                attempts=claimed.attempts,
                outcome=answer.outcome.value,
                reason=answer.reason,
            )

    async def prove(self, alert: Alert) -> Sequence[Proof]:
        """Tell every channel that it concerns of an incident, and of its end, now and only once.

        The incident's subject is its id, so that none of the same is ever open. Whatever breaks it off, it is over.
        """
        incident_id = uuid4()
        async with self._pool.connection() as conn, conn.transaction():
            await open_incident(conn, replace(alert, subject=str(incident_id)), incident_id=incident_id)
            begun = await self._claim_all(conn, incident_id)
        try:
            proofs = await self._prove(begun, Kind.OPENED)
            async with self._pool.connection() as conn, conn.transaction():
                await resolve_incident(conn, incident_id, resolution="it was a test")
                ended = await self._claim_all(conn, incident_id)
            return [*proofs, *await self._prove(ended, Kind.RESOLVED)]
        finally:
            await self._end_test(incident_id)

    async def _end_test(self, incident_id: UUID) -> None:
        try:
            async with asyncio.timeout(_GRACE_SECONDS), self._pool.connection() as conn:
                await resolve_incident(conn, incident_id, resolution="the test was broken off")
        except (TimeoutError, DiamondError, psycopg.Error, OSError) as error:
            log.warning("test_left_open", incident_id=incident_id, reason=f"{type(error).__name__}: {error}")

    async def _claim_all(self, conn: Connection, incident_id: UUID) -> Sequence[tuple[Channel, Claimed]]:
        """In the transaction that writes them: nobody else sees them before they are ours."""
        await deliveries.address(conn, self._channels, incident_id=incident_id)
        found = [
            (
                channel,
                await deliveries.claim(
                    conn, channel.name, lease_seconds=self._lease_seconds, incident_id=incident_id
                ),
            )
            for channel in self._channels
        ]
        return [(channel, claimed) for channel, claimed in found if claimed is not None]

    async def _prove(self, work: Sequence[tuple[Channel, Claimed]], kind: Kind) -> Sequence[Proof]:
        answers = await asyncio.gather(*(self._send(channel, claimed) for channel, claimed in work))
        for (_, claimed), answer in zip(work, answers, strict=True):
            await self._settle(claimed, answer, is_last=True)
        return [Proof(kind, channel.name, answer) for (channel, _), answer in zip(work, answers, strict=True)]


def _tell_end(incident_id: UUID, kind: str, channel: str, state: str) -> None:
    """It ended without being surely delivered."""
    log.error("alert_not_delivered", incident_id=incident_id, kind=kind, channel=channel, state=state)
