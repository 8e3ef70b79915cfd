"""A signed request that changes something passes once, wherever it arrives; only a purchase may be repeated."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2
import pytest
from api_support import SEARCH, SECRET, Api, open_api
from fastapi import Depends
from psycopg.rows import scalar_row
from starlette.applications import Starlette
from starlette.routing import Mount

from diamond_opus.api.auth import Caller, Needs
from diamond_opus.api.rate_limits import RateLimits
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.keys.permissions import Permission
from diamond_opus.keys.signatures import TOLERANCE_SECONDS, HmacClient
from diamond_opus.keys.spent_signatures import MARGIN_SECONDS

CLIENTS = {"shop": HmacClient("shop", SECRET), "other": HmacClient("other", SECRET)}
CHANGE, BUY = "/test/change", "/test/buy"
BODY = b'{"stone": 1}'


@pytest.fixture
async def api(pool: Pool, clock: ManualClock) -> AsyncIterator[Api]:
    async with open_changeable(pool, clock) as opened:
        yield opened


def open_changeable(pool: Pool, clock: ManualClock, **overrides: Any) -> Any:
    return _Changeable(open_api(pool, clock, hmac_clients=CLIENTS, **overrides))


class _Changeable:
    """An API with a route that changes something and one that buys."""

    def __init__(self, opening: Any) -> None:
        self._opening = opening

    async def __aenter__(self) -> Api:
        api: Api = await self._opening.__aenter__()

        async def change(_caller: Annotated[Caller, Depends(Needs(Permission.TRADE))]) -> dict[str, str]:
            return {"done": "yes"}

        async def buy(
            _caller: Annotated[Caller, Depends(Needs(Permission.TRADE, replayable=True))],
        ) -> dict[str, str]:
            return {"done": "yes"}

        api.app.router.add_api_route(CHANGE, change, methods=["POST", "DELETE"])
        api.app.router.add_api_route(BUY, buy, methods=["POST"])
        return api

    async def __aexit__(self, *error: Any) -> None:
        await self._opening.__aexit__(*error)


async def send(api: Api, path: str, headers: dict[str, str], *, method: str = "POST") -> int:
    answer = await api.client.request(method, path, content=BODY, headers=headers)
    return answer.status_code


async def test_a_signature_of_a_changing_request_is_accepted_once(api: Api) -> None:
    headers = api.signed("POST", CHANGE, body=BODY)
    first = await send(api, CHANGE, headers)
    again = await api.client.post(CHANGE, content=BODY, headers=headers)
    api.clock.advance(seconds=1)
    anew = await send(api, CHANGE, api.signed("POST", CHANGE, body=BODY))

    assert (first, again.status_code, anew) == (200, 401, 200)
    error = again.json()["error"]
    assert (error["code"], error["message"]) == ("UNAUTHORIZED", "the signature was used before")
    assert "sign anew" in error["hint"]


async def test_the_spelling_of_a_signature_makes_no_other_one_of_it(api: Api) -> None:
    headers = api.signed("POST", CHANGE, body=BODY)
    assert await send(api, CHANGE, headers) == 200

    assert await send(api, CHANGE, {**headers, "X-Signature": headers["X-Signature"].upper()}) == 401


async def test_what_changes_nothing_may_be_repeated(api: Api) -> None:
    headers = api.signed("GET", SEARCH)

    assert [(await api.client.get(SEARCH, headers=headers)).status_code for _ in range(3)] == [200] * 3


async def test_of_fifty_at_once_in_two_processes_one_passes(pool: Pool, clock: ManualClock) -> None:
    async with open_changeable(pool, clock) as here, open_changeable(pool, clock) as there:
        headers = here.signed("DELETE", CHANGE, body=BODY)
        statuses = await asyncio.gather(
            *(send(api, CHANGE, headers, method="DELETE") for api in [here, there] * 25)
        )

    assert sorted(statuses) == [200] + [401] * 49


async def test_a_route_that_needs_two_permissions_uses_a_signature_and_counts_once(api: Api) -> None:
    async def both(
        _trader: Annotated[Caller, Depends(Needs(Permission.TRADE))],
        _reader: Annotated[Caller, Depends(Needs(Permission.READ))],
    ) -> dict[str, str]:
        return {"done": "yes"}

    api.app.router.add_api_route("/test/both", both, methods=["POST"])
    answer = await api.client.post(
        "/test/both", content=BODY, headers=api.signed("POST", "/test/both", body=BODY)
    )

    assert answer.status_code == 200
    assert int(answer.headers["ratelimit-remaining"]) == int(answer.headers["ratelimit-limit"]) - 1


async def test_two_clients_with_one_secret_do_not_use_up_each_others_signatures(api: Api) -> None:
    assert await send(api, CHANGE, api.signed("POST", CHANGE, body=BODY)) == 200
    assert await send(api, CHANGE, api.signed("POST", CHANGE, body=BODY, client="other")) == 200


@pytest.mark.parametrize("name", ["Idempotency-Key", "X-Idempotency-Key"])
async def test_a_purchase_is_let_through_again_with_the_key_that_it_had(api: Api, name: str) -> None:
    headers = api.signed("POST", BUY, body=BODY)

    assert await send(api, BUY, {**headers, name: "order-1"}) == 200
    assert await send(api, BUY, {**headers, name: "order-1"}) == 200
    # No signature covers the header: who overheard it must not buy again under another key.
    assert await send(api, BUY, {**headers, name: "order-2"}) == 401
    assert await send(api, BUY, headers) == 401


async def test_a_key_in_the_body_is_covered_by_the_signature(api: Api) -> None:
    headers = api.signed("POST", BUY, body=BODY)

    assert [await send(api, BUY, headers) for _ in range(2)] == [200, 200]
    assert await send(api, BUY, {**headers, "Idempotency-Key": "another"}) == 401


async def test_a_refused_request_does_not_use_up_its_signature(pool: Pool, clock: ManualClock) -> None:
    limits = RateLimits(trade_per_minute=1)
    async with open_changeable(pool, clock, rate_limits=limits) as api:
        assert await send(api, CHANGE, api.signed("POST", CHANGE)) == 401  # signed without its body
        assert await send(api, CHANGE, api.signed("POST", CHANGE, body=BODY)) == 200
        clock.advance(seconds=30)
        early = api.signed("POST", CHANGE, body=BODY)
        assert await send(api, CHANGE, early) == 429
        clock.advance(seconds=30)
        assert await send(api, CHANGE, early) == 200


async def test_spent_signatures_are_forgotten_when_their_time_is_over(api: Api) -> None:
    for _ in range(5):
        api.clock.advance(seconds=1)
        assert await send(api, CHANGE, api.signed("POST", CHANGE, body=BODY)) == 200
    headers = api.signed("POST", CHANGE, body=BODY)
    api.clock.advance(seconds=TOLERANCE_SECONDS)
    assert await send(api, CHANGE, headers) == 401
    api.clock.advance(seconds=MARGIN_SECONDS + 1)
    assert await send(api, CHANGE, headers) == 401
    assert await send(api, CHANGE, api.signed("POST", CHANGE, body=BODY)) == 200

    async with api.pool.connection() as conn, conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute("SELECT count(*) FROM request_signatures")
        assert await cursor.fetchone() == 1


async def test_behind_a_mount_the_path_is_signed_as_it_is_called(api: Api) -> None:
    outer = Starlette(routes=[Mount("/shop", app=api.app)])
    transport = httpx2.ASGITransport(outer, client=("203.0.113.7", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://api.test") as client:
        called = await client.get(f"/shop{SEARCH}", headers=api.signed("GET", f"/shop{SEARCH}"))
        inner = await client.get(f"/shop{SEARCH}", headers=api.signed("GET", SEARCH))

    assert (called.status_code, inner.status_code) == (200, 401)


async def test_a_signature_opens_no_other_route(api: Api) -> None:
    for signed in ("/", "", SEARCH):
        headers = api.signed("GET", signed)
        for path in (f"{SEARCH}/57c74cc7-de68-59ff-87ef-b7e5ced48928", "/api/v2/pricing-rules"):
            assert (await api.client.get(path, headers=headers)).status_code == 401
