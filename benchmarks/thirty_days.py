"""A month of nightly runs: what the database takes on disk, and that nothing in it grows with time alone.

A day is as long as its runs take. Housekeeping is told where each day began, so what is kept for a week goes after
seven of them, and no row is touched to make it look older. Autovacuum has minutes here for what it has a day for
elsewhere.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
from psycopg.rows import dict_row

from benchmarks.world import Served, world
from diamond_opus.cli.drive import drive
from diamond_opus.cli.follow import SilentView
from diamond_opus.maintain.retention import Cutoffs
from diamond_opus.runs.model import RunState, RunType
from diamond_opus.wiring import NIVODA, Pipeline

#: How many days each kind is kept here: short, so that a month sees every kind come and go.
KEPT_DAYS = {"raw": 7, "deleted_stones": 10, "runs": 7, "other": 7, "changes": 1}
FULL_EVERY = 7
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

#: What a day leaves beside runs: errors, steps in the audit log, signed requests whose signatures expired.
_DAILY = (
    "INSERT INTO error_logs (service, error_message, stack_trace)"
    " SELECT 'benchmark', 'an error', repeat('a line of its trace\n', 40) FROM generate_series(1, 1000)",
    "INSERT INTO audit_log (actor, action, subject) SELECT 'benchmark', 'a', n::text FROM generate_series(1, 100) AS n",
    "INSERT INTO request_signatures (client, signature, expires_at)"
    " SELECT 'shop', md5(random()::text || n), clock_timestamp() FROM generate_series(1, 5000) AS n",
)

_SIZES = """
    SELECT
        s.schemaname || '.' || s.relname AS name,
        pg_relation_size(c.oid) AS heap,
        coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) AS toast,
        pg_indexes_size(c.oid) AS indexes,
        s.n_live_tup AS rows,
        s.n_dead_tup AS dead
    FROM pg_stat_user_tables AS s
    JOIN pg_class AS c ON c.oid = s.relid
    WHERE c.relkind = 'r'
"""
_INDEXES = """
    SELECT schemaname || '.' || indexrelname AS name, pg_relation_size(indexrelid) AS bytes
    FROM pg_stat_user_indexes
"""

#: What may differ between the middle and the end: the inventory itself grows by some percent, and a table has one more
#: or one less removal of a week in it.
_TOLERATED = 1.15
_TOLERATED_BYTES = 4_000_000


async def measure(
    rows: int, sessions: int, batch_size: int | None, *, days: int = 30, change: float = 0.02
) -> dict[str, Any]:
    # No overlap: with days of a minute each, a quarter of an hour would read the days before again.
    async with world(rows, sessions, batch_size, incremental_safety_minutes=0) as (pipeline, simulator):
        begun = [datetime.now(UTC)]
        log = [await _day(pipeline, simulator, begun, events=0)]
        for _ in range(days):
            begun.append(datetime.now(UTC))
            log.append(await _day(pipeline, simulator, begun, events=round(rows * change)))
    return {"stones": rows, "change": change, "kept_days": KEPT_DAYS, "days": log, "growing": growing(log)}


async def _day(
    pipeline: Pipeline, simulator: Served, begun: Sequence[datetime], *, events: int
) -> dict[str, Any]:
    day = len(begun) - 1
    if events:
        await _churn(simulator, events)
    async with pipeline.pool.connection() as conn:
        for statement in _DAILY:
            await conn.execute(statement.encode())
    started = time.perf_counter()
    run_type = RunType.FULL if day % FULL_EVERY == 0 else RunType.INCREMENTAL
    run = await drive(pipeline, NIVODA, run_type, SilentView(), asyncio.Event())
    if run.state is not RunState.COMPLETED:
        raise RuntimeError(f"day {day}: the run is {run.state}: {run.error}")
    run_seconds = time.perf_counter() - started
    done = await pipeline.housekeeper().keep(cutoffs=_cutoffs(begun))
    if any(one.error for one in done):
        raise RuntimeError(f"day {day}: {[one.error for one in done if one.error]}")
    return {
        "day": day,
        "run": run.run_type,
        "run_seconds": round(run_seconds, 1),
        "maintain_seconds": round(sum(one.seconds for one in done), 1),
        "gone": {one.task: one.rows for one in done if one.rows},
        "removed": run.removed_records,
        "tables": {row.pop("name"): row for row in await _fetch(pipeline, _SIZES)},
        "indexes": {row["name"]: row["bytes"] for row in await _fetch(pipeline, _INDEXES)},
    }


def _cutoffs(begun: Sequence[datetime]) -> Cutoffs:
    """Where the days that are kept begin; before there are so many, nothing goes."""

    def kept(kind: str) -> datetime:
        first = len(begun) - KEPT_DAYS[kind]
        return begun[first] if first > 0 else LONG_AGO

    other = kept("other")
    return Cutoffs(
        now=datetime.now(UTC),
        raw=kept("raw"),
        deleted_stones=kept("deleted_stones"),
        runs=kept("runs"),
        density=other,
        error_logs=other,
        audit=other,
        incidents=other,
        dead_letters=other,
        changes=kept("changes"),
    )


async def _churn(simulator: Served, events: int) -> None:
    control = simulator.url.replace("/api/diamonds", "/control/churn")
    async with aiohttp.ClientSession() as http, http.post(control, json={"events": events}) as answer:
        answer.raise_for_status()


async def _fetch(pipeline: Pipeline, statement: str) -> list[dict[str, Any]]:
    async with pipeline.pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT pg_stat_force_next_flush()")
        await cursor.execute(statement.encode())
        return await cursor.fetchall()


def growing(log: Sequence[Mapping[str, Any]]) -> list[str]:
    """Tables and indexes that are much bigger at the end than in the middle, by when everything has come and gone.

    Both are the largest of the last week up to that day: a full run writes every row once more.
    """
    middle, end = log[: len(log) // 2 + 1][-FULL_EVERY:], log[-FULL_EVERY:]

    def is_growing(size_of: Callable[[Mapping[str, Any]], int]) -> bool:
        return max(map(size_of, end)) > max(map(size_of, middle)) * _TOLERATED + _TOLERATED_BYTES

    tables = [name for name in log[-1]["tables"] if is_growing(partial(_total, name=name))]
    return tables + [name for name in log[-1]["indexes"] if is_growing(partial(_index, name=name))]


def _index(day: Mapping[str, Any], name: str) -> int:
    return int(day["indexes"].get(name, 0))


_PARTS = ("heap", "toast", "indexes")


def as_markdown(figures: Mapping[str, Any]) -> str:
    """The table for docs/performance.md."""
    log = figures["days"]
    last = len(log) - 1
    shown = sorted({0, last // 3, 2 * last // 3, last})
    biggest = sorted(log[last]["tables"], key=lambda name: -_total(log[last], name))[:12]
    lines = [
        f"{figures['stones']:,} stones, {figures['change']:.0%} of them changed a day, {last} days:",
        "",
        "| MB: rows + payloads + indexes | "
        + " | ".join(f"day {day}" for day in shown)
        + " | a day, second half |",
        "|---|" + "---|" * (len(shown) + 1),
    ]
    for name in biggest:
        cells = [_parts(log[day], name) for day in shown]
        a_day = (_total(log[last], name) - _total(log[last // 2], name)) / max(1, last - last // 2)
        lines.append(
            f"| `{name.removeprefix('public.')}` | " + " | ".join(cells) + f" | {a_day / 1e6:+.2f} |"
        )
    totals = [sum(_total(log[day], name) for name in log[day]["tables"]) for day in shown]
    a_day = (totals[-1] - sum(_total(log[last // 2], name) for name in log[last // 2]["tables"])) / max(
        1, last - last // 2
    )
    lines.append(
        "| all tables | " + " | ".join(f"{total / 1e6:,.0f}" for total in totals) + f" | {a_day / 1e6:+.2f} |"
    )
    dead = [sum(table["dead"] for table in log[day]["tables"].values()) for day in shown]
    lines.append("| dead rows | " + " | ".join(f"{count:,}" for count in dead) + " | |")
    lines += ["", _times(log), "", f"Growing: {', '.join(figures['growing']) or 'nothing'}."]
    return "\n".join(lines)


def _times(log: Sequence[Mapping[str, Any]]) -> str:
    def longest(key: str, run: str) -> float:
        return max((day[key] for day in log[1:] if day["run"] == run), default=0.0)

    return (
        f"The longest nightly run took {longest('run_seconds', 'incremental'):.0f} s, the longest full run "
        f"{longest('run_seconds', 'full'):.0f} s, and housekeeping after them "
        f"{longest('maintain_seconds', 'incremental'):.0f} s and {longest('maintain_seconds', 'full'):.0f} s."
    )


def _total(day: Mapping[str, Any], name: str) -> int:
    table = day["tables"].get(name)
    return sum(int(table[part]) for part in _PARTS) if table else 0


def _parts(day: Mapping[str, Any], name: str) -> str:
    table = day["tables"].get(name)
    return " + ".join(f"{table[part] / 1e6:,.1f}" for part in _PARTS) if table else "-"
