"""How the supplier answers is written down: what it says of each exchange, since when, and whose word counts."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from feed_builders import NATURAL, RecordingClock, make_client
from psycopg.rows import dict_row
from scripted_server import Answer, ScriptedSupplier, count_answer, error_answer
from structlog.testing import capture_logs

from diamond_opus.db.pool import Pool, open_pool
from diamond_opus.domain.clock import SystemClock
from diamond_opus.domain.errors import DiamondError, Fatal, Retryable
from diamond_opus.feeds import health as health_room
from diamond_opus.feeds.health import (
    CALM_SECONDS,
    LOOK_SECONDS,
    STEADY_SECONDS,
    SupplierHealth,
    SupplierState,
)
from diamond_opus.feeds.nivoda import NivodaClient

ANSWERING, REFUSING = SupplierState.ANSWERING, SupplierState.REFUSING
AWAY, LOGIN_FAILED = SupplierState.AWAY, SupplierState.LOGIN_FAILED


@pytest.fixture
def clock() -> RecordingClock:
    return RecordingClock()


@pytest.fixture
def health(pool: Pool, clock: RecordingClock) -> SupplierHealth:
    """Nobody looks by itself; the test says when."""
    return SupplierHealth(pool, "nivoda", clock)


@pytest.fixture
async def client(
    supplier: ScriptedSupplier, health: SupplierHealth, clock: RecordingClock
) -> AsyncIterator[NivodaClient]:
    async with make_client(
        supplier.url, clock=clock, health=health, tries=1, request_timeout_seconds=0.5
    ) as opened:
        yield opened


async def read(pool: Pool) -> dict[str, Any] | None:
    async with pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM supplier_health WHERE feed = 'nivoda'")
        return await cursor.fetchone()


async def state(pool: Pool) -> str | None:
    row = await read(pool)
    return None if row is None else row["state"]


async def since(pool: Pool) -> datetime:
    row = await read(pool)
    assert row is not None
    moment: datetime = row["since"]
    return moment


async def pass_time(pool: Pool, clock: RecordingClock, seconds: float) -> None:
    """On the process's clock, and for what the database has."""
    clock.advance(seconds=seconds)
    async with pool.connection() as conn:
        await conn.execute(
            "UPDATE supplier_health SET since = since - make_interval(secs => %(s)s),"
            " seen_at = seen_at - make_interval(secs => %(s)s)",
            {"s": seconds},
        )


SAYS = {
    "a good answer": (count_answer(1), ANSWERING),
    "429": (Answer(status=429), REFUSING),
    "403 of its gateway": (Answer(b"<h1>no</h1>", status=403), REFUSING),
    "503": (Answer(status=503), AWAY),
    "silence": (Answer(ending="silence"), AWAY),
    "a closed connection": (Answer(ending="none"), AWAY),
    "a page instead of JSON": (Answer(b"<h1>maintenance</h1>"), AWAY),
    # The login went well, and of the query nothing follows about the supplier.
    "a refused query": (error_answer("no such field", code="GRAPHQL_VALIDATION_FAILED"), ANSWERING),
}


@pytest.mark.parametrize(("answer", "said"), SAYS.values(), ids=SAYS)
async def test_what_each_answer_says(
    supplier: ScriptedSupplier,
    client: NivodaClient,
    health: SupplierHealth,
    pool: Pool,
    answer: Answer,
    said: SupplierState,
) -> None:
    supplier.then(answer)
    await ask(client)
    await health.look()
    assert await state(pool) == said


async def ask(client: NivodaClient) -> None:
    try:
        await client.count(NATURAL)
    except DiamondError:
        return


async def test_a_login_that_fails_is_told_also_while_nobody_tries_another(
    supplier: ScriptedSupplier,
    client: NivodaClient,
    health: SupplierHealth,
    clock: RecordingClock,
    pool: Pool,
) -> None:
    supplier.then_login(error_answer("Invalid credentials"))
    with pytest.raises(Fatal):
        await client.count(NATURAL)
    await health.look()
    row = await read(pool)
    assert row is not None
    assert (row["state"], "NIVODA_PASSWORD" in row["reason"]) == (LOGIN_FAILED, True)

    await pass_time(pool, clock, STEADY_SECONDS)
    with pytest.raises(Fatal):
        await client.count(NATURAL)
    await health.look()
    again = await read(pool)
    assert again is not None
    assert (again["seen_at"] - again["since"]).total_seconds() == pytest.approx(STEADY_SECONDS, abs=2)
    assert supplier.asked == ["Login"]


async def test_an_account_whose_new_tokens_are_rejected_is_refused(
    supplier: ScriptedSupplier, client: NivodaClient, health: SupplierHealth, pool: Pool
) -> None:
    supplier.then(*[Answer(status=401)] * 2)
    with pytest.raises(Retryable, match="a new login did not help"):
        await client.count(NATURAL)
    await health.look()
    assert await state(pool) == REFUSING


async def test_a_token_that_expired_says_nothing(
    supplier: ScriptedSupplier, client: NivodaClient, health: SupplierHealth, pool: Pool
) -> None:
    supplier.then(Answer(status=401), count_answer(3))
    assert await client.count(NATURAL) == 3
    await health.look()
    assert await state(pool) == ANSWERING


async def test_nobody_there_is_away(health: SupplierHealth, clock: RecordingClock, pool: Pool) -> None:
    async with make_client("http://127.0.0.1:1/api", clock=clock, health=health, tries=1) as client:
        await ask(client)
    await health.look()
    row = await read(pool)
    assert row is not None
    assert (row["state"], "no connection" in row["reason"]) == (AWAY, True)


async def test_a_state_that_stays_keeps_its_beginning_and_is_written_twice_a_minute(
    health: SupplierHealth, clock: RecordingClock, pool: Pool
) -> None:
    seen = set()
    for _ in range(26):  # two minutes and five seconds
        health.note(ANSWERING)
        await health.look()
        row = await read(pool)
        assert row is not None
        seen.add(round((row["seen_at"] - row["since"]).total_seconds()))
        await pass_time(pool, clock, LOOK_SECONDS)
    assert seen == {0, 30, 60, 90, 120}


async def test_what_refuses_and_answers_in_turn_for_minutes_refuses_since_the_first_time(
    health: SupplierHealth, clock: RecordingClock, pool: Pool
) -> None:
    for turn in range(60):  # five minutes: good, good, good, refused
        health.note(ANSWERING)
        if turn % 4 == 3:
            health.note(REFUSING, f"answered 429 in turn {turn}")
            health.note(ANSWERING)
        await health.look()
        await pass_time(pool, clock, LOOK_SECONDS)
        assert turn < 3 or await state(pool) == REFUSING
    row = await read(pool)
    assert row is not None
    assert (row["seen_at"] - row["since"]).total_seconds() > 200


async def test_a_single_refusal_is_over_after_a_calm(
    health: SupplierHealth, clock: RecordingClock, pool: Pool
) -> None:
    health.note(REFUSING, "answered 429")
    states = []
    for _ in range(16):
        await health.look()
        states.append(await state(pool))
        await pass_time(pool, clock, LOOK_SECONDS)
        health.note(ANSWERING)
    assert states == [REFUSING] * 13 + [ANSWERING] * 3


async def test_nobody_needs_to_ask_again_for_a_refusal_to_be_over(
    health: SupplierHealth, clock: RecordingClock, pool: Pool
) -> None:
    health.note(REFUSING, "answered 429")
    await health.look()
    await pass_time(pool, clock, 5)
    health.note(ANSWERING)
    await pass_time(pool, clock, CALM_SECONDS + 2)
    await health.look()
    assert await state(pool) == ANSWERING


async def test_an_unanswered_request_among_answered_ones_is_no_outage(
    health: SupplierHealth, clock: RecordingClock, pool: Pool
) -> None:
    health.note(AWAY, "not answered")
    await health.look()
    assert await state(pool) == AWAY
    await pass_time(pool, clock, 1)
    health.note(ANSWERING)
    await health.look()
    assert await state(pool) == ANSWERING


async def test_a_good_answer_ends_what_a_dead_process_saw(
    health: SupplierHealth, clock: RecordingClock, pool: Pool
) -> None:
    dead = SupplierHealth(pool, "nivoda", clock)
    health.note(ANSWERING)
    await health.look()
    dead.note(REFUSING, "answered 403")
    await dead.look()
    for _ in range(20):
        await pass_time(pool, clock, LOOK_SECONDS)
        health.note(ANSWERING)
        await health.look()
    assert await state(pool) == ANSWERING


async def test_two_processes_of_which_one_is_refused_agree_that_the_supplier_refuses(
    health: SupplierHealth, clock: RecordingClock, pool: Pool
) -> None:
    other, states = SupplierHealth(pool, "nivoda", clock), []
    other.note(REFUSING, "answered 429")
    await other.look()
    begun = await since(pool)
    for turn in range(60):
        if turn % 8 == 0:
            other.note(REFUSING, "answered 429")
        health.note(ANSWERING)
        await health.look()
        await other.look()
        states.append(await state(pool))
        await pass_time(pool, clock, LOOK_SECONDS)
    assert set(states) == {REFUSING}
    assert (begun - await since(pool)).total_seconds() == pytest.approx(300, abs=1)


async def test_what_an_idle_process_saw_long_ago_does_not_end_what_others_see(
    health: SupplierHealth, clock: RecordingClock, pool: Pool
) -> None:
    health.note(ANSWERING)
    clock.advance(seconds=3600)
    other = SupplierHealth(pool, "nivoda", clock)
    other.note(AWAY, "not answered")
    await other.look()
    await health.look()
    assert await state(pool) == AWAY


async def test_a_time_from_before_the_clock_was_set_back_binds_nobody(
    health: SupplierHealth, pool: Pool
) -> None:
    async with pool.connection() as conn:
        await conn.execute(
            "INSERT INTO supplier_health (feed, state, since, seen_at)"
            " VALUES ('nivoda', 'refusing', now() + interval '3 hours', now() + interval '3 hours')"
        )
    health.note(ANSWERING)
    await health.look()
    assert await state(pool) == ANSWERING


async def test_a_database_that_is_away_is_told_once_and_hears_the_newest_later(
    clock: RecordingClock, pool: Pool
) -> None:
    nowhere = open_pool(
        "host=127.0.0.1 port=1", application_name="test", max_size=1, connect_timeout_seconds=0.1
    )
    async with nowhere:
        health = SupplierHealth(nowhere, "nivoda", clock)
        with capture_logs() as logs:
            for noted in (ANSWERING, REFUSING):
                health.note(noted)
                await health.look()
        assert [log["event"] for log in logs] == ["supplier_health_not_written"]
    health._pool = pool
    await health.look()
    assert await state(pool) == REFUSING


async def test_it_is_written_beside_the_work_and_once_more_at_the_end(
    pool: Pool, supplier: ScriptedSupplier
) -> None:
    supplier.then(count_answer(1), Answer(status=503))
    looked = asyncio.Event()

    class Clock(SystemClock):
        async def sleep(self, seconds: float) -> None:
            """As between two looks, the first after an answer is there, the second after this test."""
            await asyncio.Event().wait() if looked.is_set() else await looked.wait()

    async with (
        SupplierHealth(pool, "nivoda", Clock()) as health,
        make_client(supplier.url, health=health, tries=1) as client,
    ):
        await client.count(NATURAL)
        looked.set()
        async with asyncio.timeout(5):
            while await state(pool) != ANSWERING:  # noqa: ASYNC110 - only the database can tell
                await asyncio.sleep(0.01)
        await ask(client)
    assert await state(pool) == AWAY


async def test_the_end_waits_for_a_database_that_does_not_answer_no_longer_than_it_may(
    pool: Pool, clock: RecordingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_room, "_LAST_WORD_SECONDS", 0.1)
    async with pool.connection() as conn, conn.transaction():
        await conn.execute("LOCK TABLE supplier_health")
        with capture_logs() as logs:
            async with asyncio.timeout(5), SupplierHealth(pool, "nivoda", SystemClock()) as health:
                health.note(ANSWERING)
    assert [(log["event"], log["reason"]) for log in logs] == [
        ("supplier_health_not_written", "the process ended")
    ]
