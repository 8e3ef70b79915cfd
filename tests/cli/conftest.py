"""What the command line's tests share: a home that any user may enter, a clean environment, real processes."""

import json
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_processes import Command

from diamond_opus.settings import Settings
from log_secrets import SECRETS


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def home() -> Iterator[Path]:
    """A DIAMOND_HOME where an unprivileged user may go, as the embedded server needs it when root runs the tests.

    A server that a failed test left there is stopped.
    """
    with tempfile.TemporaryDirectory(prefix="diamond-cli-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path / "home"
        for found in path.glob("*/postgres.json"):
            place = Path(json.loads(found.read_text())["place"])
            _kill(place / "data" / "postmaster.pid")
            shutil.rmtree(place, ignore_errors=True)


def _kill(pid_file: Path) -> None:
    try:
        os.kill(int(pid_file.read_text().split("\n", 1)[0]), signal.SIGQUIT)
    except (OSError, ValueError):
        return


@pytest.fixture(scope="session")
def compiled() -> Iterator[str]:
    """Where the processes keep their compiled modules: without that each start takes a second more."""
    with tempfile.TemporaryDirectory(prefix="diamond-cli-compiled-") as folder:
        yield folder


@pytest.fixture
def diamond(home: Path, tmp_path: Path, compiled: str) -> Command:
    """The command in an empty folder, with the embedded server of ``home``."""
    ours = {name.upper() for name in Settings.model_fields} | {"PYTHONDONTWRITEBYTECODE"}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return Command(
        {**environment, "DIAMOND_HOME": str(home), "PYTHONPYCACHEPREFIX": compiled, "PORT": "0"}, tmp_path
    )


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path) -> Callable[..., None]:
    """Set this test's settings for commands that run inside the test, and unset all others."""

    def use(**settings: Any) -> None:
        monkeypatch.chdir(tmp_path)
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv("DIAMOND_HOME", str(home))
        SECRETS.know_settings({name.upper(): value for name, value in settings.items()})
        for name, value in settings.items():
            monkeypatch.setenv(name.upper(), str(value))

    return use
