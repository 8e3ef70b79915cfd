"""``diamond maintain`` as people and schedulers use it, and as a consolidator that stays does it by itself."""

import asyncio
import json
from collections.abc import Callable

import psycopg
import pytest
from cli_processes import Command
from typer.testing import CliRunner

from diamond_opus.cli.app import app
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.maintain.tasks import TASKS

USE = Callable[..., None]


def add_errors(url: str, count: int) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO error_logs (service, error_message, created_at)"
            " SELECT 's', 'm', now() - interval '31 days' FROM generate_series(1, %s)",
            [count],
        )


def left(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as conn:
        [(count,)] = conn.execute("SELECT count(*) FROM error_logs").fetchall()
        return int(count)


def test_a_dry_run_tells_what_the_command_then_removes(settings_of: USE, database_url: str) -> None:
    settings_of(database_url=database_url)
    add_errors(database_url, 7)

    told = CliRunner().invoke(app, ["maintain", "--dry-run", "--json"])
    assert left(database_url) == 7
    done = CliRunner().invoke(app, ["maintain", "--json"])

    assert (told.exit_code, done.exit_code, left(database_url)) == (0, 0, 0)
    for result in (told, done):
        rows = {one["task"]: one["rows"] for one in json.loads(result.stdout)}
        assert list(rows) == [task.name for task in TASKS]
        assert rows["error_logs"] == 7


def test_one_task_can_be_asked_for_and_people_get_a_table(settings_of: USE, database_url: str) -> None:
    settings_of(database_url=database_url, error_log_retention_days=40)
    add_errors(database_url, 7)

    result = CliRunner().invoke(app, ["maintain", "--task", "error_logs", "--task", "runs"])

    assert result.exit_code == 0
    assert "recorded errors" in result.stdout
    assert "density_scans" not in result.stdout
    assert left(database_url) == 7


def test_a_task_that_there_is_not_is_refused_with_those_that_there_are(
    settings_of: USE, database_url: str
) -> None:
    settings_of(database_url=database_url)
    result = CliRunner().invoke(app, ["maintain", "--task", "everything"])
    assert isinstance(result.exception, ConfigurationError)
    assert "there are: rejected_stones, raw_payloads" in str(result.exception)


def test_a_task_that_fails_is_an_exit_code_for_the_scheduler(settings_of: USE, database_url: str) -> None:
    settings_of(database_url=database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("ALTER TABLE density_scans RENAME TO elsewhere")
    result = CliRunner().invoke(app, ["maintain", "--json"])
    assert result.exit_code == 1
    assert [one["task"] for one in json.loads(result.stdout) if one["error"]] == ["density_scans"]


@pytest.mark.long  # a process that starts, works and stops
async def test_a_consolidator_that_stays_keeps_house(diamond: Command, database_url: str) -> None:
    add_errors(database_url, 7)
    async with diamond.started("consolidator", database_url=database_url, log_format="json") as consolidator:
        for _ in TASKS:
            await consolidator.log("upkeep_done")
        code, _ = await consolidator.stop()
    assert (code, left(database_url)) == (0, 0)


@pytest.mark.long  # a process that starts and is stopped
async def test_a_signal_ends_the_command_during_a_statement(diamond: Command, database_url: str) -> None:
    add_errors(database_url, 7)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%DELETE%' AND wait_event_type = 'Lock'"
    with psycopg.connect(database_url) as other, psycopg.connect(database_url, autocommit=True) as watch:
        other.execute("LOCK TABLE error_logs IN SHARE MODE")
        async with diamond.started(
            "maintain", "--task", "error_logs", "--json", database_url=database_url
        ) as command:
            while watch.execute(waiting).fetchone() == (0,):  # noqa: ASYNC110 - another process waits
                await asyncio.sleep(0.05)
            code, said = await command.stop()
    assert code == 130
    assert "Stopped before its end" in said
    assert left(database_url) == 7
