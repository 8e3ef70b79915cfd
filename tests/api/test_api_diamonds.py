"""The two routes of the catalogue: their shape, what each permission shows, caching, and their refusals."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from api_support import CONFIDENTIAL, SEARCH, Api, open_api

from diamond_opus.api.schemas import Diamond, ListOf, One
from diamond_opus.catalog.fields import FIELDS
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock

COST_FIELDS = {
    "supplierStoneId", "offerId", "feedPriceCents", "pricePerCaratCents", "markupRatio", "ruleId", "holdId",
    "supplierName", "supplierLegalName",
}  # fmt: skip


@pytest.fixture
async def api(pool: Pool, clock: ManualClock) -> AsyncIterator[Api]:
    async with open_api(pool, clock) as opened:
        yield opened


async def test_a_search_answers_its_page_with_pagination(api: Api) -> None:
    ids = [await api.add_stone(supplier_stone_id=f"s{number}") for number in range(3)]
    answer = await api.client.get(SEARCH, params={"limit": 2, "shape": "round"}, headers=await api.key())

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    content = answer.json()
    ListOf[Diamond].model_validate(content)
    assert content["pagination"].pop("nextCursor")
    assert content["pagination"] == {"total": 3, "page": 1, "limit": 2, "totalPages": 2}
    assert {UUID(stone["id"]) for stone in content["data"]} < set(ids)


async def test_a_stone_is_shown_in_plain_units(api: Api) -> None:
    stone_id = await api.add_stone()

    answer = await api.client.get(f"{SEARCH}/{stone_id}", headers=await api.key("read", "cost"))

    assert answer.status_code == 200
    stone = answer.json()["data"]
    assert (stone["carats"], stone["priceModelPriceCents"], stone["priceModelPricePerCaratCents"]) == (
        1.5,
        100000,
        66667,
    )
    assert (stone["feedPriceCents"], stone["pricePerCaratCents"], stone["markupRatio"]) == (
        77777,
        77770,
        1.2345,
    )
    assert (stone["createdAt"], stone["lastSeenAt"]) == (
        "2026-01-01T12:00:00.123456Z",
        "2026-01-01T00:00:00Z",
    )
    assert (stone["cut"], stone["deletedAt"], stone["availability"]) == (None, None, "available")
    One[Diamond].model_validate(answer.json())


def test_the_documented_fields_are_those_that_are_shown() -> None:
    documented = {field.alias: field for field in Diamond.model_fields.values()}

    assert list(documented) == [*(field.name for field in FIELDS), "yourHold"]
    optional = {name for name, field in documented.items() if not field.is_required()}
    assert optional == COST_FIELDS | {"yourHold"}
    assert {field.name for field in FIELDS if field.cost} == COST_FIELDS


@pytest.mark.parametrize("path", [SEARCH, SEARCH + "/{id}"])
async def test_invariant_07_a_key_without_cost_never_sees_cost_vendor_or_offer(api: Api, path: str) -> None:
    stone_id = await api.add_stone()

    for permissions in (["read"], ["trade"], ["read", "trade"]):
        answer = await api.client.get(path.format(id=stone_id), headers=await api.key(*permissions))
        assert answer.status_code == 200
        everything = answer.text + str(answer.headers)
        assert str(stone_id) in everything
        assert not [secret for secret in (*CONFIDENTIAL, "cafe") if secret in everything]
        data = answer.json()["data"]
        assert COST_FIELDS.isdisjoint(data[0] if isinstance(data, list) else data)


@pytest.mark.parametrize("path", [SEARCH, SEARCH + "/{id}"])
@pytest.mark.parametrize("permissions", [["read", "cost"], ["admin"]])
async def test_a_key_with_cost_sees_all_of_it(api: Api, path: str, permissions: list[str]) -> None:
    stone_id = await api.add_stone()

    answer = await api.client.get(path.format(id=stone_id), headers=await api.key(*permissions))

    data = answer.json()["data"]
    assert set(data[0] if isinstance(data, list) else data) >= COST_FIELDS


@pytest.mark.parametrize(
    "query", ["cost_min=77777", "cost_max=1", "sort_by=feed_price", "sort_by=supplier_price_cents"]
)
async def test_invariant_07_a_key_without_cost_cannot_ask_about_it(api: Api, query: str) -> None:
    await api.add_stone()

    refused = await api.client.get(f"{SEARCH}?{query}", headers=await api.key("read"))
    answered = await api.client.get(f"{SEARCH}?{query}", headers=await api.key("read", "cost"))

    assert (refused.status_code, answered.status_code) == (403, 200)
    error = refused.json()["error"]
    assert (error["code"], error["details"]) == ("FORBIDDEN", {"permission": "cost"})


async def test_invariant_07_a_cursor_by_cost_is_of_no_use_without_the_permission(api: Api) -> None:
    for number in range(2):
        await api.add_stone(supplier_stone_id=f"s{number}")
    page = await api.client.get(f"{SEARCH}?sort_by=feed_price&limit=1", headers=await api.key("read", "cost"))
    cursor = page.json()["pagination"]["nextCursor"]

    answer = await api.client.get(f"{SEARCH}?limit=1&cursor={cursor}", headers=await api.key("read"))

    assert answer.status_code == 403


async def test_the_permission_cost_alone_does_not_open_the_catalogue(api: Api) -> None:
    for path in (SEARCH, f"{SEARCH}/{uuid4()}"):
        answer = await api.client.get(path, headers=await api.key("cost"))

        assert answer.status_code == 403
        assert answer.json()["error"]["details"] == {"permission": "read"}


async def test_a_stone_that_never_was_or_was_removed_is_not_found(api: Api) -> None:
    removed = await api.add_stone(status="deleted", deleted_at=api.clock.now())
    headers = await api.key()

    for stone_id in (removed, uuid4()):
        answer = await api.client.get(f"{SEARCH}/{stone_id}", headers=headers)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "DIAMOND_NOT_FOUND"
        assert str(stone_id) in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("target", "parameter"),
    [
        ("?color=Q1", "color"),
        ("?colour=D", "colour"),
        ("?carat_min=2&carat_max=1", "carat_min"),
        ("?page=1000&limit=100", "page"),
        ("?cursor=nonsense", "cursor"),
        ("?limit=%FF", "query string"),
        ("?" + "&".join(["a=1"] * 301), "query string"),
        ("/not-a-uuid", "id"),
        ("/%00", "id"),
        ("/57c74cc7-de68-59ff-87ef-b7e5ced48928?page=1", "page"),
    ],
)
async def test_a_malformed_request_is_told_what_is_wrong(api: Api, target: str, parameter: str) -> None:
    answer = await api.client.get(SEARCH + target, headers=await api.key())

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert error["details"][0]["parameter"] == parameter
    assert error["details"][0]["message"]


async def test_a_malformed_request_is_told_the_value_and_the_allowed_ones(api: Api) -> None:
    answer = await api.client.get(f"{SEARCH}?clarity=VVS3&sort_order=up", headers=await api.key())

    clarity, order = answer.json()["error"]["details"]
    assert (clarity["value"], clarity["allowed"][0]) == ("VVS3", "FL")
    assert order == {
        "parameter": "sort_order",
        "value": "up",
        "message": "is not known",
        "allowed": ["asc", "desc"],
    }


async def test_an_answer_that_a_client_holds_already_is_not_sent_again(api: Api) -> None:
    stone_id = await api.add_stone()
    await api.execute("INSERT INTO dataset_versions VALUES ('nivoda', 1, now())")
    headers = await api.key()
    for path in (f"{SEARCH}?shape=ROUND", f"{SEARCH}/{stone_id}"):
        first = await api.client.get(path, headers=headers)
        again = await api.client.get(
            path, headers={**headers, "If-None-Match": f'"x", {first.headers["etag"]}'}
        )

        assert (first.status_code, again.status_code) == (200, 304)
        assert again.content == b""
        assert again.headers["etag"] == first.headers["etag"]
        assert "private" in first.headers["cache-control"]


async def test_the_validator_differs_with_data_question_and_scope(api: Api) -> None:
    await api.add_stone()
    await api.execute("INSERT INTO dataset_versions VALUES ('nivoda', 1, now())")
    reader, insider = await api.key("read"), await api.key("admin")
    seen = []
    for path, headers in ((SEARCH, reader), (SEARCH, insider), (f"{SEARCH}?shape=ROUND", reader)):
        seen.append((await api.client.get(path, headers=headers)).headers["etag"])
    await api.execute("UPDATE dataset_versions SET version = 2")
    changed = await api.client.get(SEARCH, headers={**reader, "If-None-Match": seen[0]})

    assert changed.status_code == 200
    assert len({*seen, changed.headers["etag"]}) == 4


async def test_a_head_request_gets_the_headers_of_the_answer_and_no_body(api: Api) -> None:
    headers = await api.key()
    full = await api.client.get(SEARCH, headers=headers)
    answer = await api.client.head(SEARCH, headers=headers)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == full.headers["content-length"]
