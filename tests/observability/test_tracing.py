"""Spans as a collector gets them: one trace for a run, and nothing at all where none was asked for."""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from api_support import SEARCH, open_api
from structlog.testing import capture_logs

from diamond_opus.cli.running import trace_statement
from diamond_opus.db.observed import observe_statements
from diamond_opus.db.pool import open_pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.domain.errors import ConfigurationError, Fatal, Retryable, Superseded
from diamond_opus.observability import tracing
from diamond_opus.observability.trace import current_trace, new_trace, run_root, use_trace
from diamond_opus.observability.tracing import begin, leaf, span
from diamond_opus.queue.consumer import consume
from diamond_opus.queue.limits import QueueLimits
from diamond_opus.queue.memory import MemoryQueue
from diamond_opus.queue.protocol import Message, Received
from diamond_opus.runs.model import RunState, RunType
from diamond_opus.settings import load_settings, otel_variables
from diamond_opus.simulator.faults import Fault
from diamond_opus.simulator.server import Simulator
from pipeline_builders import Pool, World, run_to_end, simulated_pipeline
from pipeline_processes import SMALL_STEPS, Processes, inventory, newest_run
from pipeline_supplier import ScriptedSupplier, stones

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
from otlp_receiver import Receiver, receiving

SOURCE = Path(__file__).parents[2] / "src" / "diamond_opus"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

#: Nobody listens there.
AWAY = "http://127.0.0.1:9"

#: Each partition is read in one attempt, however long a process stands still.
LEISURELY_STEPS = {**SMALL_STEPS, "worker_lease_seconds": 60}

#: Above the two seconds of a process's last flush, below what OpenTelemetry would take: ten or thirty.
FLUSHED_SECONDS = 9


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@contextmanager
def recording(url: str, **variables: str) -> Iterator[None]:
    """As a process records; what is left is sent at the end."""
    tracing.configure("test", {"OTEL_EXPORTER_OTLP_ENDPOINT": url, **variables})
    observe_statements(trace_statement)
    try:
        yield
    finally:
        observe_statements(None)
        tracing.close()


async def test_a_run_of_three_processes_is_one_trace(
    database_url: str, pool: Pool, tmp_path: Path, collector: Receiver
) -> None:
    settings = {"otel_exporter_otlp_endpoint": collector.url, "log_format": "json", **LEISURELY_STEPS}
    async with (
        Simulator(inventory(5)) as simulator,
        Processes(database_url, simulator, tmp_path, **settings) as processes,
    ):
        assert await processes.run("schedule", "--type", "full") == 0
        assert await processes.run("worker", "--until-idle") == 0
        assert await processes.run("consolidator", "--until-idle") == 0
    run = await newest_run(pool)
    assert run["state"] == RunState.COMPLETED, processes.log.read_text()[-3000:]

    ours = [each for each in collector.spans if each.trace_id == run["trace_id"]]
    assert {each.service for each in ours} == {"diamond-scheduler", "diamond-worker", "diamond-consolidator"}
    [planning] = collector.named("plan run")
    assert (planning.trace_id, planning.parent) == (run["trace_id"], "")
    assert planning.attributes["diamond.run_id"] == str(run["run_id"])
    assert {collector.path(each)[0] for each in ours} == {"plan run"}

    attempts = collector.named("partition attempt")
    assert len(attempts) == run["expected_workers"]
    for attempt in attempts:
        assert attempt.links == ((run["trace_id"], planning.span_id),)
        assert collector.path(attempt) == ["plan run", "work-items process", "partition attempt"]
        consumer = collector.by_id()[attempt.parent]
        assert consumer.kind == "consumer"
        assert {trace for trace, _ in consumer.links} == {run["trace_id"]}
    paths = {" > ".join(collector.path(each)) for each in ours}
    attempted = "plan run > work-items process > partition attempt"
    assert {f"{attempted} > nivoda Page", f"{attempted} > advance_partition"} <= paths, sorted(paths)
    consolidated = {path for path in paths if "consolidate > consolidate batch > " in path}
    assert any(path.endswith("count_batch") for path in consolidated)
    assert any(path.endswith("complete_run") for path in paths)
    assert not [each for each in ours if each.failed]
    lines = [json.loads(line) for line in processes.log.read_text().splitlines() if line.startswith("{")]
    assert {line["event"] for line in lines if "run_id" not in line} <= {"woken"}  # of many runs at once
    of_run = [line for line in lines if "run_id" in line]
    assert {(line["run_id"], line["trace_id"]) for line in of_run} == {(str(run["run_id"]), run["trace_id"])}
    assert {line["service"] for line in of_run} == {"scheduler", "worker", "consolidator"}
    assert all("partition_id" in line for line in of_run if line["service"] == "worker")
    assert not [line for line in of_run if line["event"] == "run_completed" and "partition_id" in line]


async def test_a_run_in_one_process_with_queues_in_its_memory_is_one_trace(
    database_url: str, pool: Pool, collector: Receiver
) -> None:
    async with Simulator(inventory(6)) as simulator:
        with recording(collector.url):
            async with simulated_pipeline(database_url, simulator, **LEISURELY_STEPS) as pipeline:
                run = await run_to_end(pipeline, RunType.FULL)

    assert run.state is RunState.COMPLETED
    ours = [each for each in collector.spans if each.trace_id == run.trace_id]
    assert {each.trace_id for each in collector.spans} == {run.trace_id}
    assert {collector.path(each)[0] for each in ours} == {"plan run"}
    [planning] = collector.named("plan run")
    assert len(collector.named("partition attempt")) == run.expected_workers
    for consumer in collector.named("work-items process"):
        assert (run.trace_id, planning.span_id) in consumer.links or collector.by_id()[
            consumer.links[0][1]
        ].name == "partition attempt"


async def test_a_consolidator_that_finds_its_run_called_off_has_not_failed(
    pool: Pool, collector: Receiver
) -> None:
    world = World(pool, ScriptedSupplier(stones(30)), consolidator_batch_size=10, consolidator_concurrency=1)
    run = await world.read_run()
    with recording(collector.url):
        await world.consolidate_and_cancel(run.run_id)

    batches = collector.named("consolidate batch")
    assert [each.failed for each in batches] == [None, None]
    assert batches[1].attributes["superseded"] == f"run {run.run_id} is cancelled"
    assert [each.failed for each in collector.named("consolidate")] == [None]


async def test_a_partition_that_fails_says_why_and_its_next_attempt_is_no_part_of_it(
    database_url: str, pool: Pool, collector: Receiver
) -> None:
    async with Simulator(inventory(7)) as simulator:
        with recording(collector.url):
            steps = {**SMALL_STEPS, "nivoda_request_tries": 1}
            async with simulated_pipeline(database_url, simulator, **steps) as pipeline:
                simulator.set_faults([Fault("unavailable", requests=["page"], limit=9)])
                run = await run_to_end(pipeline, RunType.FULL)

    assert run.state is RunState.COMPLETED
    attempts = collector.named("partition attempt")
    assert {each.failed is None for each in attempts} == {True, False}
    assert {tuple(collector.path(each)) for each in attempts} == {
        ("plan run", "work-items process", "partition attempt")
    }


async def test_a_request_is_a_span_named_by_its_route_with_its_statements_below(
    database_url: str, clock: ManualClock, collector: Receiver
) -> None:
    with recording(collector.url):
        async with (
            open_pool(database_url, application_name="test", max_size=4) as pool,
            open_api(pool, clock) as api,
        ):
            key = await api.key("read", "admin")
            stone = await api.add_stone()
            caller = f"00-{TRACE}-00f067aa0ba902b7-01"
            answer = await api.client.get(f"{SEARCH}/{stone}", headers={**key, "traceparent": caller})
            missing = await api.client.get("/nothing/here", headers={**key, "X-Trace-Id": "my-own-trace"})
            await api.client.get("/health")

    assert (answer.status_code, answer.headers["X-Trace-Id"]) == (200, TRACE)
    assert missing.headers["X-Trace-Id"] == "my-own-trace"
    [request] = collector.named(f"GET {SEARCH}/{{id}}")
    assert (request.trace_id, request.parent, request.kind) == (TRACE, "00f067aa0ba902b7", "server")
    assert request.attributes["http.response.status_code"] == 200
    statements = [each for each in collector.spans if each.parent == request.span_id]
    assert "find_key" in {each.name for each in statements}
    assert {each.attributes["db.system.name"] for each in statements} == {"postgresql"}
    [unknown] = collector.named("GET")
    assert unknown.attributes["http.response.status_code"] == 404
    assert len([each for each in collector.spans if each.kind == "server"]) == 2
    everything = repr(collector.spans)
    assert str(stone) not in everything
    assert key["X-API-Key"] not in everything


async def test_a_run_that_a_request_asked_for_has_a_trace_of_its_own_with_a_link_to_it(
    database_url: str, collector: Receiver
) -> None:
    asked = new_trace()
    async with Simulator(inventory(8)) as simulator:
        with recording(collector.url):
            async with simulated_pipeline(database_url, simulator, **SMALL_STEPS) as pipeline:
                with use_trace(asked):
                    await pipeline.plan_run("nivoda", RunType.FULL)

    [planning] = collector.named("plan run")
    assert planning.trace_id != asked.trace_id
    assert planning.links == ((asked.trace_id, asked.span_id),)
    assert planning.span_id == run_root(planning.trace_id).span_id


async def test_statements_are_named_by_their_queries_and_tell_no_value(
    database_url: str, collector: Receiver
) -> None:
    with recording(collector.url), begin(new_trace(), "test"):
        async with (
            open_pool(database_url, application_name="test", max_size=1) as pool,
            pool.connection() as conn,
        ):
            await conn.execute(b"SELECT 'a value'")
            await conn.execute("-- a comment\nSET application_name = 'a value'")
            async with conn.cursor() as cursor:
                await cursor.executemany("SELECT %s", [("a value",)])
                async with cursor.copy("COPY (SELECT 'a value') TO STDOUT") as copy:
                    assert [bytes(part) async for part in copy] == [b"a value\n"]
            with pytest.raises(Exception, match="a value"):
                await conn.execute(b"SELECT 'a value'::integer")
            with pytest.raises(psycopg.errors.CheckViolation, match="a value"):
                await conn.execute(
                    b"INSERT INTO incidents (event, severity, title, text) VALUES ('a value', '?', '', '')"
                )

    names = sorted(each.name for each in collector.spans if each.attributes.get("db.system.name"))
    assert names == ["COPY", "INSERT", "SELECT", "SELECT", "SELECT", "SET", "SET"]  # one SET when it connects
    failed = {each.name: each.failed for each in collector.spans if each.failed is not None}
    assert failed == {"SELECT": "22P02", "INSERT": "23514 incidents_severity_check"}
    assert "a value" not in repr(collector.spans)


async def test_a_delivery_says_what_became_of_its_message_and_no_word_of_the_error(
    collector: Receiver,
) -> None:
    errors = {
        "done": None,
        "later": Retryable("hush"),
        "never": Fatal("hush"),
        "unforeseen": KeyError("hush"),
    }
    queue = MemoryQueue("work-items", QueueLimits(lease_seconds=30, max_deliveries=3))

    async def handle(message: Received) -> None:
        error = errors[message.body["id"]]
        if error is not None:
            raise error

    with recording(collector.url):
        await queue.send([Message({"id": name, "traceId": TRACE}, name, {}) for name in errors])
        await consume(queue, handler=handle, stop=asyncio.Event(), until_idle=True, wait_seconds=0)

    told = [(each.attributes["diamond.settlement"], each.failed is not None) for each in collector.spans]
    assert told == [("complete", False), ("abandon", False), ("dead_letter", True), ("abandon", True)]
    assert [each.attributes.get("error.type") for each in collector.spans] == [
        None,
        None,
        "Fatal",
        "KeyError",
    ]
    assert "hush" not in repr(collector.spans)


async def test_a_message_that_was_delivered_too_often_is_a_failed_delivery(collector: Receiver) -> None:
    queue = MemoryQueue("work-items", QueueLimits(lease_seconds=30, max_deliveries=1))

    async def handle(_: Received) -> None:
        raise Retryable("the supplier is away")

    with recording(collector.url):
        await queue.send([Message({"traceId": TRACE}, "a", {})])
        await consume(queue, handler=handle, stop=asyncio.Event(), until_idle=True, wait_seconds=0)

    [delivery] = collector.spans
    assert delivery.attributes["diamond.settlement"] == "dead_letter"
    assert delivery.attributes["error.type"] == "MaxDeliveryCountExceeded"


async def test_a_span_inside_and_the_log_agree_on_trace_and_parent(collector: Receiver) -> None:
    with recording(collector.url):
        with span("of no trace"), begin(new_trace(TRACE), "outer") as outer:
            outer.set({"stones": 3, "password": "hush-hush", "text": "x" * 10_000, "nothing": None})
            place = current_trace()
            with span("inner"), leaf("leaf"):
                inside = current_trace()
        with pytest.raises(Retryable), begin(new_trace(), "failing"), span("inner"):
            raise Retryable("http://user:hush-hush@db/ failed: password=hush-hush")
        with pytest.raises(asyncio.CancelledError), begin(new_trace(), "stopped"):
            raise asyncio.CancelledError
        with pytest.raises(Superseded), begin(new_trace(), "left"):
            raise Superseded("another process does it now")

    [outer_span], [leaf_span] = collector.named("outer"), collector.named("leaf")
    assert place is not None
    assert inside is not None
    assert (outer_span.trace_id, outer_span.span_id) == (TRACE, place.span_id)
    assert (leaf_span.trace_id, leaf_span.parent) == (TRACE, inside.span_id)
    assert collector.path(leaf_span) == ["outer", "inner", "leaf"]
    assert collector.named("of no trace") == []
    assert set(outer_span.attributes) == {"stones", "password", "text"}
    assert len(str(outer_span.attributes["text"])) <= 256
    assert collector.named("failing")[0].attributes["error.type"] == "Retryable"
    [stopped] = collector.named("stopped")
    assert (stopped.failed, stopped.attributes["cancelled"]) == (None, True)
    [left] = collector.named("left")
    assert (left.failed, left.attributes["superseded"]) == (None, "another process does it now")
    assert "hush-hush" not in repr(collector.spans)


@pytest.mark.parametrize("share", ["0", "1", "0.5"])
async def test_of_a_share_of_traces_each_is_whole_or_not_there(collector: Receiver, share: str) -> None:
    sampler = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": share}
    with recording(collector.url, **sampler):
        for _ in range(40):
            run = new_trace()
            with begin(run_root(run.trace_id), "plan run"), span("inner"):
                pass
            parent = tracing.run_trace(run.trace_id)
            with begin(parent.child(), "later", parent=parent), span("inner"):
                pass

    sizes = {
        len([each for each in collector.spans if each.trace_id == trace])
        for trace in {each.trace_id for each in collector.spans}
    }
    assert sizes == (set() if share == "0" else {4})
    assert len(collector.spans) == {"0": 0, "1": 160}.get(share, len(collector.spans))


async def test_a_collector_that_is_away_costs_nothing_and_is_told_of_once(database_url: str) -> None:
    with capture_logs() as logs:
        async with Simulator(inventory(9)) as simulator:
            with recording(AWAY, OTEL_BSP_SCHEDULE_DELAY="20", OTEL_EXPORTER_OTLP_TIMEOUT="0.2"):
                async with simulated_pipeline(database_url, simulator, **SMALL_STEPS) as pipeline:
                    run = await run_to_end(pipeline, RunType.FULL)
                await asyncio.sleep(0.5)
                ending = time.monotonic()
            seconds = time.monotonic() - ending

    assert run.state is RunState.COMPLETED
    assert seconds < FLUSHED_SECONDS
    [told] = [line for line in logs if line["event"] == "spans_not_sent"]
    assert (told["log_level"], told["endpoint"]) == ("warning", AWAY)
    assert told["reason"]
    [lost] = [line for line in logs if line["event"] == "spans_lost"]
    assert lost["spans"] > 100


async def test_a_collector_that_comes_back_is_told_of_and_gets_what_is_new(collector: Receiver) -> None:
    collector.status = 400
    with capture_logs() as logs, recording(collector.url, OTEL_BSP_SCHEDULE_DELAY="20"):
        for name in ("first", "second"):
            with begin(new_trace(), name):
                pass
            async with asyncio.timeout(10):
                while collector.requests < {"first": 1, "second": 2}[name]:  # noqa: ASYNC110 - another thread counts
                    await asyncio.sleep(0.01)
        collector.status = 200
        with begin(new_trace(), "third"):
            pass

    events = [line["event"] for line in logs]
    assert events == ["spans_not_sent", "spans_sent_again", "spans_lost"]
    assert [each.name for each in collector.spans] == ["third"]
    assert not logging.getLogger("opentelemetry").handlers


def test_a_collector_that_never_answers_holds_a_process_up_for_its_flush_and_no_longer() -> None:

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        started = time.monotonic()
        with capture_logs(), recording(f"http://127.0.0.1:{deaf.getsockname()[1]}"), begin(new_trace(), "x"):
            pass
        assert time.monotonic() - started < FLUSHED_SECONDS


@pytest.mark.parametrize(
    ("modules", "prefixes"),
    [
        ("app", ("opentelemetry",)),
        (
            "api_server",
            ("opentelemetry.sdk", "opentelemetry.exporter"),
        ),  # FastAPI loads the bare API for itself
    ],
)
def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded(
    tmp_path: Path, modules: str, prefixes: tuple[str, ...]
) -> None:
    """By what a process loads and does at its start."""
    script = (
        "import sys\n"
        f"from diamond_opus.cli import {modules}\n"
        "from diamond_opus.cli.running import prepare, record_traces\n"
        "record_traces('worker', prepare('worker'))\n"
        f"print([name for name in sys.modules if name.startswith({prefixes})])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_with_spans_off_a_block_makes_no_place_of_its_own() -> None:
    with use_trace(new_trace(TRACE)):
        before = current_trace()
        with span("x", attributes={"stones": 1}) as nothing:
            nothing.set({"stones": 2})
            nothing.fail("Broken")
            assert current_trace() == before
    with begin(new_trace(TRACE), "x"):
        assert current_trace() is not None


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": AWAY, "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": AWAY, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_what_leaves_them_off(variables: dict[str, str]) -> None:
    tracing.configure("worker", variables)
    assert not tracing.is_recording()


def test_an_endpoint_without_the_extra_stops_the_start_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry") or name.endswith(".otlp")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(
        ConfigurationError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT is set, .*diamond-opus\[otel\]"
    ):
        tracing.configure("worker", {"OTEL_EXPORTER_OTLP_ENDPOINT": AWAY})


def test_the_standard_variables_count_in_the_file_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, collector: Receiver
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    (tmp_path / ".env.local").write_text(
        f"OTEL_EXPORTER_OTLP_ENDPOINT={collector.url}/\n"
        "OTEL_EXPORTER_OTLP_HEADERS=x-collector-key=hush-hush\n"
        "OTEL_SERVICE_NAME=from the file\nOTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=staging\n"
        "OTEL_EXPORTER_OTLP_COMPRESSION=gzip\n"
    )
    variables = otel_variables(load_settings())
    with recording(variables.pop("OTEL_EXPORTER_OTLP_ENDPOINT"), **variables), begin(new_trace(), "x"):
        assert "OTEL_EXPORTER_OTLP_HEADERS" not in os.environ

    [exported] = collector.spans
    assert exported.service == "shop"
    assert collector.headers["x-collector-key"] == "hush-hush"
    assert collector.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318", "must be the address of a collector"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "less than or equal to 1"),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"{variable}.*{said}"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "foo", "compression type: foo"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent", "OTEL_EXPORTER_OTLP_CERTIFICATE .*no such file"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/nonexistent", "TRACES_CLIENT_KEY .*no such file"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "abc", "timeout value 'abc'"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-3", "OTEL_EXPORTER_OTLP_TIMEOUT .*seconds"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc", "TRACES_PROTOCOL .*http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hush-hush", "OTEL_EXPORTER_OTLP_HEADERS: must be name=value"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "abc", "OTEL_BSP_MAX_QUEUE_SIZE"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "99999", "max_export_batch_size must be less"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "abc", "OTEL_SPAN_LINK_COUNT_LIMIT"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
        ("OTEL_RESOURCE_ATTRIBUTES", "garbage", "garbage"),
    ],
)
def test_a_variable_that_the_sdk_would_put_aside_or_break_on_is_refused_with_one_line(
    variable: str, value: str, said: str
) -> None:
    threads = threading.active_count()
    with pytest.raises(ConfigurationError, match=said) as refused:
        tracing.configure("worker", {"OTEL_EXPORTER_OTLP_ENDPOINT": AWAY, variable: value})
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not tracing.is_recording()
    assert logging.getLogger("opentelemetry").propagate
    assert threading.active_count() == threads
