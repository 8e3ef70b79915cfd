"""The consumer loop on every transport: what becomes of a message, whatever its handler does."""

import asyncio
from collections.abc import Callable

import pytest
from consumer_bench import BENCHES, LEASE, LIMITS, SOON, Bench, CountedRenewals, Gate, do_nothing, raising
from structlog.testing import capture_logs

from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.observability.trace import Trace, current_trace, format_traceparent, new_trace
from diamond_opus.queue.consumer import Tally
from diamond_opus.queue.limits import MAX_DELIVERIES_EXCEEDED
from diamond_opus.queue.messages import PoisonMessage
from diamond_opus.queue.protocol import Message, Received


@pytest.fixture(params=BENCHES, ids=["memory", "postgres"])
def bench(request: pytest.FixtureRequest) -> Bench:
    make: Callable[[pytest.FixtureRequest], Bench] = request.param
    return make(request)


async def test_what_a_handler_finished_is_completed(bench: Bench) -> None:
    handled: list[str] = []

    async def handler(message: Received) -> None:
        handled.append(message.id)

    await bench.send("a", "b", "c")

    assert await bench.consume_all(handler) == Tally(completed=3)
    assert handled == ["a", "b", "c"]
    await bench.elapse(10 * LEASE)
    assert await bench.waiting() == []


async def test_messages_sent_by_a_handler_are_handled_too(bench: Bench) -> None:
    async def handler(message: Received) -> None:
        if message.id == "a":
            await bench.send("b")

    await bench.send("a")

    assert await bench.consume_all(handler) == Tally(completed=2)


async def test_a_retryable_error_gives_the_message_back_for_as_long_as_asked(bench: Bench) -> None:
    await bench.send("a")

    with capture_logs() as logs:
        tally = await bench.consume_all(raising(Retryable("429 from the supplier", retry_after_seconds=20)))

    assert tally == Tally(abandoned=1)
    await bench.elapse(15)
    assert await bench.waiting() == []
    await bench.elapse(6)
    assert [message.delivery_count for message in await bench.waiting()] == [1]
    [line] = [line for line in logs if line["event"] == "message_retried"]
    assert (line["error"], line["delay_seconds"]) == ("429 from the supplier", 20)


async def test_without_a_wish_the_delay_doubles_from_two_seconds(bench: Bench) -> None:
    await bench.send("a")
    delays = []
    for _ in range(2):
        with capture_logs() as logs:
            await bench.consume_all(raising(Retryable("busy")))
        delays += [line["delay_seconds"] for line in logs if line["event"] == "message_retried"]
        await bench.elapse(10)

    first, second = delays
    assert 1.6 <= first <= 2.0
    assert 3.2 <= second <= 4.0


@pytest.mark.parametrize("error", [Fatal("wrong credentials"), PoisonMessage("minPrice is missing\x00")])
async def test_a_fatal_error_sets_the_message_aside_with_its_reason(bench: Bench, error: Fatal) -> None:
    await bench.send("a")

    assert await bench.consume_all(raising(error)) == Tally(dead_lettered=1)

    [dead] = await bench.queue.dead_letters()
    assert dead.reason == type(error).__name__
    assert dead.description.startswith(str(error).rstrip("\x00"))
    assert dead.body == {"id": "a"}


async def test_a_secret_in_an_error_is_not_kept_with_the_dead_letter(bench: Bench) -> None:
    await bench.send("a")
    await bench.consume_all(raising(Fatal("login password=hunter2 refused " + "x" * 10_000)))

    [dead] = await bench.queue.dead_letters()

    assert "hunter2" not in dead.description
    assert len(dead.description) <= 4_096


async def test_an_unexpected_error_is_logged_with_its_trace_and_the_message_given_back(bench: Bench) -> None:
    await bench.send("a")

    with capture_logs() as logs:
        tally = await bench.consume_all(raising(KeyError("certificate")))

    assert tally == Tally(abandoned=1)
    [line] = [line for line in logs if line["event"] == "message_failed"]
    assert line["exc_info"]
    await bench.elapse(3)
    assert len(await bench.waiting()) == 1


async def test_a_message_that_always_fails_ends_as_a_dead_letter(bench: Bench) -> None:
    await bench.send("a")
    for _ in range(LIMITS.max_deliveries):
        await bench.consume_all(raising(KeyError("certificate")))
        await bench.elapse(LEASE)

    assert await bench.consume_all(do_nothing) == Tally()
    [dead] = await bench.queue.dead_letters()
    assert dead.reason == MAX_DELIVERIES_EXCEEDED


async def test_as_many_messages_are_handled_at_once_as_allowed_and_no_more(bench: Bench) -> None:
    gate = Gate()
    await bench.send(*(f"m{n}" for n in range(7)))
    consuming = asyncio.create_task(bench.consume_all(gate, concurrency=3))
    for _ in range(3):
        await asyncio.wait_for(gate.entered.get(), SOON)
    gate.opened.set()

    assert await consuming == Tally(completed=7)
    assert gate.most_inside == 3


async def test_a_consumer_without_any_concurrency_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="concurrency is 0"):
        await bench.consume_all(do_nothing, concurrency=0)


async def test_a_handler_works_in_the_trace_of_the_sender_and_logs_its_run(bench: Bench) -> None:
    trace = new_trace()
    seen: list[Trace | None] = []

    async def handler(_message: Received) -> None:
        seen.append(current_trace())

    in_property = Message({}, "a", {"traceparent": format_traceparent(trace)})
    in_body = Message({"traceId": trace.trace_id}, "b")
    await bench.queue.send([in_property, in_body, Message({"traceId": "nonsense"}, "c")])
    await bench.consume_all(handler)

    with_property, with_body, without = seen
    assert with_property is not None
    assert with_body is not None
    assert with_property.trace_id == with_body.trace_id == trace.trace_id
    assert with_property.span_id != trace.span_id
    assert without is None


async def test_a_message_that_another_s_work_led_to_is_handled_in_its_own_run_s_trace(bench: Bench) -> None:
    """As when an operator's request wakes a run: the run's lines are found by the run's trace."""
    request, run = new_trace(), new_trace()
    seen: list[Trace | None] = []

    async def handler(_message: Received) -> None:
        seen.append(current_trace())

    await bench.queue.send(
        [Message({"traceId": run.trace_id}, "a", {"traceparent": format_traceparent(request)})]
    )
    await bench.consume_all(handler)

    [trace] = seen
    assert trace is not None
    assert trace.trace_id == run.trace_id


async def test_a_lease_is_renewed_while_the_handler_runs(bench: Bench) -> None:
    gate = Gate()
    plain, counted = bench.queue, CountedRenewals(bench.queue)
    bench.queue = counted
    await bench.send("a")
    consuming = asyncio.create_task(bench.consume_all(gate))
    await asyncio.wait_for(gate.entered.get(), SOON)

    for _ in range(9):  # three whole leases
        await bench.elapse(LEASE / 3)
        await asyncio.wait_for(counted.renewed.get(), SOON)
        assert await plain.receive(1, wait_seconds=0) == []
    gate.opened.set()

    assert await consuming == Tally(completed=1)


class StubbornRenewal(CountedRenewals):
    """Answers a cancellation as drivers sometimes do: with an error of its own."""

    async def renew(self, message: Received) -> Received:
        self.renewed.put_nowait(message)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError("query cancellation interrupted") from None
        return message


async def test_a_renewal_that_swallows_its_cancellation_ends_with_the_handler(bench: Bench) -> None:
    gate = Gate()
    counted = StubbornRenewal(bench.queue)
    bench.queue = counted
    await bench.send("a")
    before = asyncio.all_tasks()
    with capture_logs() as logs:
        consuming = asyncio.create_task(bench.consume_all(gate))
        await asyncio.wait_for(gate.entered.get(), SOON)
        bench.clock.advance(LEASE / 3)
        await asyncio.wait_for(counted.renewed.get(), SOON)
        gate.opened.set()
        tally = await consuming

    assert tally == Tally(completed=1)
    assert "message_not_renewed" not in [line["event"] for line in logs]
    assert asyncio.all_tasks() == before


async def test_a_handler_whose_lease_was_lost_ends_in_peace_and_the_message_comes_again(bench: Bench) -> None:
    gate = Gate()
    await bench.send("a")
    consuming = asyncio.create_task(bench.consume_all(gate))
    await asyncio.wait_for(gate.entered.get(), SOON)

    with capture_logs() as logs:
        await bench.elapse(LEASE + 1)
        [again] = await bench.waiting()
        gate.opened.set()
        tally = await consuming

    assert tally == Tally(unsettled=1)
    assert again.delivery_count == 1
    assert "message_not_settled" in [line["event"] for line in logs]
    await bench.queue.complete(again)
