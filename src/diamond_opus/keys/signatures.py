"""Signed requests: whose secret made a signature over exactly this method, path, time and body."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from diamond_opus.domain.errors import ConfigurationError, DiamondError
from diamond_opus.keys.permissions import InvalidKey, Permission, parse_permissions

TOLERANCE_SECONDS = 300

_SHORT_FORM = frozenset({Permission.READ, Permission.TRADE})
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}")
#: An unknown client is checked against this, so that it takes as long to refuse as a known one.
_NOBODYS_SECRET = secrets.token_bytes(32)


class SignatureRefused(DiamondError):
    """A signed request is not what it says to be; ``hint`` tells an honest client what to look at."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class HmacClient:
    """A client that signs its requests. ``permissions`` are those granted, without what they imply."""

    name: str
    secret: str = field(repr=False)
    permissions: frozenset[Permission] = _SHORT_FORM


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What came: the three headers as they were, and what the signature covers.

    ``targets`` are the byte strings of which any may have been signed as PATH.
    """

    client_id: str
    timestamp: str
    signature: str
    method: str
    targets: Sequence[bytes]
    body: bytes


def parse_hmac_secrets(text: str | None) -> Mapping[str, HmacClient]:
    """HMAC_SECRETS: a JSON object of client -> secret, or -> {"secret": ..., "permissions": [...]}.

    Raises ConfigurationError, which never shows a secret.

    >>> parse_hmac_secrets('{"shop": {"secret": "s3cret", "permissions": ["read"]}}')["shop"].permissions
    frozenset({<Permission.READ: 'read'>})
    """
    try:
        entries = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        entries = None
    if not isinstance(entries, dict):
        raise ConfigurationError(
            'HMAC_SECRETS must be a JSON object, such as {"shopify": "a long random secret"}'
        )
    return {name: _read_client(name, entry) for name, entry in entries.items()}


def verify_signature(clients: Mapping[str, HmacClient], request: SignedRequest, now: datetime) -> HmacClient:
    """The client that signed the request. Raises SignatureRefused."""
    if not _TIMESTAMP.fullmatch(request.timestamp):
        raise SignatureRefused(
            "X-Timestamp is not a time", "Send whole seconds since 1970, such as 1767225600."
        )
    skew = int(request.timestamp) - int(now.timestamp())
    if abs(skew) > TOLERANCE_SECONDS:
        raise SignatureRefused(
            f"X-Timestamp is more than {TOLERANCE_SECONDS} s off",
            f"The server's clock says {now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}; set yours by it.",
        )
    client = clients.get(request.client_id)
    secret = _NOBODYS_SECRET if client is None else client.secret.encode()
    # Something is always compared, and always all of it.
    given = request.signature.lower() if _SIGNATURE.fullmatch(request.signature) else "0" * 64
    matches = [hmac.compare_digest(_sign(secret, request, target), given) for target in request.targets]
    if client is None or not any(matches):
        raise SignatureRefused(
            "the client is unknown or the signature does not match",
            "Sign METHOD\\nPATH\\nTIMESTAMP\\nSHA256(BODY) with HMAC-SHA256, both in hex; PATH as it was called"
            " and, for any method but GET and HEAD, with its query string.",
        )
    return client


def _sign(secret: bytes, request: SignedRequest, target: bytes) -> str:
    canonical = b"\n".join(
        (
            request.method.encode(),
            target,
            request.timestamp.encode(),
            hashlib.sha256(request.body).hexdigest().encode(),
        )
    )
    return hmac.new(secret, canonical, hashlib.sha256).hexdigest()


def _read_client(name: str, entry: Any) -> HmacClient:
    secret, words = (
        (entry.get("secret"), entry.get("permissions")) if isinstance(entry, dict) else (entry, None)
    )
    if not name or not isinstance(secret, str) or not secret:
        raise ConfigurationError(f"HMAC_SECRETS: the client {name!r} needs a secret that is a text")
    if words is None:
        return HmacClient(name, secret)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ConfigurationError(f"HMAC_SECRETS: the permissions of {name!r} must be a list of texts")
    try:
        return HmacClient(name, secret, parse_permissions(words))
    except InvalidKey as error:
        raise ConfigurationError(f"HMAC_SECRETS: the permissions of {name!r}: {error}") from error
