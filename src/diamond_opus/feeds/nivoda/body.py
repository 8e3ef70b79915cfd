"""How much of an answer is taken: its bytes as they arrive, unpacked, and the values in it.

An answer is read whole before it is understood, so its size is a worker's memory; nothing that the supplier sends,
by mistake or by malice, may decide that.
"""

import math

import aiohttp

from diamond_opus.feeds.nivoda.errors import BadAnswer

#: A page of 50 items has about 150 KB, 3 KB an item; with 100 KB an item it would have 5 MB. Four readings at once,
#: each with its pieces and their sum, then hold 64 MB at most.
MAX_ANSWER_BYTES = 8 * 1024 * 1024

#: A page of 50 items has about 5,000 values. Each value costs up to 200 bytes of memory when it is read, however few
#: it has as text ("[],"), so that 8 MB of them would cost 500 MB.
MAX_ANSWER_VALUES = 500_000


async def read_body(response: aiohttp.ClientResponse, subject: str) -> bytes:
    """The answer's bytes, unpacked. One that is too large costs the connection, so that nobody reads its rest.

    Raises ``BadAnswer``: the question is tried again, and its partition fails with this reason if it stays so.
    """
    try:
        announced = response.content_length
        if announced is not None and announced > MAX_ANSWER_BYTES:
            raise BadAnswer(
                f"{subject} would be answered with {_megabytes(announced)}, more than the"
                f" {_megabytes(MAX_ANSWER_BYTES)} that are read of an answer; the connection was dropped"
            )
        body = await _read_some(response, subject)
        # Each value but the last of its list or object has its comma; commas in texts are counted with them. As at
        # most every other byte is one, answers of usual size need no counting.
        if len(body) > 2 * MAX_ANSWER_VALUES and body.count(b",") > MAX_ANSWER_VALUES:
            raise BadAnswer(
                f"{subject} answered with more than the {MAX_ANSWER_VALUES:,} values that are read of an answer,"
                f" in {_megabytes(len(body))}"
            )
    except BadAnswer:
        response.close()
        raise
    return body


async def _read_some(response: aiohttp.ClientResponse, subject: str) -> bytes:
    """A packed answer is unpacked in pieces of 256 KB, and the next one waits until this one was taken."""
    parts = []
    size = 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            packed = "unpacked, " if response.headers.get("Content-Encoding") else ""
            raise BadAnswer(
                f"{subject} was answered with {_megabytes(size)} so far, {packed}more than the"
                f" {_megabytes(MAX_ANSWER_BYTES)} that are read of an answer; the connection was dropped"
            )
    return b"".join(parts)


def _megabytes(size: int) -> str:
    """Rounded up, so that one byte too much shows.

    >>> _megabytes(8 * 1024 * 1024), _megabytes(8 * 1024 * 1024 + 1)
    ('8 MB', '8.1 MB')
    """
    return f"{math.ceil(size * 10 / 2**20) / 10:g} MB"
