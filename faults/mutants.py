"""Deliberately broken variants of the pipeline, each as somebody once wrote it, and the schedules that must notice.

A harness that finds nothing proves nothing; one that finds each of these proves that it looks in the right places.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from psycopg import AsyncConnection

from diamond_opus.consolidate import batch, claim, removal
from diamond_opus.consolidate.consolidator import Consolidator
from diamond_opus.db.pool import run_in_transaction
from diamond_opus.db.queries import Queries
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.nivoda import NivodaTrading
from diamond_opus.feeds.trading import OrderRequest
from diamond_opus.ingest import store as ingest_store
from diamond_opus.ingest.read_range import Batch, RangeOutcome, RangeReader
from diamond_opus.ingest.walk import Ask, Pass
from diamond_opus.ingest.worker import Worker
from diamond_opus.runs import leases, steps
from diamond_opus.runs.model import ClaimedPartition, PartitionState, Progress, Run, RunState, RunType
from diamond_opus.trade import begin_order, orders
from diamond_opus.trade.model import OrderRecord, StoneKey
from diamond_opus.trade.stones import find_stone
from diamond_opus.watermark.protocol import Watermark, advance
from faults import settings
from faults.ground import Ground
from faults.oracle import Expected
from faults.play import Outcome, Patience, play
from faults.quiet import QuietHistories
from faults.schedule import Injection, Schedule
from faults.timeline import TIMELINES, Timeline

#: A broken variant is given less time: most of them never come right.
_HASTE = Patience(run_seconds=12, settling_seconds=4)

_STILL_FULL, _EMPTY_MOVING = TIMELINES[1], TIMELINES[2]
#: Eight times as much moves: in each range something does between two pages.
_RESTLESS = Timeline(5, is_loaded=False, first=RunType.FULL, moves_a_request=4)


#: How many partitions the first run of a full timeline has.
_LAST_SETTLED = 15


@dataclass(frozen=True, slots=True)
class Mutant:
    """``broken`` is what was changed; one of ``schedules`` must find it, in ``circumstances`` that the whole product
    stands as well.
    """

    broken: str
    change: Callable[[], AbstractContextManager[Any]]
    schedules: Sequence[Schedule]
    circumstances: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext


def _schedules(
    timeline: Any, *injections: Injection, count: int = 3, consolidators: int = 2
) -> list[Schedule]:
    needs_api = any(injection.kind == "kill_buying" for injection in injections)
    return [
        Schedule(seed, timeline, False, 2, consolidators, int(needs_api), injections)
        for seed in range(timeline.number, timeline.number + 10 * count, 10)
    ]


def _at(
    kind: str, point: str | None = None, *, run: int = 1, nth: int = 1, moment: float = 0.4, seed: int = 1
) -> Injection:
    return Injection(kind, run, moment, point, nth, seed)


@contextmanager
def _sql(queries: Queries, name: str, old: str, new: str) -> Iterator[None]:
    """A named query with one thing changed, which must be there."""
    assert old in queries[name], f"{name} has no {old!r} any more"
    with patch.dict(queries._queries, {name: queries[name].replace(old, new)}):
        yield


# --- Reading ----------------------------------------------------------------------------------------------------------


@contextmanager
def cursor_before_data() -> Iterator[None]:
    async def commit(
        self: Worker,
        claimed: ClaimedPartition,
        number: int,
        asked: Selection,
        batch: Batch,
        progress: Progress,
    ) -> None:
        async def move(conn: AsyncConnection[Any]) -> None:
            await leases.advance_partition(
                conn, claimed, progress, number=number, lease_seconds=self._settings.lease_seconds
            )

        async def write(conn: AsyncConnection[Any]) -> None:
            await ingest_store.store_stones(conn, claimed.feed, claimed.run_id, asked, batch.stones)

        await run_in_transaction(self._pool, move)
        await run_in_transaction(self._pool, write)

    with patch.object(Worker, "_commit", commit):
        yield


def _read_once() -> AbstractContextManager[Any]:
    async def read(self: RangeReader) -> RangeOutcome:
        await self._walk()
        return self._outcome(1, disputed=False, notes=())

    return patch.object(RangeReader, "read", read)


@contextmanager
def no_overlap_no_repeat() -> Iterator[None]:
    def next_ask(self: Pass) -> Ask:
        return Ask(offset=self._place, limit=self._limit, overlap=0)

    with _read_once(), patch.object(Pass, "next_ask", next_ask):
        yield


@contextmanager
def short_page_is_the_end() -> Iterator[None]:
    def take(self: Pass, ask: Ask, rows: Sequence[Any]) -> None:
        whole(self, ask, rows)
        self.is_over = self.is_over or len(rows) < ask.limit

    whole = Pass.take
    with _read_once(), patch.object(Pass, "take", take):
        yield


def upsert_in_arrival_order() -> AbstractContextManager[Any]:
    newer = "WHERE r.fetched_at <= EXCLUDED.fetched_at OR r.fetched_at > clock_timestamp()"
    return _sql(ingest_store.QUERIES, "store_incoming", newer, "")


def _patient_processes() -> AbstractContextManager[Any]:
    """Their patience for the database outlasts a lease, as that of a process does that was suspended meanwhile."""
    return patch.dict(
        settings.QUICK, {"pg_answer_timeout_ms": 8_000, "pg_idle_transaction_timeout_ms": 8_000}
    )


@contextmanager
def lease_without_fence() -> Iterator[None]:
    names = ("renew_partition", "advance_partition", "count_failures", "leave_partition")
    with contextlib.ExitStack() as stack:
        for name in names:
            fence = "lease_token = %(lease_token)s"
            stack.enter_context(
                _sql(steps.QUERIES, name, fence, "lease_token::text || %(lease_token)s IS NOT NULL")
            )
        yield


def last_check_outside_the_transaction() -> AbstractContextManager[Any]:
    return patch.object(Worker, "_end", _end_in_two)


async def _end_in_two(self: Worker, claimed: ClaimedPartition, state: PartitionState, **more: Any) -> None:
    """The partition is settled and committed; then, in another transaction, whether it was the last is asked."""

    async def leave(conn: AsyncConnection[Any]) -> None:
        async with conn.cursor() as cursor:
            await cursor.execute(
                steps.QUERIES["leave_partition"],
                {
                    **leases._fence(claimed),
                    "state": state,
                    "error": more.get("error"),
                    "failures": int(more.get("counts_as_failure", False)),
                    "delay": None,
                },
            )
        await conn.execute(
            steps.QUERIES["finish_attempt"],
            {
                "run_id": claimed.run_id,
                "partition_id": claimed.partition_id,
                "attempt": claimed.attempt,
                "status": "completed" if state is PartitionState.COMPLETED else "failed",
                "error": more.get("error"),
            },
        )

    async def settle(conn: AsyncConnection[Any]) -> RunState:
        return await leases.settle_run(conn, claimed.run_id)

    await run_in_transaction(self._pool, leave)
    run_state = await run_in_transaction(self._pool, settle)
    if state is not PartitionState.PENDING:
        await self._report(claimed, state, more.get("error"), run_state)


# --- Consolidating ----------------------------------------------------------------------------------------------------


@contextmanager
def mark_by_id_alone() -> Iterator[None]:
    """Read without a lock, work, then mark by id, whatever the row holds by then."""
    begin, end = claim._CLAIM.index("FOR UPDATE"), claim._CLAIM.index("-- By column")
    unlocked = claim._CLAIM[:begin] + claim._CLAIM[begin:].replace("FOR UPDATE SKIP LOCKED", "", 1)
    marking = unlocked[unlocked.index("), marked AS (") : unlocked.index("-- By column")]
    reading = """), marked AS (
    SELECT
        r.supplier_stone_id, r.offer_id, r.payload, r.asked_lab_grown, r.asked_price_from, r.asked_price_to,
        r.id, r.payload_hash, r.last_seen_at, d.id IS NOT NULL AS is_known
    FROM raw_diamonds AS r
    JOIN picked AS p ON p.feed = r.feed AND p.supplier_stone_id = r.supplier_stone_id
    LEFT JOIN diamonds AS d ON d.feed = p.feed AND d.supplier_stone_id = p.supplier_stone_id
    WHERE %(feed)s IS NOT NULL
)
"""
    assert end > begin

    async def resolve(conn: AsyncConnection[Any], feed: str, ids: Sequence[str], accepted: set[str]) -> None:
        await whole(conn, feed, ids, accepted)
        await conn.execute(
            "UPDATE raw_diamonds SET consolidated = TRUE WHERE feed = %s AND supplier_stone_id = ANY (%s)",
            (feed, list(ids)),
        )

    whole = batch._resolve
    with (
        patch.object(claim, "_CLAIM", unlocked.replace(marking, reading)),
        patch.object(batch, "_resolve", resolve),
    ):
        yield


def empty_locked_read_is_the_end() -> AbstractContextManager[Any]:
    left = """  AND NOT EXISTS (
      SELECT FROM raw_diamonds AS w
      WHERE w.feed = r.feed
        AND NOT w.consolidated
  )"""
    return _sql(steps.QUERIES, "take_finalisation", left, "")


@contextmanager
def watermark_is_now() -> Iterator[None]:
    async def move(self: Consolidator, run: Run) -> datetime | None:
        moved = Watermark(self._clock.now(), str(run.run_id), self._clock.now())
        present = await advance(self._watermarks, run.feed, moved)
        return present.last_updated_at if present else None

    with patch.object(Consolidator, "_move_watermark", move):
        yield


@contextmanager
def watermark_past_a_failed_range() -> Iterator[None]:
    async def move(self: Consolidator, run: Run) -> datetime | None:
        moved = Watermark(run.updated_to, str(run.run_id), self._clock.now())
        present = await advance(self._watermarks, run.feed, moved)
        return present.last_updated_at if present else None

    with patch.object(Consolidator, "_move_watermark", move):
        yield


def removal_by_another_run() -> AbstractContextManager[Any]:
    condition = """WHERE r.run_id = %(run_id)s
      AND w.last_seen_run_id <> r.run_id
      AND (w.last_seen_at < r.started_at OR w.last_seen_at > clock_timestamp())"""
    other = """WHERE r.run_id = %(run_id)s
      AND w.last_seen_run_id <> (SELECT o.run_id FROM run_metadata AS o ORDER BY o.started_at LIMIT 1)"""
    return _sql(removal.QUERIES, "freeze_candidates", condition, other)


# --- Trading ----------------------------------------------------------------------------------------------------------


@contextmanager
def order_before_intent() -> Iterator[None]:
    """The supplier is asked first, and what is written down is what it said."""
    sent: dict[str, str] = {}

    async def begin(*arguments: Any, **more: Any) -> Any:
        desk_, conn, diamond_id = arguments[:3]
        stone = await find_stone(conn, diamond_id)
        if stone is not None and stone.offer_id not in sent:
            trader = desk_.trader(stone.feed)
            sent[stone.offer_id] = await whole_order(trader, OrderRequest(stone.offer_id))
        return await whole_begin(*arguments, **more)

    async def order(self: NivodaTrading, request: OrderRequest) -> str:
        return sent.get(request.offer_id) or await whole_order(self, request)

    whole_order, whole_begin = NivodaTrading.create_order, begin_order.begin_order
    with (
        patch.object(NivodaTrading, "create_order", order),
        patch("diamond_opus.trade.order_stone.begin_order", begin),
    ):
        yield


def dead_orders_are_never_given_up() -> AbstractContextManager[Any]:
    async def lapse(conn: AsyncConnection[Any], key: StoneKey) -> Sequence[OrderRecord]:
        return ()

    return patch.object(orders, "lapse", lapse)


MUTANTS: Mapping[str, Mutant] = {
    "cursor_before_data": Mutant(
        "the cursor is committed before the data",
        cursor_before_data,
        _schedules(_EMPTY_MOVING, _at("kill_at_point", "store_incoming", nth=2)),
    ),
    "no_overlap_no_repeat": Mutant(
        "pages do not overlap and are read once", no_overlap_no_repeat, _schedules(_RESTLESS, count=4)
    ),
    "short_page_is_the_end": Mutant(
        "a short page is the end of a range", short_page_is_the_end, _schedules(_EMPTY_MOVING)
    ),
    "mark_by_id_alone": Mutant(
        "stones are marked done by id alone",
        mark_by_id_alone,
        _schedules(
            _EMPTY_MOVING,
            *(_at("late_answer", "claim_batch", nth=n, seed=n) for n in (1, 3, 5, 7)),
            consolidators=1,
        ),
    ),
    "empty_locked_read_is_the_end": Mutant(
        "an empty locked read is taken for nothing left",
        empty_locked_read_is_the_end,
        _schedules(_EMPTY_MOVING, _at("half_open", "claim_batch", nth=2)),
    ),
    "watermark_is_now": Mutant("the watermark is the time of completion", watermark_is_now, _schedules(_STILL_FULL)),
    "watermark_past_a_failed_range": Mutant(
        "the watermark moves past a failed range",
        watermark_past_a_failed_range,
        _schedules(_STILL_FULL, _at("pages_refused")),
    ),
    "last_check_outside_the_transaction": Mutant(
        "whether a partition was the last is asked outside its transaction",
        last_check_outside_the_transaction,
        _schedules(_STILL_FULL, _at("kill_at_point", "has_unsettled", nth=_LAST_SETTLED, seed=2)),
    ),
    "lease_without_fence": Mutant(
        "whoever once had the lease may write",
        lease_without_fence,
        _schedules(_EMPTY_MOVING, _at("suspended", "advance_partition", nth=2), count=6),
        _patient_processes,
    ),
    "removal_by_another_run": Mutant(
        "stones are missed by what another run saw", removal_by_another_run, _schedules(_STILL_FULL)
    ),
    "order_before_intent": Mutant(
        "the order is sent before its intent is committed",
        order_before_intent,
        _schedules(_STILL_FULL, _at("kill_buying", "insert_order", run=2)),
    ),
    "dead_orders_are_never_given_up": Mutant(
        "an order whose process died is never given up",
        dead_orders_are_never_given_up,
        _schedules(_STILL_FULL, _at("kill_buying", "finish_order", run=2, seed=2)),
    ),
    "upsert_in_arrival_order": Mutant(
        "the answer that arrives last wins",
        upsert_in_arrival_order,
        _schedules(_EMPTY_MOVING, _at("slow", moment=0.2), _at("slow", moment=0.6, seed=2), count=8),
    ),
}  # fmt: skip


async def notice(mutant: Mutant, ground: Ground, quiet: QuietHistories) -> str | None:
    """What the first schedule that notices says; None when none does. The quiet history is the whole product's.

    A schedule that the whole product does not pass in the same time notices nothing.
    """
    for schedule in mutant.schedules:
        expected = await quiet.of(schedule.timeline)
        with mutant.circumstances():
            with mutant.change():
                broken = await _play_in_haste(schedule, ground, expected)
            if not broken.is_good and (await _play_in_haste(schedule, ground, expected)).is_good:
                return f"schedule {schedule.seed}: {broken.faults[0]}"
    return None


async def _play_in_haste(schedule: Schedule, ground: Ground, expected: Expected) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="diamond-faults-") as folder:
        return await play(schedule, ground, expected, Path(folder), patience=_HASTE)
