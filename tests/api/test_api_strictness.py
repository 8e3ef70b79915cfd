"""No route ignores what it does not know: a parameter, a field of the body, a path with more or less in it."""

import re
from collections.abc import AsyncIterator

import httpx2
import pytest
from api_support import Api, open_api
from made_up_requests import requests_for
from route_walk import Operation, operations

from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock

AUTHENTICATED = [one for one in operations() if one.permission is not None]
WITH_BODY = [one for one in AUTHENTICATED if "requestBody" in one.described]
NOBODYS_ID = "00000000-0000-4000-8000-00000000dead"


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


@pytest.fixture
async def api(pool: Pool, clock: ManualClock) -> AsyncIterator[Api]:
    async with open_api(pool, clock) as opened:
        yield opened


async def send(api: Api, operation: Operation, *, query: str = "", **body: object) -> httpx2.Response:
    path = re.sub(r"\{\w+\}", NOBODYS_ID, operation.path)
    return await api.client.request(
        operation.method,
        f"{path}{query}",
        headers={**await api.key("admin"), "Content-Type": "application/json"},
        timeout=10,
        **body,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("operation", AUTHENTICATED, ids=name_of)
async def test_an_unknown_parameter_is_refused_by_name(api: Api, operation: Operation) -> None:
    body = next(iter(requests_for(operation))).body

    answer = await send(api, operation, query="?nonsense=1", **({} if body is None else {"json": body}))

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert "nonsense" in [problem["parameter"] for problem in answer.json()["error"]["details"]]


@pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
async def test_an_unknown_field_is_refused_by_name(api: Api, operation: Operation) -> None:
    body = next(iter(requests_for(operation))).body

    answer = await send(api, operation, json={**body, "nonsense": 1})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert "nonsense" in [problem["parameter"] for problem in answer.json()["error"]["details"]]


@pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b'{"a": "\\u0000"}', b'{"\\ud800": 1}', b"[" * 90_000, b"null"]
)
async def test_a_body_that_is_none_is_refused(api: Api, operation: Operation, content: bytes) -> None:
    answer = await send(api, operation, content=content)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
async def test_a_strangers_body_is_not_looked_at(api: Api, operation: Operation) -> None:
    path = re.sub(r"\{\w+\}", NOBODYS_ID, operation.path)
    answer = await api.client.request(
        operation.method, path, content=b"{", headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 401, "the router needs route_class=GuardedRoute"


@pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
async def test_a_callers_malformed_body_counts_to_the_callers_limit(api: Api, operation: Operation) -> None:
    answer = await send(api, operation, content=b"{")

    assert answer.status_code == 400
    assert int(answer.headers["ratelimit-remaining"]) == int(answer.headers["ratelimit-limit"]) - 1


@pytest.mark.parametrize("operation", AUTHENTICATED, ids=name_of)
async def test_without_credentials_nobody_gets_in(api: Api, operation: Operation) -> None:
    path = re.sub(r"\{\w+\}", NOBODYS_ID, operation.path)
    answer = await api.client.request(operation.method, path, timeout=10)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED")
