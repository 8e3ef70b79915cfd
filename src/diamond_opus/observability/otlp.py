"""Spans by OpenTelemetry's SDK, over OTLP; loaded only where an endpoint is set. Needs the extra ``otel``."""

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.redact import clean_field, clean_text
from diamond_opus.observability.trace import Trace, w3c_trace_id
from diamond_opus.observability.tracing import ENDPOINTS, Kind

VALUE_LIMIT_BYTES = 256
ERROR_LIMIT_BYTES = 500
MOST_LINKS = 32

_EXPORTER = "OTEL_EXPORTER_OTLP"

_KINDS = {
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.SERVER: SpanKind.SERVER,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.CONSUMER: SpanKind.CONSUMER,
}

log = get_logger(__name__)


class OtlpRecorder:
    """Sends spans from a thread of its own: a collector that is slow or away costs spans and nothing else."""

    def __init__(self, service: str, variables: Mapping[str, str]) -> None:
        """Raises ConfigurationError for a variable that the SDK refuses, or would put aside with a word in the log."""
        _check(variables)
        self._words = _LastWords()
        self._ids = _GivenIds()
        with _lent(variables), self._words.are_refusals():
            # The endpoint is for people, in the log; the exporter finds it by itself.
            endpoint = next(variables[name] for name in ENDPOINTS if variables.get(name))
            self._exporter = _TellingExporter(OTLPSpanExporter(), endpoint, self._words)
            self._provider = TracerProvider(
                resource=_resource(service), id_generator=self._ids, shutdown_on_exit=False
            )
            self._processor = _CountingProcessor(self._exporter)
            self._provider.add_span_processor(self._processor)
            if self._words.last:
                self._provider.shutdown()
        self._tracer = self._provider.get_tracer("diamond_opus")

    def start(
        self,
        place: Trace,
        name: str,
        *,
        parent: Trace | None,
        links: Sequence[Trace],
        kind: Kind,
        attributes: Mapping[str, object],
    ) -> "_OtlpSpan | None":
        with self._ids.given(place):
            started = self._tracer.start_span(
                name,
                Context() if parent is None else otel.set_span_in_context(_remote(parent), Context()),
                kind=_KINDS[kind],
                attributes=_clean(attributes),
                links=[Link(_context_of(link)) for link in links[:MOST_LINKS]],
            )
        return _OtlpSpan(started) if started.is_recording() else None

    def is_sampled(self, trace_id: str) -> bool:
        """As for a trace that begins here: every process decides the same about one id."""
        result = self._provider.sampler.should_sample(Context(), int(w3c_trace_id(trace_id), 16), "run")
        return result.decision is Decision.RECORD_AND_SAMPLE

    def close(self, *, seconds: float) -> None:
        # The SDK itself would wait for half a minute, and its exporter ten seconds for a collector that is away.
        closing = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(seconds)
        if closing.is_alive():
            self._exporter.shutdown()
        lost = self._processor.ended - self._exporter.delivered
        if lost:
            log.warning("spans_lost", spans=lost, endpoint=self._exporter.endpoint)
        self._words.forget()


class _OtlpSpan:
    """A span of the SDK, told in our words."""

    __slots__ = ("_span",)

    def __init__(self, span: otel.Span) -> None:
        self._span = span

    def set(self, attributes: Mapping[str, object]) -> None:
        self._span.set_attributes(_clean(attributes))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, kind: str, detail: str) -> None:
        # No stack: it would hold what the work had in hand.
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR, detail or None))

    def end(self) -> None:
        self._span.end()


class _GivenIds(IdGenerator):
    """The ids are those of our own place in the trace, which logs and messages tell."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def given(self, place: Trace) -> Iterator[None]:
        self._local.trace_id, self._local.span_id = (
            int(w3c_trace_id(place.trace_id), 16),
            int(place.span_id, 16),
        )
        yield

    def generate_trace_id(self) -> int:
        trace_id: int = self._local.trace_id
        return trace_id

    def generate_span_id(self) -> int:
        span_id: int = self._local.span_id
        return span_id


class _CountingProcessor(BatchSpanProcessor):
    """Counts what ended: what the exporter was not handed was dropped by a full queue."""

    def __init__(self, exporter: SpanExporter) -> None:
        super().__init__(exporter)
        self.ended = 0
        self._counting = threading.Lock()

    def on_end(self, span: ReadableSpan) -> None:
        with self._counting:
            self.ended += 1
        super().on_end(span)


class _TellingExporter(SpanExporter):
    """Says once that nothing can be sent, and once that it can again."""

    def __init__(self, exporter: SpanExporter, endpoint: str, words: "_LastWords") -> None:
        self.endpoint = endpoint
        self.delivered = 0
        self._exporter = exporter
        self._words = words
        self._is_failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.delivered += len(spans)
            if self._is_failing:
                log.info("spans_sent_again", endpoint=self.endpoint)
        elif not self._is_failing:
            log.warning(
                "spans_not_sent",
                endpoint=self.endpoint,
                reason=self._words.last,
                consequence="traces have gaps until it answers; the work goes on",
            )
        self._is_failing = result is not SpanExportResult.SUCCESS
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _LastWords(logging.Handler):
    """Keeps the SDK's complaints, which come with each try, out of the log; the last is the reason we tell."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""
        self._logger = logging.getLogger("opentelemetry")
        self._logger.addHandler(self)
        self._logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self.last = clean_text(record.getMessage(), limit_bytes=ERROR_LIMIT_BYTES)

    @contextmanager
    def are_refusals(self) -> Iterator[None]:
        """Of a block that reads variables: what the SDK does not understand it replaces by a default of its own."""
        try:
            yield
        except (ValueError, RuntimeError, OSError) as error:
            self.forget()
            raise ConfigurationError(_told(str(error))) from None
        if self.last:
            self.forget()
            raise ConfigurationError(_told(self.last))

    def forget(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = True


def _check(variables: Mapping[str, str]) -> None:
    """What the SDK does not look at before it sends, or never. Raises ConfigurationError."""
    for name in (f"{_EXPORTER}_TRACES_PROTOCOL", f"{_EXPORTER}_PROTOCOL"):
        if variables.get(name, "http/protobuf").strip() != "http/protobuf":
            raise ConfigurationError(f"{name} ({variables[name]!r}): only http/protobuf is spoken")
    for name in _of_exporter(variables, "CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"):
        if not os.access(variables[name], os.R_OK):
            raise ConfigurationError(f"{name} ({variables[name]!r}): there is no such file that can be read")
    for name in _of_exporter(variables, "TIMEOUT"):
        if variables[name].strip().startswith("-"):
            raise ConfigurationError(f"{name} ({variables[name]!r}): must be seconds")


def _of_exporter(variables: Mapping[str, str], *endings: str) -> Sequence[str]:
    """The variables of these names that are set, for traces alone or for all that is sent."""
    names = [f"{_EXPORTER}{kind}_{ending}" for ending in endings for kind in ("_TRACES", "")]
    return [name for name in names if variables.get(name)]


def _told(complaint: str) -> str:
    """The SDK's complaint as one line; about headers it quotes them, and they are secret."""
    if "header" in complaint.lower():
        return f"{_EXPORTER}_HEADERS: must be name=value, several separated by commas, each percent-encoded"
    return f"OpenTelemetry's variables (OTEL_*): {clean_text(complaint, limit_bytes=ERROR_LIMIT_BYTES)}"


def _resource(service: str) -> Resource:
    """Who speaks, with what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say."""
    told = Resource.create()
    if str(told.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        return told.merge(Resource({SERVICE_NAME: f"diamond-{service}"}))
    return told


@contextmanager
def _lent(variables: Mapping[str, str]) -> Iterator[None]:
    """Show the SDK the variables, of which some may be in .env.local only, for as long as it reads them.

    Nothing stays: what this process starts must not inherit the collector's key.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _clean(attributes: Mapping[str, object]) -> dict[str, str | bool | int | float]:
    cleaned = {
        name: clean_field(name, value, limit_bytes=VALUE_LIMIT_BYTES)
        for name, value in attributes.items()
        if value is not None
    }
    return {
        name: value if isinstance(value, str | bool | int | float) else str(value)[:VALUE_LIMIT_BYTES]
        for name, value in cleaned.items()
    }


def _context_of(place: Trace) -> SpanContext:
    return SpanContext(
        int(w3c_trace_id(place.trace_id), 16),
        int(place.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if place.sampled else TraceFlags.DEFAULT),
    )


def _remote(place: Trace) -> NonRecordingSpan:
    return NonRecordingSpan(_context_of(place))
