"""The look for secrets in the tests' logs is no formality: each way out that it watches fails a test."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from log_secrets import Secrets

TESTS = Path(__file__).parent
KEY = "dk_" + "k" * 43

CONFTEST = """
from log_secrets import SECRETS, pytest_runtest_makereport, pytest_runtest_setup
SECRETS.know("correct-horse")
"""

#: What a test does, and whether it lets something out.
LEAKS = {
    "a line": "get_logger('x').info('event', told='the word is correct-horse')",
    "a key as standard error has it": f"print('asked with {KEY}', file=sys.stderr)",
    "a foreign line": "logging.getLogger('urllib3').info('GET /?w=correct-horse')",
    "standard error": "print('correct-horse', file=sys.stderr)",
    "what a process said": "SECRETS.look('correct-horse', 'a process')",
    "a file of a process": "(tmp_path / 'x.log').write_text('correct-horse')",
    "after logging was set up anew": "configure_logging(service='x'); get_logger('x').info('correct-horse')",
}
SAFE = {
    "a masked field": "get_logger('x').info('event', password='correct-horse')",
    "a key in the text of an error": f"get_logger('x').warning('event', reason='asked with {KEY}')",
    "a masked address": "get_logger('x').info('event', url='postgresql://u:correct-horse@db/x')",
    "standard output": "print('correct-horse')",  # `diamond keys create` shows its key there
    "nothing": "get_logger('x').info('event', stones=3)",
}


HEAD = """
import logging
import sys
from diamond_opus.observability.logging import configure_logging, get_logger
from log_secrets import SECRETS
"""


def test_each_way_out_fails_a_test_and_what_is_masked_does_not(tmp_path: Path) -> None:
    cases = {**LEAKS, **SAFE}
    bodies = "".join(
        f"def test_{number}(tmp_path):\n    {body}\n" for number, body in enumerate(cases.values())
    )
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(HEAD + bodies)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    failed = {
        int(number) for number in re.findall(r"^FAILED test_it.py::test_(\d+)", done.stdout, re.MULTILINE)
    }
    assert [name for number, name in enumerate(cases) if number in failed] == list(LEAKS), done.stdout
    assert done.returncode == 1
    places = ("the log", "a process", "standard error", "x.log")
    told = {line for line in done.stdout.splitlines() if line.startswith(places)}
    assert len(told) == len(LEAKS)
    assert not [line for line in told if "correct-horse" in line or KEY in line]


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"DATABASE_URL": "postgresql://shop:p%40ssw0rd-of-it@db/x"}, "p@ssw0rd-of-it"),
        ({"DATABASE_PASSWORD": "the-password"}, "the-password"),
        ({"HMAC_SECRETS": '{"shop": {"secret": "of the shop", "permissions": ["read"]}}'}, "of the shop"),
        ({"ALERT_URLS": "slack://a/b critical=mailtos://me:app-password@mail.example"}, "app-password"),
        ({}, "asked with dk_" + "A" * 43),
        ({}, "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.x"),
        ({}, "Authorization: Bearer abcdefghijklmnop"),
        ({}, "postgresql://shop:hunter2@db:5432/x refused"),
        ({}, "Endpoint=sb://x/;SharedAccessKeyName=k;SharedAccessKey=bm90IGEga2V5"),
    ],
)
def test_a_secret_is_known_by_what_a_process_was_given_or_by_its_form(
    environment: dict[str, str], line: str
) -> None:
    secrets = Secrets()
    secrets.know_settings(environment)
    secrets.look(f'{{"event":"x","reason":"{line}"}}', "a process")

    [seen] = secrets.take()
    assert seen.startswith("a process: ")
    assert line not in seen
    assert secrets.take() == []


@pytest.mark.parametrize(
    "line",
    [
        "postgresql://shop:***@db:5432/x",
        "write it as postgresql://user:password@host:5432/database",
        "Authorization: ***",
        "asked with dk_***",
        "http://127.0.0.1:4010/api/diamonds at 12:30:00",
        "SharedAccessKey=***",
    ],
)
def test_what_is_masked_is_no_secret(line: str) -> None:
    secrets = Secrets()
    secrets.know_settings({"DATABASE_PASSWORD": "short", "PORT": "3000"})
    secrets.look(line, "a process")
    assert secrets.take() == []
