"""An AMQP 1.0 broker on loopback that speaks Azure Service Bus to the azure-servicebus SDK.

For tests only.  It runs proton's event loop in one thread; everything that touches a connection
or a queue runs there, so a test calls `ServiceBusFixture.call` (or the helpers built on it).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, TypeVar, cast

from proton import (
    UNDESCRIBED,
    Array,
    Condition,
    Data,
    Delivery,
    Endpoint,
    Handler,
    Message,
    Terminus,
    int32,
    symbol,
    timestamp,
)
from proton.reactor import ApplicationEvent, Container, EventInjector

from . import sections
from .entities import (
    DEAD_LETTER_SUFFIX,
    Clock,
    Counts,
    LockLost,
    NotFound,
    Queue,
    QueueOptions,
    Settlement,
)

log = logging.getLogger("servicebus_fixture")
T = TypeVar("T")

CBS = "$cbs"
MANAGEMENT_SUFFIX = "/$management"
MICROSOFT = "com.microsoft:"
TICK_SECONDS = 0.02
SETTLE_MODE_SETTLED = 1  # snd-settle-mode of a receive-and-delete link

_OUTCOMES: dict[Any, Settlement] = {
    Delivery.ACCEPTED: Settlement.COMPLETE,
    Delivery.REJECTED: Settlement.DEAD_LETTER,
    Delivery.RELEASED: Settlement.RELEASE,
}


class ManagementError(Exception):
    def __init__(self, status: int, condition: str, description: str) -> None:
        super().__init__(description)
        self.status, self.condition, self.description = status, condition, description


def _entity(address: str | None) -> str:
    """amqps://host:port/queue -> queue; keeps $cbs and queue/$management as they are."""
    if not address:
        return ""
    if "://" in address:
        address = urllib.parse.urlsplit(address).path
    return address.strip("/").lower()


class ServiceBusFixture:
    """`with ServiceBusFixture(queues={"jobs": QueueOptions()}) as bus: bus.connection_string`"""

    key_name = "RootManageSharedAccessKey"

    def __init__(self, queues: dict[str, QueueOptions] | None = None, *, key: str = "c2VjcmV0") -> None:
        self.key = key
        self.clock = Clock()
        self.port = 0
        self.queues: dict[str, Queue] = {}
        self.faults = Faults()
        for name, options in (queues or {}).items():
            self._declare(name, options)
        self._broker = _Broker(self)
        self._injector = EventInjector()
        self._thread: threading.Thread | None = None

    # -- life -----------------------------------------------------------------------------
    def start(self) -> ServiceBusFixture:
        container = Container(self._broker)
        container.container_id = "servicebus-fixture"
        container.selectable(self._injector)
        self._thread = threading.Thread(target=container.run, name="servicebus-fixture", daemon=True)
        self._thread.start()
        if not self._broker.listening.wait(5):
            raise RuntimeError("the broker did not start listening")
        return self

    def stop(self) -> None:
        if self._thread is None:
            return
        self.call(self._broker.shut_down)
        self._injector.close()
        self._thread.join(5)
        self._thread = None

    def __enter__(self) -> ServiceBusFixture:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    @property
    def connection_string(self) -> str:
        return (
            f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName={self.key_name};"
            f"SharedAccessKey={self.key};UseDevelopmentEmulator=true;"
        )

    # -- what a test does beside the SDK ----------------------------------------------------
    def call(self, function: Callable[[], T]) -> T:
        """Runs `function` in the broker's thread."""
        done: Future[T] = Future()
        self._injector.trigger(ApplicationEvent("call", subject=(function, done), connection=None))
        return done.result(5)

    def counts(self, queue: str) -> Counts:
        return self.call(lambda: self.queues[queue].counts())

    def sent_to(self, queue: str) -> int:
        return self.call(lambda: self.queues[queue].taken_in)

    def advance(self, seconds: float) -> None:
        """Moves the broker's clock: locks expire and scheduled messages become due."""

        def move() -> None:
            self.clock.offset += seconds
            self._broker.tick()

        self.call(move)

    def drop_connections(self) -> int:
        """Closes every socket without an AMQP close, as a network fault does."""
        return self.call(self._broker.drop_connections)

    def detach_links(self, condition: str = "amqp:link:detach-forced", description: str = "idle") -> int:
        return self.call(lambda: self._broker.detach_links(condition, description))

    def _declare(self, name: str, options: QueueOptions) -> Queue:
        name = name.lower()
        sequence = count(1)
        dead = Queue(
            name + DEAD_LETTER_SUFFIX, self.clock, QueueOptions(options.lock_duration, 2**31), None, sequence
        )
        queue = Queue(name, self.clock, options, dead, sequence)
        self.queues[name] = queue
        self.queues[dead.name] = dead
        return queue


class Faults:
    """Set by a test, read by the broker's thread; each is used up as it is applied."""

    def __init__(self) -> None:
        self.reject_sends: list[tuple[str, str]] = []  # (condition, description)
        self.reject_management: list[tuple[int, str, str]] = []  # (status, condition, description)
        self.refuse_tokens = 0
        self.ignore_settlements = 0  # the outcome is never confirmed


def _guarded(method: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """An exception in a handler would stop proton's loop: log it and close that connection."""

    def run(self: Any, event: Any) -> None:
        try:
            method(self, event)
        except Exception as exc:
            log.exception("broker handler %s failed", method.__name__)
            connection = event.connection
            if connection is not None:
                connection.condition = Condition("amqp:internal-error", repr(exc))
                connection.close()

    return run


class _Broker(Handler):
    def __init__(self, bus: ServiceBusFixture) -> None:
        super().__init__()
        self.bus = bus
        self.listening = threading.Event()
        self.container: Any = None
        self.acceptor: Any = None
        self.connections: set[Any] = set()
        self.consumers: dict[str, list[Any]] = {}
        self.stopping = False
        for queue in bus.queues.values():
            queue.on_ready = self._mark_ready
        self.ready: set[str] = set()

    def _mark_ready(self, queue: Queue) -> None:
        self.ready.add(queue.name)

    # -- the loop -------------------------------------------------------------------------
    def on_reactor_init(self, event: Any) -> None:
        self.container = event.container
        self.acceptor = event.container.listen("127.0.0.1:0")
        self.bus.port = self.acceptor._selectable.getsockname()[1]
        event.container.schedule(TICK_SECONDS, self)
        self.listening.set()

    def on_timer_task(self, event: Any) -> None:
        if self.stopping:
            return
        self.tick()
        event.container.schedule(TICK_SECONDS, self)

    def tick(self) -> None:
        for queue in self.bus.queues.values():
            queue.tick()
        self._dispatch()

    def on_call(self, event: Any) -> None:
        function, done = event.subject
        try:
            done.set_result(function())
        except Exception as exc:
            done.set_exception(exc)

    def shut_down(self) -> None:
        self.stopping = True
        self.acceptor.close()
        self.drop_connections()

    def drop_connections(self) -> int:
        dropped = list(self.connections)
        for connection in dropped:
            transport = connection.transport
            if transport is not None:
                # Not an orderly AMQP close: the peer sees its socket end.
                transport._selectable._delegate.shutdown(2)
        return len(dropped)

    def detach_links(self, condition: str, description: str) -> int:
        links = [link for senders in self.consumers.values() for link in senders]
        for link in links:
            link.condition = Condition(condition, description)
            link.close()
        self.consumers.clear()
        return len(links)

    # -- endpoints ------------------------------------------------------------------------
    @_guarded
    def on_connection_remote_open(self, event: Any) -> None:
        event.connection.container = "servicebus-fixture"
        event.connection.authorised = set()
        event.connection.open()
        self.connections.add(event.connection)

    @_guarded
    def on_session_remote_open(self, event: Any) -> None:
        event.session.open()

    @_guarded
    def on_link_remote_open(self, event: Any) -> None:
        link = event.link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode = link.remote_snd_settle_mode
        link.rcv_settle_mode = link.remote_rcv_settle_mode
        address = _entity(link.remote_source.address if link.is_sender else link.remote_target.address)
        link.entity = address
        error = self._refusal(link, address)
        if error is not None:
            # A null terminus, then a detach: how AMQP refuses a link.
            (link.source if link.is_sender else link.target).type = Terminus.UNSPECIFIED
            link.open()
            link.condition = error
            link.close()
            return
        if link.is_receiver:
            queue = self.bus.queues.get(address)
            link.max_message_size = queue.options.max_message_size if queue else 1024 * 1024
            link.open()
            link.flow(1000)
        else:
            link.open()
            if address in self.bus.queues:
                link.sent = {}  # lock token -> delivery
                self.consumers.setdefault(address, []).append(link)
                self.ready.add(address)

    def _refusal(self, link: Any, address: str) -> Condition | None:
        if address == CBS:
            return None
        entity = address.removesuffix(MANAGEMENT_SUFFIX)
        if entity not in self.bus.queues:
            return Condition("amqp:not-found", f"The messaging entity '{entity}' could not be found.")
        allowed: set[str] = link.connection.authorised
        root = entity.removesuffix(DEAD_LETTER_SUFFIX)
        if not {"", entity, root} & allowed:
            return Condition(
                "amqp:unauthorized-access", "Unauthorized access. 'Listen' claim(s) are required."
            )
        return None

    @_guarded
    def on_link_flow(self, event: Any) -> None:
        link = event.link
        if not link.is_sender:
            return
        if link.entity in self.bus.queues:
            self._fill(link)
        if link.drain_mode:
            link.drained()

    @_guarded
    def on_link_remote_close(self, event: Any) -> None:
        self._forget(event.link)
        event.link.close()

    on_link_remote_detach = on_link_remote_close

    @_guarded
    def on_session_remote_close(self, event: Any) -> None:
        self._forget_where(lambda link: link.session == event.session)
        event.session.close()

    @_guarded
    def on_connection_remote_close(self, event: Any) -> None:
        event.connection.close()
        self._gone(event.connection)

    def on_transport_closed(self, event: Any) -> None:
        if event.connection is not None:
            self._gone(event.connection)

    on_transport_tail_closed = on_transport_closed

    def _gone(self, connection: Any) -> None:
        self.connections.discard(connection)
        self._forget_where(lambda link: link.connection == connection)

    def _forget(self, link: Any) -> None:
        self._forget_where(lambda other: other == link)

    def _forget_where(self, gone: Callable[[Any], bool]) -> None:
        # Locks stay until they expire, as in Service Bus: a dropped link unlocks nothing.
        self.consumers = {
            name: kept
            for name, links in self.consumers.items()
            if (kept := [k for k in links if not gone(k)])
        }

    # -- deliveries -----------------------------------------------------------------------
    @_guarded
    def on_delivery(self, event: Any) -> None:
        delivery = event.delivery
        if event.link.is_receiver:
            if delivery.readable and not delivery.partial:
                self._receive(event.link, delivery)
        elif delivery.updated:
            self._settle(event.link, delivery)

    def _receive(self, link: Any, delivery: Any) -> None:
        data = link.recv(delivery.pending)
        link.advance()
        if not link.state & Endpoint.LOCAL_ACTIVE:  # sent before the peer saw our refusal
            delivery.settle()
            return
        link.flow(1)
        try:
            if link.entity == CBS:
                self._put_token(link, data)
            elif link.entity.endswith(MANAGEMENT_SUFFIX):
                self._manage(link, data)
            else:
                self._store(link.entity, data)
        except ManagementError as exc:
            # The info map matters: without it the SDK's send callback fails (IndexError, only logged)
            # and send_messages() waits for ever.  Service Bus always sends one.
            delivery.local.condition = Condition(
                MICROSOFT + exc.condition, exc.description, {symbol("tracking-id"): str(uuid.uuid4())}
            )
            delivery.update(Delivery.REJECTED)
        else:
            delivery.update(Delivery.ACCEPTED)
        delivery.settle()
        self._dispatch()

    def _store(self, entity: str, data: bytes) -> None:
        if self.bus.faults.reject_sends:
            condition, description = self.bus.faults.reject_sends.pop(0)
            raise ManagementError(0, condition, description)
        queue = self.bus.queues[entity]
        for encoded in sections.unbatch(data):
            queue.enqueue(encoded)

    def _dispatch(self) -> None:
        while self.ready:
            for link in list(self.consumers.get(self.ready.pop(), [])):
                self._fill(link)

    def _fill(self, link: Any) -> None:
        if not link.state & Endpoint.LOCAL_ACTIVE:
            return
        queue = self.bus.queues[link.entity]
        settled = link.snd_settle_mode == SETTLE_MODE_SETTLED
        while link.credit > 0 and link.queued < link.credit:
            message = queue.take(lock=not settled)
            if message is None:
                return
            token = message.lock_token or uuid.uuid4()
            delivery = link.delivery(token.bytes_le)
            delivery.lock_token = token
            link.stream(message.encode())
            link.advance()
            if settled:
                delivery.settle()

    def _settle(self, link: Any, delivery: Any) -> None:
        state = delivery.remote_state
        token = getattr(delivery, "lock_token", None)
        if token is None:  # a reply on a management link
            if delivery.settled or state:
                delivery.settle()
            return
        if state not in (Delivery.ACCEPTED, Delivery.REJECTED, Delivery.RELEASED, Delivery.MODIFIED):
            if delivery.settled:  # settled without an outcome: treated as released
                delivery.settle()
            return
        if self.bus.faults.ignore_settlements and not delivery.settled:
            self.bus.faults.ignore_settlements -= 1
            return
        reason = description = None
        if state == Delivery.MODIFIED:
            how = Settlement.DEFER if delivery.remote.undeliverable else Settlement.ABANDON
        else:
            how = _OUTCOMES[state]
        if state == Delivery.REJECTED and (condition := delivery.remote.condition) is not None:
            info = {str(k): v for k, v in (condition.info or {}).items()}
            reason = info.get("DeadLetterReason")
            description = info.get("DeadLetterErrorDescription", condition.description)
        try:
            self.bus.queues[link.entity].settle(token, how, reason, description)
        except LockLost:
            delivery.local.condition = Condition(
                MICROSOFT + "message-lock-lost",
                "The lock supplied is invalid. Either the lock expired, or the message"
                " has already been removed from the queue.",
            )
            delivery.update(Delivery.REJECTED)
        else:
            if state == Delivery.MODIFIED:
                delivery.local.failed = delivery.remote.failed
                delivery.local.undeliverable = delivery.remote.undeliverable
            delivery.update(state)
        delivery.settle()
        self._dispatch()

    # -- request and response ---------------------------------------------------------------
    def _reply(self, request_link: Any, request: Message, response: Message) -> None:
        """Sends on the response link that this session opened beside the request link."""
        response.correlation_id = request.id
        link = request_link.session.connection.link_head(Endpoint.LOCAL_ACTIVE | Endpoint.REMOTE_ACTIVE)
        while link is not None:
            if link.is_sender and link.session == request_link.session and link.entity == request_link.entity:
                link.delivery(uuid.uuid4().bytes)
                link.stream(response.encode())
                link.advance()
                return
            link = link.next(Endpoint.LOCAL_ACTIVE | Endpoint.REMOTE_ACTIVE)
        log.warning("no response link for %s", request_link.entity)

    def _put_token(self, link: Any, data: bytes) -> None:
        request = Message()
        request.decode(data)
        properties: Any = request.properties
        values: dict[str, Any] = properties or {}
        status, description = 202, "Accepted"
        audience = _entity(str(values.get("name", "")))
        if self.bus.faults.refuse_tokens:
            self.bus.faults.refuse_tokens -= 1
            status, description = 401, "InvalidSignature: The token has an invalid signature."
        elif str(request.body).startswith("SharedAccess") and not self._valid_sas(str(request.body)):
            # By the token, not by its declared type: the SDK calls a SAS token "jwt".
            status, description = 401, "InvalidSignature: The token has an invalid signature."
        else:
            link.connection.authorised.add(audience)
        response = Message(properties={"status-code": int32(status), "status-description": description})
        self._reply(link, request, response)

    def _valid_sas(self, token: str) -> bool:
        """HMAC-SHA256 over '<quoted audience>\\n<expiry>' with the namespace's key."""
        scheme, _, rest = token.partition(" ")
        parts = dict(p.split("=", 1) for p in rest.split("&") if "=" in p)
        if scheme != "SharedAccessSignature" or not {"sr", "sig", "se", "skn"} <= parts.keys():
            return False
        signed = f"{parts['sr']}\n{parts['se']}".encode()
        digest = hmac.new(self.bus.key.encode(), signed, hashlib.sha256).digest()
        given = base64.b64decode(urllib.parse.unquote(parts["sig"]))
        unexpired = int(parts["se"]) > self.bus.clock.now()
        return hmac.compare_digest(digest, given) and unexpired and parts["skn"] == self.bus.key_name

    def _manage(self, link: Any, data: bytes) -> None:
        request = Message()
        request.decode(data)
        properties: Any = request.properties
        values: dict[str, Any] = properties or {}
        operation = str(values.get("operation", "")).removeprefix(MICROSOFT)
        queue = self.bus.queues[link.entity.removesuffix(MANAGEMENT_SUFFIX)]
        response: Any = Message()
        try:
            if self.bus.faults.reject_management:
                raise ManagementError(*self.bus.faults.reject_management.pop(0))
            handler = _OPERATIONS.get(operation)
            if handler is None:
                raise ManagementError(501, "not-implemented", f"the fixture has no operation {operation!r}")
            body = handler(queue, cast("dict[str, Any]", request.body or {}))
            response.body = body
            status = 204 if body is _NO_CONTENT else 200
            response.properties = {"statusCode": int32(status), "statusDescription": "OK"}
        except LockLost as exc:
            response.properties = _failure(410, "message-lock-lost", f"The lock {exc} is invalid or expired.")
        except NotFound as exc:
            response.properties = _failure(404, "message-not-found", f"No such message: {exc}")
        except ManagementError as exc:
            response.properties = _failure(exc.status, exc.condition, exc.description)
        self._reply(link, request, response)


def _failure(status: int, condition: str, description: str) -> dict[str, object]:
    return {
        "statusCode": int32(status),
        "statusDescription": description,
        "errorCondition": symbol(MICROSOFT + condition),
    }


# -- $management operations: (queue, request body) -> response body -----------------------------
_NO_CONTENT: dict[str, object] = {}


def _elements(value: Any) -> list[Any]:
    return list(value.elements) if isinstance(value, Array) else list(value or [])


def _array(kind: Any, values: list[Any]) -> Array:
    return Array(cast("Any", UNDESCRIBED), kind, *values)


def _renew_lock(queue: Queue, body: dict[str, Any]) -> dict[str, object]:
    until = [queue.renew(token) for token in _elements(body["lock-tokens"])]
    return {"expirations": _array(Data.TIMESTAMP, [timestamp(int(t * 1000)) for t in until])}


def _schedule(queue: Queue, body: dict[str, Any]) -> dict[str, object]:
    stored = [queue.enqueue(bytes(item["message"])) for item in _elements(body["messages"])]
    numbers = [0 if message is None else message.sequence_number for message in stored]
    return {"sequence-numbers": _array(Data.LONG, numbers)}


def _cancel_scheduled(queue: Queue, body: dict[str, Any]) -> dict[str, object]:
    queue.cancel_scheduled([int(n) for n in _elements(body["sequence-numbers"])])
    return {"ok": True}


def _peek(queue: Queue, body: dict[str, Any]) -> dict[str, object]:
    found = queue.peek(int(body["from-sequence-number"]), int(body["message-count"]))
    if not found:
        return _NO_CONTENT
    return {"messages": [{"message": message.encode()} for message in found]}


def _receive_deferred(queue: Queue, body: dict[str, Any]) -> dict[str, object]:
    lock = int(body.get("receiver-settle-mode", 1)) == 1
    found = queue.take_deferred([int(n) for n in _elements(body["sequence-numbers"])], lock=lock)
    return {
        "messages": [{"message": m.encode(), "lock-token": m.lock_token or uuid.UUID(int=0)} for m in found]
    }


def _update_disposition(queue: Queue, body: dict[str, Any]) -> dict[str, object]:
    how = Settlement(str(body["disposition-status"]))
    for token in _elements(body["lock-tokens"]):
        queue.settle(token, how, body.get("deadletter-reason"), body.get("deadletter-description"))
    return {"ok": True}


_OPERATIONS: dict[str, Callable[[Queue, dict[str, Any]], dict[str, object]]] = {
    "renew-lock": _renew_lock,
    "schedule-message": _schedule,
    "cancel-scheduled-message": _cancel_scheduled,
    "peek-message": _peek,
    "receive-by-sequence-number": _receive_deferred,
    "update-disposition": _update_disposition,
}


@contextmanager
def service_bus(**queues: QueueOptions) -> Iterator[ServiceBusFixture]:
    bus = ServiceBusFixture(queues)
    bus.start()
    try:
        yield bus
    finally:
        with suppress(Exception):
            bus.stop()
