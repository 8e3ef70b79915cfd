"""Which signatures were used already: that of a changing request is accepted once, in whatever process it arrives."""

import hashlib
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from psycopg.rows import scalar_row

from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.keys.signatures import TOLERANCE_SECONDS, SignedRequest

#: Kept this much longer than a signature holds: the clocks of our processes may differ.
MARGIN_SECONDS = 300

_QUERIES = load_queries(__package__)


class Use(Enum):
    """The how-manieth use of a signature it is."""

    FIRST = auto()
    #: The request that came first, in every part that decides anything: its idempotency key too.
    REPEATED = auto()
    #: Somebody uses the signature for what it was not made for.
    REPLAYED = auto()


async def spend_signature(
    conn: Connection, request: SignedRequest, *, idempotency_key: str | None, now: datetime
) -> Use:
    """Use the signature of a verified request; ``idempotency_key`` is its header's, which no signature covers.

    The use counts at once, whatever becomes of the request: ``conn`` must be in no transaction.
    """
    values = {
        "client": request.client_id,
        # Hex is compared in any case, so it must be remembered in one.
        "signature": request.signature.lower(),
        "idempotency_hash": None
        if idempotency_key is None
        else hashlib.sha256(idempotency_key.encode()).hexdigest(),
    }
    last_moment = datetime.fromtimestamp(int(request.timestamp), UTC) + timedelta(seconds=TOLERANCE_SECONDS)
    expires_at = last_moment + timedelta(seconds=MARGIN_SECONDS)
    cursor = await conn.execute(_QUERIES["spend_signature"], {**values, "expires_at": expires_at, "now": now})
    if cursor.rowcount == 1:
        return Use.FIRST
    async with conn.cursor(row_factory=scalar_row) as comparing:
        await comparing.execute(_QUERIES["is_same_request"], values)
        return Use.REPEATED if await comparing.fetchone() else Use.REPLAYED
