"""Faults: each one as a client of the real supplier would meet it."""

import time
from typing import Any

import aiohttp
import pytest
from supplier_client import Client, supplier

from diamond_opus.simulator.faults import Fault, Faults

COUNT = "{ diamonds_by_query_count }"


async def _raw(client: Client, query: str = COUNT) -> tuple[int, str, bytes, Any]:
    headers = {"Authorization": f"Bearer {client.token}"}
    async with client.http.post(client.sim.url, json={"query": query}, headers=headers) as response:
        return response.status, response.content_type, await response.read(), response.headers


@pytest.mark.parametrize(
    ("fault", "status", "content_type"),
    [
        ({"kind": "http_429"}, 429, "application/json"),
        ({"kind": "gateway_403"}, 403, "text/html"),
        ({"kind": "bad_gateway"}, 502, "text/html"),
        ({"kind": "unavailable"}, 503, "text/html"),
    ],
)
async def test_refusals_of_the_gateway_have_their_status_and_no_graphql(
    fault: dict[str, Any], status: int, content_type: str
) -> None:
    async with supplier() as client:
        await client.control("faults", faults=[fault | {"limit": 1}])

        assert (await _raw(client))[:2] == (status, content_type)
        assert await client.count() > 0


async def test_too_many_requests_may_say_when_to_come_again() -> None:
    async with supplier() as client:
        await client.control(
            "faults", faults=[{"kind": "http_429", "seconds": 7, "limit": 1}, {"kind": "http_429"}]
        )

        assert (await _raw(client))[3]["Retry-After"] == "7"
        assert "Retry-After" not in (await _raw(client))[3]


async def test_a_truncated_answer_ends_before_its_announced_length() -> None:
    async with supplier() as client:
        await client.control("faults", faults=[{"kind": "truncated", "limit": 1}])

        with pytest.raises(aiohttp.ClientPayloadError):
            await _raw(client)
        assert await client.count() > 0


async def test_a_malformed_answer_is_complete_but_no_json() -> None:
    async with supplier() as client:
        await client.control("faults", faults=[{"kind": "malformed_json", "limit": 1}])
        status, content_type, body, _ = await _raw(client)

        assert (status, content_type) == (200, "application/json")
        assert body.startswith(b'{"data":')
        assert not body.endswith(b"}")


@pytest.mark.parametrize("kind", ["reset", "answer_lost"])
async def test_a_broken_connection_gives_no_answer(kind: str) -> None:
    async with supplier() as client:
        await client.control("faults", faults=[{"kind": kind, "limit": 1}])

        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await _raw(client)
        assert client.sim.stats()["statuses"]["lost"] == 1
        assert await client.count() > 0


async def test_a_slow_answer_takes_its_time_and_others_do_not_wait_for_it() -> None:
    async with supplier() as client:
        await client.control("faults", faults=[{"kind": "slow", "seconds": 30, "requests": ["page"]}])
        started = time.monotonic()

        with pytest.raises(TimeoutError):
            async with client.http.post(
                client.sim.url,
                json={"query": "{ diamonds_by_query(limit: 1) { total_count } }"},
                headers={"Authorization": f"Bearer {client.token}"},
                timeout=aiohttp.ClientTimeout(total=0.2),
            ):
                pass
        assert await client.count() > 0
        assert time.monotonic() - started < 25


async def test_a_short_delay_still_brings_the_answer() -> None:
    async with supplier() as client:
        await client.control("faults", faults=[{"kind": "slow", "seconds": 0.15, "limit": 1}])
        started = time.monotonic()

        assert await client.count() > 0
        assert time.monotonic() - started >= 0.14


async def test_tokens_can_expire_in_the_middle() -> None:
    async with supplier() as client:
        await client.control("faults", faults=[{"kind": "expired_token", "limit": 1}])

        assert await client.problem(COUNT) == "jwt expired"
        assert await client.problem(COUNT) == "jwt expired"
        await client.log_in()
        assert await client.count() > 0


async def test_a_page_may_come_with_some_items_null_and_errors_beside() -> None:
    async with supplier() as client:
        await client.control("faults", faults=[{"kind": "partial_errors", "limit": 1, "requests": ["page"]}])
        items, answer = await client.page()
        whole, _ = await client.page()

        missing = [i for i, item in enumerate(items) if item is None]
        assert missing
        assert [error["path"] for error in answer["errors"]] == [
            ["diamonds_by_query", "items", i] for i in missing
        ]
        assert [item for item in items if item] == [item for i, item in enumerate(whole) if i not in missing]


async def test_faults_can_be_set_from_the_start_and_for_some_requests_only() -> None:
    async with supplier(faults=(Fault("bad_gateway", requests=("count",)),)) as client:
        assert (await client.page())[0]
        assert (await _raw(client))[0] == 502
        assert client.sim.stats()["faults_injected"] == {"bad_gateway": 1}


async def test_added_faults_join_the_others_and_limits_run_out() -> None:
    async with supplier() as client:
        await client.control("faults", faults=[{"kind": "http_429", "limit": 2}])
        left = await client.control("faults", add=[{"kind": "bad_gateway", "limit": 1}])
        assert [fault["kind"] for fault in left["faults"]] == ["http_429", "bad_gateway"]

        assert [(await _raw(client))[0] for _ in range(4)] == [429, 429, 502, 200]
        assert client.sim.stats()["faults"] == []


def test_a_schedule_hits_every_nth_request_after_a_pause() -> None:
    faults = Faults([Fault("reset", every=3, after=2)], seed=1)

    assert [faults.befalling("page") is not None for _ in range(9)] == [
        False, False, False, False, True, False, False, True, False,
    ]  # fmt: skip


def test_a_rate_hits_about_its_share_and_the_same_requests_for_the_same_seed() -> None:
    def hits(seed: int) -> list[bool]:
        faults = Faults([Fault("reset", rate=0.2)], seed)
        return [faults.befalling("page") is not None for _ in range(2_000)]

    assert sum(hits(1)) == pytest.approx(400, rel=0.2)
    assert hits(1) == hits(1) != hits(2)


@pytest.mark.parametrize(
    "wrong", [{"kind": "x"}, {"kind": "slow", "rate": 2}, {"kind": "slow", "requests": ("y",)}]
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fault|request kind"):
        Fault(**wrong)


async def test_more_requests_a_second_than_allowed_are_answered_429() -> None:
    async with supplier(max_requests_per_second=5) as client:
        started = time.monotonic()
        statuses = [(await _raw(client))[0] for _ in range(30)]
        elapsed = time.monotonic() - started

        assert statuses[0] == 200
        assert statuses.count(429) == 30 - statuses.count(200) > 0
        assert statuses.count(200) <= 5 * (int(elapsed) + 1)


async def test_the_statistics_tell_what_was_asked() -> None:
    async with supplier() as client:
        await client.page(offset=150)
        await client.page(offset=50)
        await client.count()
        await client.post("{ nonsense }")
        stats = client.sim.stats()

        assert stats["by_kind"] == {"login": 1, "page": 2, "count": 1, "invalid": 1}
        assert (stats["requests"], stats["logins"], stats["max_offset"], stats["rows"]) == (5, 1, 150, 100)
        assert stats["statuses"] == {"200": 4, "400": 1}
        assert 1 <= stats["max_requests_in_one_second"] <= 5
        assert sum(stats["requests_by_second"].values()) == 5

        await client.control("reset-stats")
        assert client.sim.stats()["requests"] == 0
