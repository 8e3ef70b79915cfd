"""Only what a complete full run missed and the supplier denies is removed, and never too much at once."""

import asyncio
from typing import Any

import pytest

from diamond_opus.consolidate.removal import QUERIES, remove_missing
from diamond_opus.domain.errors import Retryable
from diamond_opus.runs import consolidating
from diamond_opus.runs.model import RunState, RunType
from pipeline_builders import Pool, World
from pipeline_supplier import Listed, ScriptedSupplier, stones


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(40), *stones(40, lab_grown=True)]))


async def candidates(world: World) -> dict[str, str]:
    """Of the newest run, with what became of each."""
    rows = await world.rows(
        "SELECT supplier_stone_id AS id, state FROM removal_candidates WHERE run_id ="
        " (SELECT run_id FROM run_metadata ORDER BY started_at DESC LIMIT 1)"
    )
    return {row["id"]: row["state"] for row in rows}


async def test_a_stone_that_is_gone_is_deleted_after_a_full_run(world: World) -> None:
    await world.run()
    world.supplier.withdraw("nat-00003", "lab-00004")

    run = await world.run()

    assert (run.state, run.removed_records) == (RunState.COMPLETED, 2)
    for stone_id in ("nat-00003", "lab-00004"):
        diamond = await world.diamond(stone_id)
        assert diamond["status"] == "deleted"
        assert diamond["deleted_at"] is not None
        removed_at = await world.value(
            "SELECT removed_at FROM raw_diamonds WHERE supplier_stone_id = %s", stone_id
        )
        assert removed_at is not None
    assert await world.active_ids() == set(world.supplier.stones)
    assert await candidates(world) == {"nat-00003": "removed", "lab-00004": "removed"}
    asked = [set(ids) for ids in world.supplier.look_ups]
    assert [missing & {"nat-00003", "lab-00004"} for missing in asked] == [{"nat-00003"}, {"lab-00004"}]


async def test_an_incremental_run_removes_nothing(world: World) -> None:
    await world.run()
    world.supplier.withdraw("nat-00003")
    run = await world.run(RunType.INCREMENTAL)
    assert (run.state, run.removed_records) == (RunState.COMPLETED, 0)
    assert "nat-00003" in await world.active_ids()
    assert await candidates(world) == {}


async def test_a_stone_that_returns_is_active_again_even_unchanged(world: World) -> None:
    await world.run()
    before = await world.diamond("nat-00003")
    stone = world.supplier.stones["nat-00003"]
    world.supplier.withdraw("nat-00003")
    await world.run()
    world.supplier.list(stone)

    run = await world.run()

    after = await world.diamond("nat-00003")
    assert (after["status"], after["deleted_at"]) == ("active", None)
    assert (after["id"], after["raw_hash"], after["created_at"]) == (
        before["id"],
        before["raw_hash"],
        before["created_at"],
    )
    assert (run.consolidation_processed, run.removed_records) == (1, 0)


async def test_a_stone_the_run_missed_and_the_supplier_still_has_stays(world: World) -> None:
    await world.run()
    missed = "nat-00003"
    hidden = world.supplier.stones[missed]

    async def hide(*_: object) -> None:
        world.supplier.stones.pop(missed, None)

    async def show_again(*_: object) -> None:
        world.supplier.list(hidden)

    world.supplier.before_page = hide
    world.supplier.before_look_up = show_again

    run = await world.run()

    assert run.removed_records == 0
    assert missed in await world.active_ids()
    assert await candidates(world) == {missed: "present"}
    seen = await world.row(
        "SELECT last_seen_run_id, removed_at FROM raw_diamonds WHERE supplier_stone_id = %s", missed
    )
    assert seen == {"last_seen_run_id": run.run_id, "removed_at": None}


async def test_a_stone_seen_again_before_it_is_removed_is_not_removed(world: World) -> None:
    """Between the supplier's answer and the removal a look-up elsewhere has seen it."""
    await world.run()
    world.supplier.withdraw("nat-00003")
    await world.run()
    run = await world.run()
    await world.rows("UPDATE diamonds SET status = 'active', deleted_at = NULL")
    await world.rows(
        "INSERT INTO removal_candidates (run_id, feed, supplier_stone_id, lab_grown, state, decided_at)"
        " VALUES (%s, 'nivoda', 'nat-00003', FALSE, 'gone', now() - interval '1 minute')",
        run.run_id,
    )
    await world.rows(
        "UPDATE raw_diamonds SET last_seen_at = now(), removed_at = NULL WHERE supplier_stone_id = 'nat-00003'"
    )
    async with world.pool.connection() as conn:
        await conn.execute(QUERIES["remove_gone"], {"run_id": run.run_id})
    assert "nat-00003" in await world.active_ids()
    assert await candidates(world) == {"nat-00003": "present"}


async def test_more_than_a_fifth_missing_removes_nothing_of_that_type_and_alerts(world: World) -> None:
    await world.run()
    world.supplier.withdraw(*[f"nat-{n:05d}" for n in range(9)], "lab-00001")

    run = await world.run()

    assert (run.state, run.removed_records) == (RunState.COMPLETED, 1)
    assert await world.watermark() == run.updated_to
    states = await candidates(world)
    assert [state for stone_id, state in states.items() if stone_id.startswith("nat")] == ["guarded"] * 9
    assert states["lab-00001"] == "removed"
    [alert] = world.alerts.raised
    assert alert.event == "removal_guarded"
    assert alert.title == "9 natural stones of nivoda are missing; none was removed"
    assert alert.fields == {"missing": 9, "active": 40}
    [asked] = world.supplier.look_ups
    assert not set(asked) & {f"nat-{n:05d}" for n in range(9)}


async def test_the_guards_alert_is_raised_again_when_its_process_died_before_it(world: World) -> None:
    """The guard is committed before the alert; whoever ends the run after a crash finds it tripped already."""
    await world.run()
    world.supplier.withdraw(*[f"nat-{n:05d}" for n in range(9)])
    run = await world.run()
    world.alerts.raised.clear()

    removed = await remove_missing(world.pool, run.run_id, run.feed, None, world.alerts, guard_share=0.2)

    assert removed == 0
    assert world.alerts.events == ["removal_guarded"]


async def test_exactly_a_fifth_missing_is_believed(world: World) -> None:
    await world.run()
    world.supplier.withdraw(*[f"nat-{n:05d}" for n in range(8)])
    assert (await world.run()).removed_records == 8
    assert world.alerts.raised == []


async def test_the_guard_is_a_setting(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(20)), removal_guard_share=0.05)
    await world.run()
    world.supplier.withdraw("nat-00001", "nat-00002")
    assert (await world.run()).removed_records == 0
    assert world.alerts.events == ["removal_guarded"]


async def test_what_neither_is_shown_nor_denied_takes_two_full_runs(world: World) -> None:
    await world.run()
    world.supplier.withdraw("nat-00003")
    world.supplier.look_ups_are_broken = True
    first = await world.run()
    assert first.removed_records == 0
    assert await candidates(world) == {"nat-00003": "uncertain"}
    assert "nat-00003" in await world.active_ids()

    second = await world.run()

    assert second.removed_records == 1
    assert "nat-00003" not in await world.active_ids()


async def test_a_stone_that_the_supplier_counts_but_cannot_show_stays_however_often_it_is_missed(
    world: World,
) -> None:
    await world.run()
    world.supplier.withdraw("nat-00003")
    world.supplier.uncertain = {"nat-00003"}
    for _ in range(3):
        assert (await world.run()).removed_records == 0
        assert await candidates(world) == {"nat-00003": "present"}
    assert "nat-00003" in await world.active_ids()


async def test_two_doubtful_absences_with_a_sighting_between_them_are_not_two_in_a_row(
    world: World,
) -> None:
    await world.run()
    stone = world.supplier.stones["nat-00003"]
    world.supplier.look_ups_are_broken = True
    world.supplier.withdraw("nat-00003")
    await world.run()
    world.supplier.list(stone)
    await world.run()
    world.supplier.withdraw("nat-00003")

    run = await world.run()

    assert run.removed_records == 0
    assert await candidates(world) == {"nat-00003": "uncertain"}
    assert (await world.run()).removed_records == 1


async def test_many_candidates_are_asked_page_by_page(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(700)))
    await world.run()
    world.supplier.withdraw(*[f"nat-{n:05d}" for n in range(120)])
    run = await world.run()
    assert run.removed_records == 120
    assert [len(ids) for ids in world.supplier.look_ups] == [50, 50, 29]


async def test_a_look_up_that_does_not_even_show_stones_just_read_proves_nothing(world: World) -> None:
    await world.run()
    world.supplier.withdraw("nat-00003")
    world.supplier.look_ups_are_broken = True

    run = await world.run()

    assert (run.state, run.removed_records) == (RunState.COMPLETED, 0)
    assert await candidates(world) == {"nat-00003": "uncertain"}


async def test_a_supplier_that_fails_while_it_is_asked_postpones_the_end_and_forgets_nothing(
    world: World,
) -> None:
    await world.run()
    world.supplier.withdraw("nat-00003", "lab-00004")
    asked = 0

    async def fail_once(ids: object) -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise Retryable("nivoda: look-up answered 502")

    world.supplier.before_look_up = fail_once

    run = await world.run()

    assert (run.state, run.removed_records) == (RunState.COMPLETED, 2)
    assert asked == 3, "what was decided stays decided"


async def test_a_process_without_the_suppliers_account_leaves_it_to_a_second_full_run(world: World) -> None:
    await world.run()
    world.supplier.withdraw("nat-00003")
    for removed in (0, 1):
        plan = await world.plan()
        while (await world.get_run(plan.run_id)).state is not RunState.INGESTED:
            await world.work()
            await world.sweep()
            await asyncio.sleep(0.002)
        await world.lose_messages()
        async with world.pool.connection() as conn:
            run = await consolidating.join_consolidation(conn, plan.run_id)
            await conn.execute(b"UPDATE raw_diamonds SET consolidated = TRUE")
            token = await consolidating.take_finalisation(conn, plan.run_id, lease_seconds=60)
            assert token is not None
        found = await remove_missing(world.pool, run.run_id, run.feed, None, world.alerts, guard_share=0.2)
        assert found == removed
        async with world.pool.connection() as conn:
            await consolidating.complete_run(conn, run.run_id, token, watermark_after=None)


async def test_a_rejected_stone_is_removed_like_any_other(world: World) -> None:
    await world.run()
    world.supplier.change("nat-00003", certificate={"shape": ""})
    await world.run()
    world.supplier.withdraw("nat-00003")
    await world.run()
    assert (await world.diamond("nat-00003"))["status"] == "deleted"


async def test_a_stone_sold_here_keeps_its_mark_through_removal_and_return(world: World) -> None:
    await world.run()
    stone = world.supplier.stones["nat-00003"]
    await world.rows(
        "UPDATE diamonds SET local_status = 'sold', local_status_at = now() WHERE supplier_stone_id = 'nat-00003'"
    )
    world.supplier.withdraw("nat-00003")
    await world.run()
    world.supplier.list(stone)
    await world.run()
    diamond = await world.diamond("nat-00003")
    assert (diamond["status"], diamond["availability"]) == ("active", "sold")


async def test_a_stone_that_changed_its_type_is_not_removed(world: World) -> None:
    """It is missing from the natural ones and found among the lab-grown ones."""
    await world.run()
    world.supplier.change("nat-00003", lab_grown=True)
    run = await world.run()
    assert run.removed_records == 0
    diamond: dict[str, Any] = await world.diamond("nat-00003")
    assert (diamond["status"], diamond["lab_grown"]) == ("active", True)


async def test_a_new_stone_is_never_a_candidate(world: World) -> None:
    await world.run()
    world.supplier.list(Listed("new"))
    await world.run()
    assert await candidates(world) == {}


async def test_a_supplier_who_answers_nobody_is_waited_for_while_a_run_is_ended(world: World) -> None:
    await world.run()
    world.supplier.withdraw("nat-00003")
    run = await world.read_run()

    async def away(_ids: object) -> None:
        raise Retryable("nivoda: look-up answered 503")

    world.supplier.before_look_up, world.supplier.is_out = away, True
    for _ in range(8):
        await world.process.consolidator().consolidate(run.run_id)
        await world.rows("UPDATE run_metadata SET next_attempt_at = NULL WHERE run_id = %s", run.run_id)
    assert (await world.get_run(run.run_id)).state is RunState.CONSOLIDATING
    assert world.alerts.events == ["supplier_unavailable"] * 8, "each process tells it once"

    world.supplier.before_look_up, world.supplier.is_out = None, False
    finished = await world.finish(run.run_id)
    assert (finished.state, finished.removed_records) == (RunState.COMPLETED, 1)
