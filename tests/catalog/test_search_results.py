"""Every filter, order and page of a search, against the same question answered in plain Python."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from catalog_questions import Asker, ask, asking
from catalog_rows import Row, expected_answer, load_rows, make_rows

from diamond_opus.catalog.search import DEFAULT_LIMIT, PARAMETERS
from diamond_opus.catalog.stones import get_diamond
from diamond_opus.db.pool import Pool

ROWS = make_rows(400, seed=20260101)
ACTIVE = [row for row in ROWS if row["status"] == "active"]
SOME_IDS = [str(row["id"]) for row in ROWS[:30]]

Predicate = Callable[[Row], bool]


@pytest.fixture(params=["sql", "index"])
async def asker(pool: Pool, request: pytest.FixtureRequest) -> AsyncIterator[Asker]:
    """Both ways to an answer must give the same ones."""
    async with pool.connection() as connection:
        await load_rows(connection, ROWS)
    async with asking(pool, by_index=request.param == "index") as opened:
        yield opened


def is_in(column: str, *values: str) -> Predicate:
    return lambda row: row[column] in values


def at_least(column: str, value: str) -> Predicate:
    return lambda row: row[column] is not None and row[column] >= Decimal(value)


def at_most(column: str, value: str) -> Predicate:
    return lambda row: row[column] is not None and row[column] <= Decimal(value)


FILTERS: Sequence[tuple[str, Predicate]] = [
    ("shape=round", is_in("shape", "ROUND")),
    ("shape=ROUND&shape=cushion b", is_in("shape", "ROUND", "CUSHION BRILLIANT")),
    ("carat_min=1", at_least("carats", "1")),
    ("carat_min=1.505", at_least("carats", "1.505")),
    ("carat_max=1.00", at_most("carats", "1.00")),
    ("color=D,e", is_in("color", "D", "E")),
    ("color[]=o-p&color[]=Fancy", is_in("color", "OP", "FANCY")),
    ("clarity=vs1", is_in("clarity", "VS1")),
    ("cut=excellent&cut=ID", is_in("cut", "EX", "ID")),
    ("polish=G", is_in("polish", "G")),
    ("symmetry=Fair", is_in("symmetry", "F")),
    ("fluorescence=none", is_in("fluorescence", "NON")),
    ("lab_grown=true", lambda row: row["lab_grown"]),
    ("lab_grown=false", lambda row: not row["lab_grown"]),
    ("price_min=100000", at_least("price_model_price", "1000")),
    ("price_max=100000", at_most("price_model_price", "1000")),
    ("price_max=99999", at_most("price_model_price", "999.99")),
    ("price_min=0", at_least("price_model_price", "0")),
    ("cost_min=250000", at_least("feed_price", "2500")),
    ("cost_max=250000", at_most("feed_price", "2500")),
    ("certificate_lab=gia", is_in("certificate_lab", "GIA")),
    ("certificate_number=7,8", is_in("certificate_number", "7", "8")),
    ("availability=on_hold,sold", is_in("availability", "on_hold", "sold")),
    ("feed=Nivoda", is_in("feed", "nivoda")),
    ("rating_min=5", at_least("rating", "5")),
    ("rating_max=5", at_most("rating", "5")),
    ("ratio_min=1.425", at_least("ratio", "1.425")),
    ("ratio_max=1.425", at_most("ratio", "1.425")),
    ("has_image=true", lambda row: row["image_url"] is not None),
    ("has_image=false", lambda row: row["image_url"] is None),
    ("has_video=true", lambda row: row["video_url"] is not None),
    ("has_video=false", lambda row: row["video_url"] is None),
    ("treated=true", lambda row: row["treated"]),
    ("treated=false", lambda row: not row["treated"]),
    ("fancy_color=yellow", is_in("fancy_color", "YELLOW")),
    ("fancy_intensity=vivid,light", is_in("fancy_intensity", "VIVID", "LIGHT")),
    ("eye_clean=true", lambda row: row["eye_clean"] is True),
    ("eye_clean=false", lambda row: row["eye_clean"] is False),
    ("returnable=true", lambda row: row["returnable"] is True),
    ("returnable=false", lambda row: row["returnable"] is False),
    ("table_min=57.01", at_least("table_percent", "57.01")),
    ("table_max=57", at_most("table_percent", "57")),
    ("depth_min=58.05", at_least("depth_percent", "58.05")),
    ("depth_max=58.06", at_most("depth_percent", "58.06")),
    ("delivery_days_max=7", at_most("delivery_days_max", "7")),
    (f"ids={','.join(SOME_IDS)}", lambda row: str(row["id"]) in SOME_IDS),
    ("shape=OVAL&lab_grown=true&carat_min=1&price_max=500000",
     lambda row: row["shape"] == "OVAL" and row["lab_grown"] and row["carats"] >= 1
     and row["price_model_price"] <= 5000),
]  # fmt: skip


@pytest.mark.parametrize(("query", "predicate"), FILTERS, ids=[query[:40] for query, _ in FILTERS])
async def test_a_filter_finds_what_plain_python_finds(asker: Asker, query: str, predicate: Predicate) -> None:
    wanted = {row["id"] for row in ACTIVE if predicate(row)}
    assert wanted, "the case must find something, or it proves nothing"

    found = [stone["id"] for stone in await follow(asker, f"{query}&limit=100")]
    page = await ask(asker, query)

    assert sorted(found) == sorted(wanted)
    assert page.total == len(wanted)


def test_every_filter_is_among_the_cases() -> None:
    tried = {part.partition("=")[0].removesuffix("[]") for query, _ in FILTERS for part in query.split("&")}

    beside = {"page", "limit", "sort_by", "sort_order", "cursor", "fields", "updated_since"}
    assert set(PARAMETERS) - tried == beside


async def test_a_change_feed_holds_what_was_removed(asker: Asker) -> None:
    since = datetime(2026, 1, 3, tzinfo=UTC)
    wanted = {row["id"]: row["status"] for row in ROWS if row["updated_at"] >= since}
    assert set(wanted.values()) == {"active", "deleted"}

    stones = await follow(asker, "updated_since=2026-01-03T00:00:00Z&limit=100")

    assert {stone["id"]: stone["status"] for stone in stones} == wanted


async def test_fields_narrow_an_answer_to_what_is_asked(asker: Asker) -> None:
    page = await ask(asker, "fields=shape,carats&limit=3")

    assert [set(stone) for stone in page.diamonds] == [{"id", "shape", "carats"}] * 3
    assert page.next_cursor is not None


def per_carat(row: Row) -> Decimal:
    return Decimal(expected_answer(row)["priceModelPricePerCaratCents"])


SORTS: dict[str, Callable[[Row], Any]] = {
    "created_at": lambda row: row["created_at"],
    "updated_at": lambda row: row["updated_at"],
    "price": lambda row: row["price_model_price"],
    "price_model_price": lambda row: row["price_model_price"],
    "price_per_carat": per_carat,
    "carats": lambda row: row["carats"],
    "color": lambda row: row["color_rank"],
    "clarity": lambda row: row["clarity_rank"],
    "rating": lambda row: row["rating"],
    "feed_price": lambda row: row["feed_price"],
    "supplier_price_cents": lambda row: row["feed_price"],
}


def in_order(rows: Sequence[Row], key: Callable[[Row], Any], *, descending: bool) -> list[Row]:
    known = sorted((row for row in rows if key(row) is not None), key=lambda row: (key(row), row["id"]))
    unknown = sorted((row for row in rows if key(row) is None), key=lambda row: row["id"])
    return [*known[::-1], *unknown[::-1]] if descending else [*known, *unknown]


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("name", SORTS)
async def test_pages_and_cursors_both_give_every_stone_once_in_order(
    asker: Asker, name: str, direction: str
) -> None:
    expected = [row["id"] for row in in_order(ACTIVE, SORTS[name], descending=direction == "desc")]
    query = f"sort_by={name}&sort_order={direction}&limit=37"

    by_number: list[Any] = []
    for number in range(1, -(-len(ACTIVE) // 37) + 1):
        page = await ask(asker, f"{query}&page={number}")
        by_number += [stone["id"] for stone in page.diamonds]
        assert (page.total, page.page, page.limit) == (len(ACTIVE), number, 37)

    assert by_number == expected
    assert [stone["id"] for stone in await follow(asker, query)] == expected


async def follow(asker: Asker, query: str) -> list[Any]:
    """All stones by cursors, checking the total of each page on the way."""
    page = await ask(asker, query)
    stones, total = list(page.diamonds), page.total
    while page.next_cursor is not None:
        page = await ask(asker, f"{query}&cursor={page.next_cursor}")
        assert (page.total, page.page) == (total, None)
        stones += page.diamonds
    return stones


async def test_without_parameters_the_newest_come_first(asker: Asker) -> None:
    newest = in_order(ACTIVE, SORTS["created_at"], descending=True)

    page = await ask(asker, "")

    assert [stone["id"] for stone in page.diamonds] == [row["id"] for row in newest[:DEFAULT_LIMIT]]
    assert (page.page, page.limit, page.total) == (1, DEFAULT_LIMIT, len(ACTIVE))


async def test_a_page_behind_the_last_one_is_empty_and_still_knows_the_total(
    asker: Asker,
) -> None:
    page = await ask(asker, "page=90")

    assert (page.diamonds, page.total, page.next_cursor) == ([], len(ACTIVE), None)


async def test_a_page_that_ends_exactly_at_the_end_has_no_cursor(asker: Asker) -> None:
    ids = ",".join(str(row["id"]) for row in ACTIVE[:10])

    page = await ask(asker, f"ids={ids}&limit=10")

    assert (len(page.diamonds), page.total, page.next_cursor) == (10, 10, None)


def sent(answer: object) -> Any:
    """An answer as a client reads it, identities and times as text."""
    return orjson.loads(orjson.dumps(answer))


async def test_a_stone_is_shown_in_full_with_cost_and_without_any_trace_of_it_otherwise(
    asker: Asker,
) -> None:
    hidden = {
        "supplierStoneId", "offerId", "feedPriceCents", "pricePerCaratCents", "markupRatio", "ruleId", "holdId",
        "supplierName", "supplierLegalName",
    }  # fmt: skip
    for row in ACTIVE[:50]:
        full = await get_diamond(asker.conn, row["id"], with_cost=True)
        public = await get_diamond(asker.conn, row["id"], with_cost=False)

        assert sent(full) == sent(expected_answer(row))
        assert sent(public) == sent(
            {name: value for name, value in expected_answer(row).items() if name not in hidden}
        )


async def test_a_search_shows_the_same_fields_as_the_stone_itself(asker: Asker) -> None:
    for with_cost in (True, False):
        [stone] = (await ask(asker, f"ids={ACTIVE[0]['id']}", with_cost=with_cost)).diamonds
        assert sent(stone) == sent(await get_diamond(asker.conn, ACTIVE[0]["id"], with_cost=with_cost))


@pytest.mark.parametrize(
    "query",
    [
        "carat_min=0&carat_max=9999&ratio_min=0&ratio_max=99999&rating_min=1&rating_max=10",
        "price_min=0&price_max=999999999999&cost_min=999999999999",
        "carat_min=1e-20&carat_max=123.45678901234567",
        "shape='; DROP TABLE diamonds; --",
        "shape=%s&shape=%(shape)s&shape={0}",
        'certificate_number="\\&certificate_number=💎',
        f"ids={'&ids='.join(str(UUID(int=number)) for number in range(100))}",
        "page=10000&limit=1",
    ],
)
async def test_odd_values_are_only_data(asker: Asker, query: str) -> None:
    assert (await ask(asker, query)).total >= 0


async def test_a_removed_stone_is_not_found(asker: Asker) -> None:
    removed = next(row for row in ROWS if row["status"] == "deleted")

    assert await get_diamond(asker.conn, removed["id"], with_cost=True) is None


@pytest.mark.parametrize("by_index", [False, True])
async def test_cursors_return_what_did_not_change_once_while_other_stones_come_and_go(
    pool: Pool, by_index: bool
) -> None:
    rows = make_rows(150, seed=7)
    newcomers = [{**row, "supplier_stone_id": f"new-{row['offer_id']}"} for row in make_rows(50, seed=8)]
    unchanged = [row for row in rows if row["status"] == "active"][20:]
    gone = [row["id"] for row in rows if row["status"] == "active"][:20]
    query = "sort_by=price&limit=20"
    async with pool.connection() as conn:
        await load_rows(conn, rows)
    async with asking(pool, by_index=by_index) as asker:
        page = await ask(asker, query)
    found = [stone["id"] for stone in page.diamonds]
    async with pool.connection() as conn:
        await load_rows(conn, newcomers)
        await conn.execute(
            "UPDATE diamonds SET status = 'deleted', deleted_at = now() WHERE id = ANY (%s)", (gone,)
        )
    while page.next_cursor is not None:
        async with asking(pool, by_index=by_index, catalog=asker.catalog) as asker:
            page = await ask(asker, f"{query}&cursor={page.next_cursor}")
        found += [stone["id"] for stone in page.diamonds]

    assert len(found) == len(set(found))
    assert {row["id"] for row in unchanged} <= set(found)
