"""Who gets in: keys, signatures, permissions, and the limit on guessing."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Annotated

import pytest
from api_support import SEARCH, SECRET, Api, open_api
from fastapi import Depends

from diamond_opus.api.auth import MOST_FAILURES, Caller, Needs
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.keys.api_keys import create_key
from diamond_opus.keys.permissions import Permission
from diamond_opus.keys.signatures import HmacClient

CLIENTS = {
    "shop": HmacClient("shop", SECRET),
    "insider": HmacClient("insider", SECRET, frozenset({Permission.ADMIN})),
}
ROUTES = (SEARCH, f"{SEARCH}/57c74cc7-de68-59ff-87ef-b7e5ced48928")


@pytest.fixture
async def api(pool: Pool, clock: ManualClock) -> AsyncIterator[Api]:
    async with open_api(pool, clock, hmac_clients=CLIENTS) as opened:
        yield opened


def raw(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """Headers as bytes: the client would refuse to send what is not ASCII otherwise."""
    return {name.encode(): value.encode("latin-1") for name, value in headers.items()}


@pytest.mark.parametrize("route", ROUTES)
async def test_without_credentials_nothing_is_shown(api: Api, route: str) -> None:
    answer = await api.client.get(route)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"]
    assert answer.json()["error"]["code"] == "UNAUTHORIZED"


@pytest.mark.parametrize(
    "key", ["", "wrong", "dk_" + "A" * 43, "é", "'; DROP TABLE api_keys; --", "x" * 10_000]
)
async def test_a_wrong_key_is_refused_even_beside_a_good_signature(api: Api, key: str) -> None:
    answer = await api.client.get(SEARCH, headers=raw({**api.signed("GET", SEARCH), "X-API-Key": key}))

    assert answer.status_code == 401


async def test_a_key_of_any_form_works_when_its_hash_is_stored(api: Api) -> None:
    await api.execute(
        "INSERT INTO api_keys (key_hash, client_name, permissions) "
        "VALUES (encode(sha256('an older key'), 'hex'), 'old shop', '{read}')"
    )

    assert (await api.client.get(SEARCH, headers={"X-API-Key": "an older key"})).status_code == 200


async def test_an_expired_or_revoked_key_is_refused(api: Api) -> None:
    async with api.pool.connection() as conn:
        key, _ = await create_key(
            conn,
            name="shop",
            permissions=["read"],
            expires_at=api.clock.now() + timedelta(seconds=30),
            actor="test",
            now=api.clock.now(),
        )
    revoked = await api.key()
    for headers in ({"X-API-Key": key}, revoked):
        assert (await api.client.get(SEARCH, headers=headers)).status_code == 200

    await api.execute("UPDATE api_keys SET active = FALSE WHERE expires_at IS NULL")
    api.clock.advance(seconds=5)
    assert (await api.client.get(SEARCH, headers=revoked)).status_code == 401
    api.clock.advance(seconds=25)
    assert (await api.client.get(SEARCH, headers={"X-API-Key": key})).status_code == 401


@pytest.mark.parametrize("route", ROUTES)
async def test_the_documented_signature_opens_a_route(api: Api, route: str) -> None:
    answer = await api.client.get(route, headers=api.signed("GET", route))

    assert answer.status_code in (200, 404)


async def test_the_query_may_be_signed_or_left_out_of_a_get(api: Api) -> None:
    target = f"{SEARCH}?shape=ROUND&color%5B%5D=D"
    for signed in (target, SEARCH):
        assert (await api.client.get(target, headers=api.signed("GET", signed))).status_code == 200
    for signed in (f"{SEARCH}?shape=OVAL", f"{SEARCH}?", f"{SEARCH}?color[]=D&shape=ROUND", "/", "/diamonds"):
        assert (await api.client.get(target, headers=api.signed("GET", signed))).status_code == 401


async def test_a_head_request_is_signed_as_such(api: Api) -> None:
    assert (await api.client.head(SEARCH, headers=api.signed("HEAD", SEARCH))).status_code == 200
    assert (await api.client.head(SEARCH, headers=api.signed("GET", SEARCH))).status_code == 401


async def test_a_changing_request_must_sign_its_query_and_its_body(api: Api) -> None:
    async def changed(_caller: Annotated[Caller, Depends(Needs(Permission.TRADE))]) -> dict[str, str]:
        return {"done": "yes"}

    api.app.router.add_api_route("/test/changed", changed, methods=["POST"])
    target, body = "/test/changed?dry_run=false", b'{"price": 1}'
    cases = [
        (target, body, 200),
        ("/test/changed", body, 401),
        (target, b"{}", 401),
    ]
    for signed, signed_body, status in cases:
        headers = api.signed("POST", signed, body=signed_body)
        assert (await api.client.post(target, content=body, headers=headers)).status_code == status


async def test_invariant_10_hostile_headers_are_refused_and_the_next_request_is_served(api: Api) -> None:
    good = api.signed("GET", SEARCH)
    hostile = [
        *(
            {**good, "X-Client-Id": name}
            for name in ("constructor", "__class__", "__proto__", "", "\xff" * 9)
        ),
        *({**good, "X-Signature": text} for text in ("", "\xe9" * 64, "0" * 63, "0" * 60_000)),
        *({**good, "X-Timestamp": text} for text in ("NaN", "", "-1", "1e400", "9" * 60_000, "\xb2")),
        {"X-Signature": good["X-Signature"]},
        {"X-Client-Id": "shop"},
    ]
    for number, headers in enumerate(hostile):
        api.clock.advance(seconds=10)
        answer = await api.client.get(SEARCH, headers=raw(headers))
        assert answer.status_code == 401, hostile[number]
        assert answer.json()["error"]["code"] == "UNAUTHORIZED"

    assert (await api.client.get(SEARCH, headers=api.signed("GET", SEARCH))).status_code == 200


async def test_a_signing_client_has_the_permissions_it_was_given(api: Api) -> None:
    target = f"{SEARCH}?cost_min=1"

    assert (await api.client.get(target, headers=api.signed("GET", SEARCH))).status_code == 403
    assert (
        await api.client.get(target, headers=api.signed("GET", SEARCH, client="insider"))
    ).status_code == 200


async def test_more_than_twenty_failures_a_minute_are_too_many(api: Api) -> None:
    statuses = []
    for _ in range(MOST_FAILURES + 2):
        answer = await api.client.get(SEARCH, headers={"X-API-Key": "dk_" + "A" * 43})
        statuses.append(answer.status_code)

    assert statuses == [401] * MOST_FAILURES + [429] * 2
    assert answer.json()["error"]["code"] == "RATE_LIMITED"
    assert answer.headers["retry-after"] == "60"
    api.clock.advance(seconds=60)
    assert (await api.client.get(SEARCH, headers={"X-API-Key": "wrong"})).status_code == 401


async def test_who_guesses_too_often_learns_nothing_from_a_lucky_signature(api: Api) -> None:
    for _ in range(MOST_FAILURES):
        await api.client.get(SEARCH, headers={**api.signed("GET", SEARCH), "X-Signature": "0" * 64})

    assert (await api.client.get(SEARCH, headers=api.signed("GET", SEARCH))).status_code == 429


async def test_a_neighbours_failures_do_not_lock_out_who_has_a_key(api: Api) -> None:
    headers = await api.key()
    for _ in range(MOST_FAILURES + 1):
        await api.client.get(SEARCH, headers={"X-API-Key": "wrong"})

    assert (await api.client.get(SEARCH, headers=headers)).status_code == 200


async def test_requests_without_credentials_are_no_guesses(api: Api) -> None:
    for _ in range(MOST_FAILURES + 5):
        assert (await api.client.get(SEARCH)).status_code == 401


async def test_behind_a_trusted_proxy_each_client_has_its_own_limit(pool: Pool, clock: ManualClock) -> None:
    async with open_api(pool, clock, address="10.0.0.5", trusted_proxies=["10.0.0.0/8"]) as api:
        guesser = {"X-API-Key": "wrong", "X-Forwarded-For": "198.51.100.1, 203.0.113.9, 10.0.0.9"}
        for number in range(MOST_FAILURES + 1):
            # What the client itself puts in front does not help it.
            answer = await api.client.get(
                SEARCH, headers={**guesser, "X-Forwarded-For": f"198.51.100.{number}, 203.0.113.9, 10.0.0.9"}
            )
        other = await api.client.get(SEARCH, headers={**guesser, "X-Forwarded-For": "203.0.113.10"})

    assert (answer.status_code, other.status_code) == (429, 401)


async def test_a_header_of_who_is_no_trusted_proxy_counts_for_nothing(pool: Pool, clock: ManualClock) -> None:
    async with open_api(pool, clock, address="203.0.113.7", trusted_proxies=["10.0.0.0/8"]) as api:
        for number in range(MOST_FAILURES + 1):
            answer = await api.client.get(
                SEARCH, headers={"X-API-Key": "wrong", "X-Forwarded-For": f"198.51.100.{number}"}
            )

    assert answer.status_code == 429


async def test_a_proxy_that_is_no_address_stops_the_start(pool: Pool, clock: ManualClock) -> None:
    with pytest.raises(ConfigurationError, match=r"TRUSTED_PROXIES \('proxy.internal'\)"):
        async with open_api(pool, clock, trusted_proxies=["proxy.internal"]):
            pass
