"""One look at everything that may be wrong: what is found is an alert each, what cannot be seen is told apart."""

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row, scalar_row
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts.protocol import Alert
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.cron import last_call
from diamond_opus.domain.errors import DiamondError
from diamond_opus.monitoring.events import FOUND, SETTLED_BY_PEOPLE
from diamond_opus.observability.logging import get_logger
from diamond_opus.queue.protocol import Queue
from diamond_opus.runs.model import RunType

QUERIES = load_queries("diamond_opus.monitoring", "conditions.sql")

#: More are not counted: so many already say that something is wrong.
_MOST_DEAD_LETTERS = 100

#: What is left free of a disk must be a tenth of it, or so much.
_LEAST_FREE_BYTES = 2 * 1024**3

log = get_logger("monitoring")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on something is trouble. Crons are in UTC; None means that nobody wants to be told.

    ``disk`` is a folder on the disk that the database fills, where that is this machine's; ``tasks`` are those of
    housekeeping.
    """

    scheduler_cron: str
    full_run_cron: str
    late_after: timedelta
    maintain_cron: str
    tasks: Sequence[str]
    rejected_share: float
    refusal: timedelta
    backup_age: timedelta | None = None
    database_bytes: float | None = None
    disk: Path | None = None


@dataclass(slots=True)
class Sight:
    """``alerts`` are what is wrong now, ``seen`` the kinds of trouble that could be looked for.

    ``still`` are the ids of open incidents, opened where their trouble arose, that are not over; None when that could
    not be asked.
    """

    alerts: list[Alert] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    still: Collection[UUID] | None = None


class Lookout:
    """Looks with the database's own eyes, for all processes see the same there."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        queues: Mapping[str, Queue],
        limits: Limits,
        feeds: Sequence[str],
    ) -> None:
        self._pool = pool
        self._queues = queues
        self._limits = limits
        self._feeds = feeds

    async def look(self, now: datetime) -> Sight:
        """Kind by kind: one that cannot be looked for is logged, and the others are."""
        sight = Sight()
        for event in FOUND:
            try:
                rows = await self._find(event.name, now)
                alerts = [event.alert(row) for row in rows]
            except Exception as error:  # whatever one kind meets must not hide the others
                reason = f"{type(error).__name__}: {error}"
                log.warning("trouble_not_looked_for", incident=event.name, reason=reason)
                continue
            sight.seen.add(event.name)
            sight.alerts += alerts
        try:
            sight.still = await self._still_so()
        except (DiamondError, psycopg.Error, OSError) as error:
            log.warning("open_incidents_not_looked_at", reason=str(error))
        return sight

    async def _find(self, event: str, now: datetime) -> Sequence[Row]:
        match event:
            case "run_late":
                return await self._late_runs(now, self._limits.scheduler_cron, RunType)
            case "full_run_late":
                return await self._late_runs(now, self._limits.full_run_cron, [RunType.FULL])
            case "dead_letters":
                return await self._dead_letters(now)
            case "database_nearly_full":
                return await self._little_room(now)
            case "backup_overdue":
                age = self._limits.backup_age
                return [] if age is None else await self._fetch(event, {"now": now, "backup_age": age})
            case "maintenance_overdue":
                return await self._overdue_tasks(now)
        limits = self._limits
        parameters = {"now": now, "rejected_share": limits.rejected_share, "refusal": limits.refusal}
        return await self._fetch(event, parameters)

    async def _late_runs(self, now: datetime, cron: str, which: Iterable[RunType]) -> Sequence[Row]:
        called_at = last_call(cron, now - self._limits.late_after)
        if called_at is None:
            return []
        found: list[Row] = []
        for feed in self._feeds:
            found += await self._fetch(
                "run_late", {"feed": feed, "called_at": called_at, "run_types": list(which)}
            )
        return found

    async def _overdue_tasks(self, now: datetime) -> Sequence[Row]:
        newest = last_call(self._limits.maintain_cron, now)
        before = (
            None if newest is None else last_call(self._limits.maintain_cron, newest - timedelta(seconds=1))
        )
        if before is None:
            return []
        parameters = {"tasks": list(self._limits.tasks), "maintained_by": before}
        return await self._fetch("maintenance_overdue", parameters)

    async def _dead_letters(self, now: datetime) -> Sequence[Row]:
        found: list[Row] = []
        for name, queue in self._queues.items():
            letters = await queue.dead_letters(limit=_MOST_DEAD_LETTERS)
            if letters:
                count = f"{len(letters)} or more" if len(letters) == _MOST_DEAD_LETTERS else str(len(letters))
                reason = letters[0].reason
                found.append({"subject": name, "since": now, "letters": count, "reason": reason})
        return found

    async def _little_room(self, now: datetime) -> Sequence[Row]:
        """Of what the operator allows the database, or of the disk of this machine's own server."""
        if self._limits.database_bytes is not None:
            async with self._pool.connection() as conn, conn.cursor(row_factory=scalar_row) as cursor:
                await cursor.execute(QUERIES["database_size"])
                used, limit = float(await cursor.fetchone() or 0), self._limits.database_bytes
            is_little = used >= 0.9 * limit
        elif self._limits.disk is not None:
            disk = shutil.disk_usage(self._limits.disk)
            used, limit = disk.used, disk.used + disk.free
            is_little = disk.free < min(0.1 * limit, _LEAST_FREE_BYTES)
        else:
            return []
        row = {"subject": "", "since": now, "used_gb": used / 1e9, "limit_gb": limit / 1e9}
        return [row] if is_little else []

    async def _still_so(self) -> Collection[UUID]:
        async with self._pool.connection() as conn, conn.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(QUERIES["still_so"], {"settled_by_people": list(SETTLED_BY_PEOPLE)})
            return set(await cursor.fetchall())

    async def _fetch(self, query: str, parameters: Mapping[str, object]) -> list[Row]:
        async with self._pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(QUERIES[query], parameters)
            return list(await cursor.fetchall())
