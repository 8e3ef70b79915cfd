"""How every process logs: fixed events with fields, a line each, to stderr, libraries' lines included."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from io import StringIO
from operator import itemgetter
from typing import Any, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.observability.redact import clean_field, clean_fields, clean_text
from diamond_opus.observability.trace import current_trace

LINE_LIMIT_BYTES = 16 * 1024

_LEVELS: Mapping[str, int] = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "CRITICAL": logging.CRITICAL,
}
# In a line that is too long: what its identity may take of it, and what the names of the lost fields may.
_IDENTITY_LIMIT_BYTES = 200
_OMITTED_ROOM_BYTES = 1024
#: What a line keeps whatever else it loses, in the order in which it is written.
_FIRST = (
    "timestamp",
    "level",
    "event",
    "service",
    "worker_id",
    "run_id",
    "partition_id",
    "trace_id",
    "logger",
)
#: Written by this chain whatever a caller or a library says, so that there is nothing to mask.
_OURS = frozenset({"timestamp", "level", "logger"})
#: Set up with handlers of their own by default; their lines take the one chain instead.
_WITH_OWN_HANDLERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "aiohttp.access", "py.warnings")
#: At INFO they tell of every link and every header, at DEBUG of every address with its path.
_TALKATIVE = ("azure", "urllib3")
#: It quotes addresses, keys and passwords of channels, at any level; what became of a message we log ourselves.
_SILENT = ("apprise",)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: ``log = get_logger(__name__)``, then ``log.info("page_stored", stones=50)``.

    Before ``configure_logging`` ran (in a program that only imports this package) lines go to standard
    logging as that program set it up.
    """
    return structlog.stdlib.get_logger(name)


def bind(**fields: object) -> AbstractContextManager[None]:
    """Add fields (``run_id``, ``partition_id``, ...) to every line of the block and of tasks it starts.

    One that is None is taken away: a run is ended by the last of its partitions, and is not about that one.
    """
    return cast("AbstractContextManager[None]", structlog.contextvars.bound_contextvars(**fields))


def parse_level(text: str) -> int:
    """``LOG_LEVEL`` as a standard level. Raises ConfigurationError for an unknown one.

    >>> parse_level("warn") == parse_level("WARNING")
    True
    """
    level = _LEVELS.get(text.strip().upper())
    if level is None:
        raise ConfigurationError(f"LOG_LEVEL is {text!r}; use one of {', '.join(_LEVELS).lower()}")
    return level


def configure_logging(
    *,
    service: str,
    level: str = "INFO",
    worker_id: str | None = None,
    as_json: bool | None = None,
    stream: TextIO | None = None,
) -> None:
    """Send every log line of the process to ``stream`` (stderr), as JSON or readable; call it at the start.

    ``as_json`` None means: readable when the stream is a terminal. ``level`` is the value of ``LOG_LEVEL``.
    A server with a logging set-up of its own has to be told to leave it (uvicorn: ``log_config=None``).
    """
    out = stream if stream is not None else sys.stderr
    readable = out.isatty() if as_json is None else not as_json
    handler = _LineHandler(out)
    handler.setFormatter(
        make_formatter(service=service, worker_id=worker_id, readable=readable, colors=out.isatty())
    )
    root = logging.getLogger()
    for present in list(root.handlers):
        root.removeHandler(present)
    root.addHandler(handler)
    root.setLevel(parse_level(level))
    logging.captureWarnings(capture=True)
    # No line shows them, so no record need look them up.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in _WITH_OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(parse_level(level), logging.WARNING))
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


@contextmanager
def in_one_piece() -> Iterator[None]:
    """What the block logs is written when it ends, together: to write a line takes half as long as to make it.

    Other threads' lines wait for it, so that nothing may be awaited in there.
    """
    with ExitStack() as stack:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, _LineHandler):
                stack.enter_context(handler.in_one_piece())
        yield


def make_formatter(
    *, service: str, worker_id: str | None = None, readable: bool, colors: bool = False
) -> logging.Formatter:
    """What makes a line of a record, ours or a library's: masked, bounded, as JSON or for people."""
    console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    render: list[Processor] = (
        [_clean, _spell_time, console] if readable else [_clean, _Identity(service, worker_id), _render_json]
    )
    return _LineFormatter([structlog.processors.format_exc_info, *render])


class _LineHandler(logging.StreamHandler[TextIO]):
    """Writes a line at once, or those of a block in one piece."""

    @contextmanager
    def in_one_piece(self) -> Iterator[None]:
        self.acquire()
        lines = StringIO()
        stream, self.stream = self.stream, lines
        try:
            yield
        finally:
            self.stream = stream
            # When nobody reads the log any more, logging itself gives its lines up as well.
            with suppress(OSError, ValueError):
                stream.write(lines.getvalue())
                self.flush()
            self.release()


class _Fields(dict[str, Any]):
    """The message of a record that is ours: the event and its fields, completed."""


class _LineFormatter(structlog.stdlib.ProcessorFormatter):
    """A library's record is completed as ours are; ours take the short way, for there is one with every request."""

    def __init__(self, processors: Sequence[Processor]) -> None:
        super().__init__(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), _drop_color_message, *_SHARED],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *processors],
        )
        self._short_way = processors

    def format(self, record: logging.LogRecord) -> str:
        if not isinstance(record.msg, _Fields):
            return super().format(record)
        event: Any = record.msg.copy()  # another handler may format it too
        for process in self._short_way:
            event = process(None, "", event)
        return cast("str", event)


class _Identity:
    """Adds who speaks: service, process and, in a worker, its id."""

    def __init__(self, service: str, worker_id: str | None) -> None:
        known = {"service": service, "worker_id": worker_id, "pid": os.getpid()}
        self._fields = clean_fields({key: value for key, value in known.items() if value is not None})

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        for key, value in self._fields.items():
            event.setdefault(key, value)
        return event


def _merge_bound(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key, value in structlog.contextvars.get_contextvars().items():
        if value is not None:
            event.setdefault(key, value)
    return event


def _add_trace_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    trace = current_trace()
    if trace is not None:
        event.setdefault("trace_id", trace.trace_id)
    return event


def _add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Whoever writes a line later says when it was."""
    if not isinstance(event.get("timestamp"), datetime):
        event["timestamp"] = datetime.now(UTC)
    return event


def _spell_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For people; JSON's encoder does it itself, and quicker."""
    event["timestamp"] = event["timestamp"].isoformat(timespec="microseconds").replace("+00:00", "Z")
    return event


def _clean(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask and bound every field; runs last, so that tracebacks and foreign messages pass it too."""
    if isinstance(event.get("exception"), str):
        event["exception"] = clean_text(event["exception"], keep_end=True)
    return {key: value if key in _OURS else clean_field(key, value) for key, value in event.items()}


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """One line of at most 16 KB; of what does not fit the smallest fields are kept and the others named."""
    ordered: dict[str, Any] = {key: event[key] for key in _FIRST if key in event} | dict(event)
    line = _encode(ordered)
    return (line if len(line) <= LINE_LIMIT_BYTES else _encode(_shortened(ordered))).decode()


def _encode(event: Mapping[str, Any]) -> bytes:
    return orjson.dumps(event, option=orjson.OPT_UTC_Z)


def _shortened(event: dict[str, Any]) -> dict[str, Any]:
    """``event`` in 16 KB of JSON: its identity, its smallest fields, and the names of some omitted ones."""
    kept = {
        key: value
        if key in _OURS or key == "event"
        else clean_field(key, value, limit_bytes=_IDENTITY_LIMIT_BYTES)
        for key, value in event.items()
        if key in _FIRST
    }
    room = LINE_LIMIT_BYTES - len(_encode(kept)) - _OMITTED_ROOM_BYTES
    omitted: list[str] = []
    others = ((key, len(orjson.dumps({key: value}))) for key, value in event.items() if key not in _FIRST)
    for key, size in sorted(others, key=itemgetter(1)):
        if size > room:
            omitted.append(clean_text(key, limit_bytes=60))
        else:
            kept[key] = event[key]
            room -= size
    return kept | {"omitted": omitted[:5], "omitted_fields": len(omitted)}


def _drop_color_message(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """uvicorn sends each of its messages a second time, with terminal colours."""
    event.pop("color_message", None)
    return event


def _to_record(
    _logger: WrappedLogger, _method: str, event: EventDict
) -> tuple[tuple[_Fields], dict[str, Any]]:
    return (_Fields(event),), {}


_SHARED: list[Processor] = [
    _merge_bound,
    _add_trace_id,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    _add_time,
]

# At import, so that a logger made at the top of a module takes this chain; standard logging stays untouched.
structlog.configure(
    processors=[structlog.stdlib.filter_by_level, *_SHARED, _to_record],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=logging.getLogger,
    cache_logger_on_first_use=True,
)
