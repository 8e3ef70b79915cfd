"""The ledger of holds: every read and write of ``hold_history``."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import kwargs_row

from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.trade.model import HOLD_TIME, HoldRecord, HoldStatus, StoneKey, TradedStone

#: In the order of ``HoldRecord``.
COLUMNS = sql.SQL(
    "id, diamond_id, feed, supplier_stone_id, offer_id, client, status, denied, by_hand, feed_hold_id, hold_until,"
    " reason, sent_at, free_since, created_at, updated_at"
)
_QUERIES = {
    name: sql.SQL(text).format(columns=COLUMNS)
    for name, text in load_queries(__package__, "holds.sql").items()
}


async def live_hold(conn: Connection, key: StoneKey) -> HoldRecord | None:
    """The hold that may bind the stone now."""
    return await _fetch_one(conn, "live_hold", _stone(key))


async def live_hold_of(conn: Connection, diamond_id: UUID, client: str) -> HoldRecord | None:
    """The hold by which this client, and nobody else, may have the stone now."""
    return await _fetch_one(conn, "live_hold_of", {"diamond_id": diamond_id, "client": client})


async def get_hold(conn: Connection, hold_id: UUID) -> HoldRecord | None:
    return await _fetch_one(conn, "get_hold", {"id": hold_id})


async def find_by_feed_hold(conn: Connection, feed: str, feed_hold_id: str) -> HoldRecord | None:
    """The newest hold with this id of the supplier's."""
    return await _fetch_one(conn, "find_by_feed_hold", {"feed": feed, "feed_hold_id": feed_hold_id})


async def insert_hold(
    conn: Connection,
    stone: TradedStone,
    *,
    in_catalogue: bool,
    client: str,
    token: UUID,
    lease: timedelta,
) -> HoldRecord | None:
    """The intent to hold; None when another hold of the stone is live."""
    return await _insert(
        conn,
        stone,
        in_catalogue=in_catalogue,
        client=client,
        status=HoldStatus.SENDING,
        by_hand=False,
        feed_hold_id=None,
        lease_token=token,
        lease=lease,
    )


async def insert_hold_by_hand(
    conn: Connection, stone: TradedStone, *, client: str, feed_hold_id: str | None, hold_until: datetime
) -> HoldRecord | None:
    """A hold that a person made elsewhere; nothing is sent. None when another hold of the stone is live."""
    return await _insert(
        conn,
        stone,
        in_catalogue=True,
        client=client,
        status=HoldStatus.ACTIVE,
        by_hand=True,
        feed_hold_id=feed_hold_id,
        hold_until=hold_until,
        lease_token=None,
        lease=None,
    )


async def move_hold(
    conn: Connection,
    hold_id: UUID,
    status: HoldStatus,
    *,
    expected: Collection[HoldStatus],
    feed_hold_id: str | None = None,
    hold_until: datetime | None = None,
    reason: str | None = None,
    token: UUID | None = None,
    lease: timedelta | None = None,
) -> HoldRecord | None:
    """From one of the expected states to another; None when it is in none of them (any more)."""
    values = {
        "id": hold_id,
        "status": status.value,
        "expected": [state.value for state in expected],
        "feed_hold_id": feed_hold_id,
        "hold_until": hold_until,
        "reason": reason,
        "lease_token": token,
        "lease": lease,
    }
    return await _fetch_one(conn, "move_hold", values)


async def renew_lease(conn: Connection, hold_id: UUID, token: UUID, lease: timedelta) -> None:
    await conn.execute(_QUERIES["renew_hold_lease"], {"id": hold_id, "lease_token": token, "lease": lease})


async def lapse(conn: Connection, key: StoneKey) -> Sequence[HoldRecord]:
    """A hold whose asker is gone becomes unknown."""
    return await _fetch_all(conn, "lapse_holds", _stone(key))


async def expire(conn: Connection, key: StoneKey) -> None:
    """A hold whose time is over ends."""
    await conn.execute(_QUERIES["expire_holds"], {**_stone(key), "hold_time": HOLD_TIME})


async def use_up(conn: Connection, key: StoneKey) -> None:
    """End the stone's active hold, because the stone was ordered."""
    await conn.execute(_QUERIES["use_up_hold"], _stone(key))


async def to_look_at(
    conn: Connection, *, soonest: timedelta, latest: timedelta, limit: int
) -> Sequence[HoldRecord]:
    """Holds of which only the supplier can tell what became, or what became of their stone."""
    rhythm = {"soonest": soonest, "latest": latest, "lately": 2 * HOLD_TIME}
    return await _fetch_all(conn, "holds_to_look_at", {**rhythm, "limit": limit})


async def note_look(conn: Connection, hold_id: UUID, *, is_free: bool, asked_at: datetime) -> None:
    """Note a look; since when the stone has been free is kept as long as it is."""
    await conn.execute(_QUERIES["note_hold_look"], {"id": hold_id, "is_free": is_free, "asked_at": asked_at})


async def note_silence(conn: Connection, hold_id: UUID) -> None:
    """Note that the supplier was asked and did not answer: others are asked about first."""
    await conn.execute(_QUERIES["note_hold_silence"], {"id": hold_id})


async def unreported(conn: Connection) -> Sequence[HoldRecord]:
    return await _fetch_all(conn, "unreported_holds", {})


async def mark_reported(conn: Connection, hold_id: UUID) -> None:
    await conn.execute(_QUERIES["mark_hold_reported"], {"id": hold_id})


async def _insert(
    conn: Connection, stone: TradedStone, *, in_catalogue: bool, status: HoldStatus, **values: Any
) -> HoldRecord | None:
    return await _fetch_one(
        conn,
        "insert_hold",
        {
            "diamond_id": stone.id if in_catalogue else None,
            "feed": stone.feed,
            "supplier_stone_id": stone.supplier_stone_id,
            "offer_id": stone.offer_id,
            "status": status.value,
            "hold_until": None,
            **values,
        },
    )


async def _fetch_one(conn: Connection, query: str, parameters: dict[str, Any]) -> HoldRecord | None:
    async with conn.cursor(row_factory=kwargs_row(hold_of_row)) as cursor:
        await cursor.execute(_QUERIES[query], parameters)
        return await cursor.fetchone()


async def _fetch_all(conn: Connection, query: str, parameters: dict[str, Any]) -> Sequence[HoldRecord]:
    async with conn.cursor(row_factory=kwargs_row(hold_of_row)) as cursor:
        await cursor.execute(_QUERIES[query], parameters)
        return await cursor.fetchall()


def hold_of_row(*, status: str, **columns: Any) -> HoldRecord:
    return HoldRecord(status=HoldStatus(status), **columns)


def _stone(key: StoneKey) -> dict[str, Any]:
    return {"feed": key.feed, "supplier_stone_id": key.supplier_stone_id}
