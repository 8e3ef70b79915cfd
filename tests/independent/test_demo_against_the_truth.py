"""The demo, as a user runs it, judged by a script that shares nothing with the program."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from log_secrets import SECRETS

DIAMOND = Path(sys.executable).with_name("diamond")
RECOMPUTE = Path(__file__).with_name("recompute.py")
STONES, SEED = 6000, 7


@pytest.fixture
def home() -> Iterator[Path]:
    """Where the server's own user may go too, when root runs the tests."""
    with tempfile.TemporaryDirectory(prefix="diamond-demo-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "home"


def run(command: list[str | Path], env: dict[str, str]) -> str:
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
    SECRETS.look(done.stderr, f"{command[0]} {command[1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long  # two processes, a new PostgreSQL and a whole run of 6,000 stones
def test_every_price_of_a_demo_equals_a_recomputation_from_the_suppliers_truth(home: Path) -> None:
    env = {**os.environ, "DIAMOND_HOME": str(home), "PORT": "0"}
    printed = run([DIAMOND, "demo", "--once", "--stones", str(STONES), "--seed", str(SEED), "--json"], env)
    [line] = printed.splitlines()
    report = json.loads(line)
    assert report["state"] == "completed"
    assert report["diamonds"] == report["priced"] == report["raw"] - report["rejected"]

    url = run([DIAMOND, "db", "start"], env).strip()
    command = [sys.executable, "-m", "diamond_opus.simulator", "--stones", str(STONES), "--seed", str(SEED)]
    supplier = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert supplier.stdout is not None
        control = supplier.stdout.readline().strip().replace("/api/diamonds", "/control/")
        compared = json.loads(run([sys.executable, str(RECOMPUTE), control, url], env))
    finally:
        supplier.terminate()
        supplier.communicate(timeout=10)
        run([DIAMOND, "db", "stop"], env)
    assert compared["wrong"] == []
    assert (compared["raw"], compared["diamonds"]) == (report["raw"], report["diamonds"])
