"""``diamond db``: the embedded server's life, and the schema of a server that is not ours."""

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from cli_processes import Command
from typer.testing import CliRunner, Result

from diamond_opus.cli.app import app
from diamond_opus.db.embedded import EmbeddedPostgres
from diamond_opus.domain.errors import ConfigurationError

SETTINGS = Callable[..., None]


def call(*arguments: str) -> Result:
    """In this process; an error comes out as it was raised."""
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


@pytest.mark.long  # a PostgreSQL is made, and four processes start one after the other
def test_start_leaves_a_migrated_server_running_that_the_other_commands_find_and_stop_ends(
    diamond: Command, home: Path
) -> None:
    started = diamond("db", "start")
    assert started.returncode == 0, started.stderr
    [url] = started.stdout.splitlines()
    with psycopg.connect(url) as conn:
        [count] = conn.execute("SELECT count(*) FROM diamonds").fetchone() or [None]
    assert count == 0
    again = diamond("db", "start")
    assert (again.returncode, again.stdout) == (0, started.stdout)
    assert "ran already" in again.stderr
    assert diamond("db", "url").stdout.strip() == url
    assert diamond("db", "stop").returncode == 0
    assert EmbeddedPostgres.state(home) == "stopped"


def test_url_of_a_server_that_does_not_run_says_how_to_start_it(diamond: Command, home: Path) -> None:
    done = diamond("db", "url")
    assert (done.returncode, done.stdout) == (1, "")
    assert "diamond db start" in done.stderr
    assert not home.exists()


def test_stop_without_a_server_changes_nothing(settings_of: SETTINGS, home: Path) -> None:
    settings_of()
    assert call("db", "stop").exit_code == 0
    assert not home.exists()


@pytest.mark.parametrize("command", ["start", "stop"])
def test_a_configured_server_is_not_ours_to_start_or_stop(
    settings_of: SETTINGS, home: Path, command: str
) -> None:
    settings_of(database_url="postgresql://shop:hush@db.example/shop")
    with pytest.raises(ConfigurationError) as refusal:
        call("db", command)
    assert "DATABASE_URL" in str(refusal.value)
    assert "not ours" in str(refusal.value)
    assert "hush" not in str(refusal.value)
    assert not home.exists()


def test_url_of_a_configured_server_is_the_configured_one(settings_of: SETTINGS) -> None:
    settings_of(database_host="db.example", database_username="shop", database_password="p@ss")
    assert call("db", "url").stdout.strip() == "postgresql://shop:p%40ss@db.example:5432/postgres"


def test_migrations_are_applied_listed_and_taken_back(settings_of: SETTINGS, empty_database_url: str) -> None:
    settings_of(database_url=empty_database_url)
    pending = json.loads(call("db", "status", "--json").stdout)
    assert {step["appliedAt"] for step in pending} == {None}
    versions = [step["version"] for step in pending]
    assert f"Would apply: {', '.join(versions)}" in call("db", "migrate", "--dry-run").stderr
    assert f"Applied: {', '.join(versions)}" in call("db", "migrate").stderr
    assert "Up to date" in call("db", "migrate").stderr
    applied = json.loads(call("db", "status", "--json").stdout)
    assert all(step["appliedAt"].endswith("Z") and step["known"] for step in applied)
    assert versions[-1] in call("db", "status").stdout
    assert f"Would take back: {versions[-1]}" in call("db", "rollback", "--dry-run").stderr
    assert f"Took back: {versions[-1]}" in call("db", "rollback", "--yes").stderr
    rest = ", ".join(versions[-2::-1])
    assert f"Would take back: {rest}" in call("db", "rollback", "--to", "0000", "--dry-run").stderr
    assert f"Took back: {rest}" in call("db", "rollback", "--to", "0000", "--yes").stderr
    assert "Nothing to take back" in call("db", "rollback", "--yes").stderr


def test_bootstrap_sql_makes_an_empty_database_complete_but_for_the_queues(
    settings_of: SETTINGS, empty_database_url: str
) -> None:
    settings_of(database_url=empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        conn.execute(call("db", "bootstrap-sql").stdout.encode())
    missing = [step for step in json.loads(call("db", "status", "--json").stdout) if not step["appliedAt"]]
    assert [step["version"].partition("-")[0] for step in missing] == ["pgmq"]
