"""The index follows the dataset: after any changes it answers as one that was just read from the beginning."""

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from catalog_questions import ask, ask_facets, asking
from catalog_rows import Row, load_rows, make_rows

from diamond_opus.catalog.engine import Catalog
from diamond_opus.catalog.index import catalog_index, load, pages
from diamond_opus.db.changes import announce_changes, record_changes
from diamond_opus.db.pool import Connection, Pool, transaction

QUERIES = ("sort_by=price&limit=100", "lab_grown=true&sort_by=color&limit=100", "carat_min=1&limit=100")


async def change(conn: Connection, rows: Sequence[Row], rng: random.Random) -> None:
    """What consolidation, removal and trade do, told as they tell it."""
    chosen = [row["id"] for row in rng.sample(list(rows), 30)]
    gone, sold, dearer = chosen[:8], chosen[8:15], chosen[15:]
    async with transaction(conn):
        await announce_changes(conn)
        await conn.execute(
            "UPDATE diamonds SET status = 'deleted', deleted_at = now() WHERE id = ANY (%s)", [gone]
        )
        await conn.execute("UPDATE diamonds SET local_status = 'sold' WHERE id = ANY (%s)", [sold])
        await conn.execute(
            "UPDATE diamonds SET price_model_price = price_model_price + 1, color = 'Z', color_rank = 23"
            " WHERE id = ANY (%s)",
            [dearer],
        )
        await record_changes(conn, "nivoda", chosen)


async def answers(pool: Pool, catalog: Catalog) -> list[Any]:
    async with asking(pool, by_index=True, catalog=catalog) as asker:
        found: list[Any] = []
        for query in QUERIES:
            page = await ask(asker, query)
            found.append(([stone["id"] for stone in page.diamonds], page.total))
        found.append(await ask_facets(asker, "color=D,Z"))
        return found


@pytest.mark.parametrize("few", [0, 20_000])
async def test_an_index_that_followed_answers_as_a_fresh_one(
    pool: Pool, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through many segments and joins of them; with few matches sorted, and with the walk along the order."""
    monkeypatch.setattr(pages, "_FEW", few)
    rng = random.Random(4)
    rows = make_rows(500, seed=11)
    catalog = Catalog()
    async with pool.connection() as conn:
        await load_rows(conn, rows)
        await answers(pool, catalog)
        for number in range(20):
            await change(conn, rows, rng)
            if number % 5 == 0:
                await load_new(conn, number)
            if number % 3:
                await follow_in_passing(pool, catalog)
                continue
            assert await answers(pool, catalog) == await answers(pool, Catalog())


async def follow_in_passing(pool: Pool, catalog: Catalog) -> None:
    """As a question does it: without joining segments."""
    async with pool.connection() as conn, transaction(conn, snapshot=True):
        assert (await catalog.at(conn)).view is not None


async def load_new(conn: Connection, seed: int) -> None:
    new = [
        {**row, "supplier_stone_id": f"{seed}-{row['offer_id']}"} for row in make_rows(40, seed=1000 + seed)
    ]
    async with transaction(conn):
        await announce_changes(conn)
        await load_rows(conn, new)
        await record_changes(conn, "nivoda", [row["id"] for row in new])


async def test_many_small_changes_leave_few_segments(pool: Pool) -> None:
    catalog = Catalog()
    async with pool.connection() as conn:
        await load_rows(conn, make_rows(20, seed=1))
        await catalog.refresh(pool)
        for number in range(40):
            await load_new(conn, number)
            await catalog.refresh(pool)
        async with transaction(conn, snapshot=True):
            view = (await catalog.at(conn)).view
    assert view is not None
    assert len(view.parts) <= 7, "1,500 stones double from 37 in six steps"


async def test_no_segment_becomes_too_large_to_be_held_twice(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when everything is read, nor when segments are joined; and worn ones are made anew all the same."""
    monkeypatch.setattr(catalog_index, "_MOST_JOINED", 60)
    monkeypatch.setattr(load, "_STONES_AT_ONCE", 10)
    rng = random.Random(5)
    catalog = Catalog()
    async with pool.connection() as conn:
        rows = make_rows(200, seed=1)
        await load_rows(conn, rows)
        await catalog.refresh(pool)
        for number in range(12):
            await change(conn, rows, rng)
            await load_new(conn, number)
            await catalog.refresh(pool)
        async with transaction(conn, snapshot=True):
            view = (await catalog.at(conn)).view
    assert view is not None
    assert max(len(part.segment) for part in view.parts) <= 60
    assert min(part.alive for part in view.parts) > 0
    assert await answers(pool, catalog) == await answers(pool, Catalog())


async def test_a_question_brings_the_index_to_its_own_snapshot(pool: Pool) -> None:
    catalog = Catalog()
    async with pool.connection() as conn:
        await load_rows(conn, make_rows(50, seed=1))
        await catalog.refresh(pool)
        async with pool.connection() as older, transaction(older, snapshot=True):
            before = await catalog.at(older)
            await load_new(conn, 3)
            async with pool.connection() as newer, transaction(newer, snapshot=True):
                after = await catalog.at(newer)
            assert (await catalog.at(older)).view is before.view, "an older snapshot keeps its own view"
    assert before.view is not None
    assert after.view is not None
    assert before.version != after.version
    assert after.view.total({}) > before.view.total({})


async def test_what_a_hand_changes_without_saying_so_is_noticed(pool: Pool) -> None:
    """A statement of a person's own raises a version of everything; until it is read anew, SQL answers."""
    catalog = Catalog()
    async with pool.connection() as conn:
        await load_rows(conn, make_rows(50, seed=1))
        await catalog.refresh(pool)
        await conn.execute("UPDATE diamonds SET local_status = 'sold'")
    async with pool.connection() as conn, transaction(conn, snapshot=True):
        assert (await catalog.at(conn)).view is None
    async with asking(pool, by_index=True, catalog=catalog) as asker:
        counts = await ask_facets(asker, "")
    assert counts.values["availability"] == [("sold", counts.total)]


async def test_an_announced_change_of_nothing_raises_no_version(pool: Pool) -> None:
    async with pool.connection() as conn:
        async with transaction(conn):
            await announce_changes(conn)
            await conn.execute("UPDATE diamonds SET local_status = NULL")
            await record_changes(conn, "nivoda", [])
        cursor = await conn.execute("SELECT count(*) FROM dataset_versions")
        assert await cursor.fetchone() == (0,)


async def test_pruned_changes_make_the_index_read_everything(pool: Pool) -> None:
    catalog = Catalog()
    async with pool.connection() as conn:
        await load_rows(conn, make_rows(50, seed=1))
        await catalog.refresh(pool)
        await load_new(conn, 1)
        await conn.execute("DELETE FROM dataset_changes")
    assert await answers(pool, catalog) == await answers(pool, Catalog())


async def test_ids_that_share_their_first_half_are_told_apart(pool: Pool) -> None:
    rows = make_rows(6, seed=2)
    twins = [{**row, "id": UUID(int=(7 << 64) | number), "status": "active", "deleted_at": None}
             for number, row in enumerate(rows)]  # fmt: skip
    catalog = Catalog()
    async with pool.connection() as conn:
        await load_rows(conn, twins)
        await catalog.refresh(pool)
        async with transaction(conn):
            await announce_changes(conn)
            await conn.execute("DELETE FROM diamonds WHERE id = %s", [twins[3]["id"]])
            await record_changes(conn, "nivoda", [twins[3]["id"]])
    async with asking(pool, by_index=True, catalog=catalog) as asker:
        page = await ask(asker, "limit=100")
    assert {stone["id"] for stone in page.diamonds} == {row["id"] for row in twins} - {twins[3]["id"]}
