"""What clients asked, and how fast: evidence for tests of request budgets and paging."""

import time
from collections import Counter, deque
from typing import Any

_REMEMBERED_SECONDS = 3_600


class Traffic:
    """Counts requests of the API (not of the control address) by arrival on a monotonic clock."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._started = time.monotonic()
        self._by_second: Counter[int] = Counter()
        self._last_second: deque[float] = deque()
        self._admitted: deque[float] = deque()
        self._most_in_one_second = 0
        self.requests = 0
        self.by_kind: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.logins_refused = 0
        self.rows = 0
        self.short_pages = 0
        self.max_offset = 0

    def arrive(self) -> None:
        now = time.monotonic()
        self.requests += 1
        self._by_second[int(now - self._started)] += 1
        if len(self._by_second) > _REMEMBERED_SECONDS:
            del self._by_second[min(self._by_second)]
        _slide(self._last_second, now)
        self._most_in_one_second = max(self._most_in_one_second, len(self._last_second))

    def admits(self, limit: int | None) -> bool:
        """Whether one more request fits below ``limit`` in any one second; refused ones do not count."""
        if limit is None:
            return True
        now = time.monotonic()
        while self._admitted and self._admitted[0] <= now - 1:
            self._admitted.popleft()
        if len(self._admitted) >= limit:
            return False
        self._admitted.append(now)
        return True

    def snapshot(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "seconds": time.monotonic() - self._started,
            "by_kind": dict(self.by_kind),
            "statuses": dict(self.statuses),
            "logins": self.by_kind["login"],
            "logins_refused": self.logins_refused,
            "rows": self.rows,
            "short_pages": self.short_pages,
            "max_offset": self.max_offset,
            "max_requests_in_one_second": self._most_in_one_second,
            "requests_by_second": {str(second): count for second, count in sorted(self._by_second.items())},
        }


def _slide(window: deque[float], now: float) -> None:
    window.append(now)
    while window[0] <= now - 1:
        window.popleft()
