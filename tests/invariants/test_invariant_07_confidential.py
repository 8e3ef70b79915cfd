"""Invariant 7: a key without ``cost`` never learns cost, vendor, offer id or supplier stone id, by no route.

Every operation of the OpenAPI document is asked, with every parameter that it describes; routes that come later are
walked without a change here. The stones in the catalogue differ in nothing but what is confidential, so that a search
which tells them apart, or puts them into the order of their cost, gives itself away.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx2
import pytest
from api_support import CONFIDENTIAL, SEARCH, Api, open_api
from made_up_requests import Made, requests_for
from psycopg.rows import scalar_row
from route_walk import Operation, id_source, operations
from served_api import Served, served_api

from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock

TRACE = {"X-Trace-Id": "walk-of-every-route"}
#: By id: 2 and 5 are cheapest and dearest, so that no order but that of cost is the order of cost.
COSTS = [Decimal("777.77"), Decimal("55501.12"), Decimal("4.44"), Decimal("66601.33"), Decimal("222.02")]
STONES = [UUID(int=0x5000 + number) for number in range(len(COSTS))]
BY_COST = [stone for _, stone in sorted(zip(COSTS, STONES, strict=True))]
SECRETS = (*CONFIDENTIAL, "55501.12", "5550112", "66601.33", "6660133")

_ETAG = re.compile(r'W/"[0-9a-f]{32}"')
_PACKED = re.compile(r"[A-Za-z0-9_-]{16,}")


@pytest.fixture
async def api(pool: Pool, clock: ManualClock) -> AsyncIterator[Api]:
    async with open_api(pool, clock) as opened:
        for number, (stone, cost) in enumerate(zip(STONES, COSTS, strict=True)):
            await opened.add_stone(
                id=stone,
                feed_price=cost,
                price_per_carat=Decimal("777.70"),
                supplier_stone_id=f"secret-stone-{number}",
                offer_id=f"SECRET-OFFER-{number}",
                supplier_name=f"Secret Vendor {number}",
            )
        ids = ", ".join(f"'{stone}'" for stone in STONES)
        await opened.execute(f"SELECT record_changes('nivoda', ARRAY[{ids}]::uuid[])")
        yield opened


@pytest.fixture
async def shop(api: Api) -> dict[str, str]:
    """A key that may read and trade, with a hold and an order of its own behind it."""
    headers = await api.key("read", "trade")
    client = await fetch(api, "SELECT 'key:' || id FROM api_keys")
    columns = f"VALUES ('{STONES[0]}', 'nivoda', 'SECRET-OFFER-0', '{client}'"
    await api.execute(
        f"INSERT INTO hold_history (diamond_id, feed, offer_id, client, feed_hold_id, status) "
        f"{columns}, 'secret-hold', 'active')"
    )
    await api.execute(
        f"INSERT INTO purchase_history (diamond_id, feed, offer_id, client, idempotency_key, status) "
        f"{columns}, 'one', 'confirmed')"
    )
    return {**headers, **TRACE}


async def fetch(api: Api, query: str) -> Any:
    async with api.pool.connection() as conn, conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query.encode())
        return await cursor.fetchone()


async def path_of(api: Api, operation: Operation) -> str:
    source = id_source(operation.path)
    found = await fetch(api, source) if source else None
    return re.sub(r"\{\w+\}", quote(found or str(UUID(int=0)), safe=""), operation.path)


async def ask(
    api: Api, operation: Operation, path: str, made: Made, headers: dict[str, str]
) -> httpx2.Response:
    return await api.client.request(
        operation.method,
        path,
        params=httpx2.QueryParams(list(made.query)),
        json=made.body,
        headers=headers,
    )


def unpacked(text: str) -> Iterator[str]:
    """What stands in cursors and the like, as far as it is packed and not hashed."""
    for word in _PACKED.findall(text):
        packed = word if len(word) % 4 != 1 else word[:-1]
        yield urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode("latin-1")


def secrets_in(answer: httpx2.Response) -> Sequence[str]:
    """An ETag must be opaque; a hash of 32 digits is, whatever digits it has."""
    etag = answer.headers.get("etag", "")
    assert not etag or _ETAG.fullmatch(etag), etag
    told = answer.text + str([*answer.headers.items()]).replace(etag or "\0", "")
    everything = "\n".join([told, *unpacked(told)])
    return [secret for secret in SECRETS if secret in everything]


def needs_cost(made: Made) -> bool:
    return made.about is not None and "permission `cost`" in made.about["description"]


async def walk(api: Api, headers: dict[str, str]) -> AsyncIterator[tuple[Operation, Made, httpx2.Response]]:
    for operation in operations():
        if operation.answers_forever and operation.permission in ("read", "trade"):
            continue
        path = await path_of(api, operation)
        for made in requests_for(operation):
            yield operation, made, await ask(api, operation, path, made, headers)


async def test_invariant_07_no_answer_of_any_route_tells_a_shop_what_is_confidential(
    api: Api, shop: dict[str, str]
) -> None:
    answered, asked = set(), set()
    async for operation, made, answer in walk(api, shop):
        what = f"{operation.method} {operation.path} {made} -> {answer.status_code}"
        assert secrets_in(answer) == [], what
        if operation.permission in ("cost", "admin") or needs_cost(made):
            assert answer.status_code == 403, what
        elif operation.method == "GET":
            asked.add(operation.path)
            answered |= {operation.path} if answer.status_code == 200 else set()

    # The walk has seen something where there was something to see.
    assert asked - answered == set()
    assert {SEARCH, f"{SEARCH}/{{id}}"} <= answered


async def test_invariant_07_nothing_that_a_shop_may_ask_tells_stones_apart_by_cost_or_vendor(
    api: Api, shop: dict[str, str]
) -> None:
    [search] = [one for one in operations() if (one.method, one.path) == ("GET", SEARCH)]
    orders = 0
    for made in requests_for(search):
        answer = await ask(api, search, SEARCH, made, shop)
        if answer.status_code != 200:
            continue
        assert answer.json()["pagination"]["total"] in (0, len(STONES)), made
        found = [UUID(stone["id"]) for stone in answer.json()["data"]]
        if len(found) == len(STONES):
            orders += 1
            assert found not in (BY_COST, BY_COST[::-1]), made
    assert orders > 10


async def test_invariant_07_an_order_by_cost_cannot_be_followed_with_a_borrowed_cursor(
    api: Api, shop: dict[str, str]
) -> None:
    insider = await api.key("cost", "read")
    page = await api.client.get(SEARCH, params={"sort_by": "feed_price", "limit": 2}, headers=insider)
    cursor = page.json()["pagination"]["nextCursor"]

    answer = await api.client.get(SEARCH, params={"cursor": cursor, "limit": 2}, headers=shop)

    assert cursor
    assert answer.status_code in (400, 403)
    assert secrets_in(answer) == []


async def test_invariant_07_who_sees_cost_and_who_does_not_share_no_etag(
    api: Api, shop: dict[str, str]
) -> None:
    insider = await api.key("cost", "read")
    compared = 0
    for operation in operations():
        if operation.method != "GET" or operation.permission != "read" or operation.answers_forever:
            continue
        path = await path_of(api, operation)
        theirs, ours = [await api.client.get(path, headers=headers) for headers in (shop, insider)]
        if "etag" in theirs.headers and theirs.content != ours.content:
            compared += 1
            assert theirs.headers["etag"] != ours.headers["etag"], path
            borrowed = await api.client.get(path, headers={**shop, "If-None-Match": ours.headers["etag"]})
            assert borrowed.status_code == 200, path
    assert compared >= 2


async def test_the_walk_would_notice(api: Api) -> None:
    insider = {**await api.key("read", "cost"), **TRACE}
    [search] = [one for one in operations() if (one.method, one.path) == ("GET", SEARCH)]
    made = Made((("sort_by", "feed_price"), ("limit", "2")), None, None)

    assert len(secrets_in(await ask(api, search, SEARCH, made, insider))) >= 4


def everything_of_the_catalogue(served: Served, key: str) -> Iterator[str]:
    """The bodies of all that shows stones: pages, facets, both exports, and every stone by itself."""
    with httpx2.Client(base_url=served.url, headers={"X-API-Key": key}) as client:
        page: dict[str, Any] = {"pagination": {"nextCursor": None}}
        stones: list[str] = []
        while not stones or page["pagination"]["nextCursor"]:
            cursor = page["pagination"]["nextCursor"]
            answer = client.get(SEARCH, params={"limit": 50, **({"cursor": cursor} if cursor else {})})
            page = answer.raise_for_status().json()
            stones += [stone["id"] for stone in page["data"]]
            yield answer.text
        paths = ["facets", "export?format=csv", "export?format=ndjson", *stones]
        for path in paths:
            yield client.get(f"{SEARCH}/{path}").raise_for_status().text


def test_invariant_07_no_value_of_a_stone_holds_its_offer_or_its_id_at_the_supplier(
    database_url: str,
) -> None:
    with served_api(database_url, stones=120) as served:
        secrets = served.fetch("SELECT array_agg(supplier_stone_id) || array_agg(offer_id) FROM diamonds")
        told = "\n".join(everything_of_the_catalogue(served, served.key("read")))
        to_insiders = "\n".join(everything_of_the_catalogue(served, served.key("read", "cost")))
        images = served.fetch("SELECT count(image_url) FROM diamonds WHERE status = 'active'")

    assert images > 0
    assert len(set(secrets)) > 200
    assert [secret for secret in secrets if secret not in to_insiders] == []
    assert [secret for secret in secrets if secret in told] == []
