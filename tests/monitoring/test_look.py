"""What is wrong is found in the database, with its beginning and its figures; and what is right is left alone."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from diamond_opus.alerts.incidents import list_open, open_incident
from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.db.pool import open_pool
from diamond_opus.monitoring.events import FOUND, RAISED
from diamond_opus.monitoring.look import QUERIES, Limits, Lookout
from diamond_opus.queue.protocol import CONSOLIDATE, WORK_ITEMS, Message
from diamond_opus.runs.model import RunType
from look_limits import NEVER, QUIET
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, ScriptedSupplier, stones
from run_steps import fail, retry

LIMITS = replace(
    QUIET,
    scheduler_cron="0 2 * * *",
    full_run_cron="0 3 * * 0",
    maintain_cron="0 5 * * *",
    tasks=("runs", "raw"),
    refusal=timedelta(minutes=3),
)


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(30), *stones(5, lab_grown=True)]))


async def look(world: World, limits: Limits = LIMITS, *, after: timedelta = timedelta()) -> Sequence[Alert]:
    now = await world.value("SELECT clock_timestamp()")
    sight = await Lookout(world.pool, world.queues, limits, [FEED]).look(now + after)
    assert sight.seen == {event.name for event in FOUND}
    return sight.alerts


async def find(world: World, event: str, limits: Limits = LIMITS, **more: Any) -> Alert:
    [alert] = [each for each in await look(world, limits, **more) if each.event == event]
    return alert


async def test_nothing_is_wrong_with_a_fresh_installation(world: World) -> None:
    assert await look(world, replace(LIMITS, backup_age=timedelta(hours=1), database_bytes=1e12)) == []


async def test_nothing_is_wrong_after_a_run(world: World) -> None:
    await world.run()
    assert await look(world) == []


async def test_a_run_is_late_when_none_was_completed_since_the_clock_called(world: World) -> None:
    run = await world.run()
    ended = (await world.get_run(run.run_id)).completed_at

    assert [a.event for a in await look(world, after=timedelta(hours=5))] == []
    alert = await find(world, "run_late", after=timedelta(days=2))

    assert alert.about == FEED
    assert alert.since == ended
    assert alert.action == "diamond status"


async def test_a_feed_without_any_run_is_late_from_its_installation_on(world: World) -> None:
    alert = await find(world, "run_late", after=timedelta(days=2))
    assert alert.since == await world.value("SELECT min(applied_at) FROM schema_migrations")


async def test_a_full_run_is_late_though_others_are_completed(world: World) -> None:
    """Only a full run sees that stones are gone."""
    full = await world.run()
    await world.rows("UPDATE run_metadata SET completed_at = completed_at - interval '8 days'")
    await world.run(RunType.INCREMENTAL)

    alert = await find(world, "full_run_late")
    assert (alert.about, alert.action) == (FEED, "diamond schedule --type full")
    assert alert.since == (await world.get_run(full.run_id)).completed_at

    await world.rows("UPDATE run_metadata SET forced = TRUE WHERE run_id = %s", (await world.run()).run_id)
    assert (await find(world, "full_run_late")).since == alert.since

    await world.run()
    assert await look(world) == []


async def test_nobody_is_late_where_the_clock_never_calls(world: World) -> None:
    never = replace(LIMITS, scheduler_cron=NEVER, full_run_cron=NEVER, maintain_cron=NEVER)
    assert await look(world, never, after=timedelta(days=30)) == []


async def test_ranges_that_failed_are_told_with_their_reason_and_number(world: World) -> None:
    run = await fail(world)

    alert = await find(world, "partition_failed")

    assert alert.about == alert.run_id == str(run.run_id)
    assert alert.title == f"1 ranges of run {run.run_id} failed for good"
    assert "natural-01: the supplier refuses" in alert.text
    assert alert.stones is not None
    assert alert.stones > 0
    assert alert.action == f"diamond retry {run.run_id}"


async def test_a_range_that_is_tried_again_stays_trouble_until_it_is_read(world: World) -> None:
    run = await fail(world)
    await world.rows(
        "INSERT INTO incidents (event, subject, severity, title, text)"
        " VALUES ('partition_failed', %s, 'warning', 't', 'x')",
        str(run.run_id),
    )
    await retry(world, run)
    assert (await find(world, "partition_failed")).about == str(run.run_id)

    await world.finish(run.run_id)
    assert await look(world) == []


@pytest.mark.parametrize(
    ("failed", "later", "is_over"),
    [
        (RunType.FULL, RunType.FULL, True),
        (RunType.INCREMENTAL, RunType.FULL, True),
        (RunType.INCREMENTAL, RunType.INCREMENTAL, True),
        (RunType.FULL, RunType.INCREMENTAL, False),
    ],
)
async def test_a_later_run_that_read_as_much_ends_the_trouble_of_a_failed_one(
    world: World, failed: RunType, later: RunType, is_over: bool
) -> None:
    """What a full run did not find is on sale until the next full one."""
    run = await fail(world, failed)
    async with world.pool.connection() as conn:
        await open_incident(
            conn, Alert(Severity.ERROR, "consolidation_skipped", "t", "x", run_id=str(run.run_id))
        )
        [incident] = await list_open(conn)
    await world.run(later)

    sight = await Lookout(world.pool, world.queues, LIMITS, [FEED]).look(
        await world.value("SELECT clock_timestamp()")
    )

    assert sight.still == (set() if is_over else {incident.id})
    assert [alert.action for alert in sight.alerts] == ([] if is_over else ["diamond schedule --type full"])


async def test_too_many_rejected_stones_are_told_as_a_share_of_what_the_full_run_saw(world: World) -> None:
    await world.run()
    add = (
        "INSERT INTO rejected_diamonds (feed, supplier_stone_id, run_id, reason, json_path)"
        " SELECT 'nivoda', 'bad-' || n, gen_random_uuid(), 'no price', '$.price'"
        " FROM generate_series(%s::int, %s::int) AS n"
    )
    await world.rows(add, 1, 3)
    assert await look(world) == []

    await world.rows(add, 4, 7)
    alert = await find(world, "rejected_share")

    assert alert.title == "20.0 % of the stones of nivoda are rejected"
    assert alert.stones == 7

    await world.rows(
        "UPDATE rejected_diamonds SET resolved_at = clock_timestamp() WHERE supplier_stone_id > 'bad-3'"
    )
    assert await look(world) == []


async def answer(world: World, state: str, *, since: timedelta, seen: timedelta = timedelta()) -> None:
    await world.rows("DELETE FROM supplier_health")
    await world.rows(
        "INSERT INTO supplier_health VALUES"
        " ('nivoda', %s, clock_timestamp() - %s, clock_timestamp() - %s, 'its own words')",
        state,
        since,
        seen,
    )


@pytest.mark.parametrize(
    ("state", "event"), [("refusing", "supplier_refuses"), ("away", "supplier_unavailable")]
)
async def test_a_supplier_that_will_not_answer_is_told_when_that_lasts(
    world: World, state: str, event: str
) -> None:
    await answer(world, state, since=timedelta(minutes=2))
    assert await look(world) == []
    await answer(world, state, since=timedelta(hours=9), seen=timedelta(hours=9, minutes=-1))
    assert await look(world) == []  # bad for a minute, and not asked since

    await answer(world, state, since=timedelta(minutes=4))
    alert = await find(world, event)

    assert (alert.about, "its own words" in alert.text) == (FEED, True)
    await answer(world, "answering", since=timedelta(minutes=4))
    assert await look(world) == []


async def test_a_login_that_fails_is_told_at_once(world: World) -> None:
    await answer(world, "login_failed", since=timedelta())
    assert (await find(world, "supplier_login_failed")).severity == "critical"


@pytest.mark.parametrize(
    ("rate", "next_slot", "used", "is_told"),
    [(5, 0, 0, False), (5, 90, 0, True), (0.2, 0, 0, True), (0.2, 0, 600, False)],
)
async def test_a_budget_is_exhausted_when_requests_wait_or_hardly_leave(
    world: World, rate: float, next_slot: int, used: int, is_told: bool
) -> None:
    await world.rows(
        "INSERT INTO request_budget (account, rate, next_slot_at, updated_at) VALUES ('supplier:1', %s,"
        " clock_timestamp() + make_interval(secs => %s), clock_timestamp() - make_interval(secs => %s))",
        rate,
        next_slot,
        used,
    )
    found = [alert.event for alert in await look(world)]
    assert found == (["budget_exhausted"] if is_told else [])


async def test_dead_letters_are_told_by_queue(world: World) -> None:
    await world.queues[WORK_ITEMS].send([Message({"nonsense": True}, "1")])
    [message] = await world.queues[WORK_ITEMS].receive()
    await world.queues[WORK_ITEMS].dead_letter(message, reason="invalid", description="no runId")
    assert await world.queues[CONSOLIDATE].dead_letters() == []

    alert = await find(world, "dead_letters")

    assert (alert.about, alert.title) == (WORK_ITEMS, "1 messages of work-items were set aside")
    assert "invalid" in alert.text


async def test_a_watermark_that_a_completed_run_did_not_move_is_stuck(world: World) -> None:
    run = await world.run()
    await world.rows("UPDATE run_metadata SET watermark_after = updated_to - interval '1 day'")

    alert = await find(world, "watermark_stuck")

    assert (alert.about, alert.run_id) == (str(run.run_id), str(run.run_id))
    await world.run()
    assert await look(world) == []


async def test_a_run_that_was_planned_in_the_future_is_followed_by_later_ones(world: World) -> None:
    """The database's clock was ahead, and was set back while it ran."""
    ahead = await world.run()
    await world.rows(
        "UPDATE run_metadata SET started_at = started_at + interval '30 days', watermark_after = NULL"
    )
    await world.rows(
        "INSERT INTO incidents (event, subject, severity, title, text, run_id)"
        " VALUES ('watermark_ahead', 'nivoda', 'error', 't', 'x', %s)",
        ahead.run_id,
    )
    assert (await find(world, "watermark_stuck")).about == str(ahead.run_id)

    await world.run()

    assert await look(world) == []
    now = await world.value("SELECT clock_timestamp()")
    assert (await Lookout(world.pool, world.queues, LIMITS, [FEED]).look(now)).still == set()


async def test_a_database_near_its_limit_is_told_in_gigabytes(world: World) -> None:
    size = await world.value("SELECT pg_database_size(current_database())")
    assert await look(world, replace(LIMITS, database_bytes=size * 1.2)) == []

    alert = await find(world, "database_nearly_full", replace(LIMITS, database_bytes=size * 1.05))

    assert f"{size / 1e9:.1f} GB" in alert.text


async def test_the_disk_of_our_own_server_is_looked_at(world: World, tmp_path: Path) -> None:
    found = await look(world, replace(LIMITS, disk=tmp_path))
    assert [alert.event for alert in found] in ([], ["database_nearly_full"])
    with pytest.raises(AssertionError):  # a folder that is not there is not seen
        await look(world, replace(LIMITS, disk=tmp_path / "gone"))


async def note(world: World, task: str, ago: timedelta, error: str | None = None) -> None:
    await world.rows(
        "INSERT INTO upkeep (task, started_at, completed_at, error)"
        " VALUES (%s, clock_timestamp() - %s, clock_timestamp() - %s, %s)",
        task,
        ago,
        ago,
        error,
    )


async def test_a_backup_is_overdue_when_the_last_good_one_is_too_old(world: World) -> None:
    await world.rows("UPDATE schema_migrations SET applied_at = applied_at - interval '90 days'")
    await world.run()
    limits = replace(LIMITS, backup_age=timedelta(hours=30), maintain_cron="0 0 31 2 *")
    assert (await find(world, "backup_overdue", limits)).severity == "error"
    await note(world, "backup", timedelta(hours=29))
    await note(world, "backup", timedelta(hours=1), "no room")
    assert await look(world, limits) == []
    await world.rows("UPDATE upkeep SET completed_at = completed_at - interval '2 hours'")
    assert (await find(world, "backup_overdue", limits)).action == "diamond backup FILE"


async def test_housekeeping_is_overdue_by_task(world: World) -> None:
    await world.rows("UPDATE schema_migrations SET applied_at = applied_at - interval '90 days'")
    await world.run()
    assert (
        await find(world, "maintenance_overdue")
    ).title == "Housekeeping was not done in its time: raw, runs"
    await note(world, "raw", timedelta(hours=1))
    await note(world, "runs", timedelta(days=3))
    await note(world, "runs", timedelta(hours=1), "a lock")

    alert = await find(world, "maintenance_overdue")

    assert alert.title == "Housekeeping was not done in its time: runs"
    assert "a lock" in alert.text
    await note(world, "runs", timedelta(minutes=1))
    assert await look(world) == []


async def test_what_cannot_be_looked_for_is_told_from_what_is_right(world: World) -> None:
    await world.rows("ALTER TABLE supplier_health RENAME TO gone")
    now = datetime.now(UTC)
    sight = await Lookout(world.pool, world.queues, LIMITS, [FEED]).look(now)
    lost = {event.name for event in FOUND} - sight.seen
    assert lost == {"supplier_unavailable", "supplier_refuses", "supplier_login_failed"}
    assert sight.still is None


async def test_a_database_that_is_away_shows_nothing(world: World) -> None:
    async with open_pool(
        "postgresql://nobody@127.0.0.1:1/x", application_name="t", max_size=1, connect_timeout_seconds=0.2
    ) as pool:
        sight = await Lookout(pool, {}, LIMITS, [FEED]).look(datetime.now(UTC))
    assert (sight.alerts, sight.still, sight.seen) == (
        [],
        None,
        {"dead_letters", "backup_overdue", "database_nearly_full"},
    )


def test_every_query_belongs_to_an_event_and_no_name_is_used_twice() -> None:
    names = [event.name for event in FOUND]
    assert len(names) == len(set(names))
    assert set(QUERIES) - {"still_so", "database_size"} == set(names) - {
        "full_run_late",  # by the query of run_late
        "dead_letters",
        "database_nearly_full",
    }
    assert set(names) & set(RAISED) == set()
