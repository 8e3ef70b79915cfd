"""The processes of a schedule: started, killed without a word, stopped in good order, started again.

A ``Task`` runs a process's parts in our own event loop, on a line and a clock of its own: a crew of six costs what one
process costs. Killing it cuts its line for ever before anything of it can react, so that nothing it had not committed
can be. A ``Process`` is the command itself, and SIGKILL.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol
from uuid import UUID

import psycopg

from diamond_opus.api.listener import bind
from diamond_opus.cli.api_server import serve_api
from diamond_opus.domain.clock import SystemClock
from diamond_opus.settings import Settings
from diamond_opus.wiring import Pipeline, open_pipeline
from faults.proxy import Line

Role = Literal["worker", "consolidator", "api"]
DIAMOND = Path(sys.executable).with_name("diamond")

#: What a process may take to end in good order; SPEC says 10 s.
_STOP_SECONDS = 10.0


class JumpingClock(SystemClock):
    """The machine's clock, some hours off when somebody has set it."""

    hour = timedelta(hours=1)

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return super().now() + self.offset


class Member(Protocol):
    """One process of the crew. ``line`` is its way to the database; ``url`` is the API's address, while it is up."""

    name: str
    role: Role
    line: Line
    clock: JumpingClock
    url: str | None

    @property
    def is_running(self) -> bool: ...

    async def start(self) -> None: ...

    def kill(self) -> None:
        """Now, in the middle of whatever it does."""
        ...

    async def stop(self) -> None:
        """In good order, as a deployment does it."""
        ...

    async def aclose(self) -> None:
        """At the end of its schedule, whatever its state."""
        ...


class Task:
    """A member in this process."""

    def __init__(
        self, name: str, role: Role, make_line: Callable[[], Line], settings: Settings, direct: str
    ) -> None:
        self.name = name
        self.role = role
        self.clock = JumpingClock()
        self.url: str | None = None
        self._make_line = make_line
        self._settings = settings
        self._direct = direct
        self._life = 0
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()
        self.line = make_line()

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def ended_with(self) -> BaseException | None:
        """Why it ended by itself, if it did with an error."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    async def start(self) -> None:
        self._life += 1
        self._stop = asyncio.Event()
        self.line = self._make_line()
        await self._stack.enter_async_context(self.line)
        self._task = asyncio.create_task(self._live(self._stop, self.line), name=self.name)

    def kill(self) -> None:
        self.url = None
        self.line.end()
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        self.url = None
        self._stop.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=_STOP_SECONDS)
            if not self._task.done():
                raise AssertionError(f"{self.name} did not stop within {_STOP_SECONDS:g} s")

    async def aclose(self) -> None:
        if self.is_running:
            await self.stop()
        await self._stack.aclose()

    async def _live(self, stop: asyncio.Event, line: Line) -> None:
        service = f"{self.name}.{self._life}"
        async with open_pipeline(
            self._settings, line.url, service=service, least_connections=4, unlimited=True, clock=self.clock
        ) as pipeline:
            self._introduce(f"diamond {service}", pipeline.process_id)
            await _run(stop, [*self._parts(pipeline, line, stop), pipeline.sweeper().run(stop)])

    def _introduce(self, application_name: str, process_id: UUID) -> None:
        """Tell the sentinel who speaks under this name; a server that is away just now learns nothing."""
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(self._direct, autocommit=True) as conn,
        ):
            conn.execute("INSERT INTO faults.members VALUES (%s, %s)", (application_name, process_id))

    def _parts(self, pipeline: Pipeline, line: Line, stop: asyncio.Event) -> list[Any]:
        if self.role == "worker":
            return [pipeline.consume_work(stop)]
        if self.role == "consolidator":
            return [pipeline.consume_consolidation(stop)]
        listener = bind("127.0.0.1", 0)
        return [
            serve_api(pipeline, line.url, listener, stop, self._tell_url),
            pipeline.trade_watch().run(stop),
        ]

    def _tell_url(self, url: str) -> None:
        self.url = url


async def _run(stop: asyncio.Event, parts: Sequence[Coroutine[Any, Any, Any]]) -> None:
    """All parts until one ends, as the command runs them; but whoever is killed waits for none of them."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
    for result in results:
        if isinstance(result, BaseException):
            raise result


class Process:
    """A member that is a process of the operating system."""

    def __init__(
        self,
        name: str,
        role: Role,
        make_line: Callable[[], Line],
        environment: Mapping[str, str],
        folder: Path,
    ) -> None:
        self.name = name
        self.role = role
        self.clock = JumpingClock()  # its clock cannot be set from here
        self.url: str | None = None
        self._environment = environment
        self._folder = folder
        self._log = folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._is_wanted = False
        self._log_begins = 0
        self._reading: asyncio.Task[None] | None = None
        self._make_line = make_line
        self._stack = AsyncExitStack()
        self.line = make_line()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def has_given_up(self) -> bool:
        """It ended by itself, as one does that finds no database at its start: its supervisor starts it again."""
        return self._is_wanted and self._process is not None and self._process.returncode is not None

    @property
    def has_come_up(self) -> bool:
        """It found its database and schema, and began its work."""
        return b'"process_started"' in self._log.read_bytes()[self._log_begins :]

    def last_words(self) -> str:
        """Why it ended by itself, as it told it."""
        code = self._process.returncode if self._process is not None else None
        return f"{self.name} ended by itself with {code}: {_last_line(self._log)}"

    async def start(self) -> None:
        self._is_wanted = True
        self.line = self._make_line()
        await self._stack.enter_async_context(self.line)
        environment = {"PATH": os.environ.get("PATH", ""), "DATABASE_URL": self.line.url, "PORT": "0"}
        with self._log.open("ab") as log:
            self._log_begins = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                DIAMOND,
                self.role,
                cwd=self._folder,
                env={**environment, **self._environment},
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self._reading = asyncio.create_task(self._read_address(self._process))

    def kill(self) -> None:
        self.url = None
        self._is_wanted = False
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)

    async def stop(self) -> None:
        self.url = None
        self._is_wanted = False
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
            except TimeoutError as error:
                raise AssertionError(f"{self.name} did not stop within {_STOP_SECONDS:g} s") from error

    async def aclose(self) -> None:
        self.kill()
        if self._process is not None:
            await self._process.wait()
        if self._reading is not None:
            await asyncio.wait((self._reading,))
        await self._stack.aclose()

    async def _read_address(self, process: asyncio.subprocess.Process) -> None:
        """The API prints where it listens; the others print nothing."""
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode().strip()
        if line.startswith("http") and process.returncode is None:
            self.url = line
        while await process.stdout.readline():
            pass


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return lines[-1] if lines else "without a word"


@asynccontextmanager
async def closing(members: Sequence[Member]) -> AsyncIterator[None]:
    """Whatever happens, no member outlives its schedule."""
    try:
        yield
    finally:
        await asyncio.gather(*(member.aclose() for member in members), return_exceptions=True)


async def run_command(line: Line, environment: Mapping[str, str], folder: Path, *arguments: str) -> int:
    """A command to its end, or to the moment when its line is cut: then it is killed. Returns its exit code."""
    with (folder / f"{arguments[0]}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            DIAMOND,
            *arguments,
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), "DATABASE_URL": line.url, **environment},
            stdout=log,
            stderr=log,
        )
    while process.returncode is None:
        if line.has_ended:
            process.send_signal(signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.05)
    return process.returncode
