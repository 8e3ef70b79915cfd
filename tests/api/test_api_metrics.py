"""Requests are measured by their route's template, and the API's own port tells it only to operators."""

import asyncio
from uuid import uuid4

from api_support import SEARCH, make_pipeline, open_api

from diamond_opus.api.openapi import openapi_document
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.monitoring.gauges import Gauges
from diamond_opus.observability.metrics import REGISTRY
from metric_rise import Rise

COUNT = "diamond_api_request_seconds_count"
ONE_STONE = f"{SEARCH}/{{id}}"


async def test_a_request_is_told_by_template_method_and_class_of_status(
    pool: Pool, clock: ManualClock
) -> None:
    async with open_api(pool, clock) as api:
        stone = await api.add_stone()
        headers = await api.key("read")
        rise = Rise()
        await api.client.get(f"{SEARCH}/{stone}", headers=headers)
        await api.client.head(f"{SEARCH}/{stone}", headers=headers)
        for _ in range(3):
            await api.client.get(f"{SEARCH}/{uuid4()}", headers=headers)
        await api.client.get(SEARCH)
        await api.client.get("/health")
        await api.client.delete("/health")

    assert rise.of(COUNT, route=ONE_STONE, method="GET", status="2xx") == 1
    assert rise.of(COUNT, route=ONE_STONE, method="HEAD", status="2xx") == 1
    assert rise.of(COUNT, route=ONE_STONE, method="GET", status="4xx") == 3
    assert rise.of(COUNT, route=SEARCH, method="GET", status="4xx") == 1
    assert rise.of(COUNT, route="/health", method="GET", status="2xx") == 1
    assert rise.of(COUNT, route="/health", method="DELETE", status="4xx") == 1


async def test_what_a_stranger_makes_up_is_no_new_series(pool: Pool, clock: ManualClock) -> None:
    async with open_api(pool, clock) as api:
        await api.client.get("/nothing")
        await api.client.request("PROPFIND", "/nothing")
        rise = Rise()
        for number in range(20):
            await api.client.get(f"/made-up-{number}")
            await api.client.get(f"/api/v2/made-up-{number}")
            await api.client.request(f"VERB{number}", f"/made-up-{number}")

    assert rise.of(COUNT, route="unmatched", method="GET", status="4xx") == 40
    assert rise.of(COUNT, route="unmatched", method="other", status="4xx") == 20
    assert rise.new_labels() == set()


async def test_every_described_route_can_be_recognised_by_its_template(
    pool: Pool, clock: ManualClock
) -> None:
    """The labels are the paths of the description, whatever router a route stands in."""
    async with open_api(pool, clock) as api:
        rise = Rise()
        for path, methods in openapi_document()["paths"].items():
            for method in methods:
                await api.client.request(method.upper(), path.replace("{", "").replace("}", ""))
                told = sum(
                    rise.of(COUNT, route=path, method=method.upper(), status=status)
                    for status in ("2xx", "3xx", "4xx", "5xx")
                )
                assert told >= 1, (method, path)


async def test_requests_in_flight_are_those_without_a_whole_answer(pool: Pool, clock: ManualClock) -> None:
    in_flight = REGISTRY.get_sample_value
    seen: list[float | None] = []
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def look(_conn: object) -> list[str]:
        seen.append(in_flight("diamond_api_requests_in_flight"))
        is_asked.set()
        await may_answer.wait()
        return []

    async with open_api(pool, clock, pending_migrations=look) as api:
        before = in_flight("diamond_api_requests_in_flight")
        asking = asyncio.create_task(api.client.get("/ready"))
        await is_asked.wait()
        may_answer.set()
        await asking

    assert before is not None
    assert seen == [before + 1]
    assert in_flight("diamond_api_requests_in_flight") == before


async def test_what_was_remembered_is_told_apart_from_what_was_asked_anew(
    pool: Pool, clock: ManualClock
) -> None:
    def of(cache: str, outcome: str) -> float:
        return rise.of("diamond_cache_requests_total", cache=cache, outcome=outcome)

    async with open_api(pool, clock) as api:
        await api.add_stone()
        headers = await api.key("admin")
        rise = Rise()
        first = await api.client.get(SEARCH, headers=headers)
        held = {**headers, "If-None-Match": first.headers["etag"]}
        assert (await api.client.get(SEARCH, headers=held)).status_code == 304
        assert (of("api_key", "miss"), of("api_key", "hit")) == (1, 1)
        assert (of("etag", "hit"), of("etag", "miss")) == (1, 0)
        assert (of("catalogue_index", "miss"), of("catalogue_index", "hit")) == (1, 0)
        catalog = api.app.state.dependencies.catalog
        await api.add_stone(supplier_stone_id="another")
        await catalog.refresh(pool)
        assert (await api.client.get(SEARCH, headers=held)).status_code == 200
        assert of("etag", "miss") == 1
        assert of("catalogue_index", "hit") == 1
        assert catalog.total_by_feed() == {"nivoda": 2}
        for _ in range(2):
            await api.client.get("/api/v2/analytics/summary", headers=headers)
        assert (of("counts", "miss"), of("counts", "hit")) == (1, 1)


async def test_metrics_are_for_operators_only_and_no_part_of_the_description(
    pool: Pool, clock: ManualClock
) -> None:
    pipeline = make_pipeline(pool, clock, gauges=Gauges(pool, clock, feeds=["nivoda"], tasks=[]))
    async with open_api(pool, clock, pipeline=pipeline) as api:
        stranger = await api.client.get("/metrics")
        shop = await api.client.get("/metrics", headers=await api.key("read", "trade", "cost"))
        operator = await api.client.get("/metrics", headers=await api.key("admin"))

    assert (stranger.status_code, shop.status_code, operator.status_code) == (401, 403, 200)
    assert "diamond_" not in stranger.text + shop.text
    assert operator.headers["content-type"].startswith("text/plain; version=")
    assert operator.headers["cache-control"] == "no-store"
    assert "diamond_database_up 1.0" in operator.text
    assert "/metrics" not in openapi_document()["paths"]
