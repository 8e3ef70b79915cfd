"""What a demo may do with the data it finds: its own is reused or replaced, anything else is never touched."""

import json
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from diamond_opus.cli.demo import key_for
from diamond_opus.cli.demo_home import Choice, DemoHome, KnownRun, Memory, choose
from diamond_opus.db.pool import connect
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.keys.api_keys import find_key, hash_key, revoke_key

WHOLE, FAILED, FOREIGN = KnownRun("whole", True), KnownRun("failed", False), KnownRun("foreign", True)
OURS = Memory(2000, 7, ("whole", "failed"))


@pytest.mark.parametrize(
    ("memory", "stones", "runs", "holds_stones", "expected"),
    [
        (None, 2000, [], False, Choice.FILL),
        (OURS, 5000, [], False, Choice.FILL),
        (OURS, 2000, [WHOLE], True, Choice.REUSE),
        (OURS, 2000, [FAILED], True, Choice.REUSE),
        (OURS, 2000, [FOREIGN, WHOLE], True, Choice.REUSE),
        (OURS, 5000, [WHOLE, FAILED], True, Choice.REPLACE),
        (OURS, 5000, [FOREIGN, WHOLE], True, None),
        (OURS, 2000, [FOREIGN], True, None),
        (None, 2000, [FOREIGN], True, None),
        (None, 2000, [], True, None),
        (OURS, 5000, [], True, None),
    ],
)
def test_data_is_replaced_only_when_demos_made_all_of_it(
    memory: Memory | None, stones: int, runs: list[KnownRun], holds_stones: bool, expected: Choice | None
) -> None:
    assert choose(memory, stones, 7, runs, holds_stones=holds_stones) is expected


def test_another_seed_is_another_inventory() -> None:
    assert choose(OURS, 2000, 8, [WHOLE], holds_stones=True) is Choice.REPLACE


INSERT_RUN = """
    INSERT INTO run_metadata (feed, run_type, state, expected_workers, updated_to, trace_id)
    VALUES ('nivoda', 'full', 'completed', 0, now(), '')
    RETURNING run_id::text
"""


def add_run(url: str) -> str:
    with psycopg.connect(url) as conn:
        row = conn.execute(INSERT_RUN).fetchone()
    assert row is not None
    run_id: str = row[0]
    return run_id


async def test_an_empty_database_is_migrated_and_filled(empty_database_url: str, tmp_path: Path) -> None:
    home = DemoHome(tmp_path / "home", empty_database_url, is_ours=True)
    assert await home.prepare(2000, 7) is None
    home.remember(add_run(empty_database_url))
    remembered = json.loads((tmp_path / "home" / "demo.json").read_text())
    assert (remembered["stones"], remembered["seed"], len(remembered["runs"])) == (2000, 7, 1)


async def test_the_same_inventory_is_found_again(database_url: str, tmp_path: Path) -> None:
    home = DemoHome(tmp_path, database_url, is_ours=False)
    await home.prepare(2000, 7)
    run_id = add_run(database_url)
    home.remember(run_id)
    assert await home.prepare(2000, 7) == run_id


async def test_another_inventory_replaces_a_demos_database_on_our_own_server(
    database_url: str, tmp_path: Path
) -> None:
    home = DemoHome(tmp_path, database_url, is_ours=True)
    await home.prepare(2000, 7)
    home.remember(add_run(database_url))
    assert await home.prepare(2000, 8) is None
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT count(*) FROM run_metadata").fetchone() == (0,)
    assert json.loads((tmp_path / "demo.json").read_text())["runs"] == []


@pytest.mark.long  # PostgreSQL waits five seconds for the others before it says no
async def test_a_demos_database_in_use_is_not_replaced(database_url: str, tmp_path: Path) -> None:
    home = DemoHome(tmp_path, database_url, is_ours=True)
    await home.prepare(2000, 7)
    home.remember(add_run(database_url))
    with psycopg.connect(database_url), pytest.raises(ConfigurationError, match="another process uses"):
        await home.prepare(2000, 8)
    assert json.loads((tmp_path / "demo.json").read_text())["seed"] == 7


async def test_a_configured_database_is_never_replaced(database_url: str, tmp_path: Path) -> None:
    home = DemoHome(tmp_path, database_url, is_ours=False)
    await home.prepare(2000, 7)
    home.remember(add_run(database_url))
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        await home.prepare(2000, 8)


async def test_data_that_no_demo_made_is_refused_with_the_way_out(database_url: str, tmp_path: Path) -> None:
    add_run(database_url)
    with pytest.raises(ConfigurationError, match="DIAMOND_HOME=") as refusal:
        await DemoHome(tmp_path, database_url, is_ours=True).prepare(2000, 7)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "demo.json").exists()


async def test_a_damaged_memory_drops_nothing(database_url: str, tmp_path: Path) -> None:
    add_run(database_url)
    (tmp_path / "demo.json").write_text('{"stones": 2000')
    with pytest.raises(ConfigurationError, match="no demo made"):
        await DemoHome(tmp_path, database_url, is_ours=True).prepare(2000, 7)


def test_a_key_is_kept_for_the_next_demo_and_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    home = DemoHome(folder, "", is_ours=True)
    assert home.recall_key() is None
    home.keep_key("dk_first")
    home.keep_key("dk_second")

    assert DemoHome(folder, "", is_ours=True).recall_key() == "dk_second"
    assert (folder / "demo.key").stat().st_mode & 0o777 == 0o600


async def test_the_key_of_the_last_demo_opens_the_next_until_it_is_revoked(
    database_url: str, tmp_path: Path
) -> None:
    home = DemoHome(tmp_path, database_url, is_ours=True)
    await home.prepare(2000, 7)
    key = await key_for(database_url, home)

    assert await key_for(database_url, home) == key
    async with await connect(database_url, application_name="test") as conn:
        found = await find_key(conn, hash_key(key))
        assert found is not None
        await revoke_key(conn, found.id, actor="test", now=datetime.now(UTC))
    assert await key_for(database_url, home) != key
