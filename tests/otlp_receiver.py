"""A collector on loopback: takes OTLP over HTTP as a real one does, and keeps what it was sent."""

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True, slots=True)
class Exported:
    """A span as it arrived; ids in hex, ``parent`` empty for a root."""

    service: str
    trace_id: str
    span_id: str
    parent: str
    name: str
    kind: str
    attributes: Mapping[str, Any]
    links: tuple[tuple[str, str], ...]
    failed: str | None


@dataclass
class Receiver:
    """``url`` is what OTEL_EXPORTER_OTLP_ENDPOINT takes."""

    url: str = ""
    #: Those that were answered.
    requests: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    spans: list[Exported] = field(default_factory=list)
    #: What it answers, 200 as long as nothing is wrong.
    status: int = 200

    def named(self, name: str) -> list[Exported]:
        return [span for span in self.spans if span.name == name]

    def by_id(self) -> dict[str, Exported]:
        return {span.span_id: span for span in self.spans}

    def path(self, span: Exported) -> list[str]:
        """The names from the root down to the span; begins with "?" where a parent is missing."""
        known, names = self.by_id(), [span.name]
        while span.parent:
            if span.parent not in known:
                return ["?", *names]
            span = known[span.parent]
            names.insert(0, span.name)
        return names

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = _attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans += [_exported(str(told["service.name"]), span) for span in scope.spans]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """While it listens; what was sent stays readable afterwards."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = receiver.status
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.headers = {name.lower(): value for name, value in self.headers.items()}
            if status == 200 and self.path == "/v1/traces":
                receiver.take(body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            receiver.requests += 1

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _exported(service: str, span: ProtoSpan) -> Exported:
    return Exported(
        service=service,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        name=span.name,
        kind=ProtoSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        attributes=_attributes(span.attributes),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        failed=span.status.message if span.status.code == Status.STATUS_CODE_ERROR else None,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
