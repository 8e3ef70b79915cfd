"""Runs ``diamond`` as its users do: as a process, with the settings of one test and no others."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from log_secrets import SECRETS

DIAMOND = Path(sys.executable).with_name("diamond")


@dataclass(frozen=True, slots=True)
class Command:
    """The command, with an environment and a folder to run it in."""

    environment: Mapping[str, str]
    folder: Path

    def __call__(self, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """To its end."""
        done = subprocess.run(
            [DIAMOND, *arguments],
            env=self._environment(settings),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        SECRETS.look(done.stderr, f"diamond {arguments[0]}")
        return done

    @asynccontextmanager
    async def started(self, *arguments: str, **settings: object) -> AsyncIterator["Started"]:
        """While it goes on; killed at the end if the test did not stop it."""
        process = await asyncio.create_subprocess_exec(
            DIAMOND,
            *arguments,
            env=self._environment(settings),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=_hear_ctrl_c,
        )
        try:
            yield Started(process)
        finally:
            if process.returncode is None:
                process.kill()
                _, rest = await process.communicate()
                SECRETS.look(rest.decode(), f"diamond {arguments[0]}")

    def _environment(self, settings: Mapping[str, object]) -> dict[str, str]:
        environment = {**self.environment, **{name.upper(): str(value) for name, value in settings.items()}}
        SECRETS.know_settings(environment)
        return environment


@dataclass(slots=True)
class Started:
    """A process that goes on."""

    process: asyncio.subprocess.Process

    async def line(self) -> str:
        """The next line of its standard output; fails with what it said when it ended instead."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            line = (await self.process.stdout.readline()).decode().strip()
        if not line and self.process.stdout.at_eof():
            _, complaints = await self.process.communicate()
            raise AssertionError(f"it ended with {self.process.returncode}: {complaints.decode()}")
        return line

    async def log(self, event: str) -> None:
        """Read its log up to the event; fails when it ends before."""
        assert self.process.stderr is not None
        said = []
        async with asyncio.timeout(60):
            async for line in self.process.stderr:
                said.append(line.decode())
                SECRETS.look(said[-1], "a process")
                if f'"event":"{event}"' in said[-1]:
                    return
        raise AssertionError(f"it ended without the event {event}: {''.join(said)}")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Signal it; its exit code and what it said on standard error. Fails when that takes 10 s."""
        self.process.send_signal(number)
        return await self.ended(seconds=10)

    async def ended(self, *, seconds: float = 60) -> tuple[int, str]:
        async with asyncio.timeout(seconds):
            _, complaints = await self.process.communicate()
        SECRETS.look(complaints.decode(), "a process")
        assert self.process.returncode is not None
        return self.process.returncode, complaints.decode()


def _hear_ctrl_c() -> None:
    """As at a terminal: what a shell starts in the background ignores it, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
