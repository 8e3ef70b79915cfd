"""Errors in the database: complete enough to act on, bounded, masked, and never a second problem."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg.rows import dict_row
from structlog.testing import capture_logs

from diamond_opus.db.pool import Pool, open_pool
from diamond_opus.observability.error_log import record_error, record_exception
from diamond_opus.observability.trace import new_trace, use_trace


async def rows(pool: Pool) -> list[dict[str, Any]]:
    async with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM error_logs ORDER BY id")
        return await cursor.fetchall()


async def test_an_error_becomes_a_row_with_its_context_and_trace(pool: Pool) -> None:
    trace = new_trace()
    now = datetime(2026, 1, 2, tzinfo=UTC)
    with use_trace(trace):
        recorded = await record_error(
            pool,
            service="worker",
            error_message="page 14 could not be read",
            stack_trace="Traceback ...",
            context={"runId": "r1", "page": 14},
            now=now,
        )

    [row] = await rows(pool)
    assert recorded is True
    assert row.pop("id") > 0
    assert row == {
        "service": "worker",
        "error_message": "page 14 could not be read",
        "stack_trace": "Traceback ...",
        "context": {"runId": "r1", "page": 14, "traceId": trace.trace_id},
        "created_at": now,
    }


async def test_an_exception_is_recorded_with_its_class_and_traceback(pool: Pool) -> None:
    try:
        raise ValueError("no carat")
    except ValueError as error:
        await record_exception(pool, error, service="consolidator")

    [row] = await rows(pool)
    assert row["error_message"] == "ValueError: no carat"
    assert "test_error_log.py" in row["stack_trace"]
    assert row["context"] == {}
    assert row["created_at"] is not None


async def test_sizes_are_bounded_and_secrets_masked(pool: Pool) -> None:
    await record_error(
        pool,
        service="s" * 1_000,
        error_message="password=hunter2 " + "é\x00" * 50_000,
        stack_trace="x" * 50_000 + "\npostgresql://u:hunter2@db\nlast line",
        context={"api_key": "hunter2", **{f"field {n}": "v" * 10_000 for n in range(200)}},
    )

    [row] = await rows(pool)
    assert "hunter2" not in str(row)
    assert len(row["service"].encode()) <= 50
    assert len(row["error_message"].encode()) <= 2_000
    assert len(row["stack_trace"].encode()) <= 16 * 1024
    assert row["stack_trace"].endswith("last line")
    assert len(row["context"]) <= 30
    assert len(str(row["context"]).encode()) <= 70_000


async def test_a_failing_transaction_of_the_caller_does_not_take_the_record_with_it(pool: Pool) -> None:
    async with pool.connection() as connection, connection.transaction(force_rollback=True):
        await record_error(pool, service="api", error_message="kept")

    assert [row["error_message"] for row in await rows(pool)] == ["kept"]


async def test_an_error_that_cannot_be_recorded_is_logged_and_not_raised(pool: Pool) -> None:
    async with pool.connection() as connection:
        await connection.execute("DROP TABLE error_logs")

    with capture_logs() as logs:
        recorded = await record_error(pool, service="api", error_message="password=hunter2 lost")

    assert recorded is False
    [line] = logs
    assert (line["event"], line["of_service"]) == ("error_not_recorded", "api")
    assert line["error_message"] == "password=*** lost"
    assert line["exc_info"]


async def test_a_database_out_of_reach_costs_the_caller_nothing_but_a_log_line() -> None:
    nowhere = "host=127.0.0.1 port=1 user=nobody dbname=nothing"
    async with open_pool(nowhere, application_name="worker", max_size=1, connect_timeout_seconds=0.3) as pool:
        with capture_logs() as logs:
            assert await record_error(pool, service="api", error_message="lost") is False

    assert [line["event"] for line in logs] == ["error_not_recorded"]


async def test_a_cancelled_caller_is_cancelled(pool: Pool) -> None:
    recording = asyncio.create_task(record_error(pool, service="api", error_message="late"))
    await asyncio.sleep(0)
    recording.cancel()

    with pytest.raises(asyncio.CancelledError):
        await recording
