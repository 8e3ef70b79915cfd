"""The one loop that empties a queue, whatever its transport: handle, settle, and give back at a stop."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal

from diamond_opus.domain.clock import Clock, SystemClock
from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.domain.waiting import wait_for_event
from diamond_opus.observability.logging import bind, get_logger
from diamond_opus.observability.redact import clean_text
from diamond_opus.observability.trace import Trace, parse_trace_id, parse_traceparent
from diamond_opus.observability.tracing import Kind, Span, begin, run_trace
from diamond_opus.queue.limits import MAX_DELIVERIES_EXCEEDED
from diamond_opus.queue.protocol import LeaseLost, Queue, Received

FIRST_BACKOFF_SECONDS = 2.0
LONGEST_BACKOFF_SECONDS = 300.0
LONGEST_OUTAGE_PAUSE_SECONDS = 30.0
SHORTEST_RENEWAL_SECONDS = 0.05

# The 10 s that a stopping process has: for a receive under way, then for handlers, then for giving back. What is left
# is for closing connections, which a busy machine makes slow.
LAST_RECEIVE_SECONDS = 2.0
GRACE_SECONDS = 4.0
GIVE_BACK_SECONDS = 1.5

Handler = Callable[[Received], Awaitable[None]]

log = get_logger(__name__)


@dataclass(slots=True)
class Tally:
    """What became of the messages one ``consume`` call received."""

    completed: int = 0
    abandoned: int = 0
    dead_lettered: int = 0
    unsettled: int = 0


async def consume(
    queue: Queue,
    handler: Handler,
    *,
    stop: asyncio.Event,
    concurrency: int = 1,
    until_idle: bool = False,
    wait_seconds: float = 1.0,
    grace_seconds: float = GRACE_SECONDS,
    clock: Clock | None = None,
) -> Tally:
    """Hand every message to ``handler``, up to ``concurrency`` at once, until ``stop`` (or nothing is left).

    What the handler does decides. It returns: the message is completed. ``Retryable``: given back with a
    delay. ``Fatal``, which ``PoisonMessage`` is: dead-lettered, with the error as the reason. Anything else:
    logged with its trace and given back. The lease is renewed meanwhile; when it is lost all the same the
    handler goes on, for a message is only a wake-up.

    After ``stop`` handlers have ``grace_seconds``, then they are cancelled and their messages given back. A
    transport that is out of reach is waited for; an error that waiting cannot heal is raised.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency is {concurrency}; a consumer handles at least one message at a time")
    consumer = _Consumer(queue, handler, clock or SystemClock(), wait_seconds)
    grace = 0.0
    try:
        await consumer.run(stop, concurrency, until_idle=until_idle)
        grace = grace_seconds
    finally:
        await consumer.finish(grace)
    return consumer.tally


class _Consumer:
    def __init__(self, queue: Queue, handler: Handler, clock: Clock, wait_seconds: float) -> None:
        self.tally = Tally()
        self._queue = queue
        self._handler = handler
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._running: set[asyncio.Task[None]] = set()
        self._failed_receives = 0

    async def run(self, stop: asyncio.Event, concurrency: int, *, until_idle: bool) -> None:
        while not stop.is_set():
            free = concurrency - len(self._running)
            if free == 0:
                await _first_done(self._running, stop)
                continue
            messages = await self._receive(free, stop)
            for message in messages:
                self._start(self._settle(message, _GIVE_BACK) if stop.is_set() else self._handle(message))
            if until_idle and not messages and not self._running and not self._failed_receives:
                return

    async def finish(self, grace_seconds: float) -> None:
        """Let running handlers end, or cancel them and give their messages back."""
        if self._running and grace_seconds > 0:
            await asyncio.wait(self._running, timeout=grace_seconds)
        for task in self._running:
            task.cancel()
        if self._running:
            _, stuck = await asyncio.wait(self._running, timeout=GIVE_BACK_SECONDS)
            if stuck:
                log.error("handlers_did_not_stop", queue=self._queue.name, messages=len(stuck))

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _receive(self, limit: int, stop: asyncio.Event) -> Sequence[Received]:
        """What came, or nothing. A receive under way at ``stop`` may end: it may hold messages already."""
        receiving = asyncio.ensure_future(self._queue.receive(limit, wait_seconds=self._wait_seconds))
        try:
            await _first_done({receiving}, stop)
            await asyncio.wait({receiving}, timeout=LAST_RECEIVE_SECONDS)
        finally:
            receiving.cancel()
        try:
            messages = await receiving
        except (Retryable, OSError) as error:
            await self._pause_after(error, stop)
            return ()
        except asyncio.CancelledError:
            if stop.is_set():
                return ()
            raise
        if self._failed_receives:
            log.info("queue_reachable_again", queue=self._queue.name, failed_receives=self._failed_receives)
            self._failed_receives = 0
        return messages

    async def _pause_after(self, error: Exception, stop: asyncio.Event) -> None:
        self._failed_receives += 1
        if self._failed_receives == 1:
            log.error("queue_unreachable", queue=self._queue.name, error=str(error))
        seconds = min(2.0 ** min(self._failed_receives - 1, 10), LONGEST_OUTAGE_PAUSE_SECONDS)
        await wait_for_event(stop, self._clock, at_most_seconds=seconds * random.uniform(0.5, 1.0))

    async def _handle(self, message: Received) -> None:
        properties = message.properties
        known = {"run_id": properties.get("runId"), "partition_id": properties.get("partitionId")}
        fields = {key: value for key, value in known.items() if value}
        with self._trace(message) as recorded, bind(queue=self._queue.name, message_id=message.id, **fields):
            lease = _Lease(self._queue, message, self._clock)
            lease.start_renewing()
            try:
                verdict = await self._judge(message, recorded)
            finally:
                await lease.stop_renewing()
            settlement = await self._settle(lease.message, verdict)
            recorded.set({"diamond.settlement": settlement})
            if settlement == "dead_letter" and verdict.settlement == "abandon":
                recorded.fail(MAX_DELIVERIES_EXCEEDED)

    def _trace(self, message: Received) -> AbstractContextManager[Span]:
        """Below the planning of the message's run, linked to who sent it: a retry is no part of what it repeats."""
        sender = parse_traceparent(message.properties.get("traceparent"))
        parent = _trace_of(message, sender)
        if parent is None:
            return Span()
        return begin(
            parent.child(),
            f"{self._queue.name} process",
            Kind.CONSUMER,
            {"messaging.message.id": message.id, "messaging.delivery_count": message.delivery_count + 1},
            parent=parent,
            links=[sender],
        )

    async def _judge(self, message: Received, recorded: Span) -> "_Verdict":
        """Run the handler and say what its end means for the message."""
        try:
            await self._handler(message)
        except asyncio.CancelledError:
            log.warning("message_given_back")
            return _GIVE_BACK
        except Retryable as error:
            delay = _backoff_seconds(message.delivery_count, error.retry_after_seconds)
            log.warning("message_retried", error=str(error), delay_seconds=round(delay, 1))
            return _Verdict("abandon", delay_seconds=delay)
        except Fatal as error:
            recorded.fail(error)
            reason, description = type(error).__name__, clean_text(str(error))
            log.error("message_dead_lettered", reason=reason, error=description)
            return _Verdict("dead_letter", reason=reason, description=description)
        except Exception as error:
            recorded.fail(error)
            delay = _backoff_seconds(message.delivery_count)
            log.exception(
                "message_failed", delivery_count=message.delivery_count, delay_seconds=round(delay, 1)
            )
            return _Verdict("abandon", delay_seconds=delay)
        return _Verdict("complete")

    async def _settle(self, message: Received, verdict: "_Verdict") -> "_Settlement | None":
        """Tell the transport; returns what became of the message.

        None when that failed: the message comes again after its lease, which harms nothing.
        """
        try:
            if verdict.settlement == "complete":
                await self._queue.complete(message)
                self.tally.completed += 1
                return "complete"
            if verdict.settlement == "dead_letter":
                await self._queue.dead_letter(message, reason=verdict.reason, description=verdict.description)
            elif await self._queue.abandon(message, delay_seconds=verdict.delay_seconds):
                self.tally.abandoned += 1
                return "abandon"
            self.tally.dead_lettered += 1
            return "dead_letter"
        except (LeaseLost, Retryable, OSError) as error:
            self.tally.unsettled += 1
            log.warning("message_not_settled", settlement=verdict.settlement, error=str(error))
        except Exception:
            self.tally.unsettled += 1
            log.exception("message_not_settled", settlement=verdict.settlement)
        return None


_Settlement = Literal["complete", "abandon", "dead_letter"]


@dataclass(frozen=True, slots=True)
class _Verdict:
    settlement: _Settlement
    delay_seconds: float = 0.0
    reason: str = ""
    description: str = ""


_GIVE_BACK = _Verdict("abandon")


class _Lease:
    """A message's lease, renewed each third of its length; ``message`` is what the transport gave last."""

    def __init__(self, queue: Queue, message: Received, clock: Clock) -> None:
        self.message = message
        self._queue = queue
        self._clock = clock
        seconds = (message.leased_until - clock.now()).total_seconds()
        self._every_seconds = max(seconds / 3, SHORTEST_RENEWAL_SECONDS)
        self._renewing: asyncio.Task[None] | None = None
        self._is_over = False

    def start_renewing(self) -> None:
        self._renewing = asyncio.create_task(self._keep_renewing())

    async def stop_renewing(self) -> None:
        """Does not rely on the cancellation alone: a driver may answer it with an error of its own."""
        self._is_over = True
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing}, timeout=GIVE_BACK_SECONDS)

    async def _keep_renewing(self) -> None:
        while not self._is_over:
            await self._clock.sleep(self._every_seconds)
            try:
                self.message = await self._queue.renew(self.message)
            except LeaseLost as error:
                log.warning("message_lease_lost", error=str(error))
                return
            except Exception as error:
                if not self._is_over:
                    log.warning("message_not_renewed", error=str(error))


def _backoff_seconds(delivery_count: int, asked_seconds: float | None = None) -> float:
    """What the other side asked for, else 2 s doubled with each delivery up to 5 min, less up to a fifth."""
    if asked_seconds is not None:
        return max(asked_seconds, 0.0)
    doubled = FIRST_BACKOFF_SECONDS * 2.0 ** min(delivery_count, 20)
    return min(doubled, LONGEST_BACKOFF_SECONDS) * random.uniform(0.8, 1.0)


def _trace_of(message: Received, sender: Trace | None) -> Trace | None:
    """The planning of the run that the body names, else whoever sent the message."""
    in_body: object = message.body.get("traceId") if isinstance(message.body, dict) else None
    trace_id = parse_trace_id(in_body) if isinstance(in_body, str) else None
    if trace_id is None:
        return sender
    planning = run_trace(trace_id)
    return replace(planning, sampled=sender.sampled) if sender and sender.trace_id == trace_id else planning


async def _first_done(tasks: Collection[asyncio.Future[Any]], stop: asyncio.Event) -> None:
    """Return when one of ``tasks`` is done or ``stop`` is set."""
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
