"""Identities: the same stone of the same feed has the same id for ever."""

from hashlib import sha1
from uuid import UUID

#: Chosen once for this product; changing it would give every stone a new id.
NAMESPACE = UUID("6f1d2c1e-8a55-5d0e-9c59-3a2f6f2f7a10")

_NAMESPACE_BYTES = NAMESPACE.bytes


def diamond_id(feed: str, supplier_stone_id: str) -> UUID:
    """``diamonds.id``: uuid5 of the feed and the supplier's stone id.

    >>> str(diamond_id("nivoda", "114caaa7-3307-4189-8005-ddbb82a26ac4"))
    '57c74cc7-de68-59ff-87ef-b7e5ced48928'
    """
    return UUID(bytes=diamond_id_bytes(feed, supplier_stone_id))


def diamond_id_bytes(feed: str, supplier_stone_id: str) -> bytes:
    """The 16 bytes of ``diamond_id``, for bulk writes: 1.0 against 2.9 microseconds without the object around them."""
    name = f"{feed}:{supplier_stone_id}".encode()
    digest = bytearray(sha1(_NAMESPACE_BYTES + name, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50  # version 5
    digest[8] = digest[8] & 0x3F | 0x80  # the variant of RFC 9562
    return bytes(digest)
