"""A diamond is what its newest payload says, priced by the rules as they are now, however many make it at once."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from diamond_opus.consolidate.batch import consolidate_batch
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import RawItem
from diamond_opus.ingest.store import Fetched, store_stones
from diamond_opus.runs import consolidating, store
from diamond_opus.runs.model import Run, RunState, RunType
from diamond_opus.simulator.server import Simulator, SimulatorSettings
from diamond_opus.wiring import mappers
from pipeline_builders import Pool, World, consolidate_message, run_to_end, simulated_pipeline
from pipeline_oracle import compare_with_raw
from pipeline_supplier import FEED, Listed, ScriptedSupplier, stones


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(60), *stones(20, lab_grown=True)]))


async def add_rule(world: World, **columns: Any) -> None:
    names = ", ".join(columns)
    marks = ", ".join(["%s"] * len(columns))
    await world.rows(f"INSERT INTO pricing_rules ({names}) VALUES ({marks})", *columns.values())


async def all_rows(world: World) -> dict[str, Any]:
    return {row["supplier_stone_id"]: row for row in await world.rows("SELECT *, xmin FROM diamonds")}


async def test_every_diamond_is_its_newest_payload_priced_by_the_present_rules(world: World) -> None:
    await add_rule(world, priority=10, carat_min=1, carat_max=Decimal("1.50"), markup_ratio="1.3333")
    await add_rule(world, priority=10, lab_grown=True, markup_ratio="1.4", rating=9)
    await add_rule(world, priority=5, shapes=["OVAL"], markup_ratio="1.2555", rating=1)
    world.supplier.list(
        Listed("oval", price_cents=33_333, shape="OVAL", carats=0.73),
        Listed("big", price_cents=1_234_567, carats=3.07),
        Listed("odd", price_cents=20_000, certificate={"length": "7.2mm", "table": "null", "clarity": None}),
        Listed("fancy", certificate={"color": "FANCY", "f_color": "Yellow", "f_intensity": "FANCY_LIGHT"}),
    )
    run = await world.run()
    async with world.pool.connection() as conn:
        assert await compare_with_raw(conn) == 84
    assert (run.consolidation_processed, run.consolidation_total, run.consolidation_errors) == (84, 84, 0)


async def test_hostile_stones_of_every_kind_become_what_their_payloads_say(
    pool: Pool, database_url: str
) -> None:
    """The simulator's odd stones, as they come over its wire, in the same batch as honest ones."""
    settings = SimulatorSettings(
        stones=700, seed=4, hostile_share=0.6, wrong_types=True, lone_surrogates=True
    )
    async with (
        Simulator(settings) as simulator,
        simulated_pipeline(database_url, simulator) as pipeline,
    ):
        run = await run_to_end(pipeline)
    assert run.state is RunState.COMPLETED
    assert run.rejected_records > 0
    async with pool.connection() as conn:
        assert await compare_with_raw(conn) > 300


async def test_a_changed_stone_is_changed_and_an_unchanged_one_not_even_written(world: World) -> None:
    await world.run()
    before = await all_rows(world)
    world.supplier.change("nat-00003", price_cents=77_700, availability="SOLD")
    await world.run()
    after = await all_rows(world)

    changed = {stone_id for stone_id, row in after.items() if row["xmin"] != before[stone_id]["xmin"]}
    assert changed == {"nat-00003"}
    assert (after["nat-00003"]["feed_price"], after["nat-00003"]["availability"]) == (777, "sold")
    assert after["nat-00003"]["created_at"] == before["nat-00003"]["created_at"]
    async with world.pool.connection() as conn:
        await compare_with_raw(conn)


async def test_consolidating_the_same_payload_again_writes_nothing(world: World) -> None:
    """As after a replay, or when a price moved away and back: the row's content decides, not the payload's fate."""
    await world.run()
    before = await all_rows(world)
    await world.rows("UPDATE raw_diamonds SET consolidated = FALSE")
    await world.run()
    assert {i: row["xmin"] for i, row in (await all_rows(world)).items()} == {
        i: row["xmin"] for i, row in before.items()
    }


async def test_a_new_rule_reaches_the_stones_that_are_consolidated_after_it(world: World) -> None:
    await world.run()
    await add_rule(world, priority=1, markup_ratio="2.5", rating=10)
    await world.rows("UPDATE raw_diamonds SET consolidated = FALSE")
    await world.run(RunType.INCREMENTAL)
    async with world.pool.connection() as conn:
        assert await compare_with_raw(conn) == 80
    assert {row["rating"] for row in (await all_rows(world)).values()} == {10}


async def test_a_payload_that_comes_while_its_stone_is_consolidated_stays_pending(world: World) -> None:
    """The batch has read the old payload and holds the row; the worker waits, and its payload is a new task."""
    run = await world.read_run()
    async with world.pool.connection() as conn:
        await consolidating.start_consolidating(conn, run.run_id, force=False, actor="test")
        async with conn.transaction():
            await consolidate_batch(conn, run.run_id, FEED, mappers()[FEED], limit=1000)
            newer = asyncio.create_task(store_newer(world, run, "nat-00003", availability="SOLD"))
            await world.somebody_waits_for_a_lock()
            assert not newer.done()
        await newer
    assert (await world.diamond("nat-00003"))["availability"] == "available"
    pending = await world.rows("SELECT supplier_stone_id AS id FROM raw_diamonds WHERE NOT consolidated")
    assert pending == [{"id": "nat-00003"}]

    await world.process.consolidator().consolidate(run.run_id)

    assert (await world.diamond("nat-00003"))["availability"] == "sold"
    assert (await world.get_run(run.run_id)).state is RunState.COMPLETED
    async with world.pool.connection() as conn:
        assert await compare_with_raw(conn) == 80


async def test_a_payload_that_came_first_is_the_one_that_is_consolidated(world: World) -> None:
    """The worker has written the row and has not committed; the batch leaves it out and takes it afterwards."""
    run = await world.read_run()
    async with world.pool.connection() as writer, writer.transaction():
        world.supplier.change("nat-00003", availability="SOLD")
        await store_stones(writer, FEED, run.run_id, Selection(False), [fetched(world, "nat-00003")])
        await world.process.consolidator().consolidate(run.run_id)
        assert (await world.get_run(run.run_id)).state is RunState.CONSOLIDATING, "a stone is still pending"
        assert await world.value("SELECT count(*) FROM diamonds") == 79

    await world.process.consolidator().consolidate(run.run_id)

    assert (await world.diamond("nat-00003"))["availability"] == "sold"
    assert (await world.get_run(run.run_id)).state is RunState.COMPLETED


def fetched(world: World, stone_id: str) -> Fetched:
    item = world.supplier.stones[stone_id].item()
    assert isinstance(item, RawItem)
    return Fetched(item, world.supplier.stones[stone_id].updated_at)


async def store_newer(world: World, run: Run, stone_id: str, **fields: Any) -> None:
    world.supplier.change(stone_id, **fields)
    async with world.pool.connection() as conn, conn.transaction():
        await store_stones(conn, FEED, run.run_id, Selection(False), [fetched(world, stone_id)])


async def test_several_consolidators_share_a_run_and_exactly_one_ends_it(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(600)), consolidator_batch_size=25, consolidator_concurrency=1)
    run = await world.read_run()
    await world.rows("CREATE TABLE ends (run_id uuid)")
    await world.rows(
        "CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO ends VALUES (NEW.run_id); RETURN NEW; END $$"
    )
    await world.rows(
        "CREATE TRIGGER note_end BEFORE UPDATE OF completed_at ON run_metadata"
        " FOR EACH ROW WHEN (NEW.state = 'completed') EXECUTE FUNCTION note_end()"
    )

    await asyncio.gather(*(world.another_process().consolidator().consolidate(run.run_id) for _ in range(3)))

    ended = await world.get_run(run.run_id)
    assert ended.state is RunState.COMPLETED
    assert ended.consolidation_processed == 600
    assert await world.value("SELECT count(*) FROM ends") == 1
    assert await world.value("SELECT count(*) FROM diamonds") == 600
    assert await world.value("SELECT count(DISTINCT xmin::text) FROM diamonds") >= 24


async def test_the_same_message_again_changes_nothing(world: World) -> None:
    run = await world.run()
    before = await all_rows(world)
    for _ in range(3):
        await world.process.consolidator().handle_consolidate(consolidate_message(run, force=True))
    assert await all_rows(world) == before
    assert await world.get_run(run.run_id) == run


async def test_a_cancelled_run_is_left_by_its_consolidator(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(300)), consolidator_batch_size=10, consolidator_concurrency=1)
    run = await world.read_run()
    await world.consolidate_and_cancel(run.run_id)

    assert (await world.get_run(run.run_id)).state is RunState.CANCELLED
    assert await world.value("SELECT count(*) FROM diamonds") == 10
    assert await world.watermark() is None

    assert (await world.run()).state is RunState.COMPLETED
    assert await world.value("SELECT count(*) FROM diamonds") == 300


async def test_what_a_cancelled_run_left_pending_is_done_by_the_next_one(world: World) -> None:
    run = await world.read_run()
    async with world.pool.connection() as conn:
        await store.cancel_run(conn, run.run_id, actor="test")
    assert await world.value("SELECT count(*) FROM diamonds") == 0

    again = await world.run()

    assert (again.unchanged_records, again.consolidation_processed) == (80, 80)
    assert await world.value("SELECT count(*) FROM diamonds") == 80


async def test_stones_of_another_feed_are_left_to_its_own_runs(world: World) -> None:
    await world.run()
    await world.rows(
        "INSERT INTO raw_diamonds (feed, supplier_stone_id, id, run_id, offer_id, payload, payload_hash,"
        " asked_lab_grown, fetched_at, last_seen_at, last_seen_run_id) SELECT 'another', 'x',"
        " gen_random_uuid(), gen_random_uuid(), 'o', '{}', 'h', FALSE, now(), now(), gen_random_uuid()"
    )
    assert (await world.run()).state is RunState.COMPLETED
    assert await world.value("SELECT consolidated FROM raw_diamonds WHERE feed = 'another'") is False
    assert await world.value("SELECT count(*) FROM rejected_diamonds") == 0


async def test_every_transaction_that_changes_the_catalogue_raises_its_version(world: World) -> None:
    async def version() -> int:
        return await world.value("SELECT coalesce(max(version), 0) FROM dataset_versions") or 0

    await world.run()
    first = await version()
    assert first > 0
    await world.run()
    assert await version() == first, "nothing changed"
    world.supplier.change("nat-00003", availability="SOLD")
    await world.run()
    changed = await version()
    assert changed > first
    world.supplier.withdraw("nat-00004")
    await world.run()
    assert await version() > changed, "a removal is a change, too"
