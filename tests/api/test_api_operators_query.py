"""Free questions to a table: only what is allowed, everything validated, and the numbers right."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from operator_support import Desk, open_desk

from diamond_opus.analytics.tables import TABLES
from pipeline_builders import Pool, World
from pipeline_supplier import Listed, ScriptedSupplier, stones

DIAMONDS = "/analytics/query/diamonds"


@pytest.fixture
async def desk(pool: Pool) -> AsyncIterator[Desk]:
    supplier = ScriptedSupplier(
        [*stones(10), *stones(5, lab_grown=True), Listed("pear", shape="PEAR", price_cents=1_234_56)]
    )
    async with open_desk(World(pool, supplier)) as opened:
        await opened.world.run()
        yield opened


@pytest.fixture
async def bare(pool: Pool) -> AsyncIterator[Desk]:
    """Without any stone, for what is refused before a table is looked at."""
    async with open_desk(World(pool)) as opened:
        yield opened


async def rows(desk: Desk, body: Any, path: str = DIAMONDS) -> list[dict[str, Any]]:
    answer = await desk.post(path, body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_a_star_stands_for_the_allowed_columns_and_no_other(desk: Desk) -> None:
    """B8: select * went past the list of columns."""
    for table, allowed in TABLES.items():
        for body in (None, {}, {"select": "*"}):
            found = await rows(desk, body, f"/analytics/query/{table}")
            assert found or table in ("rejected_diamonds", "removal_candidates")
            for row in found:
                assert set(row) == set(allowed.columns)


async def test_every_allowed_column_can_be_asked_for_filtered_and_ordered_by(desk: Desk) -> None:
    for table, allowed in TABLES.items():
        for column in allowed.columns:
            body = {"select": column, "filters": {column: {"is": "not_null"}}, "order": {"column": column}}
            await rows(desk, body, f"/analytics/query/{table}")


async def test_columns_filters_order_limit_and_offset(desk: Desk) -> None:
    body = {
        "select": "supplier_stone_id, feed_price, lab_grown",
        "filters": {"lab_grown": {"eq": False}, "feed_price": {"gte": 120, "lt": "150.00"}},
        "order": {"column": "feed_price", "ascending": False},
        "limit": 2,
        "offset": 1,
    }
    answer = await desk.post(DIAMONDS, body)
    assert answer.json() == {
        "data": [
            {"supplier_stone_id": "nat-00003", "feed_price": "130.00", "lab_grown": False},
            {"supplier_stone_id": "nat-00002", "feed_price": "120.00", "lab_grown": False},
        ],
        "pagination": {"total": 3, "limit": 2, "offset": 1},
    }


FILTERS: list[tuple[dict[str, Any], int]] = [
    ({"shape": {"eq": "PEAR"}}, 1),
    ({"shape": {"neq": "PEAR"}}, 15),
    ({"feed_price": {"gt": 1_234.55, "lte": "1234.56"}}, 1),
    ({"supplier_stone_id": {"like": "lab-%"}}, 5),
    ({"supplier_stone_id": {"ilike": "LAB-%"}}, 5),
    ({"supplier_stone_id": {"like": "LAB-%"}}, 0),
    ({"supplier_stone_id": {"like": "\\\\"}}, 0),
    ({"supplier_stone_id": {"like": "%\\%"}}, 0),
    ({"shape": {"in": ["PEAR", "OVAL"]}}, 1),
    ({"deleted_at": {"is": None}}, 16),
    ({"deleted_at": {"is": "not_null"}}, 0),
    ({"lab_grown": {"is": True}}, 5),
    ({"lab_grown": {"is": False}}, 11),
    ({"created_at": {"gte": "2020-01-01T00:00:00Z"}}, 16),
    ({"id": {"in": ["00000000-0000-0000-0000-000000000000"]}}, 0),
    ({"shape": {"eq": "' OR 1=1 --"}}, 0),
]


async def test_every_operator(desk: Desk) -> None:
    for filters, count in FILTERS:
        answer = await desk.post(DIAMONDS, {"select": "id", "filters": filters})
        assert answer.json()["pagination"]["total"] == len(answer.json()["data"]) == count, filters


async def test_aggregates_alone_and_by_group(desk: Desk) -> None:
    assert await rows(desk, {"select": "count(*), sum(feed_price) as worth"}) == [
        {"count": 16, "worth": "3284.56"}
    ]
    by_group = {
        "select": "lab_grown, count(id) as stones, min(feed_price), MAX(feed_price) AS dearest",
        "order": {"column": "stones", "ascending": True},
    }
    assert await rows(desk, by_group) == [
        {"lab_grown": True, "stones": 5, "min_feed_price": "100.00", "dearest": "140.00"},
        {"lab_grown": False, "stones": 11, "min_feed_price": "100.00", "dearest": "1234.56"},
    ]


async def test_runs_have_the_same_figures_as_everywhere(desk: Desk) -> None:
    await desk.world.plan()
    await desk.world.work()
    listed = {row["runId"]: row["fetchedRecords"] for row in await desk.data("/analytics/runs")}
    asked = await rows(desk, {"select": "run_id, fetched_records"}, "/analytics/query/run_metadata")
    assert {row["run_id"]: row["fetched_records"] for row in asked} == listed


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"select": "id, payload"}, "select"),
        ({"select": "id, id"}, "select"),
        ({"select": ""}, "select"),
        ({"select": "pg_sleep(10)"}, "select"),
        ({"select": "sum(shape)"}, "select"),
        ({"select": "sum(*)"}, "select"),
        ({"select": "count(secret)"}, "select"),
        ({"select": 'count(*) as "x"'}, "select"),
        ({"select": "(select 1)"}, "select"),
        ({"filters": {"secret": {"eq": 1}}}, "filters"),
        ({"filters": {"shape": {"matches": "x"}}}, "filters.shape.matches"),
        ({"filters": {"shape": {"eq": 5}}}, "filters.shape.eq"),
        ({"filters": {"shape": {"eq": None}}}, "filters.shape.eq"),
        ({"filters": {"shape": {"in": []}}}, "filters.shape.in"),
        ({"filters": {"shape": {"in": "PEAR"}}}, "filters.shape.in"),
        ({"filters": {"carats": {"eq": "heavy"}}}, "filters.carats.eq"),
        ({"filters": {"carats": {"eq": True}}}, "filters.carats.eq"),
        ({"filters": {"carats": {"gt": "1e999999"}}}, "filters.carats.gt"),
        ({"filters": {"carats": {"gt": "NaN"}}}, "filters.carats.gt"),
        ({"filters": {"carats": {"like": "1%"}}}, "filters.carats.like"),
        ({"filters": {"shape": {"like": "PEAR\\"}}}, "filters.shape.like"),
        ({"filters": {"shape": {"ilike": "\\\\\\"}}}, "filters.shape.ilike"),
        ({"filters": {"lab_grown": {"eq": "true"}}}, "filters.lab_grown.eq"),
        ({"filters": {"shape": {"is": True}}}, "filters.shape.is"),
        ({"filters": {"shape": {"is": []}}}, "filters.shape.is"),
        ({"filters": {"created_at": {"gt": "2026-01-01"}}}, "filters.created_at.gt"),
        ({"filters": {"id": {"eq": "1"}}}, "filters.id.eq"),
        ({"order": {"column": "payload"}}, "order.column"),
        ({"select": "count(*)", "order": {"column": "id"}}, "order.column"),
        ({"limit": 1_001}, "limit"),
        ({"limit": 0}, "limit"),
        ({"offset": -1}, "offset"),
        ({"where": "1=1"}, "where"),
        ({"filters": {"shape": "PEAR"}}, "filters.shape"),
    ],
)
async def test_what_is_not_allowed_is_400_and_named(bare: Desk, body: Any, parameter: str) -> None:
    answer = await bare.post(DIAMONDS, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR"), answer.text
    assert parameter in [problem["parameter"] for problem in answer.json()["error"]["details"]]


@pytest.mark.parametrize(
    "body",
    [
        {"\ud800": 1},
        {"filters": {"\ud800": {"eq": 1}}},
        {"filters": {"shape": {"\ud800": "x"}}},
        {"filters": {"shape": {"eq": "a\x00"}}},
        {"select": "max(\ud800)"},
        [],
        "x",
        5,
    ],
)
async def test_what_is_no_text_or_no_object_is_400_too(bare: Desk, body: Any) -> None:
    answer = await bare.post(DIAMONDS, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_a_column_that_is_not_allowed_is_answered_with_those_that_are(bare: Desk) -> None:
    answer = await bare.post("/analytics/query/worker_runs", {"select": "work_item_payload"})
    [problem] = answer.json()["error"]["details"]
    assert problem["allowed"] == sorted(TABLES["worker_runs"].columns)


@pytest.mark.parametrize("table", ["api_keys", "pg_user", "audit_log", "diamonds; --"])
async def test_only_allowed_tables_can_be_asked(bare: Desk, table: str) -> None:
    answer = await bare.post(f"/analytics/query/{table}", {})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["allowed"] == sorted(TABLES)


async def test_a_question_that_takes_too_long_is_503_with_a_hint(pool: Pool) -> None:
    async with open_desk(World(pool, ScriptedSupplier(stones(200))), statement_timeout_ms=1) as desk:
        await desk.world.run()
        await desk.world.rows(
            "INSERT INTO error_logs (service, error_message) SELECT 'x', 'y' FROM generate_series(1, 9)"
        )
        await desk.world.rows("ALTER TABLE diamonds RENAME TO the_diamonds")
        await desk.world.rows(
            "CREATE VIEW diamonds AS SELECT d.* FROM the_diamonds AS d WHERE pg_sleep(0.1)::text IS NOT NULL"
        )
        answer = await desk.post(DIAMONDS, {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
