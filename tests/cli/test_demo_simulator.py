"""The demo's supplier: on its own port or another one, and never longer than the demo."""

import asyncio
import socket
from urllib.parse import urlsplit

import aiohttp
import pytest

from diamond_opus.cli import demo_simulator
from diamond_opus.cli.demo_simulator import SimulatorFailed, running_simulator
from free_ports import take_port


async def answers(endpoint: str) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.post(endpoint, json={"query": "{__typename}"}):
            return True
    except aiohttp.ClientConnectionError:
        return False


async def test_it_runs_on_its_port_until_the_demo_leaves() -> None:
    port = take_port()
    async with running_simulator(stones=100, seed=7, port=port) as endpoint:
        assert urlsplit(endpoint).port == port
        assert await answers(endpoint)
    assert not await answers(endpoint)


async def test_a_taken_port_gives_way_to_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with running_simulator(stones=100, seed=7, port=port) as endpoint:
            assert urlsplit(endpoint).port != port
            assert await answers(endpoint)


async def test_a_port_that_is_taken_in_the_last_moment_gives_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_simulator, "is_port_free", lambda _host, _port: True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with (
            asyncio.timeout(20),
            running_simulator(stones=100, seed=7, port=taken.getsockname()[1]) as endpoint,
        ):
            assert await answers(endpoint)


async def test_a_simulator_that_cannot_start_says_why_at_once() -> None:
    async with asyncio.timeout(20):
        with pytest.raises(SimulatorFailed, match="stones must not be negative"):
            async with running_simulator(stones=-1, seed=7, port=take_port()):
                pass


async def test_an_error_of_the_demo_stops_it() -> None:
    with pytest.raises(KeyError):
        async with running_simulator(stones=100, seed=7, port=take_port()) as endpoint:
            raise KeyError
    assert not await answers(endpoint)
