"""What a client may do, and which permission holds another."""

from collections.abc import Iterable
from enum import StrEnum

from diamond_opus.domain.errors import DiamondError


class InvalidKey(DiamondError):
    """A key cannot be made as asked; the message says what to change, ``field`` of what."""

    def __init__(self, message: str, *, field: str = "permissions") -> None:
        super().__init__(message)
        self.field = field


class Permission(StrEnum):
    READ = "read"
    COST = "cost"
    TRADE = "trade"
    ADMIN = "admin"


#: What a permission holds beside itself.
_IMPLIED = {Permission.TRADE: {Permission.READ}, Permission.ADMIN: set(Permission)}


def parse_permissions(words: Iterable[str]) -> frozenset[Permission]:
    """The permissions named, without what they imply. Raises InvalidKey for an unknown one, or none at all.

    >>> sorted(parse_permissions(["trade", "read"]))
    [<Permission.READ: 'read'>, <Permission.TRADE: 'trade'>]
    """
    found = set()
    for word in words:
        try:
            found.add(Permission(word))
        except ValueError:
            raise InvalidKey(f"{word!r} is no permission; choose from {', '.join(Permission)}") from None
    if not found:
        raise InvalidKey(f"name at least one permission of {', '.join(Permission)}")
    return frozenset(found)


def with_implied(permissions: Iterable[Permission]) -> frozenset[Permission]:
    """All that may be done with these.

    >>> sorted(with_implied([Permission.TRADE]))
    [<Permission.READ: 'read'>, <Permission.TRADE: 'trade'>]
    """
    return frozenset(held for given in permissions for held in (given, *_IMPLIED.get(given, ())))
