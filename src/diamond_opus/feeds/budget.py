"""When a request may go to a supplier: one budget per account, shared by every process that uses it."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import psycopg

from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.db.pool import Connection, Pool
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import Retryable
from diamond_opus.observability.logging import get_logger

#: How far two requests may arrive nearer to each other than their slots stand.
JITTER_SECONDS = 0.1

#: How late a booked request may leave: this process's share of the jitter, the rest is the network's. What would
#: leave later books again, lest late ones crowd into one second.
LATE_SECONDS = 0.05

#: The most room a slot is given for a process that keeps being late: it is taken from everybody.
MAX_SLACK_SECONDS = 1.0

#: A process that misses so many slots in a row is beyond help, but it must not wait for ever.
MAX_MISSED_SLOTS = 5

#: Slots stand as far apart as if the second lasted this long, which keeps any true second within the rate.
WINDOW_SECONDS = 1.0 + JITTER_SECONDS

MIN_PER_SECOND = 0.2

#: What one good answer adds to the rate, and what one answer given too slowly takes from it.
CLIMB_PER_GOOD_ANSWER = 0.2
FALL_PER_SLOW_ANSWER = 0.1

#: An answer time is rising when it is above this many times its own baseline, and worth speaking of at all.
SLOW_FACTOR = 3.0
SLOW_FLOOR_SECONDS = 0.25

#: How far the rate is from what the log was told last when it is told again.
TOLD_FACTOR = 1.5

log = get_logger(__name__)

_QUERIES = load_queries("diamond_opus.feeds", "budget.sql")


class Verdict(StrEnum):
    """What an answer says about the load the supplier bears."""

    GOOD = "good"
    FAILED = "failed"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answered request.

    ``kind`` groups requests of like cost, whose answer times compare. ``seconds`` ran from sending to the
    answer. ``pause_seconds`` is for throttled ones: how long nobody should ask.
    """

    kind: str
    verdict: Verdict
    seconds: float
    pause_seconds: float = 0.0


class RequestBudget(Protocol):
    """Every request to the supplier, logins included, acquires first and reports after."""

    async def acquire(self) -> None:
        """Return when the request may leave. Raises ``Retryable`` when the budget itself is out of reach."""
        ...

    async def report(self, outcome: Outcome) -> None:
        """Never raises: it must not stand before the answer it reports."""
        ...


def account_key(endpoint: str, username: str) -> str:
    """The budget's name for an account: the host and a digest, never the user name itself.

    >>> account_key("https://integrations.nivoda.net/api/diamonds", "buyer@example.com")
    'integrations.nivoda.net:6a6c26195c36'
    """
    digest = hashlib.sha256(username.encode()).hexdigest()
    return f"{urlsplit(endpoint).netloc.rpartition('@')[2]}:{digest[:12]}"


class UnlimitedBudget:
    """For a supplier of our own, such as the simulator: nothing waits, everything is counted."""

    def __init__(self) -> None:
        self.acquired = 0
        self.verdicts: Counter[Verdict] = Counter()

    async def acquire(self) -> None:
        self.acquired += 1

    async def report(self, outcome: Outcome) -> None:
        self.verdicts[outcome.verdict] += 1


class _AnswerTimes:
    """Whether answers of one kind come slower than they used to: a quick average against a slow one."""

    def __init__(self) -> None:
        self._recent: float | None = None
        self._baseline = 0.0

    def are_rising(self, seconds: float) -> bool:
        if self._recent is None:
            self._recent = self._baseline = seconds
        self._recent += 0.2 * (seconds - self._recent)
        self._baseline += 0.01 * (seconds - self._baseline)
        return self._recent > max(SLOW_FLOOR_SECONDS, SLOW_FACTOR * self._baseline)


class _Slot(NamedTuple):
    """A booked slot on this process's monotonic clock, and by how much it may really have been earlier.

    ``doubt`` is half of what the database's answer was under way, as if both ways took the same time.
    """

    at: float
    doubt: float


class PostgresBudget:
    """The budget as one row of ``request_budget``: evenly spaced slots, never a burst.

    The rate starts low, climbs while answers are good and quick, falls gently when they grow slow, and is
    halved for everybody once per incident when the supplier throttles.
    """

    def __init__(
        self,
        pool: Pool,
        account: str,
        clock: Clock,
        *,
        max_per_second: float = 25.0,
        start_per_second: float = 2.0,
    ) -> None:
        if not 0 < start_per_second <= max_per_second:
            raise ValueError(f"a budget cannot start at {start_per_second}/s with at most {max_per_second}/s")
        self._pool = pool
        self._clock = clock
        self._limits = {
            "account": account,
            "max_per_second": max_per_second,
            "min_per_second": min(MIN_PER_SECOND, start_per_second),
            "start_per_second": start_per_second,
            "window_seconds": WINDOW_SECONDS,
        }
        self._climb = 0.0
        self._slack = 0.0
        self._times: dict[str, _AnswerTimes] = {}
        self._told_rate: float | None = None
        self._why_down: str | None = None

    async def acquire(self) -> None:
        """Book a slot and wait for it; a slot that this process reaches too late is left and another booked.

        A process that keeps being late books room for its lateness with the slot (slack).
        """
        for _ in range(MAX_MISSED_SLOTS):
            slack = self._slack
            slot = await self._book(slack)
            wait = slot.at - self._clock.monotonic()
            if wait > 0:
                await self._clock.sleep(wait)
            late = self._clock.monotonic() - slot.at + slot.doubt
            if late <= LATE_SECONDS + slack:
                self._slack = slack * 0.9
                return
            self._slack = min(late * 1.5, MAX_SLACK_SECONDS)
        log.warning(
            "request_budget_slots_missed", account=self._limits["account"], late_seconds=round(late, 3)
        )

    async def report(self, outcome: Outcome) -> None:
        times = self._times.setdefault(outcome.kind, _AnswerTimes())
        rising = times.are_rising(outcome.seconds)
        if outcome.verdict is Verdict.THROTTLED:
            self._climb = 0.0
            self._why_down = "the supplier throttles us"
            await self._back_off(outcome)
        elif rising:
            self._climb -= FALL_PER_SLOW_ANSWER
            self._why_down = self._why_down or "answers grow slow"
        elif outcome.verdict is Verdict.GOOD:
            self._climb += CLIMB_PER_GOOD_ANSWER

    async def _book(self, slack: float) -> _Slot:
        climb, self._climb = self._climb, 0.0
        values = self._limits | {"climb": climb, "slack_seconds": slack}
        try:
            async with self._pool.connection() as conn:
                slot = await self._take_slot(conn, values)
                if slot is None:
                    await conn.execute(_QUERIES["open_account"], values)
                    slot = await self._take_slot(conn, values)
        except (psycopg.Error, DatabaseUnavailable) as error:
            raise Retryable(f"request budget: no slot could be booked: {error}") from error
        if slot is None:
            raise Retryable("request budget: the account's row vanished while a slot was booked; try again")
        return slot

    async def _take_slot(self, conn: Connection, values: Mapping[str, object]) -> _Slot | None:
        asked_at = self._clock.monotonic()
        cursor = await conn.execute(_QUERIES["book_slot"], values)
        row = await cursor.fetchone()
        told_at = self._clock.monotonic()
        if row is None:
            return None
        wait_seconds, server_seconds, rate = row
        self._tell_rate(rate)
        return _Slot(told_at + wait_seconds, max(0.0, told_at - asked_at - server_seconds) / 2)

    def _tell_rate(self, rate: float) -> None:
        """To the log, when it is another one: after a halving, after a long climb."""
        before = self._told_rate = self._told_rate or rate
        is_up = rate >= before * TOLD_FACTOR
        if not is_up and rate > before / TOLD_FACTOR:
            return
        why = (
            "answers are good" if is_up else self._why_down or "another process was throttled or slowed down"
        )
        log.info(
            "request_budget_changed",
            account=self._limits["account"],
            direction="up" if is_up else "down",
            per_second=round(rate, 2),
            before=round(before, 2),
            reason=why,
        )
        self._told_rate, self._why_down = rate, None

    async def _back_off(self, outcome: Outcome) -> None:
        pause = max(1.0, outcome.pause_seconds)
        values = self._limits | {"answer_seconds": outcome.seconds, "pause_seconds": pause}
        try:
            async with self._pool.connection() as conn:
                await conn.execute(_QUERIES["back_off"], values)
        except (psycopg.Error, DatabaseUnavailable) as error:
            # The refusal itself is what the caller must hear of; the next slot cannot be booked either.
            log.warning("request_budget_pause_lost", account=self._limits["account"], reason=str(error))
