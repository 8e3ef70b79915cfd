"""How often a caller may ask: exact over any minute, told by every answer, and never at another's expense."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from api_support import SEARCH, SECRET, Api, open_api

from diamond_opus.api.rate_limits import RateLimits
from diamond_opus.api.sliding_window import SlidingWindow
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.keys.signatures import HmacClient

RULES = "/api/v2/pricing-rules"
KEYS = "/api/v2/api-keys"


@pytest.fixture
async def api(pool: Pool, clock: ManualClock) -> AsyncIterator[Api]:
    limits = RateLimits(read_per_minute=3, trade_per_minute=2, admin_per_minute=1)
    clients = {"shop": HmacClient("shop", SECRET)}
    async with open_api(pool, clock, rate_limits=limits, hmac_clients=clients) as opened:
        yield opened


def test_what_happened_is_forgotten_one_by_one_after_a_minute(clock: ManualClock) -> None:
    window = SlidingWindow(clock, limit=20, most_names=10)
    for _ in range(20):
        window.note("a")
        clock.advance(seconds=1)

    assert (window.remaining("a"), window.seconds_until_more("a")) == (0, 40)
    assert (window.remaining("b"), window.seconds_until_more("b")) == (20, 0)
    clock.advance(seconds=39.5)
    assert (window.remaining("a"), window.seconds_until_more("a")) == (0, 1)
    clock.advance(seconds=0.5)
    assert window.remaining("a") == 1
    window.note("a")
    assert (window.remaining("a"), window.seconds_until_more("a")) == (0, 1)


def test_never_more_than_the_limit_in_any_minute(clock: ManualClock) -> None:
    window = SlidingWindow(clock, limit=5, most_names=10)
    allowed = []
    for _ in range(1000):
        if window.remaining("a"):
            window.note("a")
            allowed.append(clock.monotonic())
        clock.advance(seconds=3.7)

    assert all(later - earlier >= 60 for earlier, later in zip(allowed, allowed[5:], strict=False))
    assert len(allowed) >= 5 * 1000 * 3.7 / 60 * 0.9


def test_the_memory_of_names_is_bounded(clock: ManualClock) -> None:
    window = SlidingWindow(clock, limit=1, most_names=3)
    window.note("first")
    for number in range(3):
        window.note(f"name {number}")

    assert window.remaining("first") == 1
    assert window.remaining("name 0") == window.remaining("name 2") == 0


async def test_each_answer_tells_what_is_left_until_nothing_is(api: Api) -> None:
    headers = await api.key("read")
    told = []
    for _ in range(4):
        answer = await api.client.get(SEARCH, headers=headers)
        told.append(
            (
                answer.status_code,
                *(answer.headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset")),
            )
        )
        api.clock.advance(seconds=10)

    assert told == [
        (200, "3", "2", "60"),
        (200, "3", "1", "50"),
        (200, "3", "0", "40"),
        (429, "3", "0", "30"),
    ]
    assert answer.headers["retry-after"] == "30"
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == ("RATE_LIMITED", "more than 3 requests in a minute")
    assert "Try again in 30 s" in error["hint"]
    api.clock.advance(seconds=20)
    assert (await api.client.get(SEARCH, headers=headers)).status_code == 200
    assert (await api.client.get(SEARCH, headers=headers)).status_code == 429


async def test_errors_of_a_caller_count_and_tell_too(api: Api) -> None:
    headers = await api.key("read")

    bad = await api.client.get(SEARCH, params={"colour": "D"}, headers=headers)
    missing = await api.client.get(f"{SEARCH}/{uuid4()}", headers=headers)
    forbidden = await api.client.get(RULES, headers=headers)

    assert [one.status_code for one in (bad, missing, forbidden)] == [400, 404, 403]
    assert [one.headers["ratelimit-remaining"] for one in (bad, missing, forbidden)] == ["2", "1", "0"]


async def test_reading_cost_counts_as_reading_and_administration_apart(api: Api) -> None:
    headers = await api.key("admin")
    statuses = [
        (await api.client.get(path, headers=headers)).status_code
        for path in (SEARCH, RULES, KEYS, RULES, SEARCH, KEYS)
    ]

    assert statuses == [200, 200, 200, 200, 429, 429]


async def test_every_caller_has_a_limit_of_its_own(api: Api) -> None:
    first, second = await api.key("read"), await api.key("read")
    for _ in range(4):
        spent = await api.client.get(SEARCH, headers=first)

    signed = await api.client.get(SEARCH, headers=api.signed("GET", SEARCH))
    assert spent.status_code == 429
    assert (await api.client.get(SEARCH, headers=second)).headers["ratelimit-remaining"] == "2"
    assert signed.headers["ratelimit-remaining"] == "2"


async def test_open_routes_and_strangers_have_no_limit_of_this_kind(api: Api) -> None:
    for path in ("/health", "/ready", "/openapi.json", "/api-docs", SEARCH):
        for _ in range(5):
            answer = await api.client.get(path)
            assert answer.status_code != 429
            assert "ratelimit-limit" not in answer.headers


async def test_pages_of_other_origins_may_read_the_limits(api: Api) -> None:
    answer = await api.client.get(SEARCH, headers={**await api.key(), "Origin": "https://shop.example"})

    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {
        "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After", "X-Trace-Id", "ETag",
    } <= exposed  # fmt: skip
