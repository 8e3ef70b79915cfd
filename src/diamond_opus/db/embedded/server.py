"""When a home's PostgreSQL runs: started once, attached to by everybody else, stopped by who started it."""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import psycopg
from psycopg.sql import SQL, Identifier

from diamond_opus.db.embedded.account import EmbeddedPostgresError, choose_account
from diamond_opus.db.embedded.binaries import find_binaries
from diamond_opus.db.embedded.cluster import Cluster, running_pid
from diamond_opus.db.embedded.home import SHARED_PLACE, Home, Record
from diamond_opus.db.embedded.settings import default_settings

USER = DATABASE = "diamond"
HOST = "127.0.0.1"

_READY_SECONDS = 60.0
_ORPHANS_SECONDS = 20.0
_RETRY_SECONDS = 0.25

State = Literal["absent", "stopped", "running"]


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """A running server. As a context manager it stops at the end only if this object started it.

    What is done here blocks: ``start`` takes a second the first time, longer when it recovers from a crash.
    """

    url: str = field(repr=False)
    port: int
    pid: int
    started_here: bool
    _cluster: Cluster = field(repr=False)
    _home: Home = field(repr=False)

    @classmethod
    def start(
        cls,
        home: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        bin_folder: Path | None = None,
    ) -> Self:
        """Start the home's server, setting it up the first time; attach to it when it runs already.

        Without ``port`` a free one is chosen and remembered. ``settings`` go over the defaults, and mean
        nothing to a server that runs already. Raises EmbeddedPostgresError.
        """
        place = Home(home.absolute())
        with place.locked():
            record, cluster = _find_cluster(place, bin_folder)
            started = not _is_alive(cluster)
            if started:
                record = _launch(place, record, cluster, port, dict(settings or {}))
            elif port in (None, record.port):
                cluster.cut_log()
            else:
                raise EmbeddedPostgresError(
                    f"the server of {home} runs on port {record.port} already, not on "
                    f"{port}; stop it first: diamond db stop"
                )
            return cls._reach(place, record, cluster, started)

    @classmethod
    def find(cls, home: Path, *, bin_folder: Path | None = None) -> Self | None:
        """The running server of a home, or None."""
        if cls.state(home) != "running":
            return None
        place = Home(home.absolute())
        with place.locked():
            record, cluster = _find_cluster(place, bin_folder)
            return cls._reach(place, record, cluster, False) if running_pid(cluster.place) else None

    @classmethod
    def _reach(cls, home: Home, record: Record, cluster: Cluster, started: bool) -> Self:
        _wait_until_ready(record, cluster)
        pid = running_pid(cluster.place)
        if pid is None:
            raise EmbeddedPostgresError(f"it ended right after its start; see {cluster.log}")
        return cls(_url(record), record.port, pid, started, cluster, home)

    @staticmethod
    def state(home: Path) -> State:
        record = Home(home.absolute()).read()
        if record is None:
            return "absent"
        return "stopped" if running_pid(Path(record.place)) is None else "running"

    @property
    def version(self) -> str:
        return self._cluster.binaries.version

    @property
    def log(self) -> Path:
        """The server's own log: the place to look when something is odd."""
        return self._cluster.log

    def cut_log(self) -> None:
        """See to it that the log of a server that runs for months stays short; to be called now and then."""
        with self._home.locked():
            self._cluster.cut_log()

    def stop(self) -> None:
        """Stop the server, whoever started it; sessions end, what was committed stays."""
        with self._home.locked():
            if running_pid(self._cluster.place) == self.pid:
                self._cluster.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.started_here:
            self.stop()


def _find_cluster(home: Home, bin_folder: Path | None) -> tuple[Record, Cluster]:
    """The home's record (a first one, if there is none) and what it describes."""
    record = home.read()
    account = choose_account(Path(record.place) if record else home.folder / "postgres")
    if record is None:
        record = home.first_record(account)
        home.write(record)
    binaries = find_binaries(account, bin_folder, SHARED_PLACE)
    return record, Cluster(Path(record.place), account, binaries)


def _launch(
    home: Home, record: Record, cluster: Cluster, wanted: int | None, settings: Mapping[str, str]
) -> Record:
    """Start it on the wanted port, else the remembered one, else a free one; returns the record then."""
    cluster.prepare(user=USER, password=record.password, durable=settings.get("fsync") != "off")
    settings = {**default_settings(cluster.place), **settings}
    deadline = time.monotonic() + _ORPHANS_SECONDS
    while True:
        port = _choose_port(wanted, record.port)
        record = replace(record, port=port)
        home.write(record)
        last_words = cluster.launch(port, settings)
        if not last_words:
            return record
        # Somebody may have taken the port just now, or a killed server's sessions are still on their way out.
        crashed = (cluster.data / "postmaster.pid").exists()
        if time.monotonic() > deadline or (_is_free(port) and not crashed):
            raise EmbeddedPostgresError(
                f"the server of {home.folder} did not start: {last_words}; the whole log is {cluster.log}"
            )
        time.sleep(_RETRY_SECONDS)


def _choose_port(wanted: int | None, remembered: int) -> int:
    if wanted is not None:
        if not _is_free(wanted):
            raise EmbeddedPostgresError(f"port {wanted} is in use by another program")
        return wanted
    if remembered and _is_free(remembered):
        return remembered
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As PostgreSQL does, or the last minute's closed connections would make its own port look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _is_alive(cluster: Cluster) -> bool:
    """Whether a server runs and will go on: one that was just killed is seen for a moment longer."""
    if running_pid(cluster.place) is None:
        return False
    time.sleep(_RETRY_SECONDS)
    return running_pid(cluster.place) is not None


def _wait_until_ready(record: Record, cluster: Cluster) -> None:
    """Wait out a recovery that another start began, and see to it that our database exists."""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            with psycopg.connect(_url(record, "postgres"), autocommit=True, connect_timeout=5) as conn:
                found = conn.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
                if found is None:
                    conn.execute(SQL("CREATE DATABASE {}").format(Identifier(DATABASE)))
                return
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline or running_pid(cluster.place) is None:
                raise EmbeddedPostgresError(
                    f"no connection to port {record.port}: {error}; see {cluster.log}"
                ) from error
        time.sleep(_RETRY_SECONDS)


def _url(record: Record, database: str = DATABASE) -> str:
    return f"postgresql://{USER}:{quote(record.password)}@{HOST}:{record.port}/{database}"
