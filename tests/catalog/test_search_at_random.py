"""Random questions, answered by SQL, by the index, and by plain Python over the same rows: all three agree."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from catalog_questions import Asker, ask, ask_facets, asking
from catalog_rows import Row, load_rows, make_rows

from diamond_opus.catalog.facets import CARAT_EDGES, PRICE_EDGES
from diamond_opus.db.pool import Pool

QUESTIONS = 500
ROWS = make_rows(600, seed=500)
ACTIVE = [row for row in ROWS if row["status"] == "active"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter as a query writes it, what it means, and the facet that it is about."""

    query: str
    meets: Callable[[Row], bool]
    facet: str | None = None


def texts(name: str, *values: str) -> Callable[[random.Random], Choice]:
    def choose(rng: random.Random) -> Choice:
        chosen = rng.sample(values, rng.randint(1, len(values)))
        return Choice(f"{name}={','.join(chosen)}", lambda row: row[name] in chosen, name)

    return choose


def bound(name: str, column: str, values: Sequence[str], scale: int = 1, facet: str | None = None) -> Any:
    """``name`` ends in _min or _max; ``scale`` is how many of the parameter's units make one of the column's."""

    def choose(rng: random.Random) -> Choice:
        text = rng.choice(values)
        limit = Decimal(text) / scale
        is_low = name.endswith("_min")

        def meets(row: Row) -> bool:
            value = row[column]
            return value is not None and (value >= limit if is_low else value <= limit)

        return Choice(f"{name}={text}", meets, facet)

    return choose


def fact(name: str, value_of: Callable[[Row], bool | None]) -> Callable[[random.Random], Choice]:
    def choose(rng: random.Random) -> Choice:
        wanted = rng.random() < 0.5
        facet = name if name == "lab_grown" else None
        return Choice(f"{name}={str(wanted).lower()}", lambda row: value_of(row) is wanted, facet)

    return choose


CHOICES: Sequence[Sequence[Callable[[random.Random], Choice]]] = [
    [texts("shape", "ROUND", "OVAL", "CUSHION BRILLIANT", "ASSCHER", "PEAR")],
    [texts("color", "D", "E", "G", "OP", "FANCY", "K")],
    [texts("clarity", "FL", "VS1", "SI2")],
    [texts("cut", "EX", "VG", "ID")],
    [texts("polish", "EX", "G")],
    [texts("symmetry", "EX", "F")],
    [texts("fluorescence", "NON", "STG")],
    [texts("certificate_lab", "GIA", "IGI")],
    [texts("availability", "available", "on_hold", "sold", "unavailable")],
    [texts("feed", "nivoda", "other")],
    [bound("carat_min", "carats", ["0.5", "1", "1.001", "2.5"], facet="carats")],
    [bound("carat_max", "carats", ["1", "1.5", "2.999"], facet="carats")],
    [bound("price_min", "price_model_price", ["0", "100000", "250050"], 100, "price")],
    [bound("price_max", "price_model_price", ["100000", "500000", "900001"], 100, "price")],
    [bound("cost_min", "feed_price", ["100000", "300000"], 100)],
    [bound("rating_min", "rating", ["1", "5", "6"])],
    [bound("ratio_max", "ratio", ["1.2", "1.425"])],
    [bound("table_min", "table_percent", ["57", "60"])],
    [bound("delivery_days_max", "delivery_days_max", ["3", "10"])],
    [fact("lab_grown", lambda row: row["lab_grown"])],
    [fact("has_image", lambda row: row["image_url"] is not None)],
    [fact("eye_clean", lambda row: row["eye_clean"])],
    [fact("returnable", lambda row: row["returnable"])],
]

KEYS: dict[str, Callable[[Row], Any]] = {
    "created_at": lambda row: row["created_at"],
    "price": lambda row: row["price_model_price"],
    "price_per_carat": lambda row: _half_up(row["price_model_price"], row["carats"]),
    "carats": lambda row: row["carats"],
    "color": lambda row: row["color_rank"],
    "clarity": lambda row: row["clarity_rank"],
    "rating": lambda row: row["rating"],
    "feed_price": lambda row: row["feed_price"],
}


def _half_up(price: Decimal, carats: Decimal) -> int:
    cents, hundredths = int(price * 100), int(carats * 100)
    return (200 * cents + hundredths) // (2 * hundredths)


def choose_filters(rng: random.Random) -> list[Choice]:
    chosen = rng.sample(CHOICES, rng.choice([0, 1, 1, 2, 2, 3, 4]))
    filters = [rng.choice(alternatives)(rng) for alternatives in chosen]
    names = {one.query.partition("=")[0]: one for one in filters}
    for low, high in (("carat_min", "carat_max"), ("price_min", "price_max")):
        if low in names and high in names:
            values = [Decimal(names[name].query.partition("=")[2]) for name in (low, high)]
            if values[0] > values[1]:
                filters.remove(names[high])
    return filters


def sort_rows(rows: Sequence[Row], key: Callable[[Row], Any], *, descending: bool) -> list[Row]:
    known = sorted((row for row in rows if key(row) is not None), key=lambda row: (key(row), row["id"]))
    unknown = sorted((row for row in rows if key(row) is None), key=lambda row: row["id"])
    return [*known[::-1], *unknown[::-1]] if descending else [*known, *unknown]


@pytest.fixture(params=["sql", "index"])
async def asker(pool: Pool, request: pytest.FixtureRequest) -> AsyncIterator[Asker]:
    async with pool.connection() as connection:
        await load_rows(connection, ROWS)
    async with asking(pool, by_index=request.param == "index") as opened:
        yield opened


@pytest.mark.long  # 500 questions, each followed to its end, and each in three ways
async def test_random_searches_agree_with_plain_python(asker: Asker) -> None:
    rng = random.Random(20261125)
    for _ in range(QUESTIONS):
        filters = choose_filters(rng)
        sort_by, descending = rng.choice(list(KEYS)), rng.random() < 0.5
        limit = rng.choice([7, 50, 100])
        found = [row for row in ACTIVE if all(one.meets(row) for one in filters)]
        expected = [row["id"] for row in sort_rows(found, KEYS[sort_by], descending=descending)]
        order = "desc" if descending else "asc"
        query = "&".join(
            [*(one.query for one in filters), f"sort_by={sort_by}&sort_order={order}&limit={limit}"]
        )
        page = await ask(asker, query)
        got = [stone["id"] for stone in page.diamonds]
        assert page.total == len(expected), query
        number = rng.randint(1, 5)
        numbered = await ask(asker, f"{query}&page={number}")
        start = (number - 1) * limit
        assert [stone["id"] for stone in numbered.diamonds] == expected[start : start + limit], query
        while page.next_cursor is not None:
            page = await ask(asker, f"{query}&cursor={page.next_cursor}")
            assert page.total == len(expected), query
            got += [stone["id"] for stone in page.diamonds]
        assert got == expected, query


async def test_random_facets_agree_with_plain_python(asker: Asker) -> None:
    rng = random.Random(1125)
    for _ in range(100):
        filters = choose_filters(rng)
        counts = await ask_facets(asker, "&".join(one.query for one in filters))

        def beside(facet: str, filters: Sequence[Choice] = filters) -> list[Row]:
            return [row for row in ACTIVE if all(one.meets(row) for one in filters if one.facet != facet)]

        assert counts.total == len(beside(""))
        for name, pairs in counts.values.items():
            assert dict(pairs) == Counter(row[name] for row in beside(name)), (name, filters)
        prices = Counter(_bar(int(row["price_model_price"] * 100), PRICE_EDGES) for row in beside("price"))
        assert [prices[bar] for bar in range(len(PRICE_EDGES))] == list(counts.histograms["price"])
        carats = Counter(_bar(int(row["carats"] * 100), CARAT_EDGES) for row in beside("carats"))
        assert [carats[bar] for bar in range(len(CARAT_EDGES))] == list(counts.histograms["carats"])


def _bar(value: int, edges: Sequence[int]) -> int:
    return max(position for position, edge in enumerate(edges) if edge <= value)
