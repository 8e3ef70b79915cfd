"""What a person may do to a run: retry, force, cancel, and nothing that would harm a newer one."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from diamond_opus.runs import consolidating, store
from diamond_opus.runs.model import PartitionState, RunRefused, RunState
from pipeline_builders import Pool, World
from pipeline_supplier import ScriptedSupplier, stones
from run_steps import cancel, claim, end, fail, retry, start_consolidating


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(30), *stones(5, lab_grown=True)]))


async def test_a_retried_run_goes_on_at_the_cursor_with_all_its_attempts(world: World) -> None:
    run = await fail(world)
    await world.rows("""UPDATE partition_progress SET cursor = '{"ranges": []}', failures = 5""")

    assert await retry(world, run) == ["natural-01"]

    assert (await world.get_run(run.run_id)).state is RunState.INGESTING
    claimed = await claim(world, run, "natural-01")
    assert (claimed.cursor, claimed.failures) == ({"ranges": []}, 0)
    audited = await world.row("SELECT actor, action, subject, details FROM audit_log")
    assert audited == {
        "actor": "test",
        "action": "run.retry",
        "subject": str(run.run_id),
        "details": {"partitions": ["natural-01"]},
    }


async def test_a_failed_partition_may_be_retried_while_the_others_are_still_read(world: World) -> None:
    run = await world.plan()
    await end(world, run, "natural-01", PartitionState.FAILED)
    assert await retry(world, run, "natural-01") == ["natural-01"]


async def test_what_did_not_fail_cannot_be_retried(world: World) -> None:
    run = await fail(world)
    with pytest.raises(
        RunRefused, match=f"{run.run_id} partition 'lab-grown-01' is not among the failed ones"
    ):
        await retry(world, run, "lab-grown-01")
    await cancel(world, run)
    with pytest.raises(RunRefused, match="is cancelled; only failed partitions"):
        await retry(world, run)


async def test_a_run_cannot_be_retried_once_a_newer_one_exists_only_closed(world: World) -> None:
    old = await fail(world)
    newer = await world.plan()
    await cancel(world, newer)

    for again in (retry(world, old), start_consolidating(world, old, force=True)):
        with pytest.raises(RunRefused, match="a newer run of the feed exists"):
            await again

    await cancel(world, old)
    assert (await world.get_run(old.run_id)).state is RunState.CANCELLED


async def test_an_unread_run_is_consolidated_only_by_force_and_that_is_audited(world: World) -> None:
    run = await fail(world)
    with pytest.raises(RunRefused, match="consolidate what is there with --force"):
        await start_consolidating(world, run)

    forced = await start_consolidating(world, run, force=True)

    assert (forced.state, forced.forced) == (RunState.CONSOLIDATING, True)
    assert forced.error == "1 partitions failed: natural-01: the supplier refuses"
    audited = await world.row("SELECT action, details FROM audit_log")
    assert audited == {"action": "run.consolidate", "details": {"forced": True}}


async def test_force_says_nothing_when_everything_was_read(world: World) -> None:
    run = await world.plan()
    for partition_id in ("natural-01", "lab-grown-01", "catch-up-natural", "catch-up-lab-grown"):
        await end(world, run, partition_id, PartitionState.COMPLETED)
    assert (await start_consolidating(world, run, force=True)).forced is False


async def test_a_forced_run_that_was_read_after_all_counts_as_read(world: World) -> None:
    """Its consolidation failed, its partitions were retried with success: nothing holds the watermark back."""
    run = await fail(world)
    await start_consolidating(world, run, force=True)
    async with world.pool.connection() as conn:
        await consolidating.postpone_consolidation(
            conn, run.run_id, error="disk full", delay_seconds=0, longest_delay_seconds=0, max_attempts=1
        )
    await retry(world, run)
    for partition_id in ("natural-01", "catch-up-natural", "catch-up-lab-grown"):
        await end(world, run, partition_id, PartitionState.COMPLETED)

    assert (await start_consolidating(world, run)).forced is False


async def test_a_run_that_is_being_read_is_not_consolidated(world: World) -> None:
    run = await world.plan()
    await claim(world, run, "natural-01")
    with pytest.raises(RunRefused, match="is ingesting, not ready for consolidation"):
        await start_consolidating(world, run, force=True)


async def test_only_a_run_that_is_not_complete_can_be_cancelled_and_only_once(world: World) -> None:
    run = await world.run()
    assert run.state is RunState.COMPLETED
    with pytest.raises(RunRefused, match="is completed and cannot be cancelled"):
        await cancel(world, run)
    other = await world.plan()
    await cancel(world, other)
    with pytest.raises(RunRefused, match="is cancelled and cannot be cancelled"):
        await cancel(world, other)
    cancelled = await world.get_run(other.run_id)
    assert cancelled.error == "cancelled by test"
    assert cancelled.completed_at is not None


async def test_asking_for_a_run_that_does_not_exist_says_so(world: World) -> None:
    nobody = UUID(int=7)
    async with world.pool.connection() as conn:
        asks: list[Callable[[], Awaitable[object]]] = [
            lambda: store.get_run(conn, nobody),
            lambda: store.retry_run(conn, nobody, actor="test"),
            lambda: store.cancel_run(conn, nobody, actor="test"),
            lambda: consolidating.start_consolidating(conn, nobody, force=True, actor="test"),
            lambda: consolidating.join_consolidation(conn, nobody),
        ]
        for ask in asks:
            with pytest.raises(RunRefused, match=f"there is no run {nobody}"):
                await ask()


async def test_a_failed_run_can_be_taken_over_by_a_new_one_but_not_stand_beside_it(world: World) -> None:
    old = await fail(world)
    await world.plan()
    await world.rows("UPDATE run_metadata SET started_at = now() WHERE run_id = %s", old.run_id)
    with pytest.raises(RunRefused, match="another run of the feed is active"):
        await retry(world, old)
