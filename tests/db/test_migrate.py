"""The ledger keeps its word: everything applied once, in order, all of it or nothing, by however many at once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from database_catalog import read_catalog
from psycopg import AsyncConnection

from diamond_opus.db.migrate import (
    NOTHING,
    Step,
    bootstrap_sql,
    migrate,
    pending,
    rollback,
    status,
)
from diamond_opus.db.migration_files import Migration, MigrationError, load_migrations
from diamond_opus.db.pool import connect

OURS = [migration.version for migration in load_migrations()]
BOOTSTRAP = Path(__file__).parents[2] / "sql" / "bootstrap.sql"

TABLE = Migration("0001", "table", "A table.", "CREATE TABLE stone (id int);", "DROP TABLE stone;")
FILL = Migration(
    "0002", "fill", "Its first row.", "INSERT INTO stone VALUES (1);", "DELETE FROM stone WHERE id = 1;"
)
INDEX = Migration(
    "0003",
    "index",
    "An index, made while others write.",
    "-- transactional: false\nDROP INDEX CONCURRENTLY IF EXISTS stone_id;\n"
    "CREATE UNIQUE INDEX CONCURRENTLY stone_id ON stone (id);",
    "-- transactional: false\nDROP INDEX CONCURRENTLY IF EXISTS stone_id;",
)


@pytest.fixture
async def conn(empty_database_url: str) -> AsyncIterator[AsyncConnection[Any]]:
    async with await connect(empty_database_url, application_name="test") as opened:
        yield opened


async def fetch(conn: AsyncConnection[Any], query: str) -> list[tuple[Any, ...]]:
    return await (await conn.execute(query.encode())).fetchall()


def step(version: str = "guests_1", *, sql: str = "CREATE TABLE guest ()", there: bool | None = None) -> Step:
    async def apply(conn: AsyncConnection[Any]) -> None:
        await conn.execute(sql.encode())

    async def take_back(conn: AsyncConnection[Any]) -> None:
        await conn.execute("DROP TABLE guest")

    async def is_applied(conn: AsyncConnection[Any]) -> bool:
        return bool(there)

    return Step(version, "A guest's table.", apply, take_back, None if there is None else is_applied)


async def test_migrating_applies_all_and_records_it_and_again_applies_nothing(
    conn: AsyncConnection[Any],
) -> None:
    assert await pending(conn) == OURS

    assert await migrate(conn) == OURS
    assert await migrate(conn) == []

    assert await pending(conn) == []
    assert await fetch(conn, "SELECT version, description FROM schema_migrations ORDER BY 1") == [
        (migration.version, migration.description) for migration in load_migrations()
    ]


async def test_asking_for_the_status_of_an_empty_database_changes_nothing(conn: AsyncConnection[Any]) -> None:
    states = await status(conn)

    assert [(state.version, state.applied_at) for state in states] == [(version, None) for version in OURS]
    assert await fetch(conn, "SELECT FROM pg_tables WHERE schemaname = 'public'") == []


async def test_a_version_that_this_program_lacks_is_shown_and_left_alone(conn: AsyncConnection[Any]) -> None:
    await migrate(conn, migrations=[TABLE, FILL])

    states = await status(conn, migrations=[TABLE])

    assert [(state.version, state.description, state.known) for state in states] == [
        ("0001", "A table.", True),
        ("0002", "Its first row.", False),
    ]
    assert await migrate(conn, migrations=[TABLE]) == []


async def test_a_failing_migration_leaves_nothing_behind_and_says_where_it_failed(
    conn: AsyncConnection[Any],
) -> None:
    broken = replace(FILL, sql="CREATE TABLE half ();\n\nINSERT INTO nowhere VALUES (1);")

    with pytest.raises(
        MigrationError, match=r"0002_fill.*\"nowhere\".* at line 3 .*42P01.*nothing of it was kept"
    ):
        await migrate(conn, migrations=[TABLE, broken, INDEX])

    assert await fetch(conn, "SELECT to_regclass('half')") == [(None,)]
    assert await pending(conn, migrations=[TABLE, FILL, INDEX]) == ["0002", "0003"]


async def test_several_migrators_at_once_apply_everything_exactly_once(empty_database_url: str) -> None:
    async def one() -> list[str]:
        async with await connect(empty_database_url, application_name="test") as conn:
            return [*await migrate(conn, migrations=[TABLE, FILL, INDEX], steps=[step()])]

    applied = await asyncio.gather(*(one() for _ in range(5)))

    assert sorted(chain(*applied)) == ["0001", "0002", "0003", "guests_1"]
    async with await connect(empty_database_url, application_name="test") as conn:
        assert await fetch(conn, "SELECT id FROM stone") == [(1,)]


async def test_a_file_outside_transactions_can_make_an_index_concurrently(conn: AsyncConnection[Any]) -> None:
    await migrate(conn, migrations=[TABLE, FILL, INDEX])

    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'stone_id'::regclass"
    assert await fetch(conn, valid) == [(True,)]
    assert await rollback(conn, migrations=[TABLE, FILL, INDEX]) == ["0003"]
    assert await fetch(conn, "SELECT to_regclass('stone_id')") == [(None,)]


async def test_a_file_outside_transactions_that_failed_half_way_can_be_run_again(
    conn: AsyncConnection[Any],
) -> None:
    await migrate(conn, migrations=[TABLE, FILL])
    await conn.execute("INSERT INTO stone VALUES (1)")
    with pytest.raises(
        MigrationError, match=r"0003_index.*23505.*stays; put the cause right and run it again"
    ):
        await migrate(conn, migrations=[TABLE, FILL, INDEX])

    await conn.execute("DELETE FROM stone")

    assert await migrate(conn, migrations=[TABLE, FILL, INDEX]) == ["0003"]


async def test_rolling_back_takes_the_last_or_everything_after_a_version(conn: AsyncConnection[Any]) -> None:
    three = [TABLE, FILL, INDEX]
    await migrate(conn, migrations=three, steps=[step()])

    assert await rollback(conn, migrations=three, steps=[step()]) == ["guests_1"]
    assert await rollback(conn, to="0001", migrations=three) == ["0003", "0002"]
    assert await fetch(conn, "SELECT version FROM schema_migrations") == [("0001",)]
    assert await rollback(conn, to="0001", migrations=three) == []
    assert await rollback(conn, to=NOTHING, migrations=three) == ["0001"]
    assert await rollback(conn, migrations=three) == []


async def test_rolling_back_to_an_unknown_version_names_the_known_ones(conn: AsyncConnection[Any]) -> None:
    with pytest.raises(MigrationError, match="no version 0009; choose from: 0000, 0001, 0002"):
        await rollback(conn, to="0009", migrations=[TABLE, FILL])


async def test_all_our_migrations_can_be_taken_back_and_applied_again(conn: AsyncConnection[Any]) -> None:
    await migrate(conn)
    before = await read_catalog(conn)

    assert await rollback(conn, to=NOTHING) == OURS[::-1]

    left = await fetch(conn, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    functions = await fetch(conn, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    assert {name for (name,) in left} == {"schema_migrations", "schema_migrations_pkey"}
    assert functions == []
    await migrate(conn)
    assert await read_catalog(conn) == before


async def test_a_step_whose_work_is_there_already_is_only_recorded(conn: AsyncConnection[Any]) -> None:
    assert await migrate(conn, migrations=[], steps=[step(sql="SELECT 1/0", there=True)]) == ["guests_1"]
    assert await migrate(conn, migrations=[], steps=[step("guests_2", there=False)]) == ["guests_2"]

    assert await fetch(conn, "SELECT to_regclass('guest') IS NOT NULL") == [(True,)]


async def test_a_failing_step_is_undone_and_named(conn: AsyncConnection[Any]) -> None:
    with pytest.raises(MigrationError, match=r"guests_1.*division by zero"):
        await migrate(conn, migrations=[], steps=[step(sql="CREATE TABLE guest (); SELECT 1/0")])

    assert await fetch(conn, "SELECT to_regclass('guest')") == [(None,)]


async def test_a_connection_that_is_not_in_autocommit_is_refused(conn: AsyncConnection[Any]) -> None:
    await conn.set_autocommit(False)

    with pytest.raises(ValueError, match="autocommit"):
        await migrate(conn)


async def test_bootstrap_makes_the_same_database_as_the_migrations_and_leaves_them_nothing_to_do(
    database_url: str, empty_database_url: str
) -> None:
    async with (
        await connect(database_url, application_name="test") as migrated,
        await connect(empty_database_url, application_name="test") as bootstrapped,
    ):
        await bootstrapped.execute(bootstrap_sql().encode())
        # The schemas that steps bring are no part of it.
        await migrated.execute("DELETE FROM schema_migrations WHERE NOT version = ANY(%s)", (OURS,))

        there, here = await read_catalog(bootstrapped), await read_catalog(migrated)
        for kind in here:
            assert there[kind] == here[kind], kind
        assert await migrate(bootstrapped) == []


async def test_bootstrap_in_a_database_that_is_not_empty_changes_nothing(conn: AsyncConnection[Any]) -> None:
    await conn.execute(bootstrap_sql().encode())
    await conn.execute("DELETE FROM pricing_rules")

    with pytest.raises(Exception, match="already exists"):
        await conn.execute(bootstrap_sql().encode())

    await conn.execute("ROLLBACK")
    assert await fetch(conn, "SELECT FROM pricing_rules") == []


def test_bootstrap_makes_indexes_plainly_because_it_is_one_transaction() -> None:
    assert "CONCURRENTLY" not in bootstrap_sql([TABLE, INDEX])


def test_the_bootstrap_file_is_the_generated_one() -> None:
    assert BOOTSTRAP.read_text(encoding="utf-8") == bootstrap_sql(), "write it anew: its first lines say how"
