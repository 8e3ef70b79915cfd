"""The simulator as a process, and its HTTP on the wire."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from supplier_client import supplier

import diamond_opus.simulator

START = [sys.executable, "-m", "diamond_opus.simulator", "--stones", "500", "--port"]


def test_the_process_prints_its_address_serves_and_stops_on_sigterm() -> None:
    with subprocess.Popen([*START, "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        host, port = url.removeprefix("http://").split("/")[0].split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            body = b'{"query": "{ __typename }"}'
            connection.sendall(
                b"POST /api/diamonds HTTP/1.0\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        os.kill(process.pid, signal.SIGTERM)

        assert url.endswith("/api/diamonds")
        assert answer.endswith(b'{"data":{"__typename":"Query"}}')
        assert process.wait(timeout=10) == 0


def test_a_port_that_is_taken_is_one_plain_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = subprocess.run(
            [*START, str(taken.getsockname()[1])], capture_output=True, text=True, timeout=60, check=False
        )

    assert ended.returncode == 1
    assert ended.stderr.startswith("simulator: ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_setting_that_makes_no_sense_is_one_plain_line() -> None:
    ended = subprocess.run(
        [*START, "0", "--hostile-share", "7"], capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 1
    assert ended.stderr == "simulator: hostile_share must be between 0 and 1: 7.0\n"


def test_faults_can_be_given_on_the_command_line() -> None:
    fault = '{"kind": "bad_gateway", "limit": 1}'
    with subprocess.Popen([*START, "0", "--fault", fault], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        request = urllib.request.Request(url, b'{"query": "{ __typename }"}')  # noqa: S310
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)  # noqa: S310
        refused.value.close()
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            assert answer.status == 200
        process.terminate()

    assert refused.value.code == 502
    assert process.returncode == 0


def test_the_simulator_needs_nothing_else_of_the_project() -> None:
    check = (
        "import sys, diamond_opus.simulator.server;"
        "ours = [name for name in sys.modules if name.startswith('diamond_opus.')];"
        "print([name for name in ours if not name.startswith('diamond_opus.simulator')])"
    )
    ended = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert ended.stdout.strip() == "[]"


def test_the_density_it_draws_from_travels_with_the_package() -> None:
    counts = json.loads(Path(diamond_opus.simulator.__file__).with_name("density.json").read_bytes())

    assert counts["natural"]["baseline_count"] == 437_849


async def _exchange(port: int, sent: bytes) -> bytes:
    """Everything the server says to ``sent`` until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    return answer


def _port(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


QUERY = b'{"query":"{__typename}"}'


async def test_pipelined_requests_are_answered_in_order_on_one_connection() -> None:
    async with supplier() as client:
        one = b"POST /api/diamonds HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(QUERY), QUERY)
        last = b"GET /nowhere HTTP/1.1\r\nconnection: close\r\n\r\n"
        answer = await _exchange(_port(client.sim.url), one + one + last)

        assert answer.count(b'{"data":{"__typename":"Query"}}') == 2
        assert answer.index(b"200 OK") < answer.index(b"404 Not Found")


async def test_a_chunked_body_is_understood() -> None:
    async with supplier() as client:
        chunks = b"".join(b"%x\r\n%b\r\n" % (1, QUERY[i : i + 1]) for i in range(len(QUERY)))
        head = b"POST /api/diamonds HTTP/1.1\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        answer = await _exchange(_port(client.sim.url), head + chunks + b"0\r\n\r\n")

        assert answer.endswith(b'{"data":{"__typename":"Query"}}')


async def test_a_client_that_waits_for_leave_to_send_gets_it() -> None:
    async with supplier() as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(client.sim.url))
        writer.write(
            b"POST /api/diamonds HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(QUERY)
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(QUERY)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        writer.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000, b"431"),
    ],
)
async def test_what_is_no_http_is_refused_and_the_connection_closed(sent: bytes, status: bytes) -> None:
    async with supplier() as client:
        answer = await _exchange(_port(client.sim.url), sent)

        assert answer.startswith(b"HTTP/1.1 " + status)


async def test_a_long_truth_streams_to_a_slow_reader_while_others_are_served() -> None:
    async with supplier(stones=30_000) as client:
        async with client.http.get(client.sim.control_url + "truth") as response:
            first = await response.content.readline()
            assert await client.count() > 0
            rest = await response.content.read()

        assert len((first + rest).splitlines()) == 30_000
        assert json.loads(first)["present"] is True
