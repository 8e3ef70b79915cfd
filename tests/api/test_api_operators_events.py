"""Server-sent events: everything as it is, then each change, by one look for all, and a clean end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from operator_support import PREFIX, Desk, open_desk

from diamond_opus.alerts.incidents import open_incident
from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.analytics.progress import State
from diamond_opus.api import event_hub
from diamond_opus.api.admin import events
from diamond_opus.api.event_hub import EventHub, Listener
from diamond_opus.api.operators import ended_with
from diamond_opus.api.serve import serve
from pipeline_builders import Pool, World
from pipeline_supplier import ScriptedSupplier, stones

Event = tuple[str, dict[str, Any]]


@pytest.fixture
async def desk(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(event_hub, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(events, "_RECHECK_SECONDS", 0.1)
    async with open_desk(World(pool, ScriptedSupplier(stones(20)))) as opened:
        yield opened


@asynccontextmanager
async def served(desk: Desk) -> AsyncIterator[tuple[httpx2.AsyncClient, asyncio.Event]]:
    """The same application behind a real socket; set the event and it stops."""
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with ended_with(desk.api.app, stop):
        serving = asyncio.create_task(
            serve(desk.api.app, "127.0.0.1", 0, stop=stop, on_ready=ready.set_result)
        )
        async with httpx2.AsyncClient(base_url=await ready, headers=desk.headers, timeout=10) as client:
            yield client, stop
        stop.set()
        await serving


async def read_events(response: httpx2.Response) -> AsyncIterator[Event]:
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def until_run_is(state: str, stream: AsyncIterator[Event]) -> list[Event]:
    seen: list[Event] = []
    async for event in stream:
        seen.append(event)
        if event[0] == "run" and event[1]["state"] == state:
            return seen
    raise AssertionError(f"the stream ended before a run was {state}: {seen}")


async def test_a_run_is_told_from_its_plan_to_its_end(desk: Desk) -> None:
    async with served(desk) as (client, _), client.stream("GET", f"{PREFIX}/analytics/events") as response:
        stream = read_events(response)
        run = await desk.world.plan()
        planned = await until_run_is("planned", stream)
        await desk.world.finish(run.run_id)
        ended = await until_run_is("completed", stream)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert {name for name, _ in planned} <= {"run", "partition", "attention"}
    assert {event[1]["runId"] for event in planned if event[0] == "partition"} <= {str(run.run_id)}
    assert ended[-1][1]["distinctRecords"] == 20
    told = [name for name, _ in planned + ended]
    assert "partition" in told
    assert "attention" in told


async def test_an_alert_that_begins_is_told(desk: Desk) -> None:
    async with served(desk) as (client, _), client.stream("GET", f"{PREFIX}/analytics/events") as response:
        counts = (data["openAlerts"] async for name, data in read_events(response) if name == "attention")
        assert await anext(counts) == 0
        async with desk.world.pool.connection() as conn:
            await open_incident(conn, Alert(Severity.ERROR, "run_late", "No run", "None was completed."))
        async with asyncio.timeout(5):
            assert await anext(counts) == 1


async def test_who_comes_later_hears_everything_as_it_is(desk: Desk) -> None:
    run = await desk.world.run()
    async with served(desk) as (client, _), client.stream("GET", f"{PREFIX}/analytics/events") as response:
        [*_, last] = await until_run_is("completed", read_events(response))
    assert last[1]["runId"] == str(run.run_id)


async def test_one_look_serves_all_listeners_and_none_is_made_for_nobody(desk: Desk) -> None:
    hub: EventHub = desk.api.app.state.operators.events
    await asyncio.sleep(0.1)
    assert hub.looks == 0
    async with hub.listen() as first, hub.listen() as second, hub.listen() as third:
        heard = [await listener.next(at_most_seconds=5) for listener in (first, second, third)]
        looks = hub.looks
    assert all(heard)
    assert looks <= 3  # not one for each listener and look
    await asyncio.sleep(0.1)
    stopped_at = hub.looks
    await asyncio.sleep(0.1)
    assert hub.looks == stopped_at


async def test_a_stop_ends_the_streams_in_good_order(desk: Desk) -> None:
    async with served(desk) as (client, stop), client.stream("GET", f"{PREFIX}/analytics/events") as response:
        stream = read_events(response)
        await anext(stream)
        stop.set()
        async with asyncio.timeout(3):
            async for _ in stream:
                pass  # ends, and raises nothing about a broken answer


async def test_a_key_that_is_revoked_hears_no_more(desk: Desk) -> None:
    async with served(desk) as (client, _), client.stream("GET", f"{PREFIX}/analytics/events") as response:
        stream = read_events(response)
        await anext(stream)
        await desk.world.rows("UPDATE api_keys SET active = FALSE")
        desk.api.clock.advance(seconds=6)
        async with asyncio.timeout(5):
            async for _ in stream:
                pass


async def test_a_client_that_goes_leaves_nothing_behind(desk: Desk) -> None:
    hub: EventHub = desk.api.app.state.operators.events
    async with served(desk) as (client, _):
        async with client.stream("GET", f"{PREFIX}/analytics/events") as response:
            await anext(read_events(response))
            assert len(hub._listeners) == 1
        for _ in range(200):
            if not hub._listeners:
                return
            await asyncio.sleep(0.02)
    raise AssertionError("the listener is still there")


async def test_who_only_wants_the_head_is_not_kept(desk: Desk) -> None:
    async with asyncio.timeout(5):
        answer = await desk.api.client.head(f"{PREFIX}/analytics/events", headers=desk.headers)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_there_is_a_most_of_listeners(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "MOST_LISTENERS", 0)
    answer = await desk.get("/analytics/events")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")


async def test_a_slow_listener_gets_the_newest_state_of_each_thing(desk: Desk) -> None:
    listener = Listener({"run:1": State("run", {"state": "planned"})})
    listener.tell(
        {"run:1": State("run", {"state": "ingesting"}), "run:2": State("run", {"state": "planned"})}
    )
    listener.tell({"run:1": State("run", {"state": "completed"})})
    heard = await listener.next(at_most_seconds=1)
    assert heard is not None
    assert [state.data["state"] for state in heard] == ["completed", "planned"]
    assert await listener.next(at_most_seconds=0.01) == []
    listener.close()
    assert await listener.next(at_most_seconds=1) is None
