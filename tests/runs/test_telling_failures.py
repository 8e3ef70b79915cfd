"""Whoever dies after a run failed, somebody is told, and with the command that puts it right."""

import pytest

from diamond_opus.runs.model import PartitionState, RunState
from pipeline_builders import Pool, World
from pipeline_supplier import ScriptedSupplier, stones
from run_steps import cancel, claim, fail, leave, retry


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(30), *stones(5, lab_grown=True)]))


async def test_a_failure_that_nobody_told_is_told_by_the_sweeper_and_once(world: World) -> None:
    """The worker died between the commit that failed the run and its alert."""
    run = await fail(world)
    assert world.alerts.raised == []

    await world.sweep()
    await world.sweep()

    [alert] = world.alerts.raised
    assert alert.event == "consolidation_skipped"
    assert alert.run_id == str(run.run_id)
    assert alert.text == (
        "1 partitions failed: natural-01: the supplier refuses. The watermark stays. "
        f"When the cause is mended: diamond retry {run.run_id}"
    )


async def test_a_run_that_fails_again_is_told_again(world: World) -> None:
    run = await fail(world)
    await world.sweep()
    await retry(world, run)
    await world.sweep()
    assert len(world.alerts.raised) == 1

    claimed = await claim(world, run, "natural-01")
    assert await leave(world, claimed, PartitionState.FAILED) is RunState.FAILED
    await world.sweep()

    assert world.alerts.events == ["consolidation_skipped"] * 2


async def test_a_run_that_was_closed_meanwhile_is_not_told(world: World) -> None:
    run = await fail(world)
    await cancel(world, run)
    await world.sweep()
    assert world.alerts.raised == []
