"""The examples of the OpenAPI document are real answers, and what is answered is exactly what is described.

``DIAMOND_WRITE_EXAMPLES=1 pytest -n 0 tests/api/test_api_examples.py`` writes them anew, after a change of routes.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from json_shapes import mismatches
from route_walk import Operation, document, id_source, operations
from served_api import Served, served_api

from diamond_opus.api import examples

FILE = Path(examples.__file__).with_name("examples.json")
SCHEMAS = document()["components"]["schemas"]

ALERT = "3f0c6a52-5d2e-4a0e-9a59-0c1b7d1c9a11"
ADD_ALERT = f"""
    WITH opened AS (
        INSERT INTO incidents (id, event, subject, severity, title, text, facts)
        VALUES (
            '{ALERT}', 'dead_letters', 'work-items', 'warning', '2 messages of work-items were set aside',
            'Nobody could handle them. Messages only wake; the sweeper wakes again what is due.',
            '{{"cause": "A release that cannot read the messages of another.",
               "action": "Look at them and replay them: POST /api/v2/triggers/replay-dead-letters",
               "page": "/dead-letters"}}'
        )
        RETURNING id
    )
    INSERT INTO alert_deliveries (incident_id, kind, channel, state, attempts, settled_at)
    SELECT id, 'opened', 'slack-1f6c', 'delivered', 1, now()
    FROM opened
    RETURNING id
"""

#: What changes something is called only when it stands here, with its body; every GET is called.
BODIES: Mapping[str, Any] = {
    "create_api_key": {"name": "Jeweller's website", "permissions": ["read"], "expiresInDays": 365},
    "revoke_api_key": None,
    "create_pricing_rule": {
        "priority": 10,
        "caratMin": 1,
        "shapes": ["Round", "Oval"],
        "labGrown": False,
        "markupRatio": 1.25,
        "rating": 8,
    },
    "change_pricing_rule": {"markupRatio": 1.2, "caratMin": None},
    "deactivate_pricing_rule": None,
    "delete_error_logs": None,
    "ask_table": {
        "select": "shape, count(*) as stones, avg(carats) as carats",
        "filters": {"lab_grown": {"eq": True}},
        "order": {"column": "stones", "ascending": False},
        "limit": 2,
    },
    "replay_dead_letters": {"queue": "work-items"},
    "resolve_alert": {"alertId": ALERT, "note": "replayed after the release"},
    "run_heatmap": {"labGrown": False},
    "preview_heatmap": {"labGrown": True},
    "set_watermark": {"lastUpdatedAt": "2026-01-01T00:00:00Z"},
    "search_offers": {"shapes": ["ROUND"], "labGrown": True, "limit": 1},
    "count_offers": {"shapes": ["ROUND"], "labGrown": True},
    "create_hold": None,
    "end_hold": None,
    "purchase_diamond": {"idempotencyKey": "cart-4711", "reference": "PO-4711"},
    "start_run": {"runType": "incremental"},
}
#: Called last, because others are refused while a run is active.
LAST = "start_run"

Answers = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def answers(template_database: Any) -> Iterator[Answers]:
    """What the operations answer, by operation id and status, and the errors by status."""
    for url in template_database.lend(template=template_database.template):
        with served_api(url) as served:
            found: dict[str, Mapping[str, Any]] = {}
            served.key("read", name="to be revoked")
            served.fetch(ADD_ALERT)
            with httpx2.Client(base_url=served.url) as client:
                admin = {"X-API-Key": served.key("admin", name="Operator")}
                for operation in sorted(operations(), key=_turn):
                    answer = call(client, served, operation, admin)
                    if answer is not None and answer.is_success:
                        found[operation.described["operationId"]] = {str(answer.status_code): answer.json()}
                found[examples.ERRORS] = errors(client, admin, {"X-API-Key": served.key("read")})
            if "DIAMOND_WRITE_EXAMPLES" in os.environ:
                write_examples(found)
            yield found


def _turn(operation: Operation) -> tuple[bool, bool]:
    return operation.described["operationId"] == LAST, operation.method != "GET"


def call(
    client: httpx2.Client, served: Served, operation: Operation, admin: dict[str, str]
) -> httpx2.Response | None:
    """The answer to a plain request; None for what is not called, or answers no JSON."""
    name = operation.described["operationId"]
    if (operation.method != "GET" and name not in BODIES) or not json_schemas(operation):
        return None
    source = id_source(operation.path)
    found = quote(served.fetch(source) or "none", safe="") if source else ""
    takes_limit = any(one["name"] == "limit" for one in operation.described.get("parameters", ()))
    return client.request(
        operation.method,
        re.sub(r"\{\w+\}", found, operation.path),
        params={"limit": 1} if takes_limit else None,
        json=BODIES.get(name),
        headers=admin,
    )


def errors(
    client: httpx2.Client, admin: dict[str, str], reader: dict[str, str]
) -> Mapping[str, Mapping[str, Any]]:
    rules = "/api/v2/pricing-rules"
    refused = [
        client.get("/api/v2/diamonds", params={"shpe": "ROUND"}, headers=admin),
        client.get("/api/v2/diamonds"),
        client.get(rules, headers=reader),
        client.get(f"{rules}/57c74cc7-de68-59ff-87ef-b7e5ced48928", headers=admin),
        client.post(rules, content=b"x" * 1_100_000, headers=admin),
    ]
    guesses = [client.get("/api/v2/diamonds", headers={"X-API-Key": "a guess"}) for _ in range(21)]
    return {str(answer.status_code): answer.json() for answer in (*refused, guesses[-1])}


def json_schemas(operation: Operation) -> Mapping[str, Any]:
    """The schemas of its JSON answers to what went well, by status."""
    return {
        status: answer["content"]["application/json"]["schema"]
        for status, answer in operation.described["responses"].items()
        if status.startswith("2") and "application/json" in answer.get("content", {})
    }


def write_examples(answers: Answers) -> None:
    text = json.dumps(answers, indent=1, ensure_ascii=False, sort_keys=True)
    # A key that works nowhere, but would alarm who looks for lost ones.
    FILE.write_text(re.sub(r'"dk_[\w-]{43}"', f'"dk_{"x" * 43}"', text) + "\n", encoding="utf-8")
    document.cache_clear()


def test_what_is_answered_is_exactly_what_is_described(answers: Answers) -> None:
    for operation in operations():
        for status, answer in answers.get(operation.described["operationId"], {}).items():
            schema = json_schemas(operation)[status]
            assert [*mismatches(schema, answer, SCHEMAS)] == [], operation.path
    for error in answers[examples.ERRORS].values():
        assert [*mismatches(SCHEMAS["Error"], error, SCHEMAS)] == []


def test_every_answer_that_was_got_has_its_example(answers: Answers) -> None:
    shown = {
        operation.described["operationId"]: [
            status
            for status, answer in operation.described["responses"].items()
            if "example" in answer.get("content", {}).get("application/json", {})
        ]
        for operation in operations()
    }

    got = {name: set(statuses) for name, statuses in answers.items() if name != examples.ERRORS}
    without = [name for name, statuses in got.items() if not statuses <= set(shown[name])]
    assert without == [], f"write the examples anew: {__doc__}"
    assert {*BODIES, "list_diamonds", "read_diamond", "get_health"} <= set(got)
    assert {"400", "401", "403", "429"} <= set(shown["list_diamonds"])


def test_every_example_is_exactly_what_is_described() -> None:
    for operation in operations():
        for status, answer in operation.described["responses"].items():
            content = answer.get("content", {}).get("application/json", {})
            if "example" in content:
                found = [*mismatches(content["schema"], content["example"], SCHEMAS)]
                assert found == [], f"{operation.path} {status}"


def test_no_example_is_left_of_an_operation_that_is_gone() -> None:
    names = {operation.described["operationId"] for operation in operations()}

    assert set(examples.load_examples()) - names == {examples.ERRORS}


def test_the_comparison_would_notice() -> None:
    schema = document()["paths"]["/health"]["get"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    good = {"status": "ok", "timestamp": "2026-01-01T00:00:00Z"}

    assert [*mismatches(schema, good, SCHEMAS)] == []
    bad_ones: list[Any] = [
        {}, {**good, "more": 1}, {**good, "status": "bad"}, {**good, "timestamp": None}, [], None,
    ]  # fmt: skip
    for bad in bad_ones:
        assert [*mismatches(schema, bad, SCHEMAS)] != []
