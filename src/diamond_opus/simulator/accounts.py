"""Who may ask: passwords, HS256 tokens and their lives."""

import base64
import hashlib
import hmac
from typing import Any

import orjson

from diamond_opus.simulator.clock import Clock
from diamond_opus.simulator.execute import AuthenticationError

_HEADER = {"alg": "HS256", "typ": "JWT"}

#: The claims seen in real tokens, but for the times.
_CLAIMS: dict[str, Any] = {
    "kid": "simulator", "id": "b9b52c9f-3a4c-4a53-9a52-0f2f3b2c6a11", "role": "CUSTOMER", "subtype": None,
    "country": "US", "pt": "DEFAULT", "if": "", "cid": "1c7d4b7e-57f4-4b43-8b67-0f8a4be4bd55",
    "geo_country": "US", "api": True, "api_h": True, "api_c": True, "api_o": True, "api_r": True,
}  # fmt: skip

_USER: dict[str, Any] = {
    "firstName": "Demo", "country": "US", "role": "CUSTOMER", "default_currency": "USD", "locations": [],
    "holds": [], "holds_count": 0, "exchange_rate": {"id": "USD", "name": "USD", "to_USD": 1.0},
}  # fmt: skip


class Accounts:
    """One account, the tokens given to it, and the secret they are signed with."""

    def __init__(
        self,
        clock: Clock,
        *,
        username: str,
        password: str,
        lifetime_seconds: float,
        seed: int,
        expires_in: str,
    ) -> None:
        self._clock = clock
        self._username = username
        self._password = password
        self._lifetime_ms = round(lifetime_seconds * 1000)
        self._secret = hashlib.sha256(f"simulator {seed}".encode()).digest()
        self._expires_unit_ms = {"seconds": 1000, "milliseconds": 1}[expires_in]
        self._issued = 0
        self._expired_up_to = 0

    def knows(self, username: str, password: str) -> bool:
        return hmac.compare_digest(username.encode(), self._username.encode()) and hmac.compare_digest(
            password.encode(), self._password.encode()
        )

    def open_session(self) -> dict[str, Any]:
        """A new Session, as the schema has it."""
        self._issued += 1
        now_ms = self._clock.now_ms()
        until_ms = now_ms + self._lifetime_ms
        claims = {**_CLAIMS, "iat": now_ms // 1000, "exp": until_ms / 1000, "serial": self._issued}
        return {
            "token": self._signed(claims),
            "expires": until_ms / self._expires_unit_ms,
            "refresh_token": self._signed({"refresh": self._issued}),
            "user": {**_USER, "id": _CLAIMS["id"], "email": self._username},
        }

    def is_refresh_token(self, token: str) -> bool:
        claims = self._claims(token)
        return claims is not None and "refresh" in claims

    def expire_all(self) -> None:
        """Every token given out so far is expired from now on."""
        self._expired_up_to = self._issued

    def check(self, token: str | None) -> None:
        """Raises AuthenticationError with the text clients match on."""
        if not token:
            raise AuthenticationError("authentication required")
        if token.count(".") != 2:
            raise AuthenticationError("jwt malformed")
        claims = self._claims(token)
        if claims is None or "serial" not in claims:
            raise AuthenticationError("invalid token")
        if claims["serial"] <= self._expired_up_to or self._clock.now_ms() >= claims["exp"] * 1000:
            raise AuthenticationError("jwt expired")

    def _signed(self, claims: dict[str, Any]) -> str:
        body = f"{_base64(orjson.dumps(_HEADER))}.{_base64(orjson.dumps(claims))}"
        return f"{body}.{self._signature(body)}"

    def _signature(self, body: str) -> str:
        return _base64(hmac.digest(self._secret, body.encode(), "sha256"))

    def _claims(self, token: str) -> dict[str, Any] | None:
        """The claims of a token we signed, else None."""
        body, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(body).encode()):
            return None
        encoded = body.partition(".")[2]
        claims: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        return claims


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
