"""The database itself refuses a second live hold or order of a stone, and every step that is not drawn."""

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from diamond_opus.db.pool import Pool
from diamond_opus.trade import model
from diamond_opus.trade.model import LIVE_ORDERS, HoldStatus, OrderStatus

ORDER_STEPS = {
    ("sending", "ordered"), ("sending", "refused"), ("sending", "failed"), ("sending", "unknown"),
    ("unknown", "ordered"), ("unknown", "confirmed"), ("unknown", "refused"),
    ("ordered", "confirmed"), ("ordered", "refused"), ("failed", "sending"), ("confirmed", "returned"),
}  # fmt: skip
HOLD_STEPS = {
    ("sending", "active"), ("sending", "denied"), ("sending", "failed"), ("sending", "unknown"),
    ("unknown", "active"), ("unknown", "failed"), ("unknown", "released"), ("unknown", "expired"),
    ("active", "releasing"), ("active", "released"), ("active", "expired"),
    ("releasing", "active"), ("releasing", "released"), ("releasing", "expired"),
}  # fmt: skip
LIVE_HOLDS = {"sending", "active", "unknown", "releasing"}


async def add(conn: psycopg.AsyncConnection[Any], table: str, status: str, stone: str, key: str) -> None:
    extra = (", idempotency_key", ", %s") if table == "purchase_history" else ("", "")
    values = ["nivoda", stone, "DIAMOND/x", "key:1", status] + ([key] if extra[0] else [])
    await conn.execute(
        f"INSERT INTO {table} (feed, supplier_stone_id, offer_id, client, status{extra[0]})"
        f" VALUES (%s, %s, %s, %s, %s{extra[1]})".encode(),
        values,
    )


@pytest.mark.parametrize(
    ("table", "statuses", "steps"),
    [
        ("purchase_history", list(OrderStatus), ORDER_STEPS),
        ("hold_history", list(HoldStatus), HOLD_STEPS),
    ],
)
async def test_the_database_takes_the_steps_that_are_drawn_and_no_other(
    pool: Pool, table: str, statuses: list[str], steps: set[tuple[str, str]]
) -> None:
    async with pool.connection() as conn:
        for before in statuses:
            for after in statuses:
                await conn.execute(f"TRUNCATE {table}".encode())
                await add(conn, table, before, "s", "k")
                update = f"UPDATE {table} SET status = %s".encode()
                if before == after or (before, after) in steps:
                    await conn.execute(update, [after])
                    continue
                with pytest.raises(
                    psycopg.errors.CheckViolation, match=f"cannot go from {before} to {after}"
                ):
                    await conn.execute(update, [after])


@pytest.mark.parametrize(
    ("table", "statuses", "live"),
    [
        ("purchase_history", list(OrderStatus), {str(status) for status in LIVE_ORDERS}),
        ("hold_history", list(HoldStatus), LIVE_HOLDS),
    ],
)
async def test_one_live_row_a_stone(pool: Pool, table: str, statuses: list[str], live: set[str]) -> None:
    async with pool.connection() as conn:
        for number, present in enumerate(statuses):
            await add(conn, table, present, f"stone-{number}", f"k-{number}")
            again = add(conn, table, "sending", f"stone-{number}", f"again-{number}")
            if present in live:
                with pytest.raises(psycopg.errors.UniqueViolation):
                    await again
            else:
                await again


async def test_a_client_has_one_order_a_key(pool: Pool) -> None:
    async with pool.connection() as conn:
        await add(conn, "purchase_history", "failed", "one", "k")
        with pytest.raises(psycopg.errors.UniqueViolation):
            await add(conn, "purchase_history", "failed", "two", "k")


def test_the_architecture_draws_the_states_of_trade_as_the_code_does() -> None:
    architecture = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawings = re.findall(r"::\n\n((?:    .*\n|\n)+)", model.__doc__ or "")
    assert len(drawings) == 2
    for drawing in drawings:
        assert "\n".join(line.removeprefix("    ") for line in drawing.rstrip().splitlines()) in architecture
