"""docs/api.md as a newcomer follows it: every command, in one shell, and every answer of the shape that is shown."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from served_api import Served, served_api

from diamond_opus.api.rate_limits import RateLimits

DOCUMENT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
#: A whole run fills the catalogue, and then every command is a process.
pytestmark = pytest.mark.long
ADDRESS = "http://127.0.0.1:3000"
MARK = "---- end of step"
MORE = "…"


class Step(NamedTuple):
    """The commands of one block, and the block with their answer, where one follows before the next commands."""

    commands: str
    language: str | None
    shown: str


def steps() -> list[Step]:
    found: list[Step] = []
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE):
        if language == "sh":
            found.append(Step(text, None, ""))
        else:
            assert found[-1].language is None, f"two answers to one step: {text}"
            found[-1] = found[-1]._replace(language=language, shown=text)
    return found


@pytest.fixture(scope="module")
def served(template_database: Any) -> Iterator[Served]:
    for url in template_database.lend(template=template_database.template):
        with served_api(url, stones=120, rate_limits=RateLimits()) as opened:
            yield opened


@pytest.fixture(scope="module")
def outputs(served: Served, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each step printed. `diamond` is the installed command, on the database that the API serves."""
    tools = {name: shutil.which(name) for name in ("bash", "curl")}
    if None in tools.values():
        pytest.skip(f"this machine lacks one of {', '.join(tools)}")
    commands = f'\nprintf "\\n{MARK}\\n"\n'.join(step.commands for step in steps())
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands.replace(ADDRESS, served.url)],
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DATABASE_URL": served.database_url,
        },
        cwd=tmp_path_factory.mktemp("tour"),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout[-1000:]
    return done.stdout.split(f"\n{MARK}\n")


def differences(shown: Any, real: Any, where: str = "answer") -> Iterator[str]:
    """Where a real answer has another shape than the one shown; null may stand for any value."""
    if shown is None or real is None:
        return
    if isinstance(shown, int | float) and isinstance(real, int | float):
        return
    if type(shown) is not type(real):
        yield f"{where}: {real!r} is not like {shown!r}"
    elif isinstance(shown, dict):
        documented = set(shown) - {MORE}
        if documented - set(real) or (MORE not in shown and set(real) - documented):
            yield f"{where}: {sorted(real)} are not {sorted(documented)}"
        for name in documented & set(real):
            yield from differences(shown[name], real[name], f"{where}.{name}")
    elif isinstance(shown, list):
        if not real:
            yield f"{where}: is empty"
        for item in real:
            yield from differences(shown[0], item, f"{where}[]")


@pytest.mark.parametrize("number", range(len(steps())))
def test_the_tour_answers_as_it_says(outputs: list[str], number: int) -> None:
    step, output = steps()[number], outputs[number]

    if step.language == "json":
        assert [*differences(json.loads(step.shown), json.loads(output))] == []
    elif step.language == "text":
        assert re.sub(r"\d+", "1", output.strip()) == re.sub(r"\d+", "1", step.shown.strip())
        # A status stands for itself.
        assert step.shown.strip() == output.strip() or not step.shown.strip().isdigit()


def test_an_error_of_the_tour_is_the_one_that_is_shown(outputs: list[str]) -> None:
    [(step, output)] = [
        (step, output) for step, output in zip(steps(), outputs, strict=True) if '"error"' in step.shown
    ]
    shown, real = json.loads(step.shown)["error"], json.loads(output)["error"]

    for name in ("code", "message", "hint"):
        assert shown[name] == real[name]
    assert shown["details"][0]["message"] == real["details"][0]["message"]


def test_the_comparison_would_notice() -> None:
    shown = {"data": [{"id": "x", "n": 1, MORE: MORE}], "page": None}

    assert [*differences(shown, {"data": [{"id": "y", "n": 2.5, "z": 1}], "page": 1})] == []
    for real in (
        {"data": [], "page": 1},
        {"data": [{"id": 1, "n": 1}], "page": 1},
        {"data": [{"id": "y"}], "page": 1},
        {"data": [{"id": "y", "n": 1}], "page": 1, "more": 1},
        {"data": {}, "page": 1},
    ):
        assert [*differences(shown, real)] != []
