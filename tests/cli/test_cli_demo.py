"""``diamond demo`` as its users meet it: a process that starts everything, shows it, and leaves nothing behind."""

import asyncio
import json
import os
import re
import shlex
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
from cli_processes import Command

from diamond_opus.db.embedded import EmbeddedPostgres
from free_ports import take_port

STONES = ("--stones", "2000")
FIELDS = [
    "stones", "raw", "diamonds", "priced", "rejected", "runId", "state", "secondsIngest", "secondsConsolidate",
]  # fmt: skip


def once(diamond: Command, *arguments: str, **settings: object) -> dict[str, Any]:
    done = diamond("demo", "--once", "--json", *STONES, *arguments, **settings)
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    told: dict[str, Any] = json.loads(line)
    assert list(told) == FIELDS
    return told


def simulators(diamond: Command) -> Sequence[int]:
    """The simulators that this test's demos have running, with the shells that watch over them."""
    ours = f"DIAMOND_HOME={diamond.environment['DIAMOND_HOME']}"
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words, environment = (
                (process / part).read_bytes().decode(errors="replace").split("\0")
                for part in ("cmdline", "environ")
            )
        except OSError:
            continue  # it ended just now
        if "diamond_opus.simulator" in words and ours in environment:
            found.append(int(process.name))
    return found


@pytest.mark.long  # three demos, each with a server and a supplier of its own
def test_a_demo_fills_a_home_reuses_it_and_replaces_it_for_other_stones(
    diamond: Command, home: Path, tmp_path: Path
) -> None:
    first = once(diamond)
    assert (first["stones"], first["state"]) == (2000, "completed")
    assert first["diamonds"] == first["priced"] == first["raw"] - first["rejected"] > 1900
    assert first["secondsIngest"] > 0 < first["secondsConsolidate"]
    assert EmbeddedPostgres.state(home) == "stopped"

    assert once(diamond) == first

    other = once(diamond, "--seed", "8")
    assert other["runId"] != first["runId"]
    assert other["diamonds"] == other["raw"] - other["rejected"]


@pytest.mark.long  # a demo on a configured server, then one that is refused
def test_a_demo_on_a_configured_server_fills_it_and_never_drops_it(
    diamond: Command, database_url: str, home: Path
) -> None:
    first = once(diamond, database_url=database_url)
    assert EmbeddedPostgres.state(home) == "absent"
    refused = diamond("demo", "--once", *STONES, "--seed", "8", database_url=database_url)
    assert refused.returncode == 2
    [line] = refused.stderr.splitlines()[-1:]
    assert "DATABASE_URL" in line
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT count(*) FROM diamonds").fetchone() == (first["diamonds"],)


@pytest.mark.long  # a whole demo until it serves
async def test_a_demo_prints_commands_that_work_and_ctrl_c_leaves_nothing_running(
    diamond: Command, home: Path
) -> None:
    port = take_port()
    async with diamond.started("demo", *STONES, monitoring_port=port) as demo:
        lines = [await demo.line()]
        while "Ctrl-C" not in lines[-1]:
            lines.append(await demo.line())
        commands = [line for line in lines if line.startswith("curl")]
        assert len(commands) == 2
        for command in commands:
            assert json.loads(await answer_of(command))["data"]
        key = next(line.split()[1] for line in lines if line.startswith("Key"))
        assert EmbeddedPostgres.state(home) == "running"
        api = next(line.split()[1] for line in lines if line.startswith("API"))
        assert await run_by_api(api, key) == "completed"
        own_port = f"curl -s http://127.0.0.1:{port}/metrics"
        api_port = f"curl -s -H 'X-API-Key: {key}' {api.removesuffix('/api/v2')}/metrics"
        for command in (own_port, api_port):
            assert 'diamond_process_info{service="demo",' in await answer_of(command)
        code, complaints = await demo.stop(signal.SIGINT)
    assert code in (0, 130)
    assert "Traceback" not in complaints
    assert EmbeddedPostgres.state(home) == "stopped"
    assert simulators(diamond) == []
    assert len(json.loads((home / "demo.json").read_text())["runs"]) == 2  # both are the demo's own
    listed = json.loads(diamond("keys", "list", "--json").stdout)
    assert [(one["clientName"], one["active"]) for one in listed] == [("demo", True)]
    assert key not in complaints


async def run_by_api(api: str, key: str) -> str:
    """Start a run as an operator does; the state in which it ended."""
    async with aiohttp.ClientSession(headers={"X-API-Key": key}) as session:
        async with session.post(f"{api}/triggers/scheduler", json={"runType": "incremental"}) as answer:
            assert answer.status == 202, await answer.text()
            run_id = (await answer.json())["data"]["runId"]
        for _ in range(300):
            async with session.get(f"{api}/analytics/runs/{run_id}") as answer:
                state = (await answer.json())["data"]["run"]["state"] if answer.status == 200 else "planning"
            if state in ("completed", "failed"):
                break
            await asyncio.sleep(0.1)
    return str(state)


async def answer_of(command: str) -> str:
    process = await asyncio.create_subprocess_exec(*shlex.split(command), stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode()


@pytest.mark.long  # a demo is stopped in the middle, and another one does the rest
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_demo_that_is_interrupted_goes_on_the_next_time(
    diamond: Command, home: Path, number: signal.Signals
) -> None:
    async with diamond.started("demo", "--once", "--stones", "20000") as demo:
        for _ in range(4):  # as many as a demo reads at once
            await demo.log("partition_started")
        code, complaints = await demo.stop(number)
    assert code == 130, complaints
    assert "Traceback" not in complaints
    assert EmbeddedPostgres.state(home) == "stopped"
    assert simulators(diamond) == []
    done = diamond("demo", "--once", "--json", "--stones", "20000")
    assert json.loads(done.stdout)["state"] == "completed", done.stderr


@pytest.mark.long  # a demo is killed in the middle
async def test_a_killed_demo_takes_its_simulator_with_it(diamond: Command, home: Path) -> None:
    async with diamond.started("demo", "--once", "--stones", "20000") as demo:
        await demo.log("partition_started")
        [ours] = [pid for pid in simulators(diamond) if not is_shell(pid)]
        os.kill(demo.process.pid, signal.SIGKILL)
        await demo.ended()
        await asyncio.to_thread(wait_until_gone, ours)
    assert diamond("db", "stop").returncode == 0


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"{pid} is still there"
        time.sleep(0.05)


def is_shell(pid: int) -> bool:
    return re.search(r"/(ba|da)?sh$", str(Path(f"/proc/{pid}/exe").readlink())) is not None
