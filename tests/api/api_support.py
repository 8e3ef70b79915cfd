"""An API on a real database for a test: a client for it, keys, signatures, and stones to find."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx2
from fastapi import FastAPI
from psycopg import sql

from diamond_opus.alerts.log import LogAlerts
from diamond_opus.api.app import create_app
from diamond_opus.api.dependencies import ApiDependencies
from diamond_opus.api.operators import ended_with
from diamond_opus.api.rate_limits import RateLimits
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import Clock, ManualClock
from diamond_opus.keys.api_keys import create_key
from diamond_opus.queue.limits import LIMITS
from diamond_opus.queue.memory import MemoryQueue
from diamond_opus.queue.protocol import QUEUES
from diamond_opus.settings import load_settings
from diamond_opus.watermark.postgres import PostgresWatermarkStore
from diamond_opus.wiring import Pipeline, mappers
from log_secrets import SECRETS

SEARCH = "/api/v2/diamonds"
SECRET = "a secret for tests"
SECRETS.know(SECRET)

UNLIMITED = RateLimits(read_per_minute=10**6, trade_per_minute=10**6, admin_per_minute=10**6)

#: What is told of the vendor and of cost: none of it may reach who lacks the permission.
CONFIDENTIAL = (
    "secret-stone",
    "SECRET-OFFER",
    "Secret Vendor",
    "secret-hold",
    "777.77",
    "77777",
    "77770",
    "1.2345",
)
STONE: Mapping[str, Any] = {
    "feed": "nivoda",
    "supplier_stone_id": "secret-stone",
    "offer_id": "SECRET-OFFER",
    "shape": "ROUND",
    "carats": Decimal("1.50"),
    "color": "D",
    "color_rank": 1,
    "clarity": "VS1",
    "clarity_rank": 5,
    "feed_price": Decimal("777.77"),
    "price_per_carat": Decimal("777.70"),
    "price_model_price": Decimal("1000.00"),
    "markup_ratio": Decimal("1.2345"),
    "rule_id": UUID("00000000-0000-4000-8000-00000000cafe"),
    "rating": 5,
    "feed_availability": "available",
    "hold_id": "secret-hold",
    "supplier_name": "Secret Vendor",
    "supplier_legal_name": "Secret Vendor LLC",
    "raw_hash": "secret-hash",
    "last_seen_at": datetime(2026, 1, 1, tzinfo=UTC),
    "created_at": datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC),
    "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
}


@dataclass(frozen=True, slots=True)
class Api:
    """A client of an API in this process, and what a test needs around it."""

    client: httpx2.AsyncClient
    app: FastAPI
    pool: Pool
    clock: ManualClock

    async def key(self, *permissions: str) -> dict[str, str]:
        """The header of a new key."""
        async with self.pool.connection() as conn:
            text, _ = await create_key(
                conn, name="shop", permissions=permissions or ("read",), actor="test", now=self.clock.now()
            )
        return {"X-API-Key": text}

    def signed(self, method: str, target: str, *, client: str = "shop", body: bytes = b"") -> dict[str, str]:
        """The headers of a request signed now, over ``target`` as PATH."""
        timestamp = str(int(self.clock.now().timestamp()))
        canonical = f"{method}\n{target}\n{timestamp}\n{hashlib.sha256(body).hexdigest()}"
        signature = hmac.new(SECRET.encode(), canonical.encode(), hashlib.sha256).hexdigest()
        return {"X-Client-Id": client, "X-Timestamp": timestamp, "X-Signature": signature}

    async def add_stone(self, **columns: Any) -> UUID:
        row = {"id": uuid4(), **STONE, **columns}
        statement = sql.SQL("INSERT INTO diamonds ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(map(sql.Placeholder, row))
        )
        async with self.pool.connection() as conn:
            await conn.execute(statement, row)
        stone_id: UUID = row["id"]
        return stone_id

    async def execute(self, statement: str) -> None:
        async with self.pool.connection() as conn:
            await conn.execute(statement.encode())


@asynccontextmanager
async def open_api(
    pool: Pool, clock: ManualClock, *, address: str = "203.0.113.7", **overrides: Any
) -> AsyncIterator[Api]:
    """An API as the product makes it; ``address`` is where its client seems to come from."""
    overrides.setdefault("pipeline", make_pipeline(pool, clock))
    # The clock stands still, so that no request would ever be forgotten; tests of the limits set their own.
    overrides.setdefault("rate_limits", UNLIMITED)
    app = create_app(ApiDependencies(pool=pool, clock=clock, version="9.9.9", **overrides))
    transport = httpx2.ASGITransport(app, client=(address, 50_000))
    async with (
        ended_with(app),
        httpx2.AsyncClient(transport=transport, base_url="http://api.test") as client,
    ):
        yield Api(client, app, pool, clock)


def make_pipeline(pool: Pool, clock: Clock, **parts: Any) -> Pipeline:
    """What an API works with when a test says nothing: real stores, queues in memory, no supplier."""
    return Pipeline(
        **{
            "settings": load_settings(),
            "pool": pool,
            "sources": {},
            "mappers": mappers(),
            "queues": {name: MemoryQueue(name, LIMITS[name]) for name in QUEUES},
            "watermarks": PostgresWatermarkStore(pool),
            "alerts": LogAlerts(),
            "clock": clock,
            "process_id": uuid4(),
            **parts,
        }
    )
