"""The processes that stay, as processes: they do their work together, and end in good order when they are told to."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psycopg
import pytest
from cli_processes import Command
from psycopg.conninfo import make_conninfo

from diamond_opus.simulator.server import Simulator, SimulatorSettings
from free_ports import take_port


@pytest.fixture
async def supplier() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(stones=2000, seed=7)) as running:
        yield running


@pytest.fixture
def settings(database_url: str, supplier: Simulator) -> dict[str, Any]:
    """A server that is not ours, and the simulator."""
    return {"database_url": database_url, "simulator_port": urlsplit(supplier.url).port, "sweep_seconds": 1}


def fetch(url: str, query: str) -> Any:
    with psycopg.connect(url) as conn:
        row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.long  # four processes, one after the other, and a whole run
async def test_schedule_then_worker_then_consolidator_until_idle_complete_a_run(
    diamond: Command, settings: dict[str, Any]
) -> None:
    promised = "5b7c6c0e-8a5a-4d43-9d0c-1d2c3b4a5f60"
    schedule = ["schedule", "--run-id", promised]
    for arguments in (schedule, ["worker", "--until-idle"], ["consolidator", "--until-idle"]):
        async with diamond.started(*arguments, **settings) as process:
            code, complaints = await process.ended()
            assert code == 0, complaints
    url = settings["database_url"]
    assert fetch(url, "SELECT state || ' ' || run_id FROM run_metadata") == f"completed {promised}"
    raw, rejected, diamonds = (
        fetch(url, f"SELECT count(*) FROM {table}")
        for table in ("raw_diamonds", "rejected_diamonds WHERE readable", "diamonds")
    )
    assert diamonds == raw - rejected > 1900
    async with diamond.started("status", "--json", **settings) as process:
        [run] = json.loads(await process.line())
    assert run["state"] == "completed"


@pytest.mark.long  # a worker is stopped in the middle of a slow run, and another one does the rest
async def test_a_stopped_worker_gives_back_what_it_reads_and_another_goes_on_at_once(
    diamond: Command, database_url: str
) -> None:
    slow = SimulatorSettings(stones=2000, seed=7, answer_delay_seconds=0.05)
    async with Simulator(slow) as supplier:
        settings: dict[str, Any] = {
            "database_url": database_url,
            "simulator_port": urlsplit(supplier.url).port,
            "process_niceness": 0,  # it has 10 s to stop, on a machine that others keep busy
        }
        async with diamond.started("schedule", **settings) as process:
            assert (await process.ended())[0] == 0
        async with diamond.started("worker", **settings) as process:
            await process.log("partition_started")
            code, complaints = await process.stop()
            assert code == 0, complaints
        assert fetch(database_url, "SELECT count(*) FROM partition_progress WHERE state = 'running'") == 0
        assert fetch(database_url, "SELECT state FROM run_metadata") == "ingesting"
        async with diamond.started("worker", "--until-idle", **settings) as process:
            code, complaints = await process.ended()
            assert code == 0, complaints
    assert fetch(database_url, "SELECT state FROM run_metadata") == "ingested"


@pytest.mark.parametrize("command", ["worker", "consolidator"])
async def test_bulk_work_gives_way_to_others_on_its_machine(
    diamond: Command, settings: dict[str, Any], command: str
) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    async with diamond.started(command, **settings, process_niceness=7) as process:
        async with asyncio.timeout(30):
            while os.getpriority(os.PRIO_PROCESS, process.process.pid) != min(19, ours + 7):  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(0.05)
        await process.log("process_started")  # from here on it ends in good order
        assert (await process.stop(signal.SIGTERM))[0] == 0


@pytest.mark.parametrize("command", ["worker", "consolidator"])
async def test_a_process_that_serves_nobody_tells_those_who_watch_it(
    diamond: Command, settings: dict[str, Any], command: str
) -> None:
    port = take_port()
    address = f"http://127.0.0.1:{port}"
    async with (
        diamond.started(command, monitoring_port=port, **settings) as process,
        aiohttp.ClientSession() as http,
    ):
        await process.log("process_started")
        async with http.get(f"{address}/health") as health:
            assert (health.status, await health.json()) == (200, {"status": "ok"})
        async with http.get(f"{address}/ready") as ready:
            assert ready.status == 200
            assert (await ready.json())["components"] == {
                "database": {"status": "ok"},
                "migrations": {"status": "ok"},
            }
        with psycopg.connect(settings["database_url"], autocommit=True) as conn:
            conn.execute(
                "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)"
            )
        await asyncio.sleep(1.1)  # an answer is remembered for a second
        async with http.get(f"{address}/ready") as ready:
            assert ready.status == 503
            assert "diamond db migrate" in (await ready.json())["components"]["migrations"]["problem"]
        assert (await process.stop(signal.SIGTERM))[0] == 0


def test_a_taken_monitoring_port_stops_the_start_with_its_name(
    diamond: Command, settings: dict[str, Any]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = diamond("worker", monitoring_port=port, **settings)
    assert done.returncode == 2
    assert f"port {port} is in use; choose another with MONITORING_PORT=" in done.stderr


async def test_the_api_answers_when_it_says_so_and_ends_on_sigterm(
    diamond: Command, database_url: str
) -> None:
    async with diamond.started("api", database_url=database_url) as process:
        address = await process.line()
        async with aiohttp.ClientSession() as http:
            for path, status in (("/health", 200), ("/ready", 200), ("/api/v2/diamonds", 401)):
                async with http.get(address + path) as answer:
                    assert answer.status == status
        doctor = await asyncio.to_thread(
            diamond, "doctor", "--json", database_url=database_url, port=urlsplit(address).port
        )
        [port] = [one for one in json.loads(doctor.stdout)["checks"] if one["check"] == "port"]
        assert (port["verdict"], "which runs" in port["message"]) == ("ok", True)
        assert (await process.stop(signal.SIGTERM))[0] == 0


@pytest.mark.long  # one process makes its own PostgreSQL, runs and serves
async def test_up_starts_the_first_full_run_by_itself_and_serves_what_it_read(
    diamond: Command, supplier: Simulator
) -> None:
    port, own_port = urlsplit(supplier.url).port, take_port()
    async with diamond.started("up", simulator_port=port, monitoring_port=own_port) as process:
        address = await process.line()
        await process.log("run_completed")
        url = diamond("db", "url").stdout.strip()
        assert fetch(url, "SELECT run_type FROM run_metadata") == "full"
        assert fetch(url, "SELECT count(*) FROM diamonds") > 1900
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{address}/ready") as answer:
                assert answer.status == 200
            async with http.get(f"{address}/metrics") as answer:
                assert answer.status == 401
            async with http.get(f"http://127.0.0.1:{own_port}/metrics") as answer:
                told = await answer.text()
        assert 'diamond_run_state{feed="nivoda",state="completed"} 1.0' in told
        assert 'diamond_process_info{service="up",' in told
        code, complaints = await process.stop()
        assert code == 0, complaints
    assert diamond("db", "url").returncode == 1


async def test_a_wrong_password_is_one_line_that_says_what_to_check(
    diamond: Command, database_url: str
) -> None:
    wrong = make_conninfo(database_url, password="hush-hush")
    async with diamond.started("worker", database_url=wrong) as process:
        code, complaints = await process.ended()
    assert code == 1
    [line] = complaints.splitlines()
    assert "check user and password" in line
    assert "hush" not in line


async def test_the_simulator_prints_its_endpoint_and_serves_until_it_is_told_to_stop(
    diamond: Command,
) -> None:
    arguments = ("simulator", "--stones", "100", "--port", "0", "--username", "me", "--password", "hush")
    async with diamond.started(*arguments) as process:
        endpoint = await process.line()
        login = '{authenticate {username_and_password(username: "me", password: "hush") {token}}}'
        async with (
            aiohttp.ClientSession() as http,
            http.post(endpoint, json={"query": login}) as answer,
        ):
            assert '"token":"' in (await answer.text()).replace(" ", "")
        code, complaints = await process.stop(signal.SIGINT)
    assert code == 0
    assert "hush" not in complaints
