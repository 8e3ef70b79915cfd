"""Which key a text is, asked of the database at most every few seconds: a revoked key works no longer than that."""

from collections import OrderedDict
from dataclasses import dataclass

from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import Clock
from diamond_opus.keys.api_keys import ApiKey, find_key, hash_key, touch_key
from diamond_opus.observability.metrics import count_cache

#: A revocation holds everywhere after this, and the few milliseconds of a query, at most.
CACHE_SECONDS = 4.0
MOST_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    key: ApiKey
    until: float


class KeyLookup:
    """A small cache of usable keys, one for each process. Unknown keys are asked about every time."""

    def __init__(self, pool: Pool, clock: Clock, *, connection_timeout_seconds: float | None = None) -> None:
        self._pool = pool
        self._clock = clock
        self._connection_timeout = connection_timeout_seconds
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def find_usable(self, text: str) -> ApiKey | None:
        """The key that ``text`` is, if it may be used now. Raises the database's errors."""
        key_hash = hash_key(text)
        known = self._known.get(key_hash)
        is_remembered = known is not None and known.until > self._clock.monotonic()
        count_cache("api_key", hit=is_remembered)
        if not is_remembered:
            known = await self._load(key_hash)
        return known.key if known is not None and known.key.is_usable(self._clock.now()) else None

    async def _load(self, key_hash: str) -> _Known | None:
        # Counted from before the question: what is revoked while it runs must not live longer for it.
        until = self._clock.monotonic() + CACHE_SECONDS
        self._known.pop(key_hash, None)
        async with self._pool.connection(timeout=self._connection_timeout) as conn:
            key = await find_key(conn, key_hash)
            if key is None or not key.is_usable(self._clock.now()):
                return None
            await touch_key(conn, key, self._clock.now())
        known = self._known[key_hash] = _Known(key, until)
        if len(self._known) > MOST_CACHED:
            self._known.popitem(last=False)
        return known
