"""How often a caller may ask in a minute, by what the route needs, and how each answer tells so."""

from collections.abc import Mapping
from dataclasses import dataclass

from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.sliding_window import SlidingWindow
from diamond_opus.domain.clock import Clock
from diamond_opus.keys.permissions import Permission

LIMIT_HEADER = "RateLimit-Limit"
REMAINING_HEADER = "RateLimit-Remaining"
RESET_HEADER = "RateLimit-Reset"

#: A full window of one caller takes 20 KB at 600 a minute.
_MOST_CALLERS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Requests a minute for each caller and process; reading cost counts as reading."""

    read_per_minute: int = 600
    trade_per_minute: int = 60
    admin_per_minute: int = 120


class RateLimiter:
    """Counts the requests of each caller, those of each kind of route apart."""

    def __init__(self, clock: Clock, limits: RateLimits) -> None:
        reading, trading, administering = (
            SlidingWindow(clock, limit=limit, most_names=_MOST_CALLERS)
            for limit in (limits.read_per_minute, limits.trade_per_minute, limits.admin_per_minute)
        )
        self._windows: Mapping[Permission, SlidingWindow] = {
            Permission.READ: reading,
            Permission.COST: reading,
            Permission.TRADE: trading,
            Permission.ADMIN: administering,
        }

    def count(self, caller_id: str, permission: Permission) -> Mapping[str, str]:
        """Count a request to a route that needs ``permission``; the headers that its answer carries.

        ``RateLimit-Reset`` is when more become possible, in seconds. Raises ApiError 429 when none is left; such
        a request is not counted, so that waiting helps.
        """
        window = self._windows[permission]
        is_allowed = window.remaining(caller_id) > 0
        if is_allowed:
            window.note(caller_id)
        seconds = window.seconds_until_more(caller_id)
        headers = {
            LIMIT_HEADER: str(window.limit),
            REMAINING_HEADER: str(window.remaining(caller_id)),
            RESET_HEADER: str(seconds),
        }
        if is_allowed:
            return headers
        raise ApiError(
            429,
            ErrorCode.RATE_LIMITED,
            f"more than {window.limit} requests in a minute",
            hint=f"Try again in {seconds} s; RateLimit-Remaining tells beforehand how many are left.",
            headers={**headers, "Retry-After": str(seconds)},
        )
