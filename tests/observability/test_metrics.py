"""The instruments move when the real parts do, and no label holds what somebody else wrote."""

import re
from datetime import UTC, datetime

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families

from diamond_opus.db.pool import Pool, open_pool
from diamond_opus.domain.errors import Retryable
from diamond_opus.domain.selection import Selection
from diamond_opus.observability import metrics
from diamond_opus.observability.collectors import Named
from diamond_opus.runs.model import Run, RunType
from diamond_opus.simulator.server import Simulator, SimulatorSettings
from metric_rise import Rise, all_samples
from pipeline_builders import World, run_to_end, simulated_pipeline, work_item
from pipeline_supplier import FEED, Listed, ScriptedSupplier


@pytest.fixture
def world(pool: Pool) -> World:
    return World(
        pool,
        ScriptedSupplier(
            [Listed(f"stone-{n}", price_cents=100_000 + n, updated_at=LATELY) for n in range(30)]
        ),
    )


#: So that a full and an incremental run see them.
LATELY = datetime(2026, 1, 1, tzinfo=UTC)


async def a_range_of(world: World, run: Run) -> str:
    """A partition with stones in it."""
    partitions = (await world.partitions(run.run_id)).values()
    return next(one.partition_id for one in partitions if one.kind == "range" and not one.lab_grown)


def chosen(name: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"diamond_consolidator_{name}") or 0


async def test_a_run_counts_what_was_read_stored_consolidated_and_priced(world: World) -> None:
    rise = Rise()
    run = await world.run()

    assert rise.of("diamond_stones_read_total", feed=FEED) == run.fetched_records >= 30
    assert rise.of("diamond_raw_rows_stored_total", feed=FEED, change="written") >= 30
    assert rise.of("diamond_pages_read_total", feed=FEED) > 0
    assert rise.of("diamond_stones_consolidated_total", feed=FEED) == run.consolidation_processed == 30
    assert rise.of("diamond_stones_priced_total", feed=FEED, rule="default") == 30
    assert rise.of("diamond_stones_priced_total", feed=FEED, rule="other") == 0
    ended = rise.of("diamond_partition_seconds_count", feed=FEED, outcome="completed")
    assert ended == run.completed_workers > 0
    assert rise.of("diamond_consolidation_batch_seconds_count", feed=FEED) >= 1
    assert 0 < chosen("batch_size") <= 2000
    assert 1 <= chosen("concurrency") <= 2


async def test_what_did_not_change_is_told_apart_and_a_rule_with_a_criterion_is_seen(world: World) -> None:
    await world.run()
    await world.rows("INSERT INTO pricing_rules (priority, carat_min, markup_ratio) VALUES (1, 0, 1.3)")
    world.supplier.list(Listed("another"))

    rise = Rise()
    await world.run()

    assert rise.of("diamond_raw_rows_stored_total", feed=FEED, change="unchanged") >= 30
    assert rise.of("diamond_stones_priced_total", feed=FEED, rule="other") == 1
    assert rise.of("diamond_stones_priced_total", feed=FEED, rule="default") == 0


async def test_rejected_stones_are_counted_by_the_part_that_was_refused(database_url: str) -> None:
    async with (
        Simulator(SimulatorSettings(stones=400, seed=3, hostile_share=0.3)) as simulator,
        simulated_pipeline(database_url, simulator) as pipeline,
    ):
        rise = Rise()
        run = await run_to_end(pipeline, RunType.FULL)

    rejected = {
        reason: rise.of("diamond_stones_rejected_total", feed=FEED, reason=reason)
        for reason in metrics.REJECTION_REASONS
    }
    assert sum(rejected.values()) == run.rejected_records > 0
    assert rejected["other"] == 0
    assert len([reason for reason, stones in rejected.items() if stones]) > 2
    assert rise.of("diamond_items_unreadable_total", feed=FEED) == run.unreadable_records > 0


async def test_a_partition_that_is_postponed_and_then_taken_over_is_told_as_that(world: World) -> None:
    run = await world.plan()
    name = await a_range_of(world, run)
    rise = Rise()

    async def refuse(_selection: Selection, _offset: int) -> None:
        raise Retryable("not now")

    world.supplier.before_count = refuse
    await world.process.worker().handle(work_item(run, name))
    assert rise.of("diamond_partition_seconds_count", feed=FEED, outcome="postponed") == 1

    world.supplier.before_count = None
    await world.rows(
        "UPDATE partition_progress SET state = 'running', lease_token = gen_random_uuid(),"
        " lease_expires_at = clock_timestamp() - interval '1 s', next_attempt_at = NULL WHERE partition_id = %s",
        name,
    )
    await world.rows("UPDATE worker_runs SET status = 'running', completed_at = NULL")
    await world.process.worker().handle(work_item(run, name))

    assert rise.of("diamond_lease_recoveries_total", feed=FEED) == 1
    assert rise.of("diamond_partition_seconds_count", feed=FEED, outcome="completed") == 1


async def test_a_worker_that_lost_its_lease_is_told_once(world: World) -> None:
    run = await world.plan()
    name = await a_range_of(world, run)

    async def steal(_selection: Selection, _offset: int) -> None:
        await world.rows(
            "UPDATE partition_progress SET lease_token = gen_random_uuid() WHERE partition_id = %s", name
        )

    world.supplier.before_page = steal
    rise = Rise()
    await world.process.worker().handle(work_item(run, name))

    assert rise.of("diamond_partition_seconds_count", feed=FEED, outcome="lease_lost") == 1
    assert rise.of("diamond_stones_read_total", feed=FEED) == 0


async def test_a_pool_tells_its_connections_and_is_forgotten_when_it_is_gone(database_url: str) -> None:
    def told(name: str, **labels: str) -> float | None:
        return metrics.REGISTRY.get_sample_value(name, {"pool": "of a test", **labels})

    async with open_pool(database_url, application_name="diamond of a test", max_size=3) as pool:
        metrics.watch_pool(pool)
        async with pool.connection(), pool.connection():
            assert told("diamond_pool_connections", state="in_use") == 2
            assert told("diamond_pool_max_connections") == 3
        assert told("diamond_pool_connections", state="in_use") == 0
        assert told("diamond_pool_connections", state="idle") == 2
        assert told("diamond_pool_requests_total") == 2
        assert told("diamond_pool_waiting") == told("diamond_pool_refused_total") == 0
    del pool
    assert told("diamond_pool_max_connections") in (None, 3)  # whenever it is collected


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("$", "payload"),
        ("$.price", "price"),
        ("$.diamond.certificate.carats", "carats"),
        ("$.diamond.id", "id"),
        ("", "other"),
        ("$.diamond.something[3]", "other"),
        ("a supplier's own words", "other"),
    ],
)
def test_a_rejection_has_a_known_category(path: str, reason: str) -> None:
    assert metrics.rejection_reason(path) == reason
    assert reason in metrics.REJECTION_REASONS


def test_names_follow_prometheus_and_labels_hold_only_what_is_written_down() -> None:
    for name, described in metrics.DESCRIPTIONS.items():
        assert re.fullmatch(r"diamond(_[a-z]+)+", name), name
        assert name.endswith("_total") is (described.kind == "counter"), name
        assert described.kind != "histogram" or name.endswith("_seconds"), name
        assert described.text.endswith("."), name
    own = {name: described for name, described in metrics.DESCRIPTIONS.items() if described.labels}
    for sample, labels in all_samples():
        metric = sample if sample in own else re.sub(r"_(bucket|count|sum)$", "", sample)
        for label, found in labels if metric in own else ():
            allowed = ("le",) if label == "le" else own[metric].labels[label]
            assert label == "le" or isinstance(allowed, Named) or found in allowed, (sample, label, found)


def test_both_forms_that_prometheus_asks_for_can_be_read() -> None:
    plain, plain_type = metrics.exposition("text/plain")
    modern, modern_type = metrics.exposition("application/openmetrics-text; version=1.0.0")

    assert plain_type.startswith("text/plain")
    assert modern_type.startswith("application/openmetrics-text")
    names = {family.name for family in text_string_to_metric_families(plain.decode())}
    assert {"diamond_stones_read", "process_cpu_seconds", "python_info"} <= names
    assert {"diamond_stones_read"} < {family.name for family in parse_open_metrics(modern.decode())}  # type: ignore[no-untyped-call]
