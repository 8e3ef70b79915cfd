"""The simulator's time: the machine's, plus what a test has added."""

import time


class Clock:
    """UTC epoch time that can be moved forward, never back."""

    def __init__(self) -> None:
        self._added_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._added_ms

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"time cannot go back: seconds={seconds}")
        self._added_ms += round(seconds * 1000)
