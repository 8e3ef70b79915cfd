"""What a restored database says of trouble, which may be long over: what of it is told, and what is raised anew."""

from diamond_opus.alerts.deliveries import settle_restored as settle_deliveries
from diamond_opus.alerts.incidents import resolve_events
from diamond_opus.db.pool import Connection
from diamond_opus.feeds.health import forget_health
from diamond_opus.monitoring.events import FOUND

#: What is still wrong of these is an incident again by the next look, or as soon as somebody meets it. The others are
#: raised once, of rows that were restored with them: they stay open, and who may not know of them is told.
RAISED_ANEW = (
    *(event.name for event in FOUND),
    "planning_failed",
    "database_full",
    "database_unavailable",
    "test",
)

_REASON = "restored from a backup"


async def settle_restored(conn: Connection) -> None:
    """Once, with the newest schema, before anything works with the database."""
    async with conn.transaction():
        await forget_health(conn)
        await resolve_events(conn, RAISED_ANEW, resolution=_REASON)
        await settle_deliveries(conn, reason=_REASON)
