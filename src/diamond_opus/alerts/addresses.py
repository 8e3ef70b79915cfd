"""ALERT_URLS, read without Apprise: addresses with spaces between, each alone or after a name, a severity or both.

::

    slack://...              told of what is a warning or worse; known by a digest of the address
    error=slack://...        told of errors and worse
    ops=slack://...          known as ops, so that it stays the same channel when its token is replaced
    ops:error=slack://...    both

What is refused is told by its position and never shown: an address is a secret.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256

from diamond_opus.alerts.protocol import Severity
from diamond_opus.domain.errors import ConfigurationError

_ENTRY = re.compile(r"(?:(?P<label>[\w:-]+)=)?(?P<url>(?P<scheme>[\w+.-]+)://.+)", re.DOTALL)
#: Apprise would take all that follows the comma for a part of the first address, and tell nobody else.
_COMMA = re.compile(r",(?:$|(?:[\w:-]+=)?[\w+.-]+://)")
_NAME = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Address:
    """``name`` holds no secret; ``where`` says which one it is of how many."""

    name: str
    least: Severity
    url: str
    where: str


def read_addresses(urls: str | None) -> Sequence[Address]:
    """Raises ConfigurationError."""
    entries = (urls or "").split()
    found: list[Address] = []
    for position, entry in enumerate(entries, start=1):
        if _COMMA.search(entry):
            raise ConfigurationError(
                f"ALERT_URLS: separate addresses by spaces, not commas (entry {position})"
            )
        address = _read(entry, f"ALERT_URLS: address {position} of {len(entries)}")
        if any(address.url == other.url for other in found):
            raise ConfigurationError(f"{address.where} is there twice")
        if any(address.name == other.name for other in found):
            raise ConfigurationError(f"{address.where} has the name of another")
        found.append(address)
    return found


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def _read(entry: str, where: str) -> Address:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise ConfigurationError(f"{where} is none; write it as Apprise does, such as slack://...")
    url = match["url"]
    name, least = _read_label(match["label"] or "", where)
    return Address(name or f"{match['scheme'].lower()}-{digest(url)}", least, url, where)


def _read_label(label: str, where: str) -> tuple[str, Severity]:
    """The name, '' without one, and the severity."""
    if not label or label in list(Severity):
        return "", Severity(label or Severity.WARNING)
    name, colon, severity = label.partition(":")
    if not colon and (meant := get_close_matches(name, list(Severity), n=1)):
        raise ConfigurationError(
            f"{where}: what stands before = is nearly the severity {meant[0]}; write that, or {name}:warning= if it is "
            "a name"
        )
    least = severity if colon else Severity.WARNING.value
    if not _NAME.fullmatch(name) or name in list(Severity) or least not in list(Severity):
        raise ConfigurationError(
            f"{where}: what stands before = must be a name (a-z, 0-9 and -), a severity ({', '.join(Severity)}), "
            "or both as name:severity"
        )
    return name, Severity(least)
