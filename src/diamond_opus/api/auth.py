"""Who asks, and whether they may: every route under /api/v2 names the permission that it needs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from fastapi import Request
from fastapi.openapi.models import SecurityBase as SecurityBaseModel
from fastapi.openapi.models import SecuritySchemeType
from fastapi.security.base import SecurityBase

from diamond_opus.api.client_address import ClientAddresses
from diamond_opus.api.dependencies import ApiDependencies
from diamond_opus.api.errors import ApiError, ErrorCode, forbidden
from diamond_opus.api.rate_limits import RateLimiter
from diamond_opus.api.sliding_window import SlidingWindow
from diamond_opus.db.pool import Connection
from diamond_opus.keys.api_keys import is_generated_key, names_of_keys
from diamond_opus.keys.lookup import KeyLookup
from diamond_opus.keys.permissions import Permission, with_implied
from diamond_opus.keys.signatures import SignatureRefused, SignedRequest, verify_signature
from diamond_opus.keys.spent_signatures import Use, spend_signature

API_KEY_HEADER = "X-API-Key"
CLIENT_ID_HEADER = "X-Client-Id"
TIMESTAMP_HEADER = "X-Timestamp"
SIGNATURE_HEADER = "X-Signature"

#: Failed authentications that an address may have in a minute, and how many addresses are remembered.
MOST_FAILURES = 20
MOST_ADDRESSES = 10_000

_SIGNATURE_HEADERS = (CLIENT_ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
_IDEMPOTENCY_HEADERS = ("Idempotency-Key", "X-Idempotency-Key")
_SCHEME_PREFIX = "needs:"
_KEY_CLIENT, _HMAC_CLIENT = "key:", "hmac:"
_UNCHANGING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. ``id`` names a client for ever (``key:<uuid>`` or ``hmac:<client>``), ``name`` is for people.

    ``permissions`` hold all that is implied.
    """

    id: str
    name: str
    permissions: frozenset[Permission]

    @property
    def sees_cost(self) -> bool:
        return Permission.COST in self.permissions


class Authenticator:
    """Knows a caller by key or signature, and slows down who guesses."""

    def __init__(self, dependencies: ApiDependencies) -> None:
        self._dependencies = dependencies
        self._clock = dependencies.clock
        self._hmac_clients = dependencies.hmac_clients
        self._failures = SlidingWindow(dependencies.clock, limit=MOST_FAILURES, most_names=MOST_ADDRESSES)
        self._addresses = ClientAddresses(dependencies.trusted_proxies)
        self._keys = KeyLookup(
            dependencies.pool,
            dependencies.clock,
            connection_timeout_seconds=dependencies.connection_timeout_seconds,
        )

    async def identify(self, request: Request) -> Caller:
        """The caller. Raises ApiError 401 or 429; a key that is wrong is not followed by a look at signatures."""
        key = request.headers.get(API_KEY_HEADER)
        if key is None and not any(name in request.headers for name in _SIGNATURE_HEADERS):
            raise _unauthorized(
                "this route needs authentication",
                f"Send {API_KEY_HEADER}, or a signature in {', '.join(_SIGNATURE_HEADERS)}; see /api-docs.",
            )
        address = self._addresses.of(request)
        # Nobody finds one of our keys by trying, so that a neighbour's mistakes need not lock out who has one;
        # a secret that a person chose is another matter.
        if key is None or not is_generated_key(key):
            self._refuse_if_blocked(address)
        try:
            return await self._by_key(key) if key is not None else await self._by_signature(request)
        except ApiError as error:
            if error.status_code == 401:
                self._refuse_if_blocked(address)
                self._failures.note(address)
            raise

    async def _by_key(self, text: str) -> Caller:
        key = await self._keys.find_usable(text)
        if key is None:
            raise _unauthorized(
                "the API key is unknown, revoked or expired",
                "Check it, or ask the operator for a new one.",
            )
        return Caller(f"{_KEY_CLIENT}{key.id}", key.client_name, with_implied(key.permissions))

    async def _by_signature(self, request: Request) -> Caller:
        client_id, timestamp, signature = (request.headers.get(name, "") for name in _SIGNATURE_HEADERS)
        method: str = request.scope["state"]["called_method"]
        signed = SignedRequest(
            client_id, timestamp, signature, method, _signed_targets(request, method), await request.body()
        )
        try:
            client = verify_signature(self._hmac_clients, signed, self._clock.now())
        except SignatureRefused as error:
            raise _unauthorized(str(error), error.hint) from error
        request.scope["state"]["signed_request"] = signed
        return Caller(f"{_HMAC_CLIENT}{client.name}", client.name, with_implied(client.permissions))

    async def spend_signature(self, request: Request, *, replayable: bool) -> None:
        """Let the signature of a changing request pass once. Raises ApiError 401 when it was used before.

        Where ``replayable``, the very same request passes again, with the same idempotency key.
        """
        signed: SignedRequest | None = request.scope["state"].get("signed_request")
        if signed is None or signed.method in _UNCHANGING:
            return
        async with self._dependencies.pool.connection(
            timeout=self._dependencies.connection_timeout_seconds
        ) as conn:
            use = await spend_signature(
                conn, signed, idempotency_key=_idempotency_key(request), now=self._clock.now()
            )
        if use is Use.REPEATED and replayable:
            request.scope["state"]["is_repeat"] = True
        elif use is not Use.FIRST:
            raise signature_was_used()

    def _refuse_if_blocked(self, address: str) -> None:
        if self._failures.remaining(address) <= 0:
            seconds = self._failures.seconds_until_more(address)
            raise ApiError(
                429,
                ErrorCode.RATE_LIMITED,
                "too many failed authentications from this address",
                hint=f"Try again in {seconds} s, with the right credentials.",
                headers={"Retry-After": str(seconds)},
            )


class Needs(SecurityBase):
    """A route's dependency: yields the caller, who has the permission. Raises ApiError 401, 403 or 429.

    None is for who has any permission at all, and counts as reading.
    The permission also decides which of the caller's rate limits the request counts to. ``replayable`` is for
    routes that demand an idempotency key and answer a known one from what is stored: there a signed request may be
    sent again. FastAPI notes the ``scheme_name`` with the operation, which openapi.py turns into what clients can use.
    """

    def __init__(self, permission: Permission | None, *, replayable: bool = False) -> None:
        self.permission = permission
        self.replayable = replayable
        self.scheme_name = _SCHEME_PREFIX + (permission or "")
        self.model = SecurityBaseModel(type=SecuritySchemeType.apiKey)

    async def __call__(self, request: Request) -> Caller:
        authenticator = cast("Authenticator", request.app.state.authenticator)
        limiter = cast("RateLimiter", request.app.state.rate_limiter)
        state = request.scope["state"]
        # A route may need two permissions: the request is one all the same, counted once and its signature spent once.
        is_first = "caller" not in state
        if is_first:
            state["caller"] = await authenticator.identify(request)
            state["caller_name"] = state["caller"].name
            state["answer_headers"] = limiter.count(state["caller"].id, self.permission or Permission.READ)
        caller: Caller = state["caller"]
        if self.permission is not None and self.permission not in caller.permissions:
            raise forbidden(self.permission, f"{caller.name} lacks the permission {self.permission.value!r}")
        if is_first:
            await authenticator.spend_signature(request, replayable=self.replayable)
        return caller


async def name_clients(conn: Connection, clients: Iterable[str | None]) -> Mapping[str, str]:
    """What people call these clients, by the ids that ``Caller`` has; who is not known any more is left out."""
    known = {client for client in clients if client is not None}
    keys = {
        client: UUID(client.removeprefix(_KEY_CLIENT)) for client in known if client.startswith(_KEY_CLIENT)
    }
    names = await names_of_keys(conn, keys.values())
    signers = {
        client: client.removeprefix(_HMAC_CLIENT) for client in known if client.startswith(_HMAC_CLIENT)
    }
    return {**signers, **{client: names[key_id] for client, key_id in keys.items() if key_id in names}}


def is_repeat(request: Request) -> bool:
    """Whether this signed request came before: it may be told what became of it, and do nothing new."""
    return bool(request.scope["state"].get("is_repeat", False))


def signature_was_used() -> ApiError:
    return _unauthorized(
        "the signature was used before",
        "Each signature of a changing request is accepted once: sign anew with the present time. Only a purchase may "
        "be repeated as it was, with the Idempotency-Key that it had, to get the answer that it got.",
    )


def permission_of_scheme(scheme_name: str) -> str:
    """Empty where any will do."""
    return scheme_name.removeprefix(_SCHEME_PREFIX)


def _signed_targets(request: Request, method: str) -> Sequence[bytes]:
    """What may stand for PATH in a signature: the path exactly as called, with its query string where it has one.

    Only for what changes nothing may the query be left out, as SPEC's first clients do.
    """
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    if not query:
        return [path]
    with_query = path + b"?" + query
    return [with_query, path] if method in _UNCHANGING else [with_query]


def _idempotency_key(request: Request) -> str | None:
    """The header's; a key in the body is covered by the signature, so that it cannot differ."""
    given = (request.headers.get(name) for name in _IDEMPOTENCY_HEADERS)
    return next((key for key in given if key is not None), None)


def _unauthorized(message: str, hint: str) -> ApiError:
    return ApiError(
        401,
        ErrorCode.UNAUTHORIZED,
        message,
        hint=hint,
        headers={"WWW-Authenticate": f'ApiKey header="{API_KEY_HEADER}"'},
    )
