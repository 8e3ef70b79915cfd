"""What trade reads and writes of the catalogue: a stone, its lock, its local columns, the supplier's word of it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row, scalar_row

from diamond_opus.db.changes import announce_changes, record_changes
from diamond_opus.db.errors import REFUSED_VALUES
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.grades import Availability
from diamond_opus.observability.logging import get_logger
from diamond_opus.trade.look import Look
from diamond_opus.trade.model import HOLD_TIME, StoneKey, TradedStone

log = get_logger(__name__)

_QUERIES = load_queries(__package__, "stones.sql")


async def lock_stone(conn: Connection, key: StoneKey) -> None:
    """Wait until nobody else trades this stone; held to the transaction's end."""
    await conn.execute(_QUERIES["lock_stone"], _parameters(key))


async def find_stone(conn: Connection, diamond_id: UUID) -> TradedStone | None:
    """The stone, on sale or removed."""
    async with conn.cursor(row_factory=class_row(TradedStone)) as cursor:
        await cursor.execute(_QUERIES["find_stone"], {"id": diamond_id})
        return await cursor.fetchone()


async def database_time(conn: Connection) -> datetime:
    """The one clock by which answers of the supplier are ordered."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(_QUERIES["database_time"])
        moment: datetime | None = await cursor.fetchone()
    if moment is None:
        raise RuntimeError("the database did not tell the time")
    return moment


async def settle_stone(conn: Connection, key: StoneKey, look: Look | None = None) -> None:
    """Store what the supplier said, if it was asked, and let the local columns follow. Last in its transaction."""
    await announce_changes(conn)
    changed = await _store_look(conn, key, look) if look is not None else []
    changed += await _fetch_ids(conn, "derive_local", _parameters(key))
    await record_changes(conn, key.feed, set(changed))


async def due_stones(conn: Connection) -> Sequence[StoneKey]:
    """Stones whose books or local columns are behind the time."""
    async with conn.cursor(row_factory=class_row(StoneKey)) as cursor:
        await cursor.execute(_QUERIES["due_stones"], {"hold_time": HOLD_TIME})
        return await cursor.fetchall()


async def set_mark(conn: Connection, key: StoneKey, availability: Availability, client: str) -> None:
    """Note that a person here says that the stone is sold, or unavailable."""
    await conn.execute(
        _QUERIES["set_mark"], {**_parameters(key), "availability": availability.value, "client": client}
    )


async def find_mark(conn: Connection, key: StoneKey) -> str | None:
    """Who marked the stone by hand."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(_QUERIES["find_mark"], _parameters(key))
        client: str | None = await cursor.fetchone()
        return client


async def remove_mark(conn: Connection, key: StoneKey) -> None:
    await conn.execute(_QUERIES["remove_mark"], _parameters(key))


async def _store_look(conn: Connection, key: StoneKey, look: Look) -> list[UUID]:
    """The raw row first, then the diamond: in the order in which consolidation locks them."""
    told = {**_parameters(key), "asked_at": look.asked_at}
    if look.item is None:
        await conn.execute(_QUERIES["note_gone"], told)
    elif (payload := look.storable_payload) is not None:
        item = {"payload_hash": look.item.payload_hash, "offer_id": look.item.offer_id}
        await _store_payload(conn, {**told, **item, "payload": payload})
    return await _fetch_ids(
        conn,
        "store_availability",
        {
            **told,
            "availability": look.availability.value,
            "raw_availability": look.raw_availability,
            "hold_id": look.hold_id,
            "was_seen": look.item is not None,
        },
    )


async def _store_payload(conn: Connection, parameters: dict[str, object]) -> None:
    """One that the database cannot hold is left to the runs, which list it: what the look is for goes on."""
    try:
        async with conn.transaction():
            await conn.execute(_QUERIES["store_payload"], parameters)
    except REFUSED_VALUES as error:
        log.warning("look_not_stored", supplier_stone_id=parameters["supplier_stone_id"], reason=str(error))


async def _fetch_ids(conn: Connection, query: str, parameters: dict[str, object]) -> list[UUID]:
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(_QUERIES[query], parameters)
        return await cursor.fetchall()


def _parameters(key: StoneKey) -> dict[str, object]:
    return {"feed": key.feed, "supplier_stone_id": key.supplier_stone_id}
