"""What the PostgreSQL transport adds to the contract: real leases, retried sends, errors with advice."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from diamond_opus.db.pool import Pool, open_pool
from diamond_opus.domain.clock import ManualClock, SystemClock
from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.queue.limits import QueueLimits
from diamond_opus.queue.memory import MemoryQueue
from diamond_opus.queue.postgres import LONGEST_POLL_SECONDS, SEND_RETRIES, PostgresQueue, QueueDepth
from diamond_opus.queue.protocol import WORK_DONE, WORK_ITEMS, Message

LIMITS = QueueLimits(lease_seconds=30, max_deliveries=3)
START = datetime(2001, 1, 1, tzinfo=UTC)


class RecordingClock(ManualClock):
    """Remembers every pause."""

    def __init__(self) -> None:
        super().__init__(START)
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await super().sleep(seconds)


@pytest.fixture
def queue(pool: Pool) -> PostgresQueue:
    return PostgresQueue(pool, WORK_ITEMS, LIMITS)


async def fail_sends(pool: Pool, *, times: int, sqlstate: str) -> None:
    """Make the server refuse the next ``times`` inserts into the queue; a sequence survives the rollback."""
    async with pool.connection() as connection:
        await connection.execute("CREATE SEQUENCE public.tries")
        await connection.execute(
            f"""
            CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('public.tries') <= {times} THEN
                    RAISE EXCEPTION 'refused on purpose' USING ERRCODE = '{sqlstate}';
                END IF;
                RETURN NULL;
            END $$
            """
        )
        await connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON pgmq.q_work_items EXECUTE FUNCTION public.refuse()"
        )


async def tries(pool: Pool) -> int:
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT last_value FROM public.tries")
        [count] = await cursor.fetchone() or [0]
        return int(count)


async def test_a_lease_ends_by_itself_in_real_time(pool: Pool) -> None:
    queue = PostgresQueue(pool, WORK_ITEMS, QueueLimits(lease_seconds=1, max_deliveries=3))
    await queue.send([Message({}, "m1")])
    [first] = await queue.receive()

    [again] = await queue.receive(wait_seconds=30)

    assert (again.id, again.delivery_count) == (first.id, 1)
    assert again.leased_until - first.leased_until > timedelta(seconds=0.9)


class AnnouncingClock(SystemClock):
    """Real time; says when somebody begins to wait."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.waiting.set()
        await super().sleep(seconds)


async def test_a_waiting_receiver_gets_a_message_that_is_sent_later(pool: Pool) -> None:
    clock = AnnouncingClock()
    queue = PostgresQueue(pool, WORK_ITEMS, LIMITS, clock=clock)
    receiving = asyncio.create_task(queue.receive(wait_seconds=30))
    await clock.waiting.wait()
    await queue.send([Message({}, "m1")])

    [message] = await asyncio.wait_for(receiving, 10)

    assert message.id == "m1"


async def test_a_receiver_that_waits_is_cancelled_at_once(pool: Pool) -> None:
    clock = AnnouncingClock()
    receiving = asyncio.create_task(
        PostgresQueue(pool, WORK_ITEMS, LIMITS, clock=clock).receive(wait_seconds=30)
    )
    await clock.waiting.wait()
    receiving.cancel()

    await asyncio.wait({receiving}, timeout=5)

    assert receiving.cancelled()


async def test_an_idle_receiver_asks_less_and_less_often_but_at_least_each_second(pool: Pool) -> None:
    clock = RecordingClock()
    queue = PostgresQueue(pool, WORK_ITEMS, LIMITS, clock=clock)

    assert await queue.receive(wait_seconds=15) == []

    assert clock.pauses[0] <= 0.05
    assert max(clock.pauses) <= LONGEST_POLL_SECONDS
    assert 15 <= len(clock.pauses) <= 50


async def test_leases_are_told_in_the_time_of_the_process_that_holds_them(pool: Pool) -> None:
    queue = PostgresQueue(pool, WORK_ITEMS, LIMITS, clock=ManualClock(START))
    await queue.send([Message({})])

    [message] = await queue.receive(wait_seconds=0)

    assert message.leased_until == START + timedelta(seconds=30)
    assert (await queue.renew(message)).leased_until == START + timedelta(seconds=30)


async def test_a_send_survives_as_many_transient_errors_as_it_is_retried(pool: Pool) -> None:
    await fail_sends(pool, times=SEND_RETRIES, sqlstate="40001")
    clock = RecordingClock()
    queue = PostgresQueue(pool, WORK_ITEMS, LIMITS, clock=clock)

    await queue.send([Message({}, "m1"), Message({}, "m2")])

    assert [message.id for message in await queue.receive(10, wait_seconds=0)] == ["m1", "m2"]
    assert len(clock.pauses) == SEND_RETRIES == 3


async def test_a_send_that_keeps_failing_is_reported_as_retryable(pool: Pool) -> None:
    await fail_sends(pool, times=100, sqlstate="40001")
    queue = PostgresQueue(pool, WORK_ITEMS, LIMITS, clock=RecordingClock())

    with pytest.raises(Retryable, match="work-items: the database is out of reach: refused on purpose"):
        await queue.send([Message({})])

    assert await tries(pool) == 1 + SEND_RETRIES


async def test_a_send_that_cannot_succeed_is_not_repeated(pool: Pool) -> None:
    await fail_sends(pool, times=100, sqlstate="23514")
    queue = PostgresQueue(pool, WORK_ITEMS, LIMITS, clock=RecordingClock())

    with pytest.raises(psycopg.errors.CheckViolation):
        await queue.send([Message({})])

    assert await tries(pool) == 1


async def test_a_database_without_queues_is_told_how_to_get_them(queue: PostgresQueue, pool: Pool) -> None:
    async with pool.connection() as connection:
        await connection.execute("DROP SCHEMA pgmq CASCADE")

    with pytest.raises(Fatal, match=r"work-items: the queue's tables are missing.*run `diamond db migrate`"):
        await queue.receive()


async def test_a_server_that_does_not_answer_is_retryable() -> None:
    nowhere = "host=127.0.0.1 port=1 user=nobody dbname=nothing"
    async with open_pool(nowhere, application_name="worker", max_size=1, connect_timeout_seconds=0.5) as pool:
        with pytest.raises(Retryable):
            await PostgresQueue(pool, WORK_ITEMS, LIMITS).receive()


async def test_depth_tells_visible_hidden_and_dead_apart(queue: PostgresQueue) -> None:
    assert await queue.depth() == QueueDepth(visible=0, hidden=0, dead=0, oldest_age_seconds=0)
    await queue.send([Message({}) for _ in range(4)])
    await queue.send([Message({})], delay_seconds=60)
    bad, _held = await queue.receive(2)
    await queue.dead_letter(bad, reason="bad")

    depth = await queue.depth()

    assert (depth.visible, depth.hidden, depth.dead) == (2, 2, 1)


async def test_a_message_from_another_program_is_received_set_aside_and_replayed(
    queue: PostgresQueue, pool: Pool
) -> None:
    async with pool.connection() as connection:
        await connection.execute("SELECT pgmq.send('work_items', %s)", [Jsonb([1, 2])])

    [message] = await queue.receive()
    await queue.dead_letter(message, reason="PoisonMessage", description="a list")
    [dead] = await queue.dead_letters()
    assert await queue.replay(dead.id)
    [again] = await queue.receive()

    sent: Any = [1, 2]
    assert message.body == dead.body == again.body == sent
    assert message.id.isdecimal()
    assert (message.properties, again.properties) == ({}, {})
    assert (dead.reason, dead.description) == ("PoisonMessage", "a list")


async def test_a_message_given_back_too_often_is_set_aside_at_that_moment(queue: PostgresQueue) -> None:
    await queue.send([Message({}, "m1")])
    for _ in range(LIMITS.max_deliveries):
        [message] = await queue.receive(wait_seconds=0)
        await queue.abandon(message)

    assert (await queue.depth()).dead == 1


async def test_a_replayed_message_forgets_why_it_was_set_aside(queue: PostgresQueue, pool: Pool) -> None:
    await queue.send([Message({}, "m1", {"runId": "r1"})])
    [message] = await queue.receive()
    await queue.dead_letter(message, reason="bad")
    [dead] = await queue.dead_letters()
    await queue.replay(dead.id)

    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT headers FROM pgmq.q_work_items")
        assert await cursor.fetchall() == [({"messageId": "m1", "properties": {"runId": "r1"}},)]


async def test_queues_do_not_see_each_others_messages(queue: PostgresQueue, pool: Pool) -> None:
    await queue.send([Message({})])

    assert await PostgresQueue(pool, WORK_DONE, LIMITS).receive(wait_seconds=0) == []


async def test_a_message_of_another_transport_is_refused(queue: PostgresQueue) -> None:
    memory = MemoryQueue(WORK_ITEMS, LIMITS)
    await memory.send([Message({}, "m1")])
    [message] = await memory.receive()

    with pytest.raises(TypeError, match="message m1 was received from another transport"):
        await queue.complete(message)


@pytest.mark.parametrize("sqlstate", ["53100", "57014", "25006"], ids=["disk full", "cancelled", "read only"])
async def test_an_outage_that_is_met_while_receiving_is_waited_for(
    queue: PostgresQueue, pool: Pool, sqlstate: str
) -> None:
    await queue.send([Message({}, "m1")])
    async with pool.connection() as connection:
        await connection.execute(
            f"""CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{sqlstate}'; END $$"""
        )
        await connection.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON pgmq.q_work_items EXECUTE FUNCTION public.refuse()"
        )

    with pytest.raises(Retryable, match="on purpose"):
        await queue.receive(wait_seconds=0)

    async with pool.connection() as connection:
        await connection.execute("DROP TRIGGER refuse ON pgmq.q_work_items")
    assert [message.id for message in await queue.receive(wait_seconds=0)] == ["m1"]


@pytest.mark.parametrize("headers", ["text", [1], None, {"properties": None, "messageId": 7}])
async def test_headers_of_any_form_are_no_obstacle(queue: PostgresQueue, pool: Pool, headers: Any) -> None:
    async with pool.connection() as connection:
        await connection.execute("SELECT pgmq.send('work_items', '{}'::jsonb, %s, 0)", (Jsonb(headers),))

    [message] = await queue.receive(wait_seconds=0)

    assert isinstance(message.id, str)
    assert message.properties == {}
    await queue.dead_letter(message, reason="strange")
    assert [letter.reason for letter in await queue.dead_letters()] == ["strange"]
