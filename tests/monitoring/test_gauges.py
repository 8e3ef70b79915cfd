"""What the database knows is asked for seldom, told as it is, and its silence never stops a scrape."""

import socket
import time
from collections.abc import Mapping, Sequence
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from diamond_opus.db.pool import Pool, open_pool
from diamond_opus.domain.clock import Clock, ManualClock, SystemClock
from diamond_opus.feeds.health import SupplierState
from diamond_opus.maintain.tasks import TASKS
from diamond_opus.monitoring.gauges import REFRESH_SECONDS, Gauges, answer_scrape
from diamond_opus.observability.metrics import DESCRIPTIONS, RUN_STATES, RUN_TYPES, SUPPLIER_STATES
from diamond_opus.queue.limits import LIMITS
from diamond_opus.queue.postgres import PostgresQueue
from diamond_opus.queue.protocol import CONSOLIDATE, QUEUES, WORK_ITEMS, Message
from diamond_opus.runs.model import RunState, RunType
from diamond_opus.settings import load_settings
from diamond_opus.wiring import FEEDS, open_pipeline
from pipeline_builders import World
from pipeline_supplier import FEED, Listed

Samples = Mapping[tuple[str, tuple[str, ...]], float]


def ask(pool: Pool, clock: Clock | None = None, *, queues: Sequence[str] = ()) -> Gauges:
    tasks = [task.name for task in TASKS]
    return Gauges(pool, clock or SystemClock(), feeds=[FEED], tasks=tasks, queues=queues)


async def scrape(gauges: Gauges) -> Samples:
    """What the database knows, by metric and label values."""
    body, _ = await answer_scrape(gauges, None)
    return {
        (sample.name, tuple(sample.labels[name] for name in DESCRIPTIONS[family.name].labels)): sample.value
        for family in text_string_to_metric_families(body.decode())
        if family.name in DESCRIPTIONS and DESCRIPTIONS[family.name].from_database
        for sample in family.samples
    }


async def execute(pool: Pool, statement: str) -> None:
    async with pool.connection() as conn:
        await conn.execute(statement.encode())


async def test_an_empty_database_is_up_and_its_queues_are_empty(pool: Pool) -> None:
    told = await scrape(ask(pool, queues=QUEUES))

    assert told["diamond_database_up", ()] == 1
    assert told["diamond_database_size_bytes", ()] > 1_000_000
    for queue in QUEUES:
        assert told["diamond_queue_messages", (queue, "visible")] == 0
        assert told["diamond_queue_messages", (queue, "hidden")] == 0
        assert told["diamond_queue_oldest_message_age_seconds", (queue,)] == 0
        assert told["diamond_queue_dead_letters", (queue,)] == 0
    assert not [key for key in told if key[0].startswith("diamond_run")]


async def test_what_never_once_succeeded_is_as_old_as_the_installation(pool: Pool) -> None:
    await execute(
        pool,
        """
        UPDATE schema_migrations SET applied_at = now() - interval '40 h';
        UPDATE schema_migrations SET applied_at = now() - interval '30 d' WHERE version = '0001'
        """,
    )

    told = await scrape(ask(pool))

    assert told["diamond_feed_age_seconds", (FEED,)] == pytest.approx(30 * 86_400, abs=60)
    assert told["diamond_full_run_age_seconds", (FEED,)] == pytest.approx(30 * 86_400, abs=60)
    for task in TASKS:  # from the release that knows of them
        assert told["diamond_upkeep_age_seconds", (task.name,)] == pytest.approx(40 * 3600, abs=60)
    assert ("diamond_upkeep_age_seconds", ("backup",)) not in told  # nobody has to make them here


async def test_every_process_asks_for_all_feeds_and_tasks(pool: Pool, database_url: str) -> None:
    async with open_pipeline(load_settings(), database_url, service="test", needs_source=False) as pipeline:
        assert pipeline.gauges is not None
        told = await scrape(pipeline.gauges)

    ages = {labels for (metric, labels) in told if metric == "diamond_feed_age_seconds"}
    assert ages == {(feed,) for feed in FEEDS}
    tasks = {labels for (metric, labels) in told if metric == "diamond_upkeep_age_seconds"}
    assert tasks == {(task.name,) for task in TASKS}


async def test_runs_and_upkeep_that_only_fail_or_hang_make_nothing_younger(pool: Pool) -> None:
    await execute(pool, "UPDATE schema_migrations SET applied_at = now() - interval '40 h'")
    world = World(pool)
    world.supplier.list(Listed("a"))
    await world.plan()
    await execute(pool, "UPDATE run_metadata SET state = 'failed'")
    await world.plan()  # and nobody does it
    await execute(
        pool,
        """
        INSERT INTO upkeep (task, started_at, completed_at, error) VALUES
            ('runs', now(), now(), 'no room'), ('vacuum', now(), NULL, NULL), ('backup', now(), now(), 'no room')
        """,
    )

    told = await scrape(ask(pool))

    assert told["diamond_feed_age_seconds", (FEED,)] == pytest.approx(40 * 3600, abs=60)
    assert told["diamond_full_run_age_seconds", (FEED,)] == pytest.approx(40 * 3600, abs=60)
    assert told["diamond_upkeep_age_seconds", ("runs",)] == pytest.approx(40 * 3600, abs=60)
    assert told["diamond_upkeep_age_seconds", ("vacuum",)] == pytest.approx(40 * 3600, abs=60)
    assert ("diamond_upkeep_age_seconds", ("backup",)) not in told


async def test_queues_are_told_with_what_is_hidden_and_what_was_set_aside(pool: Pool) -> None:
    queue = PostgresQueue(pool, WORK_ITEMS, LIMITS[WORK_ITEMS])
    await queue.send([Message({"n": number}) for number in range(5)])
    [first, second] = await queue.receive(2)
    await queue.dead_letter(first, reason="broken")
    await execute(pool, "UPDATE pgmq.q_work_items SET enqueued_at = enqueued_at - interval '1 hour'")

    told = await scrape(ask(pool, queues=QUEUES))

    assert told["diamond_queue_messages", (WORK_ITEMS, "visible")] == 3
    assert told["diamond_queue_messages", (WORK_ITEMS, "hidden")] == 1
    assert told["diamond_queue_dead_letters", (WORK_ITEMS,)] == 1
    assert told["diamond_queue_oldest_message_age_seconds", (WORK_ITEMS,)] == pytest.approx(3600, abs=30)
    assert told["diamond_queue_messages", (CONSOLIDATE, "visible")] == 0
    await queue.complete(second)


async def test_queues_that_are_elsewhere_are_not_told_as_empty(pool: Pool) -> None:
    told = await scrape(ask(pool))

    assert not [key for key in told if key[0].startswith("diamond_queue")]


async def test_a_completed_run_makes_the_feed_fresh_and_failed_ones_are_counted_since(pool: Pool) -> None:
    world = World(pool)
    world.supplier.list(Listed("a"))
    run = await world.run()
    await execute(
        pool,
        "UPDATE run_metadata SET started_at = started_at - interval '2 h', updated_to = updated_to - interval '2 h'",
    )

    told = await scrape(ask(pool))
    assert told["diamond_feed_age_seconds", (run.feed,)] == pytest.approx(7200, abs=60)
    assert told["diamond_run_age_seconds", (run.feed,)] == pytest.approx(7200, abs=60)
    assert told["diamond_run_state", (run.feed, "completed")] == 1
    assert told["diamond_run_state", (run.feed, "failed")] == 0
    assert told["diamond_full_run_age_seconds", (run.feed,)] == pytest.approx(7200, abs=60)
    assert told["diamond_runs_unsuccessful", (run.feed, "full")] == 0

    for _ in range(2):
        failed = await world.plan()
        await execute(pool, f"UPDATE run_metadata SET state = 'failed' WHERE run_id = '{failed.run_id}'")

    told = await scrape(ask(pool))
    assert told["diamond_feed_age_seconds", (run.feed,)] == pytest.approx(7200, abs=60)
    assert told["diamond_run_state", (run.feed, "failed")] == 1
    assert told["diamond_run_state", (run.feed, "completed")] == 0
    assert told["diamond_runs_unsuccessful", (run.feed, "full")] == 2
    assert told["diamond_runs_unsuccessful", (run.feed, "incremental")] == 0


def test_the_values_of_labels_are_those_of_the_product() -> None:
    assert tuple(RunType) == RUN_TYPES
    assert tuple(RunState) == RUN_STATES
    assert tuple(SupplierState) == SUPPLIER_STATES


async def test_a_completed_incremental_run_hides_no_full_run_that_failed(pool: Pool) -> None:
    world = World(pool)
    world.supplier.list(Listed("a"))
    run = await world.run()
    await execute(pool, "UPDATE run_metadata SET updated_to = updated_to - interval '2 h'")
    for run_type in (RunType.FULL, RunType.INCREMENTAL):
        failed = await world.plan(run_type)
        await execute(pool, f"UPDATE run_metadata SET state = 'failed' WHERE run_id = '{failed.run_id}'")
    await world.run(RunType.INCREMENTAL)

    told = await scrape(ask(pool))
    assert told["diamond_feed_age_seconds", (run.feed,)] == pytest.approx(0, abs=60)
    assert told["diamond_full_run_age_seconds", (run.feed,)] == pytest.approx(7200, abs=60)
    assert told["diamond_runs_unsuccessful", (run.feed, "full")] == 1
    assert told["diamond_runs_unsuccessful", (run.feed, "incremental")] == 0


async def test_a_replay_and_a_forced_run_do_not_make_the_feed_fresh(pool: Pool) -> None:
    world = World(pool)
    world.supplier.list(Listed("a"))
    failed = await world.plan()
    await execute(pool, f"UPDATE run_metadata SET state = 'failed' WHERE run_id = '{failed.run_id}'")
    run = await world.run()
    await execute(
        pool,
        """
        UPDATE run_metadata SET forced = TRUE WHERE state = 'completed';
        UPDATE schema_migrations SET applied_at = now() - interval '2 h'
        """,
    )

    told = await scrape(ask(pool))

    assert told["diamond_feed_age_seconds", (run.feed,)] == pytest.approx(7200, abs=60)
    assert told["diamond_runs_unsuccessful", (run.feed, "full")] == 1


async def test_the_supplier_its_budget_incidents_deliveries_and_upkeep_are_told(pool: Pool) -> None:
    incident = uuid4()
    await execute(
        pool,
        f"""
        INSERT INTO supplier_health (feed, state, since, seen_at) VALUES ('nivoda', 'refusing', now(), now());
        INSERT INTO request_budget (account, rate, next_slot_at, paused_until, updated_at) VALUES
            ('of before', 9, now(), NULL, now() - interval '1 day'),
            ('now', 12.5, now(), now() + interval '60 s', now());
        INSERT INTO incidents (id, event, subject, severity, title, text) VALUES
            ('{incident}', 'dead_letters', 'work-items', 'error', '', ''),
            (gen_random_uuid(), 'dead_letters', 'work-done', 'error', '', '');
        INSERT INTO incidents (event, severity, title, text, cleared_at, resolved_at) VALUES
            ('run_late', 'warning', '', '', now(), now());
        INSERT INTO alert_deliveries (incident_id, kind, channel) VALUES ('{incident}', 'opened', 'mail');
        INSERT INTO upkeep (task, started_at, completed_at, error) VALUES
            ('backup', now() - interval '50 h', now() - interval '48 h', NULL),
            ('backup', now() - interval '1 h', now() - interval '1 h', 'no room'),
            ('runs', now() - interval '3 h', now() - interval '2 h', NULL),
            ('runs', now() - interval '1 h', NULL, NULL)
        """,
    )

    told = await scrape(ask(pool))

    assert told["diamond_supplier_state", ("nivoda", "refusing")] == 1
    assert told["diamond_supplier_state", ("nivoda", "answering")] == 0
    await execute(pool, "UPDATE supplier_health SET seen_at = now() - interval '6 minutes'")
    assert (await scrape(ask(pool)))["diamond_supplier_state", ("nivoda", "refusing")] == 0
    assert told["diamond_supplier_budget_requests_per_second", ()] == 12.5
    assert told["diamond_supplier_budget_pause_seconds", ()] == pytest.approx(60, abs=30)
    assert told["diamond_incidents_open", ("dead_letters", "error")] == 2
    assert ("diamond_incidents_open", ("run_late", "warning")) not in told
    assert told["diamond_alerts_undelivered", ()] == 1
    assert told["diamond_upkeep_age_seconds", ("backup",)] == pytest.approx(48 * 3600, abs=60)
    assert told["diamond_upkeep_age_seconds", ("runs",)] == pytest.approx(7200, abs=60)


async def test_the_database_is_asked_once_in_fifteen_seconds_however_many_scrape(
    pool: Pool, clock: ManualClock
) -> None:
    gauges = ask(pool, clock, queues=QUEUES)
    queue = PostgresQueue(pool, WORK_ITEMS, LIMITS[WORK_ITEMS])
    before = await scrape(gauges)
    await queue.send([Message({})])
    clock.advance(seconds=REFRESH_SECONDS - 1)

    assert (await scrape(gauges))["diamond_queue_messages", (WORK_ITEMS, "visible")] == 0
    clock.advance(seconds=1)
    assert (await scrape(gauges))["diamond_queue_messages", (WORK_ITEMS, "visible")] == 1
    assert before["diamond_queue_messages", (WORK_ITEMS, "visible")] == 0


async def test_a_database_that_is_away_is_told_within_two_seconds_and_the_process_s_own_metrics_come(
    pool: Pool, clock: ManualClock
) -> None:
    assert (await scrape(ask(pool, clock)))["diamond_database_up", ()] == 1
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nothing"
        async with open_pool(url, application_name="diamond test", max_size=1) as away:
            gauges = ask(away, clock)
            started = time.monotonic()
            told = await scrape(gauges)
            assert time.monotonic() - started < 8, "the pool alone would wait for ten"
            body, _ = await answer_scrape(gauges, None)

    assert told == {("diamond_database_up", ()): 0}
    assert b"process_resident_memory_bytes" in body
