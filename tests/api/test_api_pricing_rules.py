"""Pricing rules over the API: exact, checked as a whole, never stored when they could not be applied."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from api_support import Api, open_api
from psycopg.rows import dict_row, scalar_row

from diamond_opus.api.schemas import ListOf, One
from diamond_opus.api.schemas_pricing import PricingRule
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.pricing import PricingEngine

RULES = "/api/v2/pricing-rules"
DEFAULT = f"{RULES}/00000000-0000-4000-8000-000000001000"
FULL = {
    "priority": 10,
    "caratMin": 1.1,
    "caratMax": 2.99,
    "shapes": ["Round", "cushion_b", "ROUND BRILLIANT"],
    "labGrown": False,
    "feed": "nivoda",
    "markupRatio": 1.1505,
    "rating": 8,
}


@pytest.fixture
async def api(pool: Pool, clock: ManualClock) -> AsyncIterator[Api]:
    async with open_api(pool, clock) as opened:
        yield opened


@pytest.fixture
async def admin(api: Api) -> dict[str, str]:
    return await api.key("admin")


async def create(api: Api, admin: dict[str, str], **body: Any) -> dict[str, Any]:
    answer = await api.client.post(RULES, json={**FULL, **body}, headers=admin)
    assert answer.status_code == 201, answer.text
    One[PricingRule].model_validate(answer.json())
    data: dict[str, Any] = answer.json()["data"]
    return data


async def rows(api: Api, query: str) -> list[dict[str, Any]]:
    async with api.pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query.encode())
        return await cursor.fetchall()


async def count_rules(api: Api) -> int:
    async with api.pool.connection() as conn, conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute("SELECT count(*) FROM pricing_rules")
        return int(await cursor.fetchone() or 0)


async def test_a_rule_is_stored_exactly_and_prices_what_it_says(api: Api, admin: dict[str, str]) -> None:
    created = await create(api, admin)

    [row] = await rows(api, "SELECT * FROM pricing_rules WHERE priority = 10")
    assert (row["carat_min"], row["carat_max"], row["markup_ratio"]) == (
        Decimal("1.10"),
        Decimal("2.99"),
        Decimal("1.1505"),
    )
    assert row["shapes"] == created["shapes"] == ["ROUND", "CUSHION BRILLIANT"]
    assert (created["caratMin"], created["markupRatio"], created["active"]) == (1.1, 1.1505, True)
    engine = PricingEngine()
    async with api.pool.connection() as conn:
        await engine.load_rules(conn)
    rule = engine.find_matching_rule(carats="1.10", shape="ROUND", lab_grown=False, feed="nivoda")
    assert rule is not None
    assert str(rule.id) == created["id"]


async def test_a_body_may_be_written_in_snake_case_and_with_next_to_nothing(
    api: Api, admin: dict[str, str]
) -> None:
    answer = await api.client.post(RULES, json={"priority": 5, "markup_ratio": "1.2"}, headers=admin)

    rule = answer.json()["data"]
    assert answer.status_code == 201
    assert (rule["markupRatio"], rule["caratMin"], rule["shapes"], rule["rating"]) == (1.2, None, None, None)


async def test_rules_are_listed_as_they_are_tried_and_only_active_ones_unless_asked(
    api: Api, admin: dict[str, str]
) -> None:
    second = await create(api, admin, priority=20)
    first = await create(api, admin, priority=10)
    await create(api, admin, priority=1, active=False)

    by_filter = {
        which: (await api.client.get(RULES, params=which, headers=admin)).json()
        for which in ("", "active=true", "active=false", "active=all", "active=all&limit=2&page=2")
    }

    ListOf[PricingRule].model_validate(by_filter[""])
    assert [rule["priority"] for rule in by_filter[""]["data"]] == [10, 20, 1000]
    assert by_filter[""]["data"][:2] == [first, second]
    assert by_filter["active=true"] == by_filter[""]
    assert [rule["priority"] for rule in by_filter["active=false"]["data"]] == [1]
    assert [rule["priority"] for rule in by_filter["active=all"]["data"]] == [1, 10, 20, 1000]
    assert [rule["priority"] for rule in by_filter["active=all&limit=2&page=2"]["data"]] == [20, 1000]


async def test_a_change_replaces_what_it_names_and_null_clears(api: Api, admin: dict[str, str]) -> None:
    created = await create(api, admin)
    path = f"{RULES}/{created['id']}"
    api.clock.advance(seconds=60)

    changed = await api.client.put(
        path, json={"markupRatio": 1.2, "rating": None, "caratMin": None}, headers=admin
    )
    cleared = await api.client.put(
        path, json={"caratMax": None, "shapes": None, "lab_grown": None, "feed": None}, headers=admin
    )

    assert changed.status_code == cleared.status_code == 200
    expected = {**created, "markupRatio": 1.2, "rating": None, "caratMin": None}
    assert changed.json()["data"] == {**expected, "updatedAt": "2026-01-01T00:01:00Z"}
    rule = cleared.json()["data"]
    assert [rule[name] for name in ("caratMax", "shapes", "labGrown", "feed")] == [None] * 4
    assert (await api.client.get(path, headers=admin)).json()["data"] == rule


async def test_a_change_is_checked_together_with_what_stays(api: Api, admin: dict[str, str]) -> None:
    created = await create(api, admin)

    answer = await api.client.put(f"{RULES}/{created['id']}", json={"caratMin": 3}, headers=admin)

    assert answer.status_code == 400
    assert answer.json()["error"]["details"] == [
        {
            "parameter": "caratMin",
            "value": "3.00",
            "message": "must be at most carat_max, which is 2.99",
        }
    ]
    assert (await api.client.get(f"{RULES}/{created['id']}", headers=admin)).json()["data"] == created


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("markupRatio", "0"),
        ("markupRatio", "-1.15"),
        ("markupRatio", "10"),
        ("markupRatio", "1.15005"),
        # As a double this would be 1.15.
        ("markupRatio", "1.15000000000000000001"),
        ("markupRatio", "1e999999"),
        ("markupRatio", "null"),
        ("markupRatio", '"much"'),
        ("markupRatio", '"NaN"'),
        ("markupRatio", "true"),
        ("caratMin", "-0.01"),
        ("caratMin", "1.005"),
        ("caratMin", "10000"),
        ("caratMax", "0.99"),
        ("shapes", "[]"),
        ("shapes", '["ROUND", "_"]'),
        ("shapes", '"ROUND"'),
        ("rating", "0"),
        ("rating", "11"),
        ("rating", "5.5"),
        ("priority", "null"),
        ("priority", "2147483648"),
        ("labGrown", '"yes"'),
        ("feed", '"nivode"'),
        ("active", "null"),
    ],
)
async def test_an_invalid_rule_is_never_stored(
    api: Api, admin: dict[str, str], field: str, text: str
) -> None:
    created = await create(api, admin)
    valid = '"priority": 1, "markupRatio": 1.1, "caratMin": 1, "caratMax": 2'
    headers = {**admin, "Content-Type": "application/json"}

    made = await api.client.post(RULES, content=f'{{{valid}, "{field}": {text}}}', headers=headers)
    changed = await api.client.put(
        f"{RULES}/{created['id']}", content=f'{{{valid}, "{field}": {text}}}', headers=headers
    )

    for answer in (made, changed):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
        for problem in answer.json()["error"]["details"]:
            assert problem["parameter"].partition(".")[0] in (field, "caratMin")
            assert problem["message"]
    assert await count_rules(api) == 2
    assert (await api.client.get(f"{RULES}/{created['id']}", headers=admin)).json()["data"] == created


async def test_an_unknown_feed_is_told_which_there_are(api: Api, admin: dict[str, str]) -> None:
    answer = await api.client.post(RULES, json={**FULL, "feed": "nivode"}, headers=admin)

    assert answer.json()["error"]["details"] == [
        {"parameter": "feed", "value": "nivode", "message": "is not known", "allowed": ["nivoda"]}
    ]


@pytest.mark.parametrize("text", ["NaN", '{"priority": Infinity}', "[" * 100_000, "1" * 5_000, "\xff"])
async def test_what_is_no_json_is_refused(api: Api, admin: dict[str, str], text: str) -> None:
    headers = {**admin, "Content-Type": "application/json"}
    answer = await api.client.post(RULES, content=text.encode("latin-1"), headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_a_deactivated_rule_prices_nothing_and_can_come_back(api: Api, admin: dict[str, str]) -> None:
    for _ in range(2):
        answer = await api.client.delete(DEFAULT, headers=admin)
        assert (answer.status_code, answer.json()["data"]["active"]) == (200, False)

    engine = PricingEngine()
    async with api.pool.connection() as conn:
        await engine.load_rules(conn)
    result = engine.calculate_pricing(
        carats="1.00", shape="ROUND", lab_grown=False, feed="nivoda", feed_price_cents=100_000
    )
    assert engine.rules == ()
    assert (result.price_model_price_cents, result.rating) == (115_000, 5)
    assert (await api.client.put(DEFAULT, json={"active": True}, headers=admin)).json()["data"][
        "active"
    ] is True


async def test_a_rule_that_sql_made_invalid_can_be_seen_and_mended(api: Api, admin: dict[str, str]) -> None:
    await api.execute("UPDATE pricing_rules SET markup_ratio = 0")

    listed = await api.client.get(RULES, headers=admin)
    still_wrong = await api.client.put(DEFAULT, json={"rating": 6}, headers=admin)
    mended = await api.client.put(DEFAULT, json={"markupRatio": 1.15}, headers=admin)

    assert listed.json()["data"][0]["markupRatio"] == 0
    assert still_wrong.json()["error"]["details"][0]["parameter"] == "markupRatio"
    assert mended.status_code == 200


async def test_every_change_is_in_the_audit_log_with_what_was_before(api: Api, admin: dict[str, str]) -> None:
    created = await create(api, admin)
    path = f"{RULES}/{created['id']}"
    await api.client.put(path, json={"markupRatio": 1.2, "rating": 8}, headers=admin)
    await api.client.put(path, json={"rating": 8}, headers=admin)
    for _ in range(2):
        await api.client.delete(path, headers=admin)

    acts = await rows(api, "SELECT * FROM audit_log WHERE action LIKE 'pricing_rule.%' ORDER BY id")
    assert [act["action"] for act in acts] == [
        "pricing_rule.create",
        "pricing_rule.update",
        "pricing_rule.deactivate",
    ]
    assert {act["subject"] for act in acts} == {created["id"]}
    assert all(act["actor"].startswith("key:") for act in acts)
    assert acts[0]["details"]["rule"]["markupRatio"] == "1.1505"
    assert acts[1]["details"] == {"before": {"markupRatio": "1.1505"}, "after": {"markupRatio": "1.2000"}}


async def test_ids_that_are_none_or_nobodys_are_told_apart(api: Api, admin: dict[str, str]) -> None:
    for path, status, code in (
        (f"{RULES}/nonsense", 400, "VALIDATION_ERROR"),
        (f"{RULES}/{uuid4()}", 404, "NOT_FOUND"),
    ):
        for answer in (
            await api.client.get(path, headers=admin),
            await api.client.put(path, json={"rating": 5}, headers=admin),
            await api.client.delete(path, headers=admin),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_rules_are_read_with_cost_and_changed_by_administrators(api: Api) -> None:
    shop, merchandiser = await api.key("read", "trade"), await api.key("cost")

    assert (await api.client.get(RULES, headers=shop)).status_code == 403
    assert (await api.client.get(DEFAULT, headers=shop)).status_code == 403
    assert (await api.client.get(RULES, headers=merchandiser)).status_code == 200
    assert (await api.client.get(DEFAULT, headers=merchandiser)).status_code == 200
    for answer in (
        await api.client.post(RULES, json=FULL, headers=merchandiser),
        await api.client.put(DEFAULT, json={"rating": 5}, headers=merchandiser),
        await api.client.delete(DEFAULT, headers=merchandiser),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
