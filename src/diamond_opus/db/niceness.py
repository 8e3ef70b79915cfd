"""A session on this machine is as nice as the process that it works for."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection


def share_niceness(conn: AsyncConnection[Any]) -> None:
    """Where a nice process and its server share a machine, the server's part of the work must wait as well.

    Half of what bulk work costs is done by the server's sessions, at the priority of those that answer customers. Only
    a session that is surely the one at the other end of ``conn`` is touched: its title, in /proc, has our port. Does
    nothing where the server is elsewhere, belongs to somebody else, or where there is no /proc.
    """
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    if niceness <= 0:
        return
    pid = conn.info.backend_pid
    with suppress(OSError), socket.socket(fileno=os.dup(conn.fileno())) as ours:
        if ours.family == socket.AF_INET and _is_session(pid, ours.getsockname()):
            os.setpriority(os.PRIO_PROCESS, pid, niceness)


def _is_session(pid: int, client: tuple[str, int]) -> bool:
    """``postgres: diamond diamond 127.0.0.1(40404) idle`` is the title of the session with a client at that port."""
    title = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    host, port = client
    return title.startswith("postgres: ") and f" {host}({port}) " in title
