"""Alive and ready are two questions with two answers."""

import socket

from api_support import open_api

from diamond_opus.db.pool import Pool, open_pool
from diamond_opus.domain.clock import ManualClock


async def test_alive_needs_no_database(clock: ManualClock) -> None:
    never_opened = open_pool("postgresql://nobody@127.0.0.1:1/nothing", application_name="test", max_size=1)
    async with open_api(never_opened, clock) as api:
        answer = await api.client.get("/health")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "timestamp": "2026-01-01T00:00:00Z"}


async def test_ready_when_the_database_answers_and_its_schema_is_current(
    pool: Pool, clock: ManualClock
) -> None:
    async with open_api(pool, clock) as api:
        answer = await api.client.get("/ready")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "timestamp": "2026-01-01T00:00:00Z",
        "components": {"database": {"status": "ok"}, "migrations": {"status": "ok"}},
    }


async def test_not_ready_while_a_migration_is_missing(pool: Pool, clock: ManualClock) -> None:
    async with open_api(pool, clock) as api:
        await api.execute("DELETE FROM schema_migrations WHERE version = '0004'")
        answer = await api.client.get("/ready")

    assert answer.status_code == 503
    assert answer.json()["components"] == {
        "database": {"status": "ok"},
        "migrations": {"status": "failed", "problem": "pending: 0004; run `diamond db migrate`"},
    }


async def test_not_ready_without_a_database_and_nobody_learns_where_it_is(clock: ManualClock) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nothing"
        async with open_pool(url, application_name="test", max_size=1) as pool, open_api(pool, clock) as api:
            answer = await api.client.get("/ready")

    assert answer.status_code == 503
    assert answer.json()["status"] == "not_ready"
    assert answer.json()["components"]["database"]["status"] == "failed"
    assert "127.0.0.1" not in answer.text


async def test_the_database_is_asked_once_a_second_however_often_the_question_comes(
    pool: Pool, clock: ManualClock
) -> None:
    asked = 0

    async def count(_conn: object) -> list[str]:
        nonlocal asked
        asked += 1
        return []

    async with open_api(pool, clock, pending_migrations=count) as api:
        for _ in range(5):
            await api.client.get("/ready")
        assert asked == 1
        clock.advance(seconds=1)
        await api.client.get("/ready")

    assert asked == 2
