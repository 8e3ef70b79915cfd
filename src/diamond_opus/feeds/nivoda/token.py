"""When to log in: one token for all requests of a process, renewed before its end and after a rejection."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable

import msgspec

from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import Fatal, Retryable

#: How long before its end a token is renewed; half its life when that is shorter.
RENEW_AHEAD_SECONDS = 300.0

#: Wrong credentials are not tried again by this process for so long: repeated failures may lock the account.
REFUSED_LOGIN_SECONDS = 60.0


class TokenKeeper:
    """Hands out the token; however many requests wait for one, a single login is under way.

    ``login`` asks the supplier and returns the token. ``lifetime_seconds`` is how long a token is trusted
    when it does not tell a shorter life itself.
    """

    def __init__(self, login: Callable[[], Awaitable[str]], clock: Clock, *, lifetime_seconds: float) -> None:
        self._login = login
        self._clock = clock
        self._lifetime = lifetime_seconds
        self._token: str | None = None
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._under_way: asyncio.Task[str] | None = None
        self._refusal: Fatal | None = None
        self._refused_until = 0.0

    async def get(self) -> str:
        """The token. Raises what the login raises: ``Retryable``, or ``Fatal`` for wrong credentials."""
        now = self._clock.monotonic()
        if self._token is not None and now < self._renew_at:
            return self._token
        if self._refusal is not None and now < self._refused_until:
            raise self._refusal
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._renew())
            self._under_way.add_done_callback(self._forget_task)
        # Shielded: one request that is cancelled must not take the login from the others.
        return await asyncio.shield(self._under_way)

    def reject(self, token: str) -> None:
        """The supplier refused ``token``; a newer one that came meanwhile stays."""
        if self._token == token:
            self._token = None

    async def aclose(self) -> None:
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.wait([self._under_way])

    async def _renew(self) -> str:
        try:
            token = await self._login()
        except Fatal as error:
            self._token = None
            self._refusal = error
            self._refused_until = self._clock.monotonic() + REFUSED_LOGIN_SECONDS
            raise
        except Retryable:
            if self._token is not None and self._clock.monotonic() < self._ends_at:
                return self._token
            raise
        told = read_lifetime(token, self._clock.now().timestamp())
        life = self._lifetime if told is None else min(self._lifetime, told)
        now = self._clock.monotonic()
        self._token, self._refusal = token, None
        self._ends_at = now + life
        self._renew_at = now + max(life - RENEW_AHEAD_SECONDS, life / 2)
        return token

    def _forget_task(self, task: asyncio.Task[str]) -> None:
        self._under_way = None
        if not task.cancelled():
            task.exception()  # marks it as seen when every waiter is gone


class _Claims(msgspec.Struct):
    exp: float | None = None
    iat: float | None = None


def read_lifetime(token: str, now: float) -> float | None:
    """Seconds a JWT still has by its own claims, which are read and not verified; None when it does not say.

    ``exp - iat`` is used where both are told: the supplier's clock need not agree with ours.

    >>> read_lifetime("PLACEHOLDER.JWT.HS256", 0.0) is None
    True
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = msgspec.json.decode(
            base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=_Claims
        )
    except (binascii.Error, ValueError):
        return None
    if claims.exp is None:
        return None
    life = claims.exp - (now if claims.iat is None else claims.iat)
    return life if life > 0 else None
