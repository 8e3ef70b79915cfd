"""API keys: made once, known by their hash, revoked for good, and every change told in the audit log."""

from datetime import timedelta
from uuid import UUID

import pytest
from psycopg.rows import dict_row

from diamond_opus.db.pool import Connection, Pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.keys.api_keys import create_key, find_key, hash_key, is_generated_key, list_keys, revoke_key
from diamond_opus.keys.lookup import CACHE_SECONDS, KeyLookup
from diamond_opus.keys.permissions import InvalidKey, Permission, parse_permissions, with_implied


async def audit_log(conn: Connection) -> list[dict[str, object]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT actor, action, subject, details, created_at FROM audit_log ORDER BY id")
        return await cursor.fetchall()


async def test_a_new_key_has_256_random_bits_and_only_its_hash_is_stored(
    pool: Pool, clock: ManualClock
) -> None:
    async with pool.connection() as conn:
        first, stored = await create_key(
            conn, name=" shop ", permissions=["read"], actor="ann", now=clock.now()
        )
        second, _ = await create_key(conn, name="shop", permissions=["read"], actor="ann", now=clock.now())
        everything = await (
            await conn.execute("SELECT api_keys::text, audit_log::text FROM api_keys, audit_log")
        ).fetchall()
        found = await find_key(conn, hash_key(first))

    assert is_generated_key(first)
    assert first.startswith("dk_")
    assert first != second
    assert first not in str(everything)
    assert found == stored
    assert (stored.client_name, stored.active, stored.last_used_at, stored.expires_at) == (
        "shop",
        True,
        None,
        None,
    )


async def test_what_happens_to_a_key_is_in_the_audit_log(pool: Pool, clock: ManualClock) -> None:
    async with pool.connection() as conn:
        _, key = await create_key(
            conn, name="shop", permissions=["trade", "read"], actor="ann", now=clock.now()
        )
        clock.advance(seconds=5)
        await revoke_key(conn, key.id, actor="bob", now=clock.now())
        await revoke_key(conn, key.id, actor="carl", now=clock.now())
        entries = await audit_log(conn)

    assert [(entry["actor"], entry["action"], entry["subject"]) for entry in entries] == [
        ("ann", "api_key.create", str(key.id)),
        ("bob", "api_key.revoke", str(key.id)),
    ]
    assert entries[0]["details"] == {"name": "shop", "permissions": ["read", "trade"], "expiresAt": None}
    assert entries[1]["created_at"] == clock.now()


async def test_a_revoked_key_stays_in_the_list_and_is_not_usable(pool: Pool, clock: ManualClock) -> None:
    async with pool.connection() as conn:
        _, old = await create_key(conn, name="old", permissions=["admin"], actor="ann", now=clock.now())
        clock.advance(seconds=1)
        _, new = await create_key(conn, name="new", permissions=["cost"], actor="ann", now=clock.now())
        revoked = await revoke_key(conn, old.id, actor="ann", now=clock.now())
        listed = await list_keys(conn)

    assert not revoked.is_usable(clock.now())
    assert listed == [revoked, new]
    assert new.permissions == {Permission.COST}


async def test_a_key_ends_at_its_expiry(pool: Pool, clock: ManualClock) -> None:
    expires_at = clock.now() + timedelta(days=30)
    async with pool.connection() as conn:
        _, key = await create_key(
            conn, name="shop", permissions=["read"], expires_at=expires_at, actor="ann", now=clock.now()
        )

    assert key.is_usable(expires_at - timedelta(microseconds=1))
    assert not key.is_usable(expires_at)


@pytest.mark.parametrize(
    ("name", "permissions", "seconds", "message"),
    [
        ("", ["read"], 60, "name must have 1 to 100"),
        ("x" * 101, ["read"], 60, "name must have 1 to 100"),
        ("two\nlines", ["read"], 60, "name must have 1 to 100"),
        ("shop", [], 60, "at least one permission of read, cost, trade, admin"),
        ("shop", ["read", "write"], 60, "'write' is no permission; choose from read, cost, trade, admin"),
        ("shop", ["read"], 0, "expired already"),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(
    pool: Pool, clock: ManualClock, name: str, permissions: list[str], seconds: int, message: str
) -> None:
    async with pool.connection() as conn:
        with pytest.raises(InvalidKey, match=message):
            await create_key(
                conn,
                name=name,
                permissions=permissions,
                expires_at=clock.now() + timedelta(seconds=seconds),
                actor="ann",
                now=clock.now(),
            )

        assert await list_keys(conn) == []
        assert await audit_log(conn) == []


async def test_revoking_a_key_that_never_was_says_so(pool: Pool, clock: ManualClock) -> None:
    async with pool.connection() as conn:
        with pytest.raises(InvalidKey, match="00000000-0000-0000-0000-000000000007"):
            await revoke_key(conn, UUID(int=7), actor="ann", now=clock.now())


def test_trade_holds_read_and_admin_holds_all() -> None:
    assert with_implied([Permission.TRADE]) == {Permission.TRADE, Permission.READ}
    assert with_implied([Permission.COST]) == {Permission.COST}
    assert with_implied(parse_permissions(["admin"])) == set(Permission)


async def test_a_revocation_is_noticed_within_five_seconds(pool: Pool, clock: ManualClock) -> None:
    lookup = KeyLookup(pool, clock)
    async with pool.connection() as conn:
        text, key = await create_key(conn, name="shop", permissions=["read"], actor="ann", now=clock.now())
        assert await lookup.find_usable(text) is not None
        await revoke_key(conn, key.id, actor="ann", now=clock.now())

    assert CACHE_SECONDS < 5
    assert await lookup.find_usable(text) is not None
    clock.advance(seconds=CACHE_SECONDS)
    assert await lookup.find_usable(text) is None


async def test_a_key_made_just_now_is_known_at_once(pool: Pool, clock: ManualClock) -> None:
    lookup = KeyLookup(pool, clock)
    assert await lookup.find_usable("dk_nobody") is None

    async with pool.connection() as conn:
        text, key = await create_key(conn, name="shop", permissions=["read"], actor="ann", now=clock.now())

    assert await lookup.find_usable(text) == key


async def test_a_cached_key_still_ends_at_its_expiry(pool: Pool, clock: ManualClock) -> None:
    lookup = KeyLookup(pool, clock)
    async with pool.connection() as conn:
        text, _ = await create_key(
            conn,
            name="shop",
            permissions=["read"],
            expires_at=clock.now() + timedelta(seconds=2),
            actor="ann",
            now=clock.now(),
        )
    assert await lookup.find_usable(text) is not None

    clock.advance(seconds=2)

    assert await lookup.find_usable(text) is None


async def test_the_last_use_is_written_at_most_once_a_minute(pool: Pool, clock: ManualClock) -> None:
    lookup = KeyLookup(pool, clock)
    start = clock.now()
    async with pool.connection() as conn:
        text, key = await create_key(conn, name="shop", permissions=["read"], actor="ann", now=start)
        uses = []
        for _ in range(31):
            await lookup.find_usable(text)
            stored = await find_key(conn, hash_key(text))
            assert stored is not None
            uses.append(stored.last_used_at)
            clock.advance(seconds=4)

    assert sorted({use for use in uses if use is not None}) == [
        start,
        start + timedelta(seconds=60),
        start + timedelta(seconds=120),
    ]
    assert key.last_used_at is None
