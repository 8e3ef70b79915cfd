"""No secret in any log: what was logged while a test ran is looked through, and a test that let one out fails.

A secret is known because a test or a fixture gave it to ``SECRETS.know``, because it is a setting of a process that was
started (``know_settings``), or by its form: our API keys, the supplier's tokens, passwords in addresses, Azure's keys.
Looked through are the lines of this process, as the product writes them, its standard error, what the tests' helpers
read of the processes they started, and the embedded server's own log.

tests/conftest.py takes the hooks over; ``tests/test_log_secrets.py`` proves that a leak fails a test.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic import SecretStr

from diamond_opus.observability.logging import make_formatter
from diamond_opus.settings import Settings

#: A shorter one would be found in words that are no secret at all.
SHORTEST = 8

#: What is a secret whoever made it. Masked values have stars where these want something else.
FORMS: Mapping[str, re.Pattern[str]] = {
    "an API key": re.compile(r"\bdk_[A-Za-z0-9_-]{43}"),
    "a token": re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}"),
    "a bearer's token": re.compile(r"(?i)\bbearer +[\w.~+/=-]{16,}"),
    "a password in an address": re.compile(r"://[^\s:/@\"']+:(?!password@)[^\s/@*\"']+@[\w.\[]"),
    "a key of Azure": re.compile(r"(?:SharedAccessKey|AccountKey)=[^;*\s\"']{8,}"),
}

_SECRET_SETTINGS = frozenset(
    name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
)


class Secrets:
    """Those that are known, and where one of them was seen."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._seen: dict[str, None] = {}

    def know(self, *values: str | SecretStr | None) -> None:
        """Those too short to be told from a word are left out, and words, which tests give where they mean none."""
        texts = (value.get_secret_value() if isinstance(value, SecretStr) else value for value in values)
        self._known |= {text for text in texts if text and len(text) >= SHORTEST and not text.isalpha()}

    def know_settings(self, environment: Mapping[str, object]) -> None:
        """What of a process's environment is secret: whole values, passwords in addresses, secrets in JSON."""
        for name in _SECRET_SETTINGS:
            value = str(environment.get(name.upper()) or "")
            self.know(*_parts(value))

    def look(self, text: str, where: str) -> None:
        """Note every line of ``text`` with a secret in it, without the secret."""
        for what, secret in self._found(text):
            line = next((line for line in text.splitlines() if secret in line), secret)
            self._seen[f"{where}: {what} in {self._masked(line)[:500]!r}"] = None

    def take(self) -> list[str]:
        """What was seen since the last time."""
        seen, self._seen = list(self._seen), {}
        return seen

    def _found(self, text: str) -> Iterator[tuple[str, str]]:
        for secret in self._known:
            if secret in text:
                yield "a secret that a test knows", secret
        for what, form in FORMS.items():
            match = form.search(text)
            if match is not None:
                yield what, match[0]

    def _masked(self, line: str) -> str:
        for secret in self._known:
            line = line.replace(secret, "<secret>")
        for form in FORMS.values():
            line = form.sub("<secret>", line)
        return line


SECRETS = Secrets()


class LogWatch(logging.Handler):
    """Every line of this process, formatted as the product formats it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(make_formatter(service="test", readable=False))

    def emit(self, record: logging.LogRecord) -> None:
        SECRETS.look(self.format(record), f"the log ({record.name})")

    def install(self) -> None:
        """Again for each test: what sets logging up anew throws the root's handlers out."""
        root = logging.getLogger()
        if self not in root.handlers:
            root.addHandler(self)
        root.setLevel(min(root.level, logging.INFO))


_WATCH = LogWatch()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _WATCH.install()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A leak fails the phase it happened in; of the last test's teardown, what the session's fixtures let out."""
    report = yield
    for title, text in report.sections:
        if "stderr" in title:
            SECRETS.look(text, "standard error")
    if call.when == "call":
        _look_into_files(item)
    seen = SECRETS.take()
    if seen:
        report.outcome = "failed"
        report.longrepr = "\n".join(("a secret is in a log:", *seen, str(report.longrepr or "")))
    return report


def _look_into_files(item: pytest.Item) -> None:
    """What processes wrote where the test sent their output."""
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if isinstance(folder, Path):
        for log in folder.rglob("*.log"):
            SECRETS.look(log.read_text(errors="replace"), log.name)


def _parts(value: str) -> Iterable[str]:
    yield value
    for password in re.findall(r"://[^\s:/@]*:([^\s/@]+)@", value):
        yield from {password, unquote(password)}
    yield from _strings(_as_json(value))


def _as_json(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return None


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value
