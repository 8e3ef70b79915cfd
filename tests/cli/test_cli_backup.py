"""``diamond backup`` and ``diamond restore``: what was there comes back, and the next run knows what it lacks."""

import asyncio
import errno
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest
from cli_processes import Command
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from typer.testing import CliRunner, Result

from alert_parts import deliverer
from alert_receiver import Receiver
from diamond_opus.alerts.raised import IncidentAlerts
from diamond_opus.cli import backup
from diamond_opus.cli.app import app
from diamond_opus.cli.doctor import Verdict, examine
from diamond_opus.db.dump import DumpFailed, dump_database, restore_database
from diamond_opus.db.pool import open_pool
from diamond_opus.domain.clock import SystemClock
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.keys.api_keys import create_key, find_key, hash_key
from diamond_opus.monitoring.look import Lookout
from diamond_opus.monitoring.watch import IncidentWatch
from diamond_opus.runs.model import RunState, RunType
from diamond_opus.simulator.server import Simulator, SimulatorSettings
from diamond_opus.watermark.memory import MemoryWatermarkStore
from diamond_opus.watermark.protocol import WatermarkStore
from look_limits import QUIET
from pipeline_builders import Pool, World, run_to_end, simulated_pipeline
from pipeline_supplier import ScriptedSupplier, stones
from pipeline_truth import Catalogue, Judge, check_catalogue, judged
from run_steps import fail

USE = Callable[..., None]

#: The programs of the server that the tests use, when they are not those of the wheel.
PROGRAMS = {name: os.environ[name] for name in ("DIAMOND_POSTGRES_BIN",) if name in os.environ}

pytestmark = pytest.mark.skipif(
    "DIAMOND_TEST_DATABASE_URL" in os.environ and not PROGRAMS,
    reason="whose programs would be of another version than the server",
)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)


@pytest.fixture
def use(settings_of: USE) -> USE:
    return lambda **settings: settings_of(**PROGRAMS, **settings)


async def rows(url: str, statement: str) -> list[dict[str, Any]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as conn:
        return await (await conn.execute(statement.encode())).fetchall()


async def run(url: str, simulator: Simulator, run_type: RunType, watermarks: WatermarkStore | None) -> Any:
    async with simulated_pipeline(url, simulator) as pipeline:
        chosen = pipeline if watermarks is None else replace(pipeline, watermarks=watermarks)
        ended = await run_to_end(chosen, run_type)
        assert ended.state is RunState.COMPLETED
        return ended


async def command(diamond: Command, name: str, file: Path, url: str) -> None:
    """As a process, for the test has a loop of its own."""
    done = await asyncio.to_thread(diamond, name, str(file), **PROGRAMS, database_url=url)
    assert done.returncode == 0, done.stderr


@pytest.mark.long  # four runs, and a backup and its restore by the command
@pytest.mark.parametrize("kept_elsewhere", [False, True], ids=["watermark in the database", "elsewhere"])
async def test_what_changed_since_the_backup_is_read_by_the_next_run(
    use: USE,
    diamond: Command,
    pool: Pool,
    database_url: str,
    empty_database_url: str,
    tmp_path: Path,
    kept_elsewhere: bool,
) -> None:
    """With the watermark in its own store the database comes back older than it: the run must not begin there."""
    watermarks = MemoryWatermarkStore() if kept_elsewhere else None
    file = tmp_path / "night.dump"
    async with Simulator(SimulatorSettings(stones=400, seed=5)) as simulator:
        port = urlsplit(simulator.url).port
        first = await run(database_url, simulator, RunType.FULL, watermarks)
        async with pool.connection() as conn:
            key, _ = await create_key(
                conn, name="shop", permissions=["read"], actor="test", now=datetime.now(UTC)
            )
        await command(diamond, "backup", file, database_url)

        simulator.supplier.churn.apply(60)
        await run(database_url, simulator, RunType.INCREMENTAL, watermarks)
        simulator.supplier.churn.apply(60)

        await command(diamond, "restore", file, empty_database_url)
        use(database_url=empty_database_url, simulator_port=port, port=0)
        assert {finding.verdict for finding in await examine()} == {Verdict.OK}

        judge = Judge(simulator)
        second = await run(empty_database_url, simulator, RunType.INCREMENTAL, watermarks)
        assert second.watermark_before == first.updated_to
        async with open_pool(empty_database_url, application_name="test", max_size=2) as restored:
            catalogue = await Catalogue.read(restored)
            faults = [judged(judge, catalogue, truth) for truth in judge.listed_throughout()]
            assert [fault for fault in faults if fault] == []
            await run(empty_database_url, simulator, RunType.FULL, watermarks)
            check_catalogue(judge, await Catalogue.read(restored))
            async with restored.connection() as conn:
                assert await find_key(conn, hash_key(key)) is not None
    told = await rows(database_url, "SELECT task, error, details->>'file' AS file FROM upkeep")
    assert told == [{"task": "backup", "error": None, "file": "night.dump"}]
    assert await rows(empty_database_url, "SELECT task FROM upkeep") == []


async def test_copies_of_the_catalogue_do_not_take_the_restored_one_for_a_version_they_know(
    database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    await rows(database_url, "SELECT record_changes('nivoda', NULL) IS NULL AS done")
    file, programs = tmp_path / "a.dump", Path(PROGRAMS["DIAMOND_POSTGRES_BIN"]) if PROGRAMS else None
    await dump_database(database_url, file, bin_folder=programs, stop=asyncio.Event())
    await restore_database(empty_database_url, file, bin_folder=programs, stop=asyncio.Event())

    assert await rows(empty_database_url, "SELECT version FROM dataset_versions") == [{"version": 1_000_001}]
    with pytest.raises(DumpFailed, match=r"is not empty: it has \d+ tables"):
        await restore_database(empty_database_url, file, bin_folder=programs, stop=asyncio.Event())


#: What was open or waited to be told when the backup was made, long ago: its state, and what is there for the channel.
INCIDENTS = """
    WITH told (event, days_ago, is_over, kind, state) AS (VALUES
        ('run_timed_out', 29, TRUE, 'opened', 'pending'),
        ('run_partial', 0, TRUE, 'opened', 'delivered'),
        ('run_partial', 0, TRUE, 'resolved', 'pending'),
        ('run_late', 29, FALSE, 'opened', 'delivered'),
        ('dead_letters', 29, FALSE, 'opened', 'sending'),
        ('supplier_unavailable', 29, FALSE, 'opened', 'pending'),
        ('database_nearly_full', 29, FALSE, 'opened', 'pending'),
        ('consolidation_failed', 29, FALSE, 'opened', 'delivered'),
        ('order_contradicted', 29, FALSE, 'opened', 'pending')
    ), times AS (
        SELECT *, now() - days_ago * interval '1 day' AS at FROM told
    ), incident AS (
        INSERT INTO incidents (event, severity, title, text, opened_at, addressed_at, cleared_at, resolved_at, run_id)
        SELECT DISTINCT event, 'error', event, '', at, at, CASE WHEN is_over THEN at END, CASE WHEN is_over THEN at END,
            (SELECT run_id FROM run_metadata)
        FROM times
        RETURNING id, event
    ), health AS (
        INSERT INTO supplier_health (feed, state, since, seen_at)
        VALUES ('nivoda', 'away', now() - interval '30 days', now() - interval '29 days')
    )
    INSERT INTO alert_deliveries (
        incident_id, kind, channel, state, created_at, settled_at, lease_token, lease_expires_at
    )
    SELECT i.id, t.kind, 'ops', t.state, t.at, CASE WHEN t.state = 'delivered' THEN t.at END,
        CASE WHEN t.state = 'sending' THEN i.id END, CASE WHEN t.state = 'sending' THEN t.at END
    FROM times AS t JOIN incident AS i USING (event)
    RETURNING id
"""


async def test_of_the_alerts_of_a_backup_only_what_may_be_true_is_told(
    diamond: Command, database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    """The database is still nearly full, and the run has failed in it as before, with its range."""
    file = tmp_path / "a.dump"
    async with open_pool(database_url, application_name="test", max_size=2) as pool:
        run = await fail(World(pool, ScriptedSupplier(stones(5))))
    await rows(database_url, INCIDENTS)
    await rows(
        database_url,  # in the last seconds before the backup: nobody was addressed yet
        "INSERT INTO incidents (event, severity, title, text)"
        " VALUES ('supplier_refuses', 'error', '', '') RETURNING id",
    )
    programs = Path(PROGRAMS["DIAMOND_POSTGRES_BIN"]) if PROGRAMS else None
    await dump_database(database_url, file, bin_folder=programs, stop=asyncio.Event())
    await command(diamond, "restore", file, empty_database_url)

    async with open_pool(empty_database_url, application_name="test", max_size=4) as pool:
        with Receiver() as receiver:
            for _ in range(2):
                await watch(pool).turn()
                await deliverer(pool, f"ops={receiver.alert_url}").turn()
    assert sorted(receiver.titles) == [
        "[error] The database has little room left",
        "[error] order_contradicted",
        "[resolved] dead_letters",
        "[resolved] run_late",
        f"[warning] 1 ranges of run {run.run_id} failed for good",
    ]
    still_open = await rows(
        empty_database_url, "SELECT event FROM incidents WHERE resolved_at IS NULL ORDER BY event"
    )
    assert [row["event"] for row in still_open] == [
        "consolidation_failed",
        "database_nearly_full",
        "order_contradicted",
        "partition_failed",
    ]


def watch(pool: Pool) -> IncidentWatch:
    """Who finds the database too large, and would find a supplier away."""
    return IncidentWatch(
        pool=pool,
        lookout=Lookout(pool, {}, replace(QUIET, database_bytes=1.0), ["nivoda"]),
        alerts=IncidentAlerts(pool, service="test", clock=SystemClock()),
        holder=UUID(int=1),
        clock=SystemClock(),
        quiet_seconds=0,
    )


def test_a_backup_replaces_nothing_and_a_failed_one_leaves_nothing_but_its_record(
    use: USE, database_url: str, tmp_path: Path
) -> None:
    use(database_url=database_url)
    file = tmp_path / "there.dump"
    file.write_text("precious")

    result = invoke("backup", str(file))

    assert isinstance(result.exception, DumpFailed)
    assert "exists already" in str(result.exception)
    assert file.read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir() if "dump" in path.name] == ["there.dump"]
    [told] = asyncio.run(rows(database_url, "SELECT task, error FROM upkeep"))
    assert told["task"] == "backup"
    assert "exists already" in told["error"]


def test_a_backup_that_the_disk_refuses_leaves_its_record(
    use: USE, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(backup, "dump_database", refuse)
    use(database_url=database_url)
    assert isinstance(invoke("backup", str(tmp_path / "a.dump")).exception, OSError)
    [told] = asyncio.run(rows(database_url, "SELECT task, error FROM upkeep"))
    assert (told["task"], "No space left" in told["error"]) == ("backup", True)


def test_a_stopped_backup_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    async def stopped() -> None:
        stop = asyncio.Event()
        stop.set()
        programs = Path(PROGRAMS["DIAMOND_POSTGRES_BIN"]) if PROGRAMS else None
        with pytest.raises(DumpFailed, match="was stopped before its end"):
            await dump_database(database_url, tmp_path / "a.dump", bin_folder=programs, stop=stop)

    asyncio.run(stopped())
    assert list(tmp_path.iterdir()) == []


def test_a_restore_that_fails_after_the_reading_says_to_begin_anew(
    use: USE, database_url: str, empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(_: str) -> None:
        raise OSError("connection reset")

    file = tmp_path / "a.dump"
    use(database_url=database_url)
    assert invoke("backup", str(file)).exit_code == 0
    monkeypatch.setattr(backup, "migrate_database", lose)
    use(database_url=empty_database_url)
    result = invoke("restore", str(file))
    assert isinstance(result.exception, DumpFailed)
    assert "connection reset" in str(result.exception)
    assert "drop the database, and restore into an empty one" in str(result.exception)


def test_what_is_no_backup_is_refused_and_the_password_is_in_no_message(
    use: USE, empty_database_url: str, tmp_path: Path
) -> None:
    use(database_url=make_conninfo(empty_database_url))
    file = tmp_path / "letter.txt"
    file.write_text("Dear Sir")
    result = invoke("restore", str(file))
    assert isinstance(result.exception, DumpFailed)
    assert "letter.txt" in str(result.exception) or "archive" in str(result.exception)

    use(database_url=make_conninfo(empty_database_url, password="hush-hush"))
    result = invoke("backup", str(tmp_path / "a.dump"))
    assert "hush" not in f"{result.output} {result.exception}"


def test_backups_that_are_made_elsewhere_are_recorded(use: USE, database_url: str) -> None:
    use(database_url=database_url)

    assert invoke("backup", "--record", "point in time, Azure").exit_code == 0
    for arguments in ([], ["--record", ""], ["--record", " "], ["a.dump", "--record", "both"]):
        assert isinstance(invoke("backup", *arguments).exception, ConfigurationError)

    [told] = asyncio.run(rows(database_url, "SELECT task, error, completed_at, details FROM upkeep"))
    assert (told["task"], told["error"], told["details"]) == (
        "backup",
        None,
        {"note": "point in time, Azure"},
    )
    assert told["completed_at"] is not None


def test_programs_that_are_not_there_are_told_with_the_setting(
    use: USE, database_url: str, tmp_path: Path
) -> None:
    use(database_url=database_url, **{**dict.fromkeys(PROGRAMS, ""), "DIAMOND_POSTGRES_BIN": tmp_path})
    result = invoke("backup", str(tmp_path / "a.dump"))
    assert isinstance(result.exception, DumpFailed)
    assert "DIAMOND_POSTGRES_BIN" in str(result.exception)
