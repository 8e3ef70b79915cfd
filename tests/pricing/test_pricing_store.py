"""Loading rules from the table: the order, the seeded default, and rows that no engine may use."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from diamond_opus.pricing import InvalidRule, PricingEngine, PricingResult, RulesNotLoaded

Pool = AsyncConnectionPool[AsyncConnection[Any]]


async def price(engine: PricingEngine, pool: Pool) -> PricingResult:
    async with pool.connection() as connection:
        await engine.load_rules(connection)
    return engine.calculate_pricing(
        carats="1.00", shape="ROUND", lab_grown=False, feed="nivoda", feed_price_cents=100_000
    )


async def insert(pool: Pool, columns: str, values: str) -> None:
    async with pool.connection() as connection:
        await connection.execute(f"INSERT INTO pricing_rules ({columns}) VALUES ({values})".encode())


async def test_a_fresh_database_prices_with_the_seeded_default(pool: Pool) -> None:
    result = await price(PricingEngine(), pool)

    assert (result.price_model_price_cents, result.rating) == (115_000, 5)
    assert result.matched_rule_id == UUID("00000000-0000-4000-8000-000000001000")


async def test_every_column_of_a_rule_is_loaded_as_it_was_stored(pool: Pool) -> None:
    await insert(
        pool,
        "priority, carat_min, carat_max, shapes, lab_grown, feed, markup_ratio, rating",
        "10, 0.50, 2.99, ARRAY['ROUND', 'Cushion B'], false, 'nivoda', 1.3005, 9",
    )

    result = await price(engine := PricingEngine(), pool)

    rule = engine.rules[0]
    assert (rule.priority, rule.carat_min, rule.carat_max) == (10, Decimal("0.50"), Decimal("2.99"))
    assert (rule.shapes, rule.lab_grown, rule.feed) == (("ROUND", "Cushion B"), False, "nivoda")
    assert (rule.markup_ratio, rule.rating, rule.active) == (Decimal("1.3005"), 9, True)
    assert (result.price_model_price_cents, result.matched_rule_id) == (130_050, rule.id)


async def test_the_engine_tries_rules_in_the_order_of_the_database(pool: Pool) -> None:
    for number in range(20):
        await insert(pool, "priority, markup_ratio", f"{number % 3}, 1.1")

    await price(engine := PricingEngine(), pool)

    async with pool.connection() as connection:
        rows = await (
            await connection.execute("SELECT id FROM pricing_rules ORDER BY priority, id")
        ).fetchall()
    assert [rule.id for rule in engine.rules] == [row[0] for row in rows]


async def test_an_inactive_rule_is_not_even_looked_at(pool: Pool) -> None:
    await insert(pool, "priority, markup_ratio, active", "1, 0, false")

    assert (await price(PricingEngine(), pool)).price_model_price_cents == 115_000


@pytest.mark.parametrize(
    ("columns", "values", "refusal"),
    [
        ("markup_ratio", "0", "markup_ratio is 0, allowed is"),
        ("markup_ratio", "'NaN'", "markup_ratio is NaN"),
        ("markup_ratio, shapes", "1.1, '{}'", r"shapes is \[\]"),
        ("markup_ratio, shapes", "1.1, ARRAY[NULL]::text[]", r"shapes is \[None\]"),
        (
            "markup_ratio, carat_min, carat_max",
            "1.1, 2, 1",
            "carat_min is 2.00, allowed is at most carat_max",
        ),
    ],
)
async def test_an_invalid_row_stops_an_engine_that_priced_before(
    pool: Pool, columns: str, values: str, refusal: str
) -> None:
    engine = PricingEngine()
    await price(engine, pool)
    await insert(pool, f"id, {columns}", f"'{UUID(int=7)}', {values}")

    with pytest.raises(InvalidRule, match=f"pricing rule {UUID(int=7)}: {refusal}"):
        await price(engine, pool)
    with pytest.raises(RulesNotLoaded):
        _ = engine.rules
