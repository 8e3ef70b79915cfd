"""Identities: the same stone of the same feed has the same id for ever."""

from uuid import UUID, uuid5

#: Chosen once for this product; changing it would give every stone a new id.
NAMESPACE = UUID("6f1d2c1e-8a55-5d0e-9c59-3a2f6f2f7a10")


def diamond_id(feed: str, supplier_stone_id: str) -> UUID:
    """``diamonds.id``: uuid5 of the feed and the supplier's stone id.

    >>> str(diamond_id("nivoda", "114caaa7-3307-4189-8005-ddbb82a26ac4"))
    '57c74cc7-de68-59ff-87ef-b7e5ced48928'
    """
    return uuid5(NAMESPACE, f"{feed}:{supplier_stone_id}")
