"""The life of one data folder: set up whole or not at all, started after any crash, stopped, told apart."""

import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from diamond_opus.db.embedded.account import Account, EmbeddedPostgresError
from diamond_opus.db.embedded.binaries import Binaries
from diamond_opus.db.embedded.settings import as_arguments

#: How long the server's log may get, and how much of its end is kept when it is cut under a running server.
LOG_LIMIT_BYTES = 10 * 1024 * 1024
LOG_KEPT_BYTES = 1024 * 1024

#: Above any process id there is, yet one that PostgreSQL takes for a process that ended.
_NO_PROCESS = 2**31 - 1


def running_pid(place: Path) -> int | None:
    """The process id of the server whose data is in ``place``, or None.

    A crash leaves its process id behind, which another process may have by now: a server is one that has its
    data folder as working directory (where the system cannot tell, one that exists).
    """
    data = place / "data"
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, 0)
        if Path("/proc/self/cwd").exists() and not Path(f"/proc/{pid}/cwd").samefile(data):
            return None
    except (FileNotFoundError, ProcessLookupError, ValueError, PermissionError):
        return None
    return pid


@dataclass(frozen=True, slots=True)
class Cluster:
    """A ``place`` with the data folder and the server's log, both owned by ``account``."""

    place: Path
    account: Account
    binaries: Binaries

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def log(self) -> Path:
        return self.place / "server.log"

    @property
    def _unfinished(self) -> Path:
        """Exists from before the data folder is made until it is complete."""
        return self.place / "initdb.unfinished"

    def prepare(self, *, user: str, password: str, durable: bool) -> None:
        """Make the data folder unless it is there, complete, and of this version."""
        self.account.make_directory(self.place)
        if self._unfinished.exists():
            shutil.rmtree(self.data, ignore_errors=True)
        if self.data.exists() and any(self.data.iterdir()):
            self._check_version()
            return
        self._unfinished.touch()
        self._initdb(user, password, durable=durable)
        self._unfinished.unlink()

    def launch(self, port: int, settings: Mapping[str, str]) -> str:
        """Start the server and wait until it answers; returns "" or, if it did not start, its last words."""
        self._forget_reused_pid()
        self._turn_log()
        begun = self.log.stat().st_size if self.log.exists() else 0
        own = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
        options = shlex.join(as_arguments({**settings, **own}))
        done = self.account.run(
            [
                self.binaries.pg_ctl,
                "start",
                "-w",
                "-t",
                "120",
                "-D",
                self.data,
                "-l",
                self.log,
                "-o",
                options,
            ],
            timeout_seconds=150,
        )
        if done.succeeded:
            return ""
        with self.log.open(errors="replace") as log:
            log.seek(begun)
            return log.read()[-1500:].strip() or done.output

    def stop(self) -> None:
        """End every session and shut down cleanly. Raises EmbeddedPostgresError if it is still there then."""
        done = self.account.run(
            [self.binaries.pg_ctl, "stop", "-w", "-t", "60", "-m", "fast", "-D", self.data]
        )
        if not done.succeeded and running_pid(self.place) is not None:
            raise EmbeddedPostgresError(f"it does not stop: {done.output}; see {self.log}")

    def _initdb(self, user: str, password: str, *, durable: bool) -> None:
        password_file = self.place / "initdb.password"
        password_file.unlink(missing_ok=True)
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(password)
        if self.account.switches:
            os.chown(password_file, self.account.uid, self.account.gid)
        # The builtin provider came with 17: fast, and the same on every system. Before, it is the system's.
        if self.binaries.major >= 17:
            choices = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        else:
            choices = ["--locale=C.UTF-8"]
        if not durable:
            choices.append("--no-sync")
        login = ["-U", user, "-A", "scram-sha-256", f"--pwfile={password_file}"]
        done = self.account.run(
            [self.binaries.initdb, "-D", self.data, "-E", "UTF8", *login, *choices], timeout_seconds=300
        )
        password_file.unlink(missing_ok=True)
        if not done.succeeded:
            raise EmbeddedPostgresError(f"initdb in {self.place} failed: {done.output}")

    def _check_version(self) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise EmbeddedPostgresError(
                f"{self.data} is not a PostgreSQL data folder; move it away"
            ) from None
        if found != str(self.binaries.major):
            raise EmbeddedPostgresError(
                f"the data in {self.data} was made by PostgreSQL {found}, but {self.binaries.folder} is "
                f"PostgreSQL {self.binaries.version}; set DIAMOND_POSTGRES_BIN to the bin folder of a "
                f"PostgreSQL {found}, or another DIAMOND_HOME to begin with an empty database"
            )

    def _forget_reused_pid(self) -> None:
        """Show PostgreSQL that the server of a left-over postmaster.pid is gone, whoever has its id now.

        The file itself stays: PostgreSQL checks with it that no session of that server lives on.
        """
        path = self.data / "postmaster.pid"
        try:
            lines = path.read_text().split("\n")
        except FileNotFoundError:
            return
        path.write_text("\n".join([str(_NO_PROCESS), *lines[1:]]))

    @property
    def _old_log(self) -> Path:
        return self.log.with_suffix(".log.old")

    def cut_log(self) -> None:
        """Empty a log that got too long, under the running server, which appends; its end goes into the old log.

        PostgreSQL's own rotation by size fills file after file and removes none. Lines of this very instant are lost.
        """
        try:
            # The folder is the server's account's: root must not be led to another file by a link in it.
            descriptor = os.open(self.log, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        with os.fdopen(descriptor, "rb+") as log:
            size = log.seek(0, os.SEEK_END)
            if size <= LOG_LIMIT_BYTES:
                return
            log.seek(size - LOG_KEPT_BYTES)
            end = log.read()
            self._old_log.unlink(missing_ok=True)
            with self._old_log.open("xb") as old:
                old.write(end)
            log.truncate(0)

    def _turn_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self._old_log)
