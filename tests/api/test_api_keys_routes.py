"""Keys over the API: made and shown once, listed without the key, revoked everywhere within five seconds."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from api_support import SEARCH, Api, open_api
from psycopg.rows import dict_row

from diamond_opus.api.schemas import ListOf, One
from diamond_opus.api.schemas_keys import ApiKey, CreatedApiKey
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.keys.lookup import CACHE_SECONDS

KEYS = "/api/v2/api-keys"


@pytest.fixture
async def api(pool: Pool, clock: ManualClock) -> AsyncIterator[Api]:
    async with open_api(pool, clock) as opened:
        yield opened


async def audit(api: Api) -> list[tuple[str, str, str]]:
    async with api.pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT actor, action, subject FROM audit_log WHERE actor <> 'test' ORDER BY id")
        return [(row["actor"], row["action"], row["subject"]) for row in await cursor.fetchall()]


async def create(api: Api, admin: dict[str, str], **body: Any) -> dict[str, Any]:
    answer = await api.client.post(KEYS, json={"name": "shop", **body}, headers=admin)
    assert answer.status_code == 201, answer.text
    One[CreatedApiKey].model_validate(answer.json())
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_a_key_made_over_the_api_is_shown_once_and_works(api: Api) -> None:
    admin = await api.key("admin")
    created = await create(api, admin, permissions=["trade"])
    key = created.pop("key")

    listed = (await api.client.get(KEYS, headers=admin)).json()
    found = await api.client.get(SEARCH, headers={"X-API-Key": key})

    ListOf[ApiKey].model_validate(listed)
    assert created in listed["data"]
    assert key not in str(listed)
    assert (created["permissions"], created["active"], created["expiresAt"]) == (["trade"], True, None)
    assert found.status_code == 200


async def test_every_change_names_who_made_it(api: Api) -> None:
    admin = await api.key("admin")
    [me] = (await api.client.get(KEYS, headers=admin)).json()["data"]
    created = await create(api, admin)
    for _ in range(2):
        answer = await api.client.delete(f"{KEYS}/{created['id']}", headers=admin)
        assert answer.status_code == 200
        assert (answer.json()["data"]["active"], answer.json()["data"]["usable"]) == (False, False)

    assert await audit(api) == [
        (f"key:{me['id']}", "api_key.create", created["id"]),
        (f"key:{me['id']}", "api_key.revoke", created["id"]),
    ]


async def test_a_revocation_holds_in_every_process_within_five_seconds(
    pool: Pool, clock: ManualClock
) -> None:
    async with open_api(pool, clock) as here, open_api(pool, clock) as there:
        admin = await here.key("admin")
        created = await create(here, admin)
        headers = {"X-API-Key": created["key"]}
        for process in (here, there):
            assert (await process.client.get(SEARCH, headers=headers)).status_code == 200

        await here.client.delete(f"{KEYS}/{created['id']}", headers=admin)
        clock.advance(seconds=5)
        statuses = [
            (await process.client.get(SEARCH, headers=headers)).status_code for process in (here, there)
        ]

    assert CACHE_SECONDS < 5
    assert statuses == [401, 401]


@pytest.mark.parametrize(
    "end",
    [{"expiresInDays": 30}, {"expires_in_days": 30}, {"expiresAt": "2026-01-31T03:00:00+03:00"}],
)
async def test_a_key_ends_when_it_was_said_to(api: Api, end: dict[str, Any]) -> None:
    admin = await api.key("admin")
    created = await create(api, admin, **end)
    headers = {"X-API-Key": created["key"]}

    assert datetime.fromisoformat(created["expiresAt"]) == datetime(2026, 1, 31, tzinfo=UTC)
    api.clock.advance(seconds=timedelta(days=30).total_seconds() - 1)
    assert (await api.client.get(SEARCH, headers=headers)).status_code == 200
    api.clock.advance(seconds=1)
    assert (await api.client.get(SEARCH, headers=headers)).status_code == 401
    [ended] = (await api.client.get(KEYS, params={"usable": "false"}, headers=admin)).json()["data"]
    assert (ended["id"], ended["active"], ended["usable"]) == (created["id"], True, False)


async def test_a_list_of_keys_has_pages(api: Api) -> None:
    admin = await api.key("admin")
    made = []
    for number in range(3):
        api.clock.advance(seconds=1)
        made.append((await create(api, admin, name=f"shop {number}"))["id"])

    page = (await api.client.get(KEYS, params={"limit": 2, "page": 1}, headers=admin)).json()

    assert [key["id"] for key in page["data"]] == made[:0:-1]
    assert (page["pagination"]["total"], page["pagination"]["totalPages"]) == (4, 2)


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "line\nbreak"}, "name"),
        ({"name": "nul\0"}, "body"),
        ({"name": "half \ud83d"}, "body"),
        ({"name": "shop", "permissions": []}, "permissions"),
        ({"name": "shop", "permissions": ["write"]}, "permissions.0"),
        ({"name": "shop", "permissions": "read"}, "permissions"),
        ({"name": "shop", "expiresAt": "2025-12-31T00:00:00Z"}, "expiresAt"),
        ({"name": "shop", "expiresAt": "2027-01-01T00:00:00"}, "expiresAt"),
        ({"name": "shop", "expiresInDays": 0}, "expiresInDays"),
        ({"name": "shop", "expiresInDays": "30"}, "expiresInDays"),
        ({"name": "shop", "expiresInDays": 1, "expiresAt": "2027-01-01T00:00:00Z"}, "expiresInDays"),
        ({"name": "shop", "permission": ["read"]}, "permission"),
        ([], "body"),
    ],
)
async def test_a_key_that_cannot_be_is_refused_with_the_field(api: Api, body: Any, parameter: str) -> None:
    headers = {**await api.key("admin"), "Content-Type": "application/json"}
    answer = await api.client.post(KEYS, content=json.dumps(body), headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    [problem] = answer.json()["error"]["details"]
    assert problem["parameter"] == parameter
    assert problem["message"]


async def test_an_unknown_field_and_an_unknown_word_are_told_what_there_is(api: Api) -> None:
    body = {"name": "shop", "permission": ["read"], "permissions": ["write"]}
    answer = await api.client.post(KEYS, json=body, headers=await api.key("admin"))

    word, field = answer.json()["error"]["details"]
    assert word == {
        "parameter": "permissions.0",
        "value": "write",
        "message": "is not known",
        "allowed": ["read", "cost", "trade", "admin"],
    }
    assert field == {
        "parameter": "permission",
        "message": "there is no such field; did you mean permissions?",
        "allowed": ["name", "permissions", "expiresAt", "expiresInDays"],
    }


async def test_an_id_that_is_none_and_one_that_nobody_has_differ(api: Api) -> None:
    admin = await api.key("admin")

    nonsense = await api.client.delete(f"{KEYS}/nonsense", headers=admin)
    nobodys = await api.client.delete(f"{KEYS}/{uuid4()}", headers=admin)

    assert (nonsense.status_code, nonsense.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert (nobodys.status_code, nobodys.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_only_an_administrator_deals_with_keys(api: Api) -> None:
    headers = await api.key("read", "cost", "trade")

    for answer in (
        await api.client.get(KEYS, headers=headers),
        await api.client.post(KEYS, json={"name": "shop"}, headers=headers),
        await api.client.delete(f"{KEYS}/{uuid4()}", headers=headers),
    ):
        assert (answer.status_code, answer.json()["error"]["details"]) == (403, {"permission": "admin"})
    assert await audit(api) == []
