"""How many failed authentications an address has left in the present minute."""

from collections import OrderedDict, deque
from math import ceil

from diamond_opus.domain.clock import Clock

MOST_FAILURES = 20
WINDOW_SECONDS = 60.0
MOST_ADDRESSES = 10_000


class FailedAttempts:
    """Counts in this process's memory, which is bounded; the address seen longest ago is forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def seconds_blocked(self, address: str) -> int:
        """How long the address has to wait before another failure is allowed; 0 when it need not."""
        failures = self._recent(address)
        if len(failures) < MOST_FAILURES:
            return 0
        return max(1, ceil(failures[0] + WINDOW_SECONDS - self._clock.monotonic()))

    def note_failure(self, address: str) -> None:
        failures = self._recent(address)
        failures.append(self._clock.monotonic())
        self._failures[address] = failures
        self._failures.move_to_end(address)
        if len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def _recent(self, address: str) -> deque[float]:
        failures = self._failures.get(address, deque(maxlen=MOST_FAILURES))
        while failures and failures[0] <= self._clock.monotonic() - WINDOW_SECONDS:
            failures.popleft()
        return failures
