"""Which trace the present work belongs to, in W3C form, so that a run can be followed across processes."""

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace: 32 hex digits for the whole, 16 for the span, and whether it is being recorded."""

    trace_id: str
    span_id: str
    sampled: bool = True

    def child(self) -> "Trace":
        """The same trace, one step further."""
        return replace(self, span_id=_random_hex(8))


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def new_trace_id() -> str:
    """A fresh random id of 32 hex digits, never all zero."""
    return _random_hex(16)


def new_trace(trace_id: str | None = None) -> Trace:
    """A first span, in a new trace or in the one whose id is known."""
    return Trace(trace_id or new_trace_id(), _random_hex(8))


def run_root(trace_id: str) -> Trace:
    """Where the trace of a run begins: at its planning.

    The span's id follows from the trace's, so that whoever knows a run hangs its work below the planning, also the
    sweeper that wakes it a day later in another process.

    >>> run_root("4bf92f3577b34da6a3ce929d0e0e4736").span_id
    '4bf92f3577b34da6'
    """
    plain = w3c_trace_id(trace_id)
    return Trace(trace_id, plain[:16] if plain[:16] != _NO_SPAN else plain[16:])


def current_trace() -> Trace | None:
    return _current.get()


@contextmanager
def use_trace(trace: Trace | None) -> Iterator[None]:
    """Make ``trace`` the present one within the block (and the tasks started in it)."""
    token = _current.set(trace)
    try:
        yield
    finally:
        _current.reset(token)


def parse_trace_id(text: str) -> str | None:
    """A caller's trace id, as 32 hex digits or as a UUID; None when it is neither.

    >>> parse_trace_id("4BF92F35-77B3-4DA6-A3CE-929D0E0E4736")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    plain = text.strip().lower()
    if len(plain) == 36:
        plain = plain.replace("-", "")
    return plain if _TRACE_ID.fullmatch(plain) and plain != _NO_TRACE else None


def w3c_trace_id(trace_id: str) -> str:
    """The trace's id as other programs read it; what a caller chose in a form of its own becomes its hash."""
    return parse_trace_id(trace_id) or hashlib.sha256(trace_id.encode()).hexdigest()[:32]


def parse_traceparent(header: str | None) -> Trace | None:
    """The W3C ``traceparent`` value; None when it is missing or not valid, as the standard asks.

    >>> parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    Trace(trace_id='4bf92f3577b34da6a3ce929d0e0e4736', span_id='00f067aa0ba902b7', sampled=True)
    """
    match = _TRACEPARENT.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return Trace(trace_id, span_id, sampled=bool(int(flags, 16) & 1))


def format_traceparent(trace: Trace) -> str:
    """``trace`` as a ``traceparent`` header or message property."""
    return f"00-{w3c_trace_id(trace.trace_id)}-{trace.span_id}-{'01' if trace.sampled else '00'}"


def _random_hex(size_bytes: int) -> str:
    while True:
        value = secrets.token_hex(size_bytes)
        if value.strip("0"):
            return value
