"""Stones in quarantine are mapped anew without waiting for a run, and without moving the watermark."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from diamond_opus.consolidate.replay import Replay, replay_rejected
from diamond_opus.domain.errors import Fatal, Warned
from diamond_opus.domain.stone import Stone
from diamond_opus.feeds.protocol import RawStone, Rejected
from diamond_opus.runs.model import RunRefused, RunState
from diamond_opus.wiring import mappers
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, Listed, ScriptedSupplier, stones


class Refusing:
    """The product's mapper with a mistake in it: it refuses some stones."""

    def __init__(self, ids: Sequence[str], reason: str = "a mistake of ours") -> None:
        self._real = mappers()[FEED]
        self.ids = set(ids)
        self._reason = reason

    def map_stone(self, raw: RawStone, warnings: list[Warned]) -> Stone | Rejected:
        if raw.supplier_stone_id in self.ids:
            return Rejected("$.price", self._reason)
        return self._real.map_stone(raw, warnings)


BAD = ["nat-00001", "nat-00002", "nat-00003"]


@pytest.fixture
async def world(pool: Pool) -> World:
    """A completed run that rejected three stones by our own mistake, which is mended now."""
    world = World(
        pool, ScriptedSupplier([*stones(20), Listed("free", price_cents=0), Listed("null", is_null=True)])
    )
    mended = world.process
    world.process = replace(mended, mappers={FEED: Refusing(BAD)})
    assert (await world.run()).rejected_records == 4
    world.process = mended
    return world


async def replay(world: World, **wanted: Any) -> Replay:
    async with world.pool.connection() as conn:
        return await replay_rejected(conn, FEED, **{"ids": None, "reason": None, **wanted}, actor="test")


async def open_rejections(world: World) -> set[str]:
    rows = await world.rows(
        "SELECT supplier_stone_id AS id FROM rejected_diamonds WHERE resolved_at IS NULL AND readable"
    )
    return {row["id"] for row in rows}


async def test_a_replay_is_a_run_of_its_own_that_reads_nothing_and_leaves_the_watermark(world: World) -> None:
    before, pages = await world.watermark(), len(world.supplier.pages)

    begun = await replay(world, reason="a mistake of ours")
    run = await world.finish(begun.run_id)

    assert (begun.stones, begun.run_state, begun.is_new) == (3, RunState.INGESTED, True)
    assert (run.state, run.is_replay, run.expected_workers) == (RunState.COMPLETED, True, 0)
    assert (run.consolidation_processed, run.rejected_records, run.watermark_after) == (3, 0, None)
    assert set(BAD) < await world.active_ids()
    assert await open_rejections(world) == {"free"}
    assert (await world.watermark(), len(world.supplier.pages)) == (before, pages)


async def test_only_what_was_named_is_replayed_and_what_is_still_bad_stays_in_quarantine(
    world: World,
) -> None:
    begun = await replay(world, ids=["nat-00001", "free", "null", "unheard-of"])
    run = await world.finish(begun.run_id)
    assert (begun.stones, run.rejected_records) == (2, 1)
    assert await open_rejections(world) == {"nat-00002", "nat-00003", "free"}


async def test_an_active_run_takes_them_along(world: World) -> None:
    active = await world.plan()
    begun = await replay(world, ids=BAD)
    assert (begun.run_id, begun.is_new) == (active.run_id, False)
    await world.finish(active.run_id)
    assert await open_rejections(world) == {"free"}


async def test_a_run_that_is_just_ending_is_not_trusted_with_them(world: World) -> None:
    run = await world.read_run()
    async with world.pool.connection() as conn:
        await conn.execute(
            "UPDATE run_metadata SET state = 'consolidating', finalise_token = gen_random_uuid(),"
            " finalise_expires_at = now() + interval '1 minute' WHERE run_id = %s",
            [run.run_id],
        )
    with pytest.raises(RunRefused, match="just ending"):
        await replay(world, ids=BAD)
    assert await world.value("SELECT count(*) FROM raw_diamonds WHERE NOT consolidated") == 0


async def test_after_a_failed_run_nothing_is_published_before_a_person_decided_about_it(world: World) -> None:
    async def refuse(_selection: object, _offset: int) -> None:
        raise Fatal("the supplier refuses")

    world.supplier.before_page = refuse
    failed = await world.run()
    with pytest.raises(RunRefused, match=f"{failed.run_id} failed"):
        await replay(world, ids=BAD)
    assert await open_rejections(world) == {*BAD, "free"}


async def test_a_replay_does_not_make_an_older_run_pointless_nor_stand_for_one_of_the_clock(
    world: World,
) -> None:
    """Only a run that read something supersedes another."""
    newest = await world.value("SELECT max(started_at) FROM run_metadata")
    await world.finish((await replay(world, ids=BAD)).run_id)
    assert await world.value("SELECT max(started_at) FROM run_metadata WHERE NOT is_replay") == newest


async def test_a_stone_that_was_removed_does_not_come_back_by_a_replay(world: World) -> None:
    await world.rows("UPDATE raw_diamonds SET removed_at = now() WHERE supplier_stone_id = 'nat-00001'")
    with pytest.raises(RunRefused, match="no stone"):
        await replay(world, ids=["nat-00001"])
