"""``.env.example`` is the list of settings: complete, true, and usable as it is."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from diamond_opus.settings import Settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"
NAMED = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_every_setting_is_listed_once_and_nothing_else() -> None:
    listed = [name for name, _ in NAMED.findall(EXAMPLE.read_text())]
    assert sorted(listed) == sorted(name.upper() for name in Settings.model_fields)


def read(file: Path | None) -> Settings:
    source: dict[str, Any] = {"_env_file": file}
    return Settings(**source)


@pytest.mark.usefixtures("no_settings")
def test_the_values_are_the_defaults() -> None:
    assert read(EXAMPLE) == read(None)


def test_each_setting_has_a_line_of_explanation_above_it() -> None:
    lines = EXAMPLE.read_text().splitlines()
    bare = [line for above, line in pairwise(lines) if NAMED.match(line) and above[:2] != "# "]
    assert bare == []
