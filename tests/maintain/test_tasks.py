"""What each task of housekeeping takes and what it leaves, to the day; a dry run tells it and takes nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from diamond_opus.domain.clock import ManualClock
from diamond_opus.maintain import upkeep
from diamond_opus.maintain.housekeeper import Done, Housekeeper
from diamond_opus.maintain.retention import Retention
from diamond_opus.maintain.tables import PUBLIC_TABLES, QUEUE_TABLES
from diamond_opus.maintain.tasks import TASKS, DeadLetters, House
from diamond_opus.queue.limits import LIMITS
from diamond_opus.queue.memory import MemoryQueue
from diamond_opus.queue.pgmq_schema import dead_table_name
from diamond_opus.queue.postgres import PostgresQueue
from diamond_opus.queue.protocol import CONSOLIDATE, WORK_ITEMS, Message
from diamond_opus.runs.model import RunType
from diamond_opus.watermark.memory import MemoryWatermarkStore
from diamond_opus.watermark.protocol import Watermark
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, Listed, ScriptedSupplier, stones

RETENTION = Retention()


@pytest.fixture
def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier(stones(20)))


def keeper(world: World, *, batch_rows: int = 1_000) -> Housekeeper:
    now = datetime.now(UTC)
    house = House(world.pool, world.watermarks, world.queues, (FEED,), batch_rows)
    return Housekeeper(house, ManualClock(now), RETENTION)


async def keep(world: World, *names: str, batch_rows: int = 1_000) -> dict[str, int | None]:
    """Do it, after a dry run that must have told the same and changed nothing; rows by task."""
    housekeeper = keeper(world, batch_rows=batch_rows)
    told = await housekeeper.keep(names, dry_run=True)
    done = await housekeeper.keep(names)
    assert [one.error for one in done] == [None] * len(done)
    for before, after in zip(told, done, strict=True):
        assert before.rows == after.rows
    return {one.task: one.rows for one in done}


async def rows_of(done: Sequence[Done]) -> dict[str, int | None]:
    return {one.task: one.rows for one in done}


async def remove(world: World, *stone_ids: str) -> None:
    """The supplier withdraws them and a full run removes them."""
    world.supplier.withdraw(*stone_ids)
    await world.run()


async def age(world: World, table: str, column: str, days: float, condition: str = "TRUE") -> None:
    await world.rows(f"UPDATE {table} SET {column} = now() - interval '{days} days' WHERE {condition}")


async def ids(world: World, table: str, column: str = "id") -> set[Any]:
    return {row[column] for row in await world.rows(f"SELECT {column} FROM {table}")}


async def test_an_empty_database_is_kept_without_anything_to_do(world: World) -> None:
    assert set((await keep(world)).values()) == {0}
    told = await world.rows("SELECT task, completed_at, error FROM upkeep ORDER BY id")
    assert [row["task"] for row in told] == [task.name for task in TASKS]
    assert all(row["completed_at"] and row["error"] is None for row in told)


async def test_the_payload_of_a_stone_that_is_gone_is_kept_to_the_last_day(world: World) -> None:
    await world.run()
    await remove(world, "nat-00000")

    await age(world, "raw_diamonds", "removed_at", 89.9, "removed_at IS NOT NULL")
    assert await keep(world, "raw_payloads") == {"raw_payloads": 0}
    await age(world, "raw_diamonds", "removed_at", 90.1, "removed_at IS NOT NULL")
    assert await keep(world, "raw_payloads") == {"raw_payloads": 1}
    assert await keep(world, "raw_payloads") == {"raw_payloads": 0}

    raw = await world.rows(
        "SELECT supplier_stone_id, payload::text AS payload FROM raw_diamonds WHERE payload_hash = ''"
    )
    assert raw == [{"supplier_stone_id": "nat-00000", "payload": "null"}]


async def test_a_stone_that_comes_back_unchanged_after_its_payload_went_is_read_as_a_whole(
    world: World,
) -> None:
    await world.run()
    listed = world.supplier.stones["nat-00000"]
    before = await world.row(
        "SELECT payload::text AS payload FROM raw_diamonds WHERE supplier_stone_id = 'nat-00000'"
    )
    await remove(world, "nat-00000")
    await age(world, "raw_diamonds", "removed_at", 91, "removed_at IS NOT NULL")
    await keep(world)

    world.supplier.list(listed)
    await world.run()

    raw = await world.row(
        "SELECT payload::text AS payload, consolidated, removed_at FROM raw_diamonds"
        " WHERE supplier_stone_id = 'nat-00000'"
    )
    assert raw == {**before, "consolidated": True, "removed_at": None}
    assert await world.value("SELECT status FROM diamonds WHERE supplier_stone_id = 'nat-00000'") == "active"


async def test_a_removed_stone_goes_after_its_time_and_its_copy_of_the_catalogue_is_told(
    world: World,
) -> None:
    await world.run()
    await remove(world, "nat-00000", "nat-00001")
    gone = await world.value("SELECT id FROM diamonds WHERE supplier_stone_id = 'nat-00000'")
    await age(world, "diamonds", "deleted_at", 364, "status = 'deleted'")
    await age(world, "diamonds", "deleted_at", 366, "supplier_stone_id = 'nat-00000'")
    version = await world.value("SELECT version FROM dataset_versions WHERE feed = 'nivoda'")

    assert await keep(world, "deleted_stones") == {"deleted_stones": 1}

    assert gone not in await ids(world, "diamonds")
    assert "nat-00000" not in await ids(world, "raw_diamonds", "supplier_stone_id")
    assert "nat-00001" in await ids(world, "raw_diamonds", "supplier_stone_id")
    changes = await world.rows("SELECT feed, diamond_ids FROM dataset_changes WHERE version > %s", version)
    assert changes == [{"feed": FEED, "diamond_ids": [gone]}]
    assert not await world.rows("SELECT FROM dataset_versions WHERE feed = '*' AND version > %s", version)


async def test_a_purged_stone_that_comes_back_is_a_new_one_under_its_old_id(world: World) -> None:
    await world.run()
    listed = world.supplier.stones["nat-00000"]
    before = await world.value("SELECT id FROM diamonds WHERE supplier_stone_id = 'nat-00000'")
    await remove(world, "nat-00000")
    await age(world, "diamonds", "deleted_at", 366, "status = 'deleted'")
    await keep(world)

    world.supplier.list(listed)
    await world.run()

    found = await world.row("SELECT id, status FROM diamonds WHERE supplier_stone_id = 'nat-00000'")
    assert found == {"id": before, "status": "active"}


TRADES = {
    "a hold": "INSERT INTO hold_history (diamond_id, feed, offer_id, status) VALUES (%s, 'nivoda', 'o', 'expired')",
    "a hold by key": "INSERT INTO hold_history (feed, supplier_stone_id, offer_id, status)"
    " SELECT feed, supplier_stone_id, 'o', 'expired' FROM diamonds WHERE id = %s",
    "an order": "INSERT INTO purchase_history (diamond_id, feed, offer_id, idempotency_key, status)"
    " VALUES (%s, 'nivoda', 'o', 'k', 'refused')",
    "an order by key": "INSERT INTO purchase_history (feed, supplier_stone_id, offer_id, idempotency_key, status)"
    " SELECT feed, supplier_stone_id, 'o', 'k', 'refused' FROM diamonds WHERE id = %s",
    "a mark": "INSERT INTO availability_marks (feed, supplier_stone_id, availability, client)"
    " SELECT feed, supplier_stone_id, 'sold', 'shop' FROM diamonds WHERE id = %s",
}


@pytest.mark.parametrize("trade", TRADES)
async def test_a_stone_that_was_ever_traded_stays(world: World, trade: str) -> None:
    await world.run()
    await remove(world, "nat-00000")
    traded = await world.value("SELECT id FROM diamonds WHERE status = 'deleted'")
    await world.rows(TRADES[trade], traded)
    await age(world, "diamonds", "deleted_at", 5000, "status = 'deleted'")

    assert await keep(world, "deleted_stones") == {"deleted_stones": 0}
    assert traded in await ids(world, "diamonds")


@pytest.mark.parametrize("when", ["", "ON DELETE RESTRICT", "DEFERRABLE INITIALLY DEFERRED"])
async def test_a_stone_to_which_a_foreign_table_refers_stays_and_all_others_go(
    world: World, when: str
) -> None:
    await world.run()
    await remove(world, *(f"nat-{number:05}" for number in range(4)))
    await world.rows(f"CREATE TABLE shop_wishlist (stone UUID REFERENCES diamonds (id) {when})")
    await world.rows(
        "INSERT INTO shop_wishlist SELECT id FROM diamonds"
        " WHERE supplier_stone_id IN ('nat-00001', 'nat-00003')"
    )
    await age(world, "diamonds", "deleted_at", 366, "status = 'deleted'")

    for batch_rows, rows in ((3, 2), (1, 0)):  # the second time finds only those that stay
        [done] = await keeper(world, batch_rows=batch_rows).keep(["deleted_stones"])
        assert (done.rows, done.error) == (rows, None)
        details = await world.value("SELECT details FROM upkeep ORDER BY id DESC LIMIT 1")
        assert (details["kept_referenced"], details["referenced_by"]) == (2, ["shop_wishlist"])
    left = await world.rows("SELECT supplier_stone_id FROM diamonds WHERE status = 'deleted' ORDER BY 1")
    assert [row["supplier_stone_id"] for row in left] == ["nat-00001", "nat-00003"]


async def test_a_rejection_that_is_settled_or_whose_stone_is_gone_goes_and_an_open_one_stays(
    world: World,
) -> None:
    world.supplier.list(
        *(Listed(f"bad-{number}", carats=0) for number in range(3)), Listed("removed", price_cents=900_000)
    )
    await world.run()
    world.supplier.change("bad-0", carats=1.0)  # settled
    world.supplier.withdraw("bad-1")  # gone, and never a diamond
    await world.run()
    await age(world, "rejected_diamonds", "resolved_at", 91, "resolved_at IS NOT NULL")
    assert await keep(world, "rejected_stones") == {"rejected_stones": 1}

    await age(world, "raw_diamonds", "last_seen_at", 91, "supplier_stone_id IN ('bad-1')")
    assert await keep(world, "rejected_stones") == {"rejected_stones": 1}
    assert await ids(world, "rejected_diamonds", "supplier_stone_id") == {"bad-2"}

    # Of a stone that never was a diamond nothing stays in the end.
    await age(world, "raw_diamonds", "removed_at", 91, "supplier_stone_id = 'bad-1'")
    assert await keep(world, "raw_payloads") == {"raw_payloads": 1}
    assert "bad-1" not in await ids(world, "raw_diamonds", "supplier_stone_id")


async def test_a_rejected_stone_that_no_full_run_missed_is_not_known_to_be_gone(world: World) -> None:
    world.supplier.list(Listed("bad", carats=0))
    await world.run()
    await age(world, "raw_diamonds", "last_seen_at", 400)
    await age(world, "run_metadata", "started_at", 401)

    assert await keep(world, "rejected_stones", "raw_payloads") == {"rejected_stones": 0, "raw_payloads": 0}


async def test_unreadable_items_go_by_their_age_where_no_full_run_settles_them(world: World) -> None:
    world.supplier.list(Listed("null", is_null=True))
    await world.run()
    world.supplier.change("null", updated_at=datetime.now(UTC) + timedelta(days=1))
    for _ in range(3):
        newest = await world.run(RunType.INCREMENTAL)
    assert len(await ids(world, "rejected_diamonds", "supplier_stone_id")) == 4, "one for each run"

    await age(world, "rejected_diamonds", "last_seen_at", 89.9)
    assert await keep(world, "rejected_stones") == {"rejected_stones": 0}
    await age(world, "rejected_diamonds", "last_seen_at", 90.1, f"run_id <> '{newest.run_id}'")
    assert await keep(world, "rejected_stones", batch_rows=2) == {"rejected_stones": 3}
    assert await ids(world, "rejected_diamonds", "run_id") == {newest.run_id}


async def test_an_unreadable_item_that_was_settled_counts_from_then_and_once(world: World) -> None:
    world.supplier.list(Listed("null", is_null=True))
    await world.run()
    newest = await world.run()
    await age(world, "rejected_diamonds", "last_seen_at", 200, "resolved_at IS NOT NULL")

    assert await keep(world, "rejected_stones") == {"rejected_stones": 0}
    await age(world, "rejected_diamonds", "resolved_at", 91, "resolved_at IS NOT NULL")
    assert await keep(world, "rejected_stones") == {"rejected_stones": 1}
    assert await ids(world, "rejected_diamonds", "run_id") == {newest.run_id}


RUNS = """
    INSERT INTO run_metadata (
        run_id, feed, run_type, state, expected_workers, updated_to, trace_id, started_at, forced, is_replay
    )
    VALUES (%s, %s, %s, %s, 1, now(), 't', now() - %s, %s, %s)
"""


async def add_run(
    world: World,
    days_ago: float,
    state: str = "completed",
    run_type: str = "incremental",
    *,
    feed: str = FEED,
    forced: bool = False,
    is_replay: bool = False,
) -> UUID:
    run_id = uuid4()
    await world.rows(RUNS, run_id, feed, run_type, state, timedelta(days=days_ago), forced, is_replay)
    await world.rows(
        "INSERT INTO partition_progress (run_id, partition_id, lab_grown) VALUES (%s, 'p', FALSE)", run_id
    )
    await world.rows(
        "INSERT INTO worker_runs (run_id, partition_id, attempt, worker_id, status) VALUES (%s, 'p', 1, %s, 'failed')",
        run_id,
        uuid4(),
    )
    return run_id


async def test_old_runs_go_with_all_that_belongs_to_them(world: World) -> None:
    old = [await add_run(world, 90.1 + n, run_type=kind) for n, kind in enumerate(("full", "incremental"))]
    old += [await add_run(world, 95, "failed"), await add_run(world, 96, "cancelled")]
    kept = {
        await add_run(world, 89.9, "failed"),
        await add_run(world, 50, run_type="full"),
        await add_run(world, 50),
    }

    assert await keep(world, "runs") == {"runs": len(old)}

    assert await ids(world, "run_metadata", "run_id") == kept
    assert await ids(world, "partition_progress", "run_id") == kept
    assert await ids(world, "worker_runs", "run_id") == kept


async def test_what_the_next_run_or_a_person_still_needs_stays_however_old(world: World) -> None:
    newest_of_a_type = await add_run(world, 800, run_type="full")
    newest_failure = await add_run(world, 700, "failed")
    active = await add_run(world, 600, "consolidating")
    last_complete = await add_run(world, 500)
    forced_later = await add_run(world, 450, forced=True)  # proves nothing, and so replaces nothing
    replay_later = await add_run(world, 440, is_replay=True)
    newest = await add_run(world, 400, "cancelled")
    elsewhere = await add_run(world, 900, "cancelled", feed="other")
    gone = [
        await add_run(world, 900),
        await add_run(world, 850, "failed"),
        await add_run(world, 840, "cancelled"),
    ]

    assert await keep(world, "runs") == {"runs": len(gone)}

    assert await ids(world, "run_metadata", "run_id") == {
        newest_of_a_type,
        newest_failure,
        active,
        last_complete,
        forced_later,
        replay_later,
        newest,
        elsewhere,
    }


async def test_the_run_that_the_watermark_names_stays(world: World) -> None:
    world.watermarks = MemoryWatermarkStore()
    named, other = await add_run(world, 300), await add_run(world, 299)
    await add_run(world, 1)
    await world.watermarks.write(
        FEED, Watermark(datetime(2025, 1, 1, tzinfo=UTC), str(named), None), expected_version=None
    )

    assert await keep(world, "runs") == {"runs": 1}
    assert other not in await ids(world, "run_metadata", "run_id")


async def add_candidates(world: World, run_id: UUID, state: str, count: int) -> None:
    await world.rows(
        "INSERT INTO removal_candidates (run_id, feed, supplier_stone_id, lab_grown, state)"
        " SELECT %s, 'nivoda', 'stone ' || n, FALSE, %s FROM generate_series(1, %s) AS n",
        run_id,
        state,
        count,
    )


async def test_removals_that_wait_for_a_person_keep_their_run_until_a_later_full_run_asked_anew(
    world: World,
) -> None:
    guarded, accepted = [await add_run(world, days, run_type="full") for days in (300, 290)]
    await add_candidates(world, guarded, "guarded", 25)
    await world.rows("UPDATE run_metadata SET removals_accepted_at = now() WHERE run_id = %s", accepted)
    await world.rows("UPDATE run_metadata SET forced = TRUE WHERE run_id = %s", accepted)
    await add_run(world, 2)
    assert await keep(world, "runs") == {"runs": 0}

    await add_run(world, 1, run_type="full")
    assert await keep(world, "runs", batch_rows=10) == {"runs": 1}
    assert await ids(world, "removal_candidates", "run_id") == set()
    assert accepted in await ids(world, "run_metadata", "run_id")


async def test_the_newest_density_scan_of_each_type_stays(world: World) -> None:
    await world.run()
    await world.run()
    scans = "SELECT lab_grown, count(*) FROM density_scans GROUP BY lab_grown ORDER BY lab_grown"
    assert [row["count"] for row in await world.rows(scans)] == [2, 2]
    assert await keep(world, "density_scans") == {"density_scans": 0}

    await world.rows("UPDATE density_scans SET scanned_at = scanned_at - interval '91 days'")
    assert await keep(world, "density_scans") == {"density_scans": 2}
    assert [row["count"] for row in await world.rows(scans)] == [1, 1]


@pytest.mark.parametrize(
    ("task", "days", "insert"),
    [
        (
            "error_logs",
            30,
            "INSERT INTO error_logs (service, error_message, created_at) VALUES ('s', 'm', {at})",
        ),
        (
            "audit_log",
            730,
            "INSERT INTO audit_log (actor, action, subject, created_at) VALUES ('a', 'b', 'c', {at})",
        ),
        (
            "incidents",
            180,
            "INSERT INTO incidents (event, subject, severity, title, text, cleared_at, resolved_at)"
            " VALUES ('e', gen_random_uuid()::text, 'error', 't', 't', {at}, {at})",
        ),
        (
            "dataset_changes",
            1,
            "INSERT INTO dataset_changes VALUES ('f', floor(random() * 1e15), '{{}}', {at})",
        ),
        (
            "request_signatures",
            0,
            "INSERT INTO request_signatures (client, signature, expires_at) VALUES ('c', md5(random()::text), {at})",
        ),
        (
            "upkeep",
            90,
            "INSERT INTO upkeep (task, started_at, completed_at, error) VALUES ('x', {at}, {at}, 'e')",
        ),
    ],
)
async def test_rows_go_when_their_time_is_over_and_not_before(
    world: World, task: str, days: int, insert: str
) -> None:
    for hours in (-2, -1, 1):  # one hour before the limit, and twice past it
        at = f"now() - interval '{days} days' + interval '{hours} hours'"
        await world.rows(insert.format(at=at))

    assert await keep(world, task, batch_rows=1) == {task: 2}
    assert await world.value(f"SELECT count(*) FROM {task}") == (2 if task == "upkeep" else 1)


async def test_days_are_counted_by_the_clock_of_the_database(world: World) -> None:
    await world.rows("INSERT INTO error_logs (service, error_message) VALUES ('s', 'm')")
    await world.rows(
        "INSERT INTO request_signatures (client, signature, expires_at) VALUES ('c', 's', now() + interval '5 min')"
    )
    house = House(world.pool, world.watermarks, world.queues, (FEED,))
    years_ahead = ManualClock(datetime.now(UTC) + timedelta(days=9_000))

    done = await Housekeeper(house, years_ahead, RETENTION).keep(["error_logs", "request_signatures"])

    assert [one.rows for one in done] == [0, 0]


async def test_what_was_done_elsewhere_is_stamped_by_the_database(world: World) -> None:
    async with world.pool.connection() as conn:
        await upkeep.record(conn, "backup", took=timedelta(seconds=5), details={})
    [row] = await world.rows(
        "SELECT completed_at - started_at AS took, completed_at <= clock_timestamp() AS is_over,"
        " completed_at > clock_timestamp() - interval '1 min' AS is_fresh FROM upkeep"
    )
    assert row == {"took": timedelta(seconds=5), "is_over": True, "is_fresh": True}


async def test_open_incidents_and_the_newest_success_of_each_task_stay(world: World) -> None:
    await world.rows(
        "INSERT INTO incidents (event, severity, title, text, opened_at)"
        " VALUES ('e', 'error', 't', 't', now() - interval '9 years')"
    )
    await world.rows(
        "INSERT INTO upkeep (task, started_at, completed_at)"
        " SELECT 'backup', now() - age, now() - age FROM unnest(ARRAY[interval '9 years', interval '8 years']) AS age"
    )

    assert await keep(world, "incidents", "upkeep") == {"incidents": 0, "upkeep": 1}
    assert await world.value("SELECT count(*) FROM upkeep WHERE task = 'backup'") == 1


async def test_dead_letters_go_from_every_queue(world: World) -> None:
    clock = ManualClock(datetime.now(UTC) - timedelta(days=31))
    queue = MemoryQueue(WORK_ITEMS, LIMITS[WORK_ITEMS], clock=clock)
    world.queues = {WORK_ITEMS: queue}
    for _ in range(2):
        await queue.send([Message({})])
        [message] = await queue.receive()
        await queue.dead_letter(message, reason="bad")
        clock.advance(seconds=3 * 24 * 3600)

    assert await keep(world, "dead_letters") == {"dead_letters": 1}
    assert len(await queue.dead_letters()) == 1


async def test_dead_letters_go_in_batches_each_of_which_stays_done(world: World) -> None:
    """One statement for a million of them was cancelled after 30 s, and all of it taken back, each time anew."""
    world.queues = {name: PostgresQueue(world.pool, name, LIMITS[name]) for name in (WORK_ITEMS, CONSOLIDATE)}
    for name, count in ((WORK_ITEMS, 25), (CONSOLIDATE, 20)):
        await world.rows(
            "SELECT pgmq.send(%s, '{}') FROM generate_series(1, %s)", dead_table_name(name), count
        )
        await age(world, f"pgmq.q_{dead_table_name(name)}", "enqueued_at", 31)
    await world.rows("SELECT pgmq.send(%s, '{}')", dead_table_name(WORK_ITEMS))

    left = (
        "SELECT (SELECT count(*) FROM pgmq.q_work_items_dlq) + (SELECT count(*) FROM pgmq.q_consolidate_dlq)"
    )
    housekeeper = keeper(world, batch_rows=10)
    cutoffs = RETENTION.cutoffs(datetime.now(UTC))
    counted = await DeadLetters().count(housekeeper.house, cutoffs)
    steps = [
        (rows, await world.value(left)) async for rows in DeadLetters().batches(housekeeper.house, cutoffs)
    ]

    assert counted == 45
    assert steps == [(10, 36), (10, 26), (5, 21), (10, 11), (10, 1), (0, 1)]


async def test_nothing_ever_comes_into_the_archives_of_the_queues(world: World) -> None:
    """PGMQ has a table for what was archived beside each queue: nothing of ours is, so that none grows."""
    tables = await world.rows(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'pgmq' AND tablename LIKE 'a\\_%%'"
    )
    assert len(tables) == 6
    for table in tables:
        assert await world.value(f"SELECT count(*) FROM pgmq.{table['tablename']}") == 0


async def test_tables_with_many_dead_rows_are_vacuumed(world: World) -> None:
    await world.rows(
        "INSERT INTO error_logs (service, error_message) SELECT 's', 'm' FROM generate_series(1, 3000)"
    )
    await world.rows("DELETE FROM error_logs")
    await world.rows("SELECT pg_stat_force_next_flush()")

    done = await keeper(world).keep(["vacuum"])

    assert await rows_of(done) == {"vacuum": 3000}
    assert await world.value("SELECT pg_relation_size('error_logs')") == 0


async def test_a_table_of_somebody_else_in_the_same_database_is_not_vacuumed(world: World) -> None:
    await world.rows("CREATE TABLE shop_orders AS SELECT n FROM generate_series(1, 3000) AS n")
    await world.rows("CREATE SCHEMA shop CREATE TABLE error_logs (n INT)")
    await world.rows("INSERT INTO shop.error_logs SELECT generate_series(1, 3000)")
    for table in ("shop_orders", "shop.error_logs"):
        await world.rows(f"DELETE FROM {table}")
    await world.rows("SELECT pg_stat_force_next_flush()")

    assert await rows_of(await keeper(world).keep(["vacuum"])) == {"vacuum": 0}


async def test_the_tables_that_are_ours_are_those_of_a_fresh_database(world: World) -> None:
    found = await world.rows(
        "SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
    )
    assert {row["relname"] for row in found} == set(PUBLIC_TABLES)
    queues = await world.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'pgmq'::regnamespace AND relkind = 'r'"
        " AND relname ~ '^[qa]_'"
    )
    assert {row["relname"] for row in queues} == set(QUEUE_TABLES)
