"""CI runs the tests on each PostgreSQL that is supported; here it shows that they ran on the one that was named."""

import os
import re
import subprocess
from pathlib import Path

import psycopg
import pytest

PROGRAMS = os.environ.get("DIAMOND_POSTGRES_BIN")


@pytest.mark.skipif(not PROGRAMS, reason="DIAMOND_POSTGRES_BIN names no other PostgreSQL")
def test_the_tests_run_on_the_postgresql_that_was_named(database_url: str) -> None:
    assert PROGRAMS
    said = subprocess.run(
        [Path(PROGRAMS, "postgres"), "--version"], check=True, capture_output=True, text=True
    ).stdout
    named = re.search(r"\(PostgreSQL\) (\d+)", said)
    with psycopg.connect(database_url) as connection:
        assert named is not None
        assert connection.info.server_version // 10_000 == int(named[1])
