"""How many things happened to each of many in the last minute, and when another one is allowed."""

from collections import OrderedDict, deque
from math import ceil

from diamond_opus.domain.clock import Clock

WINDOW_SECONDS = 60.0


class SlidingWindow:
    """At most ``limit`` in any minute, for each name; counted in this process's memory, which is bounded.

    The name that was noted longest ago is forgotten first.

    >>> from datetime import UTC, datetime
    >>> from diamond_opus.domain.clock import ManualClock
    >>> clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    >>> window = SlidingWindow(clock, limit=2, most_names=1000)
    >>> window.note("shop"); clock.advance(seconds=20); window.note("shop")
    >>> window.remaining("shop"), window.seconds_until_more("shop")
    (0, 40)
    """

    def __init__(self, clock: Clock, *, limit: int, most_names: int) -> None:
        self.limit = limit
        self._clock = clock
        self._most_names = most_names
        self._moments: OrderedDict[str, deque[float]] = OrderedDict()

    def remaining(self, name: str) -> int:
        """How many more are allowed now."""
        return self.limit - len(self._recent(name))

    def seconds_until_more(self, name: str) -> int:
        """When the oldest that still counts is forgotten, in whole seconds, at least 1; 0 when none counts."""
        moments = self._recent(name)
        return max(1, ceil(moments[0] + WINDOW_SECONDS - self._clock.monotonic())) if moments else 0

    def note(self, name: str) -> None:
        """One more; beyond the limit the newest ones count."""
        moments = self._recent(name)
        moments.append(self._clock.monotonic())
        self._moments[name] = moments
        self._moments.move_to_end(name)
        if len(self._moments) > self._most_names:
            self._moments.popitem(last=False)

    def _recent(self, name: str) -> deque[float]:
        moments = self._moments.get(name)
        if moments is None:
            return deque(maxlen=self.limit)
        while moments and moments[0] <= self._clock.monotonic() - WINDOW_SECONDS:
            moments.popleft()
        return moments
