"""Raw answers are kept byte for byte, once per stone, and an older answer never replaces a newer one."""

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from diamond_opus.domain.ids import diamond_id
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import RawItem, Unreadable
from diamond_opus.ingest.store import Fetched, Stored, store_stones, store_unreadable
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, Listed

RUN_1, RUN_2 = UUID(int=1), UUID(int=2)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NATURAL, LAB_GROWN = Selection(False, 100, 900), Selection(True, 50, None)


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool)


def fetched(stone_id: str = "s-1", *, minutes: float = 0, **fields: Any) -> Fetched:
    item = Listed(stone_id, **fields).item()
    assert isinstance(item, RawItem)
    return Fetched(item, NOON + timedelta(minutes=minutes))


async def keep(world: World, run_id: UUID, *found: Fetched, asked: Selection = NATURAL) -> Stored:
    async with world.pool.connection() as conn, conn.transaction():
        return await store_stones(conn, FEED, run_id, asked, found)


async def mark_consolidated(world: World) -> None:
    await world.rows("UPDATE raw_diamonds SET consolidated = TRUE")


async def raw(world: World, stone_id: str = "s-1") -> dict[str, Any]:
    return await world.row(
        "SELECT *, payload::text AS text FROM raw_diamonds WHERE supplier_stone_id = %s", stone_id
    )


async def test_the_payload_is_kept_byte_for_byte_with_what_was_asked(world: World) -> None:
    odd = (
        b'{ "id" : "DIAMOND/s-1",\t"price":1.50e2, "price":15000, "diamond":{"id":"s-1"}, "x":"\\u0000 \\/" }'
    )
    await keep(world, RUN_1, fetched(payload=odd))

    row = await raw(world)

    assert row["text"].encode() == odd
    assert row["id"] == diamond_id(FEED, "s-1")
    assert (row["asked_lab_grown"], row["asked_price_from"], row["asked_price_to"]) == (False, 100, 900)
    assert (row["run_id"], row["last_seen_run_id"], row["consolidated"]) == (RUN_1, RUN_1, False)
    assert row["fetched_at"] == NOON


async def test_a_payload_of_megabytes_is_not_truncated(world: World) -> None:
    await keep(world, RUN_1, fetched(certificate={"comments": "long " * 500_000}))
    assert len((await raw(world))["text"]) > 2_500_000


async def test_an_unchanged_payload_is_only_marked_as_seen(world: World) -> None:
    await keep(world, RUN_1, fetched())
    await mark_consolidated(world)
    before = await raw(world)

    stored = await keep(world, RUN_2, fetched(minutes=5))

    after = await raw(world)
    assert stored.unchanged == 1
    assert (after["run_id"], after["last_seen_run_id"], after["consolidated"]) == (RUN_1, RUN_2, True)
    assert after["updated_at"] == before["updated_at"]
    assert after["last_seen_at"] > before["last_seen_at"]


async def test_an_unchanged_payload_keeps_the_range_by_which_its_price_was_judged(world: World) -> None:
    """Mapping it again must give the same: a catch-up's open range would forgive a price that its own did not."""
    await keep(world, RUN_1, fetched())
    await keep(world, RUN_2, fetched(minutes=5), asked=Selection(False))
    row = await raw(world)
    assert (row["asked_price_from"], row["asked_price_to"]) == (100, 900)
    await keep(world, RUN_2, fetched(minutes=6, availability="SOLD"), asked=Selection(False, 50))
    row = await raw(world)
    assert (row["asked_price_from"], row["asked_price_to"]) == (50, None)


async def test_a_changed_payload_waits_for_consolidation_again(world: World) -> None:
    await keep(world, RUN_1, fetched())
    await mark_consolidated(world)

    stored = await keep(world, RUN_2, fetched(minutes=5, availability="SOLD"))

    after = await raw(world)
    assert stored.unchanged == 0
    assert (after["run_id"], after["consolidated"]) == (RUN_2, False)
    assert '"SOLD"' in after["text"]


async def test_the_same_payload_asked_for_as_the_other_type_is_a_change(world: World) -> None:
    """What was asked decides where the item itself does not say, so the diamond must be made anew."""
    await keep(world, RUN_1, fetched())
    await mark_consolidated(world)
    await keep(world, RUN_2, fetched(minutes=5), asked=LAB_GROWN)
    after = await raw(world)
    assert (after["asked_lab_grown"], after["consolidated"], after["run_id"]) == (True, False, RUN_2)


async def test_an_answer_fetched_before_the_stored_one_changes_nothing(world: World) -> None:
    await keep(world, RUN_1, fetched(minutes=10, availability="SOLD"))
    await mark_consolidated(world)
    before = await raw(world)

    await keep(world, RUN_2, fetched(minutes=9))

    assert await raw(world) == before


async def test_two_answers_at_once_end_with_the_newer_whichever_commits_first(world: World) -> None:
    old, new = fetched(minutes=1), fetched(minutes=2, availability="SOLD")
    for first, second in ((old, new), (new, old)):
        await world.rows("DELETE FROM raw_diamonds")
        async with world.pool.connection() as conn, conn.transaction():
            await store_stones(conn, FEED, RUN_1, NATURAL, [first])
            waiting = asyncio.create_task(keep(world, RUN_1, second))
            await asyncio.sleep(0)
        await waiting
        assert '"SOLD"' in (await raw(world))["text"]


async def test_two_workers_that_meet_at_a_shared_edge_never_deadlock(world: World) -> None:
    many = [fetched(f"s-{n:03d}", minutes=1) for n in range(300)]
    backwards = [fetched(f"s-{n:03d}", minutes=2) for n in reversed(range(300))]
    for _ in range(5):
        await asyncio.gather(
            *(keep(world, RUN_1, *stones) for stones in (many, backwards, many[100:], backwards[50:]))
        )
    assert await world.value("SELECT count(*) FROM raw_diamonds") == 300


async def test_a_stone_that_was_removed_and_returns_unchanged_waits_for_consolidation(world: World) -> None:
    await keep(world, RUN_1, fetched())
    await world.rows("UPDATE raw_diamonds SET consolidated = TRUE, removed_at = now()")
    await keep(world, RUN_2, fetched(minutes=5))
    after = await raw(world)
    assert (after["removed_at"], after["consolidated"]) == (None, False)


async def test_what_postgresql_cannot_hold_costs_itself_only(world: World) -> None:
    broken = Fetched(RawItem("bad", "DIAMOND/bad", b'{"id": "\\ud800" ', "0" * 64, 1), NOON)
    nul = Fetched(RawItem("n\x00l", "DIAMOND/nul", b"{}", "1" * 64, 1), NOON)
    deep = Fetched(RawItem("deep", "DIAMOND/deep", b"[" * 100_000 + b"]" * 100_000, "2" * 64, 1), NOON)
    random_id = "".join(sha256(bytes([n])).hexdigest() for n in range(200))
    long = Fetched(RawItem(random_id, "DIAMOND/long", b"{}", "3" * 64, 1), NOON)
    good = [fetched(f"s-{n}") for n in range(20)]

    stored = await keep(world, RUN_1, *good[:7], broken, deep, *good[7:], nul, long)

    assert await world.value("SELECT count(*) FROM raw_diamonds") == 20
    assert [row.payload for row in stored.refused] == [bad.item.payload for bad in (broken, deep, nul, long)]
    assert all("the database refuses the payload" in row.reason for row in stored.refused)


async def test_items_without_identity_are_listed_once_however_often_they_are_read(world: World) -> None:
    null = Unreadable("null item", "$.data.diamonds_by_query.items[3]", b"null")
    strange = Unreadable("the item is not UTF-8", "$.x", b"\xff{")
    for run_id in (RUN_1, RUN_2):
        async with world.pool.connection() as conn:
            await store_unreadable(conn, FEED, run_id, [("made-up:3", null), ("made-up:4", strange)])
    rows = await world.rows(
        "SELECT supplier_stone_id, readable, payload, run_id FROM rejected_diamonds ORDER BY 1"
    )
    assert [(r["supplier_stone_id"], r["readable"], r["payload"]) for r in rows] == [
        ("made-up:3", False, "null"),
        ("made-up:4", False, "\\xff{"),
    ]
    assert {r["run_id"] for r in rows} == {RUN_2}
