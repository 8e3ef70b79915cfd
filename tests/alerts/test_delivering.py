"""The outbox: every channel is told of the beginning and of the end, in this order, once, whatever happens between."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from alert_parts import deliverer, eventually, rows
from alert_receiver import Receiver
from diamond_opus.alerts import deliveries
from diamond_opus.alerts.channels import channels_of
from diamond_opus.alerts.deliveries import PATIENCE, State, backoff, next_state
from diamond_opus.alerts.incidents import open_incident, resolve_incident
from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.alerts.transport import Answer, Outcome
from diamond_opus.db.pool import Pool

ALERT = Alert(
    Severity.ERROR,
    "run_timed_out",
    "Run 7 took too long",
    "It was ingesting when its time was over.",
    run_id=str(UUID(int=7)),
    stones=12_345,
    cause="a slow supplier",
    action="diamond retry 7",
    page="/runs/7",
)

TEST = Alert(Severity.INFO, "test", "This is a test", "Nothing is wrong.")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


async def begin(pool: Pool, alert: Alert = ALERT) -> UUID:
    async with pool.connection() as conn:
        opened = await open_incident(conn, alert)
    assert opened is not None
    return opened


async def finish(pool: Pool, incident_id: UUID) -> None:
    async with pool.connection() as conn:
        assert await resolve_incident(conn, incident_id, resolution="the run completed")


async def states(pool: Pool) -> list[tuple[str, str]]:
    return await rows(pool, "SELECT kind, state FROM alert_deliveries ORDER BY id")


async def test_a_person_reads_all_that_is_needed_to_act(pool: Pool, receiver: Receiver) -> None:
    incident_id = await begin(pool)
    worker = deliverer(pool, receiver.alert_url, public_url="https://shop.example/")
    await worker.turn()
    await finish(pool, incident_id)
    await worker.turn()
    opened, resolved = receiver.received
    assert opened["title"] == "[error] Run 7 took too long"
    for line in (
        "It was ingesting when its time was over.",
        "Stones: 12,345",
        "Likely cause: a slow supplier",
        "What to do: diamond retry 7",
        "Look at: https://shop.example/runs/7",
        "Runbook: docs/runbook.md#run_timed_out",
        f"Run: {UUID(int=7)}",
        f"Incident: {incident_id}",
    ):
        assert line in opened["message"].splitlines()
    assert "Since: " in opened["message"]
    assert resolved["title"] == "[resolved] Run 7 took too long"
    assert "It is over: the run completed." in resolved["message"]
    assert f"Incident: {incident_id}" in resolved["message"]


async def test_each_is_told_once_however_many_deliver(pool: Pool, receiver: Receiver) -> None:
    for number in range(5):
        await begin(pool, Alert(Severity.ERROR, "e", f"title {number}", "x", subject=str(number)))
    workers = [deliverer(pool, receiver.alert_url) for _ in range(4)]
    await asyncio.gather(*(worker.turn() for worker in workers))
    await asyncio.gather(*(worker.turn() for worker in workers))
    assert sorted(receiver.titles) == [f"[error] title {number}" for number in range(5)]


async def test_a_channel_is_told_of_what_is_bad_enough_for_it(pool: Pool, receiver: Receiver) -> None:
    urls = f"{receiver.alert_url} critical={receiver.alert_url}c info={receiver.alert_url}i"
    for severity in Severity:
        await begin(pool, Alert(severity, severity.value, severity.value, "x"))
    await deliverer(pool, urls).turn()
    told = [title.split("]")[0].strip("[") for title in receiver.titles]
    assert sorted(told) == sorted(["critical"] * 3 + ["error"] * 2 + ["warning"] * 2 + ["info"])


async def test_a_new_channel_is_told_of_what_is_still_open(pool: Pool, receiver: Receiver) -> None:
    over, still_open = await begin(pool), await begin(pool, Alert(Severity.ERROR, "e", "still open", "x"))
    await deliverer(pool, receiver.alert_url).turn()
    await finish(pool, over)
    with Receiver() as new:
        await deliverer(pool, f"{receiver.alert_url} {new.alert_url}").turn()
        assert new.titles == ["[error] still open"]
    assert str(still_open) in new.received[0]["message"]
    assert receiver.titles[-1] == "[resolved] Run 7 took too long"


async def test_what_ended_before_anybody_looked_is_told_from_beginning_to_end(
    pool: Pool, receiver: Receiver
) -> None:
    await finish(pool, await begin(pool))
    await deliverer(pool, receiver.alert_url).turn()
    await deliverer(pool, receiver.alert_url).turn()
    assert [title.split("]")[0] for title in receiver.titles] == ["[error", "[resolved"]


async def test_what_was_over_long_before_there_was_a_channel_is_not_told(
    pool: Pool, receiver: Receiver
) -> None:
    await finish(pool, await begin(pool))
    await rows(pool, "UPDATE incidents SET opened_at = opened_at - interval '4 days' RETURNING id")
    await deliverer(pool, receiver.alert_url).turn()
    assert receiver.received == []


async def test_a_provider_that_is_down_gets_it_when_it_is_back_and_the_end_after_the_beginning(
    pool: Pool, receiver: Receiver
) -> None:
    receiver.answer_with(503, 503, 503)
    worker = deliverer(pool, receiver.alert_url)
    incident_id = await begin(pool)
    await worker.turn()
    await finish(pool, incident_id)
    await worker.turn()
    await worker.turn()
    assert await states(pool) == [("opened", "pending"), ("resolved", "pending")]
    assert await rows(pool, "SELECT last_error FROM alert_deliveries WHERE kind = 'opened'") == [
        ("HTTP 503",)
    ]
    await worker.turn()
    assert await states(pool) == [("opened", "delivered"), ("resolved", "delivered")]
    assert [title.split("]")[0] for title in receiver.titles] == ["[error"] * 4 + ["[resolved"]


async def test_a_lost_answer_makes_at_most_one_duplicate_of_the_same_incident(
    pool: Pool, receiver: Receiver
) -> None:
    receiver.answer_with("closes", always="closes")
    incident_id = await begin(pool)
    for _ in range(5):
        await deliverer(pool, receiver.alert_url).turn()
    assert [f"Incident: {incident_id}" in message["message"] for message in receiver.received] == [True, True]
    assert await states(pool) == [("opened", "unknown")]
    receiver.answer_with()
    await finish(pool, incident_id)
    await deliverer(pool, receiver.alert_url).turn()
    assert receiver.titles[-1] == "[resolved] Run 7 took too long"


async def test_a_process_that_dies_while_it_sends_may_have_sent(pool: Pool, receiver: Receiver) -> None:
    await begin(pool)
    channels = channels_of(receiver.alert_url)
    async with pool.connection() as conn:
        await deliveries.address(conn, channels)
        assert await deliveries.claim(conn, channels[0].name, lease_seconds=60)
    await deliverer(pool, receiver.alert_url).turn()
    assert receiver.received == [], "its lease lives"
    await rows(pool, "UPDATE alert_deliveries SET lease_expires_at = now() - interval '1 s' RETURNING id")
    await deliverer(pool, receiver.alert_url).turn()
    assert len(receiver.received) == 1
    assert await rows(pool, "SELECT state, attempts, unanswered FROM alert_deliveries") == [
        ("delivered", 2, 1)
    ]


async def test_a_process_that_dies_twice_is_not_repeated_a_third_time(pool: Pool, receiver: Receiver) -> None:
    await begin(pool)
    channels = channels_of(receiver.alert_url)
    for _ in range(2):
        async with pool.connection() as conn:
            await deliveries.address(conn, channels)
            assert await deliveries.claim(conn, channels[0].name, lease_seconds=-1)
            await deliveries.end_lost(conn, channels)
    assert await states(pool) == [("opened", "unknown")]


async def test_who_lost_the_lease_settles_nothing(pool: Pool) -> None:
    await begin(pool)
    channels = channels_of("json://127.0.0.1/")
    async with pool.connection() as conn:
        await deliveries.address(conn, channels)
        late = await deliveries.claim(conn, channels[0].name, lease_seconds=-1)
        await deliveries.end_lost(conn, channels)
        assert late is not None
        assert await deliveries.settle(conn, late, Answer(Outcome.DELIVERED)) is None
    assert await states(pool) == [("opened", "pending")]


async def test_after_three_days_a_channel_that_stays_away_is_given_up(pool: Pool, receiver: Receiver) -> None:
    receiver.answer_with(always=500)
    await begin(pool)
    worker = deliverer(pool, receiver.alert_url)
    await worker.turn()
    await rows(pool, "UPDATE alert_deliveries SET created_at = now() - interval '3 days 1 s' RETURNING id")
    await worker.turn()
    await worker.turn()
    assert len(receiver.received) == 2
    assert await states(pool) == [("opened", "abandoned")]


async def test_of_a_beginning_that_is_given_up_the_end_is_given_up_too(
    pool: Pool, receiver: Receiver
) -> None:
    """Also one that was written while the beginning was still tried."""
    receiver.answer_with(500, 500)
    incident_id = await begin(pool)
    worker = deliverer(pool, receiver.alert_url)
    await worker.turn()
    await finish(pool, incident_id)
    await worker.turn()
    async with pool.connection() as conn:
        [channel] = channels_of(receiver.alert_url)
        claimed = await deliveries.claim(conn, channel.name, lease_seconds=60)
        assert claimed is not None
        assert (await deliveries.settle(conn, replace(claimed, age=PATIENCE * 2), Answer(Outcome.AWAY))) == (
            State.ABANDONED
        )
        assert await deliveries.claim(conn, channel.name, lease_seconds=60) is None
    await worker.turn()
    assert await states(pool) == [("opened", "abandoned"), ("resolved", "abandoned")]
    assert len(receiver.received) == 2


async def test_what_is_over_and_waited_for_longer_than_that_is_told_nobody(
    pool: Pool, receiver: Receiver
) -> None:
    """Nobody tried it between, as in a database of long ago. What is still open is an alert all the same."""
    await begin(pool, Alert(Severity.ERROR, "e", "still open", "x"))
    over = await begin(pool)
    async with pool.connection() as conn:
        await deliveries.address(conn, channels_of(receiver.alert_url))
    await finish(pool, over)
    await rows(pool, "UPDATE alert_deliveries SET created_at = now() - interval '30 days' RETURNING id")
    for _ in range(2):
        await deliverer(pool, receiver.alert_url).turn()
    assert receiver.titles == ["[error] still open"]


def tried(seconds_ago: int) -> str:
    """As if the channel that is gone had been tried last so long ago."""
    return (
        f"UPDATE alert_deliveries SET next_attempt_at = now() - interval '{seconds_ago} s'"
        " WHERE channel = 'gone' AND state = 'pending' RETURNING id"
    )


async def test_what_a_channel_that_is_gone_was_not_told_is_given_up_after_a_rolling_restart(
    pool: Pool, receiver: Receiver
) -> None:
    for number in range(2):
        await begin(pool, Alert(Severity.ERROR, "e", str(number), "x", subject=str(number)))
    async with pool.connection() as conn:
        await deliveries.address(conn, channels_of("gone=json://gone.example/"))
    worker = deliverer(pool, f"here={receiver.alert_url}")
    await worker.turn()
    await rows(pool, tried(14 * 60))
    await worker.turn()
    assert [state for _, state in await states(pool)].count("pending") == 2
    await rows(pool, tried(15 * 60 + 1))
    await worker.turn()
    assert sorted(await rows(pool, "SELECT channel, state FROM alert_deliveries")) == [
        ("gone", "abandoned"),
        ("gone", "abandoned"),
        ("here", "delivered"),
        ("here", "delivered"),
    ]


async def test_a_channel_that_another_process_still_tries_is_not_gone(pool: Pool, receiver: Receiver) -> None:
    """It is down, and its oldest message has waited for an hour."""
    for number in range(2):
        await begin(pool, Alert(Severity.ERROR, "e", str(number), "x", subject=str(number)))
    async with pool.connection() as conn:
        await deliveries.address(conn, channels_of("gone=json://gone.example/"))
    await rows(pool, tried(3600))
    await rows(
        pool,
        "UPDATE alert_deliveries SET next_attempt_at = now() + interval '5 min'"
        " WHERE id = (SELECT max(id) FROM alert_deliveries) RETURNING id",
    )
    await deliverer(pool, f"here={receiver.alert_url}").turn()
    assert ("gone", "abandoned") not in await rows(pool, "SELECT channel, state FROM alert_deliveries")


async def test_a_token_that_is_replaced_tells_a_channel_with_a_name_nothing_again(
    pool: Pool, receiver: Receiver
) -> None:
    incident_id = await begin(pool)
    await deliverer(pool, f"ops={receiver.alert_url}first").turn()
    worker = deliverer(pool, f"ops={receiver.alert_url}second")
    await worker.turn()
    await finish(pool, incident_id)
    await worker.turn()
    assert [title.split("]")[0] for title in receiver.titles] == ["[error", "[resolved"]


async def test_an_end_waits_for_no_channel_that_is_gone(pool: Pool, receiver: Receiver) -> None:
    incident_id = await begin(pool)
    await deliverer(pool, f"gone={receiver.alert_url}").turn()
    await finish(pool, incident_id)
    await deliverer(pool, f"here={receiver.alert_url}").turn()
    assert await rows(pool, "SELECT kind FROM alert_deliveries WHERE channel = 'gone'") == [("opened",)]


async def test_the_ends_of_today_are_found_without_reading_those_of_a_year(pool: Pool) -> None:
    """It is asked every 5 s: with 50,000 incidents 100 ms without the index, 3 ms with it."""
    await rows(
        pool,
        "INSERT INTO incidents (event, subject, severity, title, text, opened_at, cleared_at, resolved_at)"
        " SELECT 'e', number::text, 'error', 't', 'x', at, at, at"
        " FROM generate_series(1, 10000) AS number, LATERAL (SELECT now() - number * interval '1 h' AS at) AS t"
        " RETURNING id",
    )
    values = {"window": PATIENCE, "incident_id": None, "channels": ["ops"]}
    async with pool.connection() as conn:
        await conn.execute(
            "INSERT INTO alert_deliveries (incident_id, kind, channel, state, settled_at)"
            " SELECT id, kind, 'ops', 'delivered', now()"
            " FROM incidents, unnest(ARRAY['opened', 'resolved']) AS kind"
        )
        await conn.execute("ANALYZE incidents, alert_deliveries")
        explain = f"EXPLAIN {deliveries.QUERIES['add_resolved']}".encode()
        cursor = await conn.execute(explain, values)
        plan = "\n".join([row[0] for row in await cursor.fetchall()])
    assert "incidents_resolved" in plan, plan


async def test_what_gets_worse_is_told_to_who_wants_the_worst(pool: Pool, receiver: Receiver) -> None:
    worker = deliverer(pool, f"night:critical={receiver.alert_url}")
    await begin(pool)
    await worker.turn()
    assert receiver.received == []
    async with pool.connection() as conn:
        await open_incident(conn, replace(ALERT, severity=Severity.CRITICAL, title="Run 7 stands still"))
    await worker.turn()
    assert receiver.titles == ["[critical] Run 7 stands still"]


async def test_a_channel_that_fails_does_not_hold_up_another(pool: Pool, receiver: Receiver) -> None:
    for number in range(3):
        await begin(pool, Alert(Severity.ERROR, "e", str(number), "x", subject=str(number)))
    with Receiver() as broken:
        broken.answer_with(always=500)
        await deliverer(pool, f"{broken.alert_url} {receiver.alert_url}").turn()
        assert len(broken.received) == 1, "one failure is enough for a turn"
    assert len(receiver.received) == 3


async def test_the_database_refuses_a_step_that_is_not_drawn(pool: Pool, receiver: Receiver) -> None:
    await begin(pool)
    await deliverer(pool, receiver.alert_url).turn()
    with pytest.raises(psycopg.errors.CheckViolation, match="cannot go from delivered to pending"):
        await rows(pool, "UPDATE alert_deliveries SET state = 'pending', settled_at = NULL RETURNING id")


async def test_it_delivers_until_it_is_asked_to_stop_and_what_is_sent_has_a_grace(
    pool: Pool, receiver: Receiver
) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(deliverer(pool, receiver.alert_url).run(stop))
    await begin(pool)
    await eventually(lambda: receiver.received)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert await states(pool) == [("opened", "delivered")]


async def test_without_a_channel_nothing_is_done(pool: Pool) -> None:
    await begin(pool)
    stop = asyncio.Event()
    running = asyncio.create_task(deliverer(pool, "").run(stop))
    await deliverer(pool, "").flush()
    stop.set()
    await running
    assert await rows(pool, "SELECT addressed_at FROM incidents") == [(None,)]


async def test_who_ends_waits_for_a_channel_that_hangs_so_long_and_no_longer(
    pool: Pool, receiver: Receiver
) -> None:
    receiver.answer_with(always="hangs")
    await begin(pool)
    await asyncio.wait_for(deliverer(pool, receiver.alert_url).flush(seconds=3), 15)
    assert await states(pool) == [("opened", "sending")], "its lease will tell"


@pytest.mark.parametrize(
    ("outcome", "unanswered", "age", "state"),
    [
        (Outcome.DELIVERED, 1, PATIENCE * 2, State.DELIVERED),
        (Outcome.AWAY, 0, PATIENCE, State.PENDING),
        (Outcome.AWAY, 1, timedelta(), State.PENDING),
        (Outcome.AWAY, 0, PATIENCE * 2, State.ABANDONED),
        (Outcome.AWAY, 1, PATIENCE * 2, State.UNKNOWN),
        (Outcome.UNKNOWN, 0, PATIENCE * 2, State.PENDING),
        (Outcome.UNKNOWN, 1, timedelta(), State.UNKNOWN),
    ],
)
def test_an_answer_leads_where_it_is_drawn(
    outcome: Outcome, unanswered: int, age: timedelta, state: State
) -> None:
    assert next_state(outcome, unanswered=unanswered, age=age) is state


def test_the_back_off_doubles_up_to_a_quarter_of_an_hour() -> None:
    assert all(2.5 <= backoff(1, 5) <= 5 for _ in range(100))
    assert all(450 <= backoff(attempts, 5) <= 900 for attempts in range(9, 400))


async def test_a_test_that_two_make_at_once_is_two_incidents(pool: Pool, receiver: Receiver) -> None:
    worker = deliverer(pool, f"info={receiver.alert_url}")
    proofs = await asyncio.gather(*(worker.prove(TEST) for _ in range(2)))
    assert [len(proof) for proof in proofs] == [2, 2]
    assert len(receiver.received) == 4


async def test_of_a_test_that_is_broken_off_the_end_is_told_and_nothing_else_later(
    pool: Pool, receiver: Receiver
) -> None:
    receiver.answer_with("hangs", always=200)
    worker = deliverer(pool, f"info={receiver.alert_url}")
    proving = asyncio.create_task(worker.prove(TEST))
    await eventually(lambda: receiver.received)
    proving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await proving
    assert await rows(pool, "SELECT resolution FROM incidents") == [("the test was broken off",)]
    await _let_lapse(pool)
    for _ in range(2):
        await worker.turn()
    assert len(receiver.received) == 2
    assert await states(pool) == [("opened", "unknown"), ("resolved", "delivered")]


async def test_of_a_test_whose_process_died_only_the_end_is_told(pool: Pool, receiver: Receiver) -> None:
    """Not its beginning, and nothing to a channel that is new."""
    incident_id = await begin(pool, TEST)
    gone = channels_of(f"info={receiver.alert_url}")
    async with pool.connection() as conn, conn.transaction():
        await deliveries.address(conn, gone, incident_id=incident_id)
        assert await deliveries.claim(conn, gone[0].name, lease_seconds=60, incident_id=incident_id)
    await _let_lapse(pool)
    worker = deliverer(pool, f"info={receiver.alert_url} new:info={receiver.alert_url}new")
    await worker.turn()
    assert receiver.received == []
    await finish(pool, incident_id)
    await worker.turn()
    assert len(receiver.received) == 1
    assert await states(pool) == [("opened", "unknown"), ("resolved", "delivered")]


async def _let_lapse(pool: Pool) -> None:
    await rows(pool, "UPDATE alert_deliveries SET lease_expires_at = now() - interval '1 s' RETURNING id")
