"""The crew of a schedule: hired as drawn, killed, started again, and replaced by a release; and who plans its runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from diamond_opus.domain.errors import DiamondError
from diamond_opus.runs.model import RunType
from diamond_opus.settings import Settings, load_settings
from diamond_opus.wiring import NIVODA, open_pipeline
from faults.members import Member, Process, Role, Task, closing, run_command
from faults.proxy import Line, Weather
from faults.schedule import Schedule
from faults.settings import NEXT_RELEASE, settings_of

_SUPERVISION_SECONDS = 0.5


class Crew:
    """``members`` may be killed, cut off and replaced; what ends by itself is started again, as a supervisor does.

    Whoever gives ``spawn`` ends what it began before the crew's work is over.
    """

    def __init__(
        self,
        schedule: Schedule,
        url: str,
        weather: Weather,
        supplier_port: int,
        folder: Path,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        as_shipped: bool,
    ) -> None:
        self.members: list[Member] = []
        self._schedule = schedule
        self._url = url
        self._weather = weather
        self._supplier_port = supplier_port
        self._folder = folder
        self._as_shipped = as_shipped
        self._random = Random(f"play {schedule.seed}")
        self._retired: list[Member] = []
        self._broken: list[str] = []
        self._starting = asyncio.Lock()
        self._spawn = spawn

    @property
    def settings(self) -> Settings:
        return _loaded(self._values())

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """The whole crew, from its start to its end."""
        count: Mapping[Role, int] = {
            "worker": self._schedule.workers,
            "consolidator": self._schedule.consolidators,
            "api": self._schedule.apis,
        }
        for role, many in count.items():
            self.members += [self._hire(f"{role}-{number}", role) for number in range(1, many + 1)]
        async with closing(self.members), closing(self._retired):
            await asyncio.gather(*(member.start() for member in self.members))
            self._spawn(self._supervise())
            yield

    def make_line(self) -> Line:
        return Line(self._url, self._weather)

    def kill(self, member: Member) -> None:
        """Killed now; whoever supervises it starts it again a little later."""
        member.kill()
        self._spawn(self._revive(member))

    def vanish(self, member: Member) -> None:
        """Its machine is gone; another one is started a little later."""
        member.line.vanish()
        self.kill(member)

    def owner_of(self, line: Line) -> Member | None:
        """None for the scheduler's line: who plans is nobody of the crew."""
        return next((member for member in self.members if member.line is line), None)

    async def deploy(self) -> None:
        """One after the other ends in good order and is replaced by one of the next release: workers first, or last."""
        order = list(enumerate(self.members))
        for number, old in order if self._schedule.seed % 2 else reversed(order):
            new = self._hire(f"{old.name}-next", old.role, **NEXT_RELEASE)
            # From here on nobody starts the old one again, who may just have been killed.
            async with self._starting:
                self.members[number] = new
                self._retired.append(old)
            await old.stop()
            await new.start()

    async def plan(self, run_type: RunType) -> None:
        """What a clock starts; it may be killed as well, and the clock comes again."""
        async with self.make_line() as line:
            if self._schedule.as_processes:
                await run_command(
                    line, _environment(self._values()), self._folder, "schedule", "--type", run_type
                )
                return
            with contextlib.suppress(DiamondError, psycopg.Error, OSError):
                async with open_pipeline(
                    self.settings, line.url, service="scheduler", unlimited=True
                ) as pipeline:
                    await pipeline.plan_run(NIVODA, run_type)

    def broken(self) -> Sequence[str]:
        """Who ended with an error of its own."""
        return self._broken + [
            f"{member.name} ended by itself: {type(error).__name__}: {error}"
            for member in self.members
            if isinstance(member, Task) and (error := member.ended_with) is not None
        ]

    def _hire(self, name: str, role: Role, **more: Any) -> Member:
        values = self._values(**more)
        if self._schedule.as_processes:
            return Process(name, role, self.make_line, _environment(values), self._folder)
        return Task(name, role, self.make_line, _loaded(values), self._url)

    def _values(self, **more: Any) -> Mapping[str, Any]:
        if self._schedule.consolidates_partly:
            more["auto_consolidation_success_threshold"] = 1
        return settings_of(
            self._supplier_port, as_shipped=self._as_shipped, diamond_home=self._folder, **more
        )

    async def _revive(self, member: Member) -> None:
        await asyncio.sleep(self._random.uniform(0.1, 0.6))
        async with self._starting:
            if member in self.members:
                await member.start()

    async def _supervise(self) -> None:
        while True:
            await asyncio.sleep(_SUPERVISION_SECONDS)
            for member in list(self.members):
                async with self._starting:  # who is just being revived has not given up
                    if isinstance(member, Process) and member.has_given_up and member in self.members:
                        self._note_end(member)
                        await member.start()

    def _note_end(self, member: Process) -> None:
        """One that found no database was right to end; any other reason is a fault of its own."""
        words = member.last_words()
        if member.has_come_up or not ("database" in words or "server closed the connection" in words):
            self._broken.append(words)


def _environment(values: Mapping[str, Any]) -> Mapping[str, str]:
    return {key.upper(): str(value) for key, value in values.items()}


def _loaded(values: Mapping[str, Any]) -> Settings:
    """Read and checked once for all that have the same."""
    return _load_once(tuple(sorted(values.items())))


@cache
def _load_once(values: tuple[tuple[str, Any], ...]) -> Settings:
    return load_settings(**dict(values))
