"""What the guard kept is removed when a person accepts it, stone by stone, and only what is really gone."""

from uuid import UUID

import pytest

from diamond_opus.consolidate.acceptance import accept_removals
from diamond_opus.domain.errors import Retryable
from diamond_opus.queue.protocol import CONSOLIDATE
from diamond_opus.runs import store
from diamond_opus.runs.model import Run, RunRefused, RunState, UnknownRun
from diamond_opus.wakeups import wake_runs
from pipeline_builders import Pool, World
from pipeline_supplier import ScriptedSupplier, stones

GONE = [f"nat-{number:05d}" for number in range(20)]


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(40), *stones(40, lab_grown=True)]))


async def guarded_run(world: World) -> Run:
    """Half of the natural stones are missing: more than can be believed."""
    await world.run()
    world.supplier.withdraw(*GONE)
    run = await world.run()
    assert "removal_guarded" in world.alerts.events
    return run


async def accept(world: World, run_id: UUID) -> int:
    async with world.pool.connection() as conn:
        accepted = await accept_removals(conn, run_id, actor="test")
        due = await store.take_run(conn, run_id)
    await wake_runs(world.queues[CONSOLIDATE], [due])
    return accepted.candidates


async def test_nothing_is_removed_before_somebody_accepts(world: World) -> None:
    run = await guarded_run(world)
    assert (run.state, run.removed_records) == (RunState.COMPLETED, 0)
    assert set(GONE) < await world.active_ids()


async def test_accepted_removals_are_confirmed_by_the_supplier_and_counted(world: World) -> None:
    run = await guarded_run(world)
    asked_before = len(world.supplier.look_ups)

    assert await accept(world, run.run_id) == 20
    assert set(GONE) < await world.active_ids()  # accepting alone removes nothing
    await world.consolidate()

    after = await world.get_run(run.run_id)
    assert await world.active_ids() == set(world.supplier.stones)
    assert (after.state, after.removed_records) == (RunState.COMPLETED, 20)
    assert after.removals_settled_at is not None
    assert len(world.supplier.look_ups) > asked_before
    audited = await world.row(
        "SELECT actor, subject, details FROM audit_log WHERE action = 'run.accept_removals'"
    )
    assert audited == {"actor": "test", "subject": str(run.run_id), "details": {"candidates": 20}}


async def test_what_was_seen_since_or_is_shown_after_all_stays(world: World) -> None:
    run = await guarded_run(world)
    returned, hidden = stones(2)  # nat-00000 and nat-00001
    world.supplier.list(returned)
    await world.run()
    world.supplier.list(hidden)  # back, but no run has read it yet

    await accept(world, run.run_id)
    await world.consolidate()

    assert await world.active_ids() == set(world.supplier.stones)
    assert (await world.get_run(run.run_id)).removed_records == 18


async def test_a_supplier_who_is_away_is_asked_again_later(world: World) -> None:
    run = await guarded_run(world)

    async def away(_ids: object) -> None:
        raise Retryable("the supplier is away")

    world.supplier.before_look_up = away
    await accept(world, run.run_id)
    await world.consolidate()
    after = await world.get_run(run.run_id)
    assert (after.state, after.removed_records, after.removals_settled_at) == (RunState.COMPLETED, 0, None)

    world.supplier.before_look_up = None
    await world.rows("UPDATE run_metadata SET next_attempt_at = NULL, woken_at = NULL")
    await world.sweep()
    await world.consolidate()
    assert (await world.get_run(run.run_id)).removed_records == 20


async def test_a_lost_message_or_a_dead_process_is_made_good_by_the_sweeper(world: World) -> None:
    run = await guarded_run(world)
    await accept(world, run.run_id)
    await world.lose_messages()
    await world.rows(
        "UPDATE run_metadata SET woken_at = NULL, finalise_token = gen_random_uuid(),"
        " finalise_expires_at = now() - interval '1 second' WHERE run_id = %s",
        run.run_id,
    )
    await world.sweep()
    await world.consolidate()
    assert (await world.get_run(run.run_id)).removed_records == 20


async def test_an_answer_that_shows_no_witness_removes_nothing(world: World) -> None:
    run = await guarded_run(world)
    world.supplier.look_ups_are_broken = True
    await accept(world, run.run_id)
    await world.consolidate()
    assert set(GONE) < await world.active_ids()


async def test_the_watermark_and_the_next_run_are_not_touched(world: World) -> None:
    run = await guarded_run(world)
    before = await world.watermark()
    await accept(world, run.run_id)
    await world.consolidate()
    assert await world.watermark() == before
    assert (await world.run()).state is RunState.COMPLETED


async def test_there_must_be_something_to_accept(world: World) -> None:
    run = await world.run()
    with pytest.raises(RunRefused, match="no removals"):
        await accept(world, run.run_id)
    with pytest.raises(UnknownRun):
        await accept(world, UUID(int=1))


async def test_removals_of_a_run_that_did_not_complete_are_not_accepted(world: World) -> None:
    run = await world.read_run()
    async with world.pool.connection() as conn:
        with pytest.raises(
            RunRefused, match="is ingested; its removals can be accepted when it is completed"
        ):
            await accept_removals(conn, run.run_id, actor="test")
