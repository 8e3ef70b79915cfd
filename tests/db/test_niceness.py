"""Sessions of a nice process are nice; others, and other people's processes, are left alone."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from diamond_opus.db import niceness
from diamond_opus.db.pool import connect

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux shows a session's title")

_AS_A_PROCESS = """
import asyncio, os, sys
from diamond_opus.db.pool import open_pool

async def main(url):
    async with open_pool(url, application_name="nice", max_size=1) as pool, pool.connection() as conn:
        print(os.getpriority(os.PRIO_PROCESS, conn.info.backend_pid))

os.nice(int(sys.argv[2]))
asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("nice", [0, 7])
async def test_a_session_is_as_nice_as_its_process(database_url: str, nice: int) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _AS_A_PROCESS, database_url, str(nice), stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert int(printed) == (before + nice if nice else max(0, await server_niceness(database_url)))


async def server_niceness(url: str) -> int:
    async with await connect(url, application_name="test") as conn:
        return os.getpriority(os.PRIO_PROCESS, conn.info.backend_pid)


async def test_a_process_that_has_the_number_of_a_far_session_is_left_alone(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session's number is one of another machine's; here it is a process of somebody's."""
    touched: list[int] = []
    monkeypatch.setattr(os, "getpriority", lambda *_: 7)
    monkeypatch.setattr(os, "setpriority", lambda _kind, pid, _nice: touched.append(pid))
    async with await connect(database_url, application_name="test") as conn:
        assert touched == [conn.info.backend_pid]
        is_session = niceness._is_session
        monkeypatch.setattr(niceness, "_is_session", lambda _pid, client: is_session(os.getpid(), client))
        niceness.share_niceness(conn)
        assert touched == [conn.info.backend_pid]
