"""While much changes, answers are those of one moment a little ago; a trade is in all of them at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

import pytest
from catalog_rows import load_rows, make_rows

from diamond_opus.catalog import engine
from diamond_opus.catalog.engine import Catalog, Moment
from diamond_opus.catalog.index.catalog_index import read_versions
from diamond_opus.catalog.search import parse_search, search_by_sql
from diamond_opus.db.changes import announce_changes, record_changes
from diamond_opus.db.pool import Connection, Pool, open_pool, transaction

#: What ``make_rows(200, seed=1)`` has on sale.
ON_SALE = 192
SEARCH = parse_search([("sort_by", "price"), ("limit", "100")], with_cost=False)


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty changed stones are too many to be read in passing; the background only looks when somebody
    waits, who gives it all the time it needs.
    """
    monkeypatch.setattr(engine, "_MOST_IN_PASSING", 25)
    monkeypatch.setattr(engine, "_SECONDS", 60.0)
    monkeypatch.setattr(engine, "_LONGEST_WAIT_SECONDS", 60.0)


@pytest.fixture
async def catalog(pool: Pool, database_url: str) -> AsyncIterator[Catalog]:
    """A catalogue of 200 stones that is being followed."""
    async with pool.connection() as conn:
        await load_rows(conn, make_rows(200, seed=1))
    catalog, stop = Catalog(), asyncio.Event()
    async with open_pool(database_url, application_name="index", max_size=3) as own:
        running = asyncio.create_task(catalog.run(own, stop))
        while not catalog._views:  # noqa: ASYNC110 - until the index is loaded
            await asyncio.sleep(0.01)
        yield catalog
        stop.set()
        await running


async def ids_of(conn: Connection, count: int, *, skip: int = 0) -> Sequence[UUID]:
    cursor = await conn.execute(
        "SELECT id FROM diamonds WHERE status = 'active' ORDER BY id LIMIT %s OFFSET %s", (count, skip)
    )
    return [row[0] for row in await cursor.fetchall()]


async def remove(pool: Pool, count: int, *, skip: int = 0) -> Sequence[UUID]:
    """One change of so many stones."""
    async with pool.connection() as conn, transaction(conn):
        ids = await ids_of(conn, count, skip=skip)
        await announce_changes(conn)
        await conn.execute(
            "UPDATE diamonds SET status = 'deleted', deleted_at = now() WHERE id = ANY (%s)", (list(ids),)
        )
        await record_changes(conn, "nivoda", ids)
        return ids


async def total(pool: Pool, catalog: Catalog) -> tuple[int, Moment]:
    """What a search answers now, checked against SQL in the same snapshot."""
    async with pool.connection() as conn, catalog.moment(conn, filters=SEARCH.filters) as moment:
        page = await catalog.search(conn, moment, SEARCH)
        by_sql = await search_by_sql(conn, SEARCH)
        assert [stone["id"] for stone in page.diamonds] == [stone["id"] for stone in by_sql.diamonds]
        assert page.total == by_sql.total
        return page.total - ON_SALE, moment


async def test_many_changes_are_not_read_by_the_questions(
    pool: Pool, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remove(pool, 30)
    first, moment = await total(pool, catalog)
    assert (first, moment.view is not None) == (-30, True), (
        "nothing was lent yet, so the background was waited for"
    )
    await remove(pool, 30)

    again, lent = await total(pool, catalog)

    assert again == -30, "the newest view is lent with its own snapshot"
    assert lent.view is moment.view
    assert lent.version == moment.version


async def test_a_trade_is_seen_at_once_in_the_midst_of_many_changes(pool: Pool, catalog: Catalog) -> None:
    await remove(pool, 30)
    await total(pool, catalog)
    await remove(pool, 30)
    await remove(pool, 1)

    found, moment = await total(pool, catalog)

    assert (found, moment.view is not None) == (-61, True)


async def test_a_trade_that_was_followed_in_passing_is_not_forgotten(pool: Pool, catalog: Catalog) -> None:
    """What is lent is older than the view that followed it."""
    await remove(pool, 30)
    await total(pool, catalog)
    await remove(pool, 1)
    assert (await total(pool, catalog))[0] == -31
    await remove(pool, 30)

    found, moment = await total(pool, catalog)

    assert (found, moment.view is not None) == (-61, True)


async def test_what_is_lent_is_exact_to_its_snapshot_though_a_question_was_quicker(
    pool: Pool, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The background has its snapshot; before it follows, a trade is made and a question follows that one."""
    bring_to = catalog._bring_to

    async def be_overtaken(conn: Connection, versions: Mapping[str, int]) -> None:
        monkeypatch.setattr(catalog, "_bring_to", bring_to)
        await remove(pool, 1)
        async with pool.connection() as quicker, transaction(quicker, snapshot=True):
            assert (await catalog.at(quicker)).view is not None
        await bring_to(conn, versions)

    monkeypatch.setattr(catalog, "_bring_to", be_overtaken)
    await remove(pool, 5)
    followed = catalog._followed
    catalog._wanted.set()
    await asyncio.wait_for(followed.wait(), 10)
    assert catalog._lent is None, "the view of that snapshot was never made"
    await remove(pool, 30)

    assert (await total(pool, catalog))[0] == -36


async def test_few_changes_are_read_in_passing_as_ever(pool: Pool, catalog: Catalog) -> None:
    await remove(pool, 5)
    found, moment = await total(pool, catalog)
    assert (found, moment.view is not None) == (-5, True)
    assert catalog._lent is None


async def test_what_the_index_cannot_answer_is_never_of_a_moment_ago(pool: Pool, catalog: Catalog) -> None:
    await remove(pool, 30)
    await total(pool, catalog)
    await remove(pool, 30)
    by_time = parse_search([("updated_since", "2020-01-01T00:00:00Z")], with_cost=False)
    async with pool.connection() as conn, catalog.moment(conn, filters=by_time.filters) as moment:
        assert (moment.view, moment.versions) == (None, await read_versions(conn))
    async with pool.connection() as conn, catalog.moment(conn) as of_now:
        assert (of_now.view, of_now.versions) == (None, moment.versions)


async def test_a_snapshot_that_was_given_back_is_no_error(pool: Pool, catalog: Catalog) -> None:
    await remove(pool, 30)
    await total(pool, catalog)
    lent = catalog._lent
    assert lent is not None
    await remove(pool, 30)
    catalog._lent = engine.Lent(lent.view, "00000000-0000FFFF-1")
    found, moment = await total(pool, catalog)
    assert (found, moment.view) == (-60, None)


async def test_what_is_lent_may_be_newer_than_the_question(pool: Pool, catalog: Catalog) -> None:
    """Its snapshot was made before the background followed; nobody waits for that to happen again."""
    await remove(pool, 30)
    async with pool.connection() as conn, transaction(conn, snapshot=True):
        versions = await read_versions(conn)
        await remove(pool, 30)
        await total(pool, catalog)
        while catalog._lent is None or catalog._lent.view.versions == versions:
            await total(pool, catalog)
        found = await asyncio.wait_for(catalog._find(conn, versions), 1)
    assert found is catalog._lent


async def test_a_question_does_not_wait_long_for_a_background_that_is_busy(
    pool: Pool, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_LONGEST_WAIT_SECONDS", 0.1)
    async with catalog._following:
        await remove(pool, 5)
        few, moment = await asyncio.wait_for(total(pool, catalog), 5)
        assert (few, moment.view) == (-5, None)
        await remove(pool, 30)
        many, moment = await asyncio.wait_for(total(pool, catalog), 5)
        assert (many, moment.view) == (-35, None)


async def test_a_background_that_fails_gives_back_what_it_lent(
    pool: Pool, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remove(pool, 30)
    await total(pool, catalog)
    assert await open_snapshots(pool) == 1

    async def fail(_pool: Pool) -> None:
        raise OSError("no route to the database")

    monkeypatch.setattr(catalog, "_follow_and_lend", fail)
    catalog._wanted.set()
    async with asyncio.timeout(10):
        while await open_snapshots(pool):  # noqa: ASYNC110 - another task closes them
            await asyncio.sleep(0.02)
    assert catalog._lent is None


async def test_without_the_background_sql_answers(pool: Pool) -> None:
    async with pool.connection() as conn:
        await load_rows(conn, make_rows(100, seed=1))
    catalog = Catalog()
    await catalog.refresh(pool)
    await remove(pool, 30)
    assert (await total(pool, catalog))[1].view is None


async def test_nothing_stays_lent_when_nothing_changes_any_more(
    pool: Pool, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot that stays open would keep the database from cleaning up."""
    await remove(pool, 30)
    await total(pool, catalog)
    monkeypatch.setattr(engine, "_SECONDS", 0.01)
    catalog._wanted.set()
    async with asyncio.timeout(10):
        while await open_snapshots(pool):  # noqa: ASYNC110 - another task closes them
            await asyncio.sleep(0.02)
    assert (await total(pool, catalog))[0] == -30


async def open_snapshots(pool: Pool) -> int:
    async with pool.connection() as conn:
        cursor = await conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'index' AND xact_start IS NOT NULL"
            " AND datname = current_database() AND state = 'idle in transaction'"
        )
        [(count,)] = await cursor.fetchall()
    return int(count)
