"""What every command shares: settings with logging set up, and signals that end a process in good order."""

import asyncio
import getpass
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console

from diamond_opus.db.observed import observe_statements
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.observability import tracing
from diamond_opus.observability.logging import configure_logging
from diamond_opus.settings import Settings, load_settings, otel_variables

Result = TypeVar("Result")

#: People read standard error; standard output is for what a command was asked to print.
console = Console(stderr=True)

#: For tables that were asked for; in a pipe nothing is folded to the width of a terminal that is not there.
output = Console(width=None if sys.stdout.isatty() else 180)


def prepare(service: str, *, quiet: bool = False, **overrides: Any) -> Settings:
    """Read the settings and set up logging; ``quiet`` shows warnings only, for commands that draw progress."""
    settings = load_settings(**overrides)
    _check_database_url(settings)
    level = "WARNING" if quiet and settings.log_level == "INFO" else settings.log_level
    as_json = {"auto": None, "json": True, "text": False}[settings.log_format]
    configure_logging(service=service, level=level, as_json=as_json)
    return settings


def record_traces(service: str, settings: Settings) -> None:
    """For processes that do the work: send spans where the settings name an endpoint. ``main`` sends the last of them.

    Raises ConfigurationError.
    """
    tracing.configure(service, otel_variables(settings))
    if tracing.is_recording():
        observe_statements(trace_statement)


def trace_statement(name: str, file: str | None) -> AbstractContextManager[Any]:
    """A span of one SQL statement, named as in its file; its text and its values stay here."""
    attributes = {"db.system.name": "postgresql", "db.query.summary": name, "code.file.path": file}
    return tracing.leaf(name, tracing.Kind.CLIENT, attributes)


def _check_database_url(settings: Settings) -> None:
    """The driver's own complaint would quote a malformed URL, password included.

    A password with a / or @ that is not encoded makes a URL that it can read: parts of the password as host, port or
    database, of which every later message would tell.
    """
    try:
        parts = conninfo_to_dict(settings.server_url or "")
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            "DATABASE_URL is no connection string; write it as postgresql://user:password@host:5432/database"
        ) from None
    if settings.database_url is None:
        return
    ports = str(parts.get("port") or "").split(",")
    is_torn = any("@" in str(parts.get(part) or "") for part in ("host", "dbname"))
    if is_torn or not all(port.isdecimal() for port in ports if port):
        raise ConfigurationError(
            "DATABASE_URL cannot be read: its port is no number, or an @ is where host or database should be;"
            " in user and password write / as %2F, @ as %40, : as %3A and % as %25"
        )


def run_async(main: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(main)


def actor() -> str:
    """Who acts, for the audit log; in a container a user may have a number and no name."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"cli:uid {os.getuid()}"


@asynccontextmanager
async def stop_on_signals() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask_to_stop() -> None:
        if stop.is_set():
            sys.exit(130)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask_to_stop)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
