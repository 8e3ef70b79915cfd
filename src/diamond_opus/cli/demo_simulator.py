"""The demo's supplier: a simulator as a child process that cannot outlive the demo."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from diamond_opus.cli.serving import is_port_free
from diamond_opus.domain.errors import DiamondError
from diamond_opus.simulator.settings import DEFAULT_HOST

#: Making a million stones takes some seconds on a slow machine.
_READY_SECONDS = 180.0
_STOP_SECONDS = 5.0

#: The shell ends with the simulator, and stops it when its own input ends: also when the demo is killed.
_SCRIPT = """
exec 3<&0
"$@" &
simulator=$!
{ read -r _ <&3; kill "$simulator" 2>/dev/null; } &
watcher=$!
wait "$simulator"
kill "$watcher" 2>/dev/null
"""


class SimulatorFailed(DiamondError):
    """The simulated supplier did not start."""


@asynccontextmanager
async def running_simulator(*, stones: int, seed: int, port: int) -> AsyncIterator[str]:
    """The endpoint of a simulator on ``port``, or on a free one when that is taken.

    It runs in a session of its own, so that Ctrl-C reaches the demo alone, which then stops things in order.
    """
    async with AsyncExitStack() as stack:
        endpoint = None
        if is_port_free(DEFAULT_HOST, port):
            with suppress(SimulatorFailed):  # another program was quicker
                endpoint = await stack.enter_async_context(_simulator(stones, seed, port))
        if endpoint is None:
            endpoint = await stack.enter_async_context(_simulator(stones, seed, 0))
        yield endpoint


@asynccontextmanager
async def _simulator(stones: int, seed: int, port: int) -> AsyncIterator[str]:
    options = {"--host": DEFAULT_HOST, "--port": port, "--stones": stones, "--seed": seed}
    arguments = [str(part) for option in options.items() for part in option]
    with tempfile.TemporaryFile() as complaints:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", _SCRIPT, "sh", sys.executable, "-m", "diamond_opus.simulator", *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,
        )  # fmt: skip
        try:
            endpoint = await _read_endpoint(process)
            if endpoint is None:
                complaints.seek(0)
                said = complaints.read()[-500:].decode(errors="replace").strip() or "it said nothing"
                raise SimulatorFailed(f"demo: the simulator did not start: {said}")
            yield endpoint
        finally:
            await _stop(process)


async def _read_endpoint(process: asyncio.subprocess.Process) -> str | None:
    """The line it prints when it is ready; None when it ended instead, or is not ready in time."""
    if process.stdout is None:
        return None
    with suppress(TimeoutError):
        line = await asyncio.wait_for(process.stdout.readline(), _READY_SECONDS)
        return line.decode().strip() or None
    return None


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End its input, which stops it in good order; a simulator that does not stop is killed."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
