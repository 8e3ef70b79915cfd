"""What goes, task by task: each a series of short transactions, so that a kill loses one of them and nobody waits long.

Where a task stands is in the data itself: what was not done is found by the next one.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol
from uuid import UUID

from psycopg import sql
from psycopg.errors import ForeignKeyViolation, RestrictViolation
from psycopg.rows import dict_row, scalar_row

from diamond_opus.db.changes import announce_changes, record_changes
from diamond_opus.db.pool import Connection, Pool, patience
from diamond_opus.maintain.retention import Cutoffs
from diamond_opus.maintain.tables import PUBLIC_TABLES, QUEUE_TABLES
from diamond_opus.maintain.upkeep import QUERIES
from diamond_opus.queue.protocol import Queue
from diamond_opus.watermark.protocol import WatermarkStore

#: A table is vacuumed when so many of its rows, and such a share of them, are dead.
_FEWEST_DEAD = 1_000
_DEAD_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class House:
    """What is kept in order, and how many rows a transaction may touch."""

    pool: Pool
    watermarks: WatermarkStore
    queues: Mapping[str, Queue]
    feeds: Sequence[str]
    batch_rows: int = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that stays although its time is over: this table, which is not ours, refers to it."""

    referenced_by: str


class Task(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str:
        """What goes, in a few words."""
        ...

    def before(self, cutoffs: Cutoffs, /) -> datetime | None:
        """What is older goes; None for a task that does not ask for an age."""
        ...

    async def count(self, house: House, cutoffs: Cutoffs, /) -> int:
        """How many rows would go."""
        ...

    def batches(self, house: House, cutoffs: Cutoffs, /) -> AsyncIterator[int | Kept]:
        """Do it; after each transaction comes the number of rows that went with it, or a row that had to stay."""
        ...


@dataclass(frozen=True, slots=True)
class OldRows:
    """Rows of tables that go by their age alone: ``tables`` are selections of ``queries.sql`` by table."""

    name: str
    about: str
    kept_by: str
    tables: Mapping[str, str]

    def before(self, cutoffs: Cutoffs) -> datetime:
        moment: datetime = getattr(cutoffs, self.kept_by)
        return moment

    async def count(self, house: House, cutoffs: Cutoffs) -> int:
        before = self.before(cutoffs)
        return sum([await _count(house, query, before=before) for query in self.tables.values()])

    async def batches(self, house: House, cutoffs: Cutoffs) -> AsyncIterator[int]:
        for table, query in self.tables.items():
            statement = _with_selection("delete_batch", query, table=sql.Identifier(table))
            async for rows in _repeat(house, statement, self.before(cutoffs)):
                yield rows


class RawPayloads:
    """The supplier's answers about stones that are long gone."""

    name = "raw_payloads"
    about = "payloads of stones that are gone"

    def before(self, cutoffs: Cutoffs) -> datetime:
        return cutoffs.raw

    async def count(self, house: House, cutoffs: Cutoffs) -> int:
        return await _count(house, "old_payloads", before=cutoffs.raw)

    async def batches(self, house: House, cutoffs: Cutoffs) -> AsyncIterator[int]:
        statement = _with_selection("drop_payloads", "old_payloads")
        while True:
            async with house.pool.connection() as conn, conn.cursor(row_factory=scalar_row) as cursor:
                await cursor.execute(statement, {"before": cutoffs.raw, "limit": house.batch_rows})
                [rows] = await cursor.fetchall()
            yield rows
            if rows < house.batch_rows:
                return


class Rejections:
    """What left quarantine long ago or is gone from the supplier, and old items that could not be read."""

    name = "rejected_stones"
    about = "settled rejections, those of stones that are gone, unreadable items"

    _BY_AGE = ("resolved_rejections", "unreadable_rejections")

    def before(self, cutoffs: Cutoffs) -> datetime:
        return cutoffs.raw

    async def count(self, house: House, cutoffs: Cutoffs) -> int:
        queries = (*self._BY_AGE, "gone_rejections")
        return sum([await _count(house, query, before=cutoffs.raw) for query in queries])

    async def batches(self, house: House, cutoffs: Cutoffs) -> AsyncIterator[int]:
        table = sql.Identifier("rejected_diamonds")
        by_age = [_with_selection("delete_batch", query, table=table) for query in self._BY_AGE]
        for statement in (*by_age, _with_selection("forget_rejections", "gone_rejections")):
            async for rows in _repeat(house, statement, cutoffs.raw):
                yield rows


class DeletedStones:
    """Diamonds that were removed long ago and that nobody here ever traded, with what is left of their answers."""

    name = "deleted_stones"
    about = "removed stones without holds, orders or marks"

    def before(self, cutoffs: Cutoffs) -> datetime:
        return cutoffs.deleted_stones

    async def count(self, house: House, cutoffs: Cutoffs) -> int:
        return await _count(house, "deleted_stones", before=cutoffs.deleted_stones, kept=[])

    async def batches(self, house: House, cutoffs: Cutoffs) -> AsyncIterator[int | Kept]:
        """A batch in which a foreign table refers to a stone is halved until that stone is alone, and it stays."""
        kept: set[UUID] = set()
        while True:
            chosen = await self._choose(house, cutoffs, kept)
            kept.update(chosen)
            pieces = [chosen]
            while pieces:
                piece = pieces.pop()
                try:
                    gone = await self._purge(house, cutoffs, piece)
                except (ForeignKeyViolation, RestrictViolation) as refused:
                    if len(piece) > 1:
                        half = len(piece) // 2
                        pieces += [piece[half:], piece[:half]]
                    else:
                        yield Kept(refused.diag.table_name or "?")
                else:
                    kept.difference_update(gone)
                    yield len(gone)
            if len(chosen) < house.batch_rows:
                return

    async def _choose(self, house: House, cutoffs: Cutoffs, kept: Collection[UUID]) -> list[UUID]:
        values = {"before": cutoffs.deleted_stones, "kept": list(kept), "limit": house.batch_rows}
        async with house.pool.connection() as conn:
            found = await _rows(conn, _with_selection("choose_stones", "deleted_stones"), values)
        return [stone["id"] for stone in found]

    async def _purge(self, house: House, cutoffs: Cutoffs, chosen: Sequence[UUID]) -> list[UUID]:
        values = {"before": cutoffs.deleted_stones, "kept": [], "chosen": list(chosen)}
        async with house.pool.connection() as conn, conn.transaction():
            await announce_changes(conn)
            purged = await _rows(conn, _with_selection("purge_stones", "deleted_stones"), values)
            for feed, stones in groupby(sorted(purged, key=itemgetter("feed")), itemgetter("feed")):
                await record_changes(conn, feed, [stone["id"] for stone in stones])
        return [stone["id"] for stone in purged]


class OldRuns:
    """Runs with their partitions, attempts, warnings and removal candidates."""

    name = "runs"
    about = "runs, with their partitions and attempts"

    def before(self, cutoffs: Cutoffs) -> datetime:
        return cutoffs.runs

    async def count(self, house: House, cutoffs: Cutoffs) -> int:
        return await _count(house, "old_runs", before=cutoffs.runs, named=await _named(house))

    async def batches(self, house: House, cutoffs: Cutoffs) -> AsyncIterator[int]:
        """One run at a time, and a run with many candidates in several steps."""
        take = _with_selection("take_old_run", "old_runs")
        asked = {"before": cutoffs.runs, "named": await _named(house)}
        while True:
            async with house.pool.connection() as conn, conn.transaction():
                runs = await _rows(conn, take, asked)
                if not runs:
                    return
                run = {"run_id": runs[0]["run_id"], "limit": house.batch_rows}
                candidates = await conn.execute(QUERIES["delete_candidates"], run)
                is_last = candidates.rowcount < house.batch_rows
                if is_last:
                    await conn.execute(QUERIES["delete_run"], run)
            yield int(is_last)


class DeadLetters:
    """Messages that were set aside long ago; each was a wake-up, so nothing is lost with it."""

    name = "dead_letters"
    about = "messages that were set aside"

    def before(self, cutoffs: Cutoffs) -> datetime:
        return cutoffs.dead_letters

    async def count(self, house: House, cutoffs: Cutoffs) -> int:
        with patience():
            return sum(
                [await queue.count_dead_letters(cutoffs.dead_letters) for queue in house.queues.values()]
            )

    async def batches(self, house: House, cutoffs: Cutoffs) -> AsyncIterator[int]:
        for queue in house.queues.values():
            while True:
                rows = await queue.purge_dead_letters(cutoffs.dead_letters, limit=house.batch_rows)
                yield rows
                if rows < house.batch_rows:
                    break


class Bloat:
    """Dead rows, made free for new ones where there are many: what the tasks before left, and what runs did."""

    name = "vacuum"
    about = "dead rows, made free for new ones"

    def before(self, _cutoffs: Cutoffs, /) -> None:
        return None

    async def count(self, house: House, _cutoffs: Cutoffs, /) -> int:
        async with house.pool.connection() as conn:
            return sum(table["dead"] for table in await self._bloated(conn))

    async def batches(self, house: House, _cutoffs: Cutoffs, /) -> AsyncIterator[int]:
        async with house.pool.connection() as conn:
            tables = await self._bloated(conn)
        for table in tables:
            name = sql.Identifier(table["schemaname"], table["relname"])
            with patience():
                async with house.pool.connection() as conn:
                    await conn.execute(sql.SQL("VACUUM (ANALYZE) {}").format(name))
            yield table["dead"]

    async def _bloated(self, conn: Connection) -> list[dict[str, Any]]:
        asked = {"fewest": _FEWEST_DEAD, "share": str(_DEAD_SHARE)}
        tables = {"tables": list(PUBLIC_TABLES), "queue_tables": list(QUEUE_TABLES)}
        return await _rows(conn, QUERIES["bloated_tables"], {**asked, **tables})


#: In this order: what the catalogue needs no more, then the records of how it came about, then the room they leave.
TASKS: Sequence[Task] = (
    Rejections(),
    RawPayloads(),
    DeletedStones(),
    OldRuns(),
    OldRows("density_scans", "heatmap scans", "density", {"density_scans": "density_scans"}),
    OldRows("error_logs", "recorded errors", "error_logs", {"error_logs": "error_logs"}),
    OldRows("audit_log", "who did what", "audit", {"audit_log": "audit_log"}),
    OldRows("incidents", "incidents that are over", "incidents", {"incidents": "incidents"}),
    OldRows("upkeep", "records like these", "runs", {"upkeep": "upkeep"}),
    OldRows("dataset_changes", "which stones changed", "changes", {"dataset_changes": "dataset_changes"}),
    OldRows("request_signatures", "expired signatures", "now", {"request_signatures": "request_signatures"}),
    DeadLetters(),
    Bloat(),
)


def _with_selection(query: str, selection: str, **parts: sql.Composable) -> sql.Composed:
    return sql.SQL(QUERIES[query]).format(selection=sql.SQL(QUERIES[selection]), **parts)


async def _count(house: House, selection: str, **values: Any) -> int:
    async with house.pool.connection() as conn:
        with patience():
            [row] = await _rows(conn, _with_selection("count_rows", selection), values)
    return int(row["rows"])


async def _repeat(house: House, statement: sql.Composed, before: datetime) -> AsyncIterator[int]:
    """The statement, each time in a transaction of its own, until it finds no full batch any more."""
    while True:
        async with house.pool.connection() as conn:
            cursor = await conn.execute(statement, {"before": before, "limit": house.batch_rows})
        yield cursor.rowcount
        if cursor.rowcount < house.batch_rows:
            return


async def _rows(conn: Connection, statement: Any, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchall()


async def _named(house: House) -> list[str]:
    """The runs that the watermarks name: by them a plan knows that the watermark is this database's own."""
    found = [await house.watermarks.read(feed) for feed in house.feeds]
    return [watermark.last_run_id for watermark in found if watermark and watermark.last_run_id]
