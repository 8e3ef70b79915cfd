"""No answer is larger than it may be: not by what it announces, not by what arrives, not by what it unpacks to."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from feed_builders import NATURAL, RecordingBudget, make_client
from scripted_server import Answer, ScriptedSupplier, count_answer, raw_page_answer

from diamond_opus.domain.errors import Retryable
from diamond_opus.feeds.nivoda import BadAnswer, NivodaClient
from diamond_opus.feeds.nivoda.body import MAX_ANSWER_BYTES

SUBJECT = "nivoda: count of natural USD 1200 to 1340"
GZIP = {"Content-Encoding": "gzip"}
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """200 KB that unpack to 200 MB."""
    return gzip.compress(b" " * (200 * MEGABYTE), compresslevel=1)


@pytest.fixture
async def client(supplier: ScriptedSupplier) -> AsyncIterator[NivodaClient]:
    async with make_client(supplier.url, request_timeout_seconds=20, tries=1) as opened:
        yield opened


async def count_fails(client: NivodaClient) -> str:
    with pytest.raises(BadAnswer) as error:
        await client.count(NATURAL)
    return str(error.value)


async def test_an_answer_that_announces_too_much_is_not_read(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(Answer(b" " * (50 * MEGABYTE)))

    assert await count_fails(client) == (
        f"{SUBJECT} would be answered with 50 MB, more than the 8 MB that are read of an answer; "
        "the connection was dropped; try again later"
    )


async def test_an_endless_answer_is_cut_where_it_becomes_too_large(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(Answer(b" " * 100_000, ending="endless"), count_answer(17))

    error = await count_fails(client)

    assert error.startswith(f"{SUBJECT} was answered with 8")
    assert error.endswith(
        " MB so far, more than the 8 MB that are read of an answer; the connection was dropped; try again later"
    )
    assert await client.count(NATURAL) == 17
    await asyncio.sleep(0)
    assert supplier.seen[-1].peer != supplier.seen[-2].peer, "nobody drains what is left of it"
    while not supplier.broken_off:  # noqa: ASYNC110 - the server's side of a connection that was dropped
        await asyncio.sleep(0.01)
    # What the two sockets hold between them is sent and not read.
    assert supplier.bytes_sent < MAX_ANSWER_BYTES + 16 * MEGABYTE


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_gzip_bomb_is_stopped_while_it_unpacks(
    supplier: ScriptedSupplier, client: NivodaClient, bomb: bytes, is_announced: bool
) -> None:
    supplier.then(Answer(bomb, headers=GZIP, ending="whole" if is_announced else "endless"))
    await client.connection.log_in()
    tracemalloc.start()
    try:
        error = await count_fails(client)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert " MB so far, unpacked, more than the 8 MB that are read of an answer" in error
    assert peak < 3 * MAX_ANSWER_BYTES


async def test_a_packed_answer_of_honest_size_is_read(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(Answer(gzip.compress(count_answer(17).content), headers=GZIP))
    assert await client.count(NATURAL) == 17


async def test_an_answer_of_five_megabytes_is_read(supplier: ScriptedSupplier, client: NivodaClient) -> None:
    """50 items of 100 KB: thirty times what the supplier sends now."""
    items = [b'{"id":"o-%d","diamond":{"id":"s-%d","note":"%s"}}' % (n, n, b"x" * 100_000) for n in range(50)]
    supplier.then(raw_page_answer(*items))
    page = await client.read_page(NATURAL, offset=0, limit=50)
    assert len(page.rows) == 50


@pytest.mark.parametrize("value", [b"[],", b"{},", b"null,", b"1,"])
async def test_a_small_answer_of_very_many_values_is_not_understood_at_all(
    supplier: ScriptedSupplier, client: NivodaClient, value: bytes
) -> None:
    many = value * (7 * MEGABYTE // len(value)) + b"1"
    supplier.then(Answer(b'{"data":{"diamonds_by_query":{"items":[' + many + b"]}}}"))
    tracemalloc.start()
    try:
        with pytest.raises(BadAnswer, match=r"answered with more than the 500,000 values that are read"):
            await client.read_page(NATURAL, offset=0, limit=50)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60 * MEGABYTE


async def test_a_page_of_far_more_rows_than_asked_is_refused(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(raw_page_answer(*[b"null"] * 1_001))
    with pytest.raises(BadAnswer, match=r"answered in an unknown form \(1001 items, at most 1000 are read\)"):
        await client.read_page(NATURAL, offset=0, limit=50)


async def test_an_answer_that_is_too_large_is_asked_for_again(supplier: ScriptedSupplier) -> None:
    budget = RecordingBudget()
    supplier.then(*[Answer(b" " * (MAX_ANSWER_BYTES + 1))] * 2, count_answer(17))
    async with make_client(supplier.url, budget=budget, tries=3) as client:
        assert await client.count(NATURAL) == 17
    assert supplier.asked == ["Login", "Count", "Count", "Count"]


async def test_a_login_may_not_be_larger_either(supplier: ScriptedSupplier, client: NivodaClient) -> None:
    supplier.then_login(Answer(b" " * (MAX_ANSWER_BYTES + 1)))
    with pytest.raises(Retryable, match=r"nivoda: login would be answered with 8\.1 MB"):
        await client.count(NATURAL)


async def test_an_answer_that_trickles_is_ended_by_the_timeout(supplier: ScriptedSupplier) -> None:
    """The time-out is for the whole exchange: each byte that comes in time does not begin it anew."""
    supplier.then(Answer(b" " * 1_000, ending="trickle"))
    async with make_client(supplier.url, request_timeout_seconds=0.5, tries=1) as client:
        with pytest.raises(Retryable, match=r"was not answered within 0.5 s; try again later"):
            await client.count(NATURAL)
    assert 1 <= supplier.bytes_sent < 10
