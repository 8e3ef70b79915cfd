"""No route lets in whom it does not know, nor ignores what it does not know: a parameter, a field, a non-body."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from api_support import Api, open_api
from made_up_requests import requests_for
from route_walk import Operation, operations

from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock

NOBODYS_ID = "00000000-0000-4000-8000-00000000dead"
NO_BODIES = (b"{", b"\xff", b'{"a": "\\u0000"}', b'{"\\ud800": 1}', b"[" * 90_000, b"3")

#: What the reading of JSON stumbles over, and what the answer says of it.
UNREADABLE = {
    b"[" * 100_000: "nested",
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000: "nested",
    b'{"a":' * 800 + b"1" + b"}" * 800: "nested",
    b'{"a":[' * 16 + b"[1]" + b"]}" * 16: "nested",
    b'{"a": ' + b"9" * 5_000 + b"}": "digits",
    b'{"a": 1e99999999999999999999}': "digits",
    b'{"a": "\xff"}': "UTF-8",
    b"{": "no JSON",
}


@pytest.fixture
async def api(pool: Pool, clock: ManualClock) -> AsyncIterator[Api]:
    async with open_api(pool, clock) as opened:
        yield opened


@pytest.fixture
async def admin(api: Api) -> dict[str, str]:
    return {**await api.key("admin"), "Content-Type": "application/json"}


def authenticated() -> Iterator[Operation]:
    return (one for one in operations() if one.permission is not None)


def with_body() -> Iterator[Operation]:
    return (one for one in authenticated() if "requestBody" in one.described)


def without_body() -> Iterator[Operation]:
    """What changes something and takes no body."""
    return (one for one in authenticated() if one.method != "GET" and "requestBody" not in one.described)


async def send(
    api: Api, operation: Operation, headers: dict[str, str], *, query: str = "", **body: Any
) -> httpx2.Response:
    path = re.sub(r"\{\w+\}", NOBODYS_ID, operation.path)
    return await api.client.request(operation.method, f"{path}{query}", headers=headers, timeout=10, **body)


def said(answer: httpx2.Response, operation: Operation) -> str:
    return f"{operation.method} {operation.path}: {answer.status_code} {answer.text[:300]}"


def refuses_nonsense(answer: httpx2.Response) -> bool:
    problems = answer.json()["error"].get("details", ()) if answer.status_code == 400 else ()
    return "nonsense" in [problem["parameter"] for problem in problems]


async def test_an_unknown_parameter_is_refused_by_name(api: Api, admin: dict[str, str]) -> None:
    ignoring = []
    for operation in authenticated():
        body = next(requests_for(operation)).body
        answer = await send(
            api, operation, admin, query="?nonsense=1", **({} if body is None else {"json": body})
        )
        if not refuses_nonsense(answer):
            ignoring.append(said(answer, operation))

    assert ignoring == []


async def test_an_unknown_field_is_refused_by_name(api: Api, admin: dict[str, str]) -> None:
    ignoring = []
    for operation in with_body():
        body = next(requests_for(operation)).body
        answer = await send(api, operation, admin, json={**body, "nonsense": 1})
        if not refuses_nonsense(answer):
            ignoring.append(said(answer, operation))

    assert ignoring == []


async def test_a_body_that_is_none_is_refused_and_counts_to_the_callers_limit(
    api: Api, admin: dict[str, str]
) -> None:
    taking = []
    for operation in with_body():
        for content in NO_BODIES:
            answer = await send(api, operation, admin, content=content)
            if answer.status_code != 400 or "ratelimit-remaining" not in answer.headers:
                taking.append(f"{content[:20]!r} {said(answer, operation)}")

    assert taking == [], "a router with bodies has route_class=GuardedRoute"


@pytest.mark.parametrize(("content", "why"), UNREADABLE.items(), ids=lambda part: str(part)[:12])
async def test_a_body_that_cannot_be_read_is_told_why(
    api: Api, admin: dict[str, str], content: bytes, why: str
) -> None:
    answer = await api.client.post("/api/v2/api-keys", content=content, headers=admin)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR"), answer.text
    [problem] = answer.json()["error"]["details"]
    assert problem["parameter"] == "body"
    assert why in problem["message"]


async def test_a_body_with_as_many_levels_as_allowed_is_read(api: Api, admin: dict[str, str]) -> None:
    content = b'{"nonsense":' + b"[" * 31 + b"]" * 31 + b"}"

    assert refuses_nonsense(await api.client.post("/api/v2/api-keys", content=content, headers=admin))


async def test_a_route_that_takes_no_body_refuses_one_and_does_nothing(
    api: Api, admin: dict[str, str]
) -> None:
    ignoring = []
    for operation in without_body():
        for content in (b'{"foo": 1}', b"[]", b"null", b"{", b"\xff", b" " * 1_000_000 + b"1"):
            answer = await send(api, operation, admin, content=content)
            error = answer.json().get("error", {})
            if (answer.status_code, error.get("code")) != (400, "VALIDATION_ERROR") or error.get(
                "details"
            ) != [{"parameter": "body", "message": "this route takes no body"}]:
                ignoring.append(f"{content[:20]!r} {said(answer, operation)}")

    assert ignoring == [], "a router with POST, PUT or DELETE has route_class=GuardedRoute"


async def test_nothing_and_an_empty_object_are_no_body(api: Api, admin: dict[str, str]) -> None:
    for operation in without_body():
        plain = await send(api, operation, admin)
        for content in (b"", b" ", b"{}", b" { }\n", b" " * 1_000_000):
            answer = await send(api, operation, admin, content=content)
            assert answer.status_code == plain.status_code, said(answer, operation)
            assert "no body" not in answer.text, said(answer, operation)


async def test_an_ignored_body_forgets_no_errors(api: Api, admin: dict[str, str]) -> None:
    await api.execute("INSERT INTO error_logs (service, error_message) VALUES ('api', 'keep me')")

    answer = await api.client.request(
        "DELETE", "/api/v2/analytics/error-logs", json={"zzz": 1}, headers=admin
    )

    assert answer.status_code == 400
    kept = await api.client.get("/api/v2/analytics/error-logs", headers=admin)
    assert kept.json()["pagination"]["total"] == 1


async def test_without_credentials_nobody_gets_in_and_no_body_is_looked_at(api: Api) -> None:
    open_ones = []
    for operation in authenticated():
        answer = await send(api, operation, {"Content-Type": "application/json"}, content=b"{")
        if (answer.status_code, answer.json()["error"]["code"]) != (401, "UNAUTHORIZED"):
            open_ones.append(said(answer, operation))

    assert open_ones == [], "a router with bodies has route_class=GuardedRoute"
