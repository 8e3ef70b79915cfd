"""API keys: how one is made, known again and revoked. The key itself is shown once and never stored."""

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import kwargs_row, scalar_row

from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.keys.permissions import InvalidKey, Permission, parse_permissions

PREFIX = "dk_"
LONGEST_NAME = 100
TOUCH_INTERVAL = timedelta(minutes=1)

_RANDOM_BYTES = 32
_GENERATED = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}")
_QUERIES = load_queries(__package__)


class KeyNotFound(InvalidKey):
    """There is no key with the id that was named."""

    def __init__(self, key_id: UUID) -> None:
        super().__init__(
            f"there is no key with the id {key_id}; `diamond keys list` shows them all", field="id"
        )


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored, without the key. ``permissions`` are those granted, without what they imply."""

    id: UUID
    client_name: str
    permissions: frozenset[Permission]
    active: bool
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None

    def is_usable(self, now: datetime) -> bool:
        return self.active and (self.expires_at is None or now < self.expires_at)


def hash_key(key: str) -> str:
    """What is stored instead of the key: its SHA-256 in hex, as SPEC has it."""
    return hashlib.sha256(key.encode()).hexdigest()


def is_generated_key(text: str) -> bool:
    """Whether the text could be one of our keys: 256 random bits, which nobody finds by trying."""
    return _GENERATED.fullmatch(text) is not None


async def create_key(
    conn: Connection,
    *,
    name: str,
    permissions: Iterable[str],
    expires_at: datetime | None = None,
    actor: str,
    now: datetime,
) -> tuple[str, ApiKey]:
    """A new key, to be shown once, and what was stored of it. Raises InvalidKey."""
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidKey(f"a key's name must have 1 to {LONGEST_NAME} printable characters", field="name")
    if expires_at is not None and expires_at <= now:
        raise InvalidKey(
            f"the key would have expired already, at {expires_at.isoformat()}", field="expires_at"
        )
    granted = parse_permissions(permissions)
    key = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    stored = await _fetch_one(
        conn,
        "create_key",
        {
            "key_hash": hash_key(key),
            "name": name,
            "permissions": [permission.value for permission in Permission if permission in granted],
            "expires_at": expires_at,
            "actor": actor,
            "now": now,
        },
    )
    if stored is None:
        raise RuntimeError("the insertion of a key returned no row")
    return key, stored


async def list_keys(conn: Connection) -> Sequence[ApiKey]:
    """Every key there ever was, the oldest first."""
    async with conn.cursor(row_factory=kwargs_row(_key_of_row)) as cursor:
        await cursor.execute(_QUERIES["list_keys"])
        return await cursor.fetchall()


async def page_of_keys(
    conn: Connection, *, usable: bool | None, now: datetime, limit: int, offset: int
) -> tuple[Sequence[ApiKey], int]:
    """Some keys, the newest first, and how many there are; ``usable`` leaves out those that are not so at ``now``."""
    which = {"usable": usable, "now": now}
    async with conn.cursor(row_factory=kwargs_row(_key_of_row)) as cursor:
        await cursor.execute(_QUERIES["page_of_keys"], {**which, "limit": limit, "offset": offset})
        keys = await cursor.fetchall()
    async with conn.cursor(row_factory=scalar_row) as counting:
        await counting.execute(_QUERIES["count_keys"], which)
        return keys, int(await counting.fetchone() or 0)


async def revoke_key(conn: Connection, key_id: UUID, *, actor: str, now: datetime) -> ApiKey:
    """Make a key useless for ever; doing so again changes nothing. Raises KeyNotFound."""
    await conn.execute(_QUERIES["revoke_key"], {"id": key_id, "actor": actor, "now": now})
    key = await _fetch_one(conn, "get_key", {"id": key_id})
    if key is None:
        raise KeyNotFound(key_id)
    return key


async def names_of_keys(conn: Connection, key_ids: Iterable[UUID]) -> Mapping[UUID, str]:
    """Of keys usable or not; what is the id of none is left out."""
    cursor = await conn.execute(_QUERIES["names_of_keys"], {"ids": list(key_ids)})
    return dict(await cursor.fetchall())


async def find_key(conn: Connection, key_hash: str) -> ApiKey | None:
    """The key with this hash, usable or not."""
    return await _fetch_one(conn, "find_key", {"key_hash": key_hash})


async def touch_key(conn: Connection, key: ApiKey, now: datetime) -> None:
    """Note that the key is in use; at most once a minute anything is written."""
    if key.last_used_at is None or now - key.last_used_at >= TOUCH_INTERVAL:
        await conn.execute(_QUERIES["touch_key"], {"id": key.id, "now": now})


async def _fetch_one(conn: Connection, query: str, parameters: dict[str, Any]) -> ApiKey | None:
    async with conn.cursor(row_factory=kwargs_row(_key_of_row)) as cursor:
        await cursor.execute(_QUERIES[query], parameters)
        return await cursor.fetchone()


def _key_of_row(*, permissions: Sequence[str], **columns: Any) -> ApiKey:
    return ApiKey(permissions=frozenset(map(Permission, permissions)), **columns)
