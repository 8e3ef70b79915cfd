"""PgBouncer as a transaction pooler, which is what a managed PostgreSQL puts in front of itself.

Needs PgBouncer (`apt-get install pgbouncer`); a test that finds it missing is skipped.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from free_ports import take_port

_CONFIGURATION = """
[databases]
* = host={host} port={port} user={user} password={password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 12
max_client_conn = 200
server_reset_query_always = 0
ignore_startup_parameters = extra_float_digits,options
"""


@contextmanager
def transaction_pooler(url: str, folder: Path) -> Iterator[str]:
    """The URL of the same database behind it."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    server = conninfo_to_dict(url)
    port = take_port()
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        _CONFIGURATION.format(
            host=server.get("host", "127.0.0.1"),
            port=server.get("port", "5432"),
            user=server.get("user", "postgres"),
            password=server.get("password", ""),
            listen_port=port,
        )
    )
    # It refuses to be root.
    nobody: Any = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with (
        configuration.open() as opened,
        subprocess.Popen(
            [program, f"/dev/fd/{opened.fileno()}"], pass_fds=[opened.fileno()], **nobody
        ) as process,
    ):
        try:
            _wait_for(port)
            yield make_conninfo(url, host="127.0.0.1", port=port)
        finally:
            process.kill()  # a newer one waits for its clients when it is asked to end


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("PgBouncer does not listen")
