"""The watermark in a person's hand: validated, by compare-and-set, audited, and never into the future."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from operator_support import Desk, is_exactly, open_desk

from diamond_opus.api.schemas_operators import WatermarkAnswer
from diamond_opus.runs.model import RunType
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, ScriptedSupplier, stones


@pytest.fixture
async def desk(pool: Pool) -> AsyncIterator[Desk]:
    async with open_desk(World(pool, ScriptedSupplier(stones(5)))) as opened:
        yield opened


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_there_is_none_before_the_first_complete_run(desk: Desk) -> None:
    assert (await desk.get("/analytics/watermark")).json() == {"data": None}


async def test_it_is_the_planning_time_of_the_run_not_its_end(desk: Desk) -> None:
    """B27: with the end as watermark, what changed during the run was never read."""
    run = await desk.world.run()
    shown = await desk.data("/analytics/watermark")
    is_exactly(WatermarkAnswer, shown)
    assert moment(shown["lastUpdatedAt"]) == run.updated_to < moment(shown["lastRunCompletedAt"])
    assert shown["lastRunId"] == str(run.run_id)


async def test_it_may_be_set_back_and_the_next_run_reads_from_there(desk: Desk) -> None:
    run = await desk.world.run()
    back = run.updated_to - timedelta(days=3)
    answer = await desk.put(
        "/analytics/watermark", {"last_updated_at": back.isoformat(), "lastRunId": "by hand"}
    )

    assert answer.status_code == 200
    assert moment(answer.json()["data"]["lastUpdatedAt"]) == back == await desk.world.watermark()
    assert (await desk.world.run(RunType.INCREMENTAL)).updated_from == back - timedelta(minutes=15)
    [act] = await desk.acts("watermark.set")
    assert act["subject"] == FEED
    assert moment(act["details"]["from"]["lastUpdatedAt"]) == run.updated_to
    assert moment(act["details"]["to"]["lastUpdatedAt"]) == back


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lastUpdatedAt": None},
        {"lastUpdatedAt": "yesterday"},
        {"lastUpdatedAt": "2026-01-01T00:00:00"},
        {"lastUpdatedAt": 1_700_000_000},
        {"lastUpdatedAt": "1700000000"},
        {"lastUpdatedAt": "0001-01-01T00:00:00+14:00"},
        {"lastUpdatedAt": "9999-12-31T23:59:59-14:00"},
        {"lastUpdatedAt": "2025-01-01T00:00:00Z", "lastRunId": "a\x00b"},
        {"lastUpdatedAt": "2025-01-01T00:00:00Z", "lastRunId": "\ud800"},
        {"lastUpdatedAt": "2025-01-01T00:00:00Z", "feed": "another"},
        {"lastUpdatedAt": "2025-01-01T00:00:00Z", "watermark": 1},
        [],
    ],
)
async def test_what_is_no_watermark_is_400_and_changes_nothing(desk: Desk, body: Any) -> None:
    """B8: the original took anything that was there."""
    answer = await desk.api.client.put(
        "/api/v2/analytics/watermark",
        content=_json(body),
        headers={**desk.headers, "Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert await desk.world.watermark() is None
    assert await desk.acts("watermark.set") == []


def _json(body: Any) -> bytes:

    return json.dumps(body).encode()


async def test_it_may_not_be_in_the_future(desk: Desk) -> None:
    now = await desk.world.value("SELECT now() AS now")
    answer = await desk.put(
        "/analytics/watermark", {"lastUpdatedAt": (now + timedelta(minutes=1)).isoformat()}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["parameter"] == "lastUpdatedAt"


async def test_a_key_without_admin_may_not_touch_it(desk: Desk) -> None:
    """B8: with the original any key could."""
    trader = await desk.api.key("trade", "cost")
    answer = await desk.api.client.put(
        "/api/v2/analytics/watermark", json={"lastUpdatedAt": "2025-01-01T00:00:00Z"}, headers=trader
    )
    assert (answer.status_code, await desk.world.watermark()) == (403, None)


async def test_it_is_refused_while_a_run_would_move_it_on(desk: Desk) -> None:
    run = await desk.world.plan()
    answer = await desk.put("/analytics/watermark", {"lastUpdatedAt": "2025-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")
    assert str(run.run_id) in answer.json()["error"]["message"]


async def test_who_looked_at_another_version_is_refused_and_of_two_at_once_one_wins(desk: Desk) -> None:
    await desk.world.run()
    version = (await desk.data("/analytics/watermark"))["version"]
    answers = await asyncio.gather(
        *(
            desk.put(
                "/analytics/watermark", {"lastUpdatedAt": f"2025-01-0{day}T00:00:00Z", "version": version}
            )
            for day in (1, 2, 3)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert len(await desk.acts("watermark.set")) == 1
