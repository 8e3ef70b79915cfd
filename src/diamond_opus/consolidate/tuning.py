"""How large a batch is and how many go side by side: chosen from what batches take, with the settings as caps.

A batch is to take five seconds at most: so long its rows stay locked, and so long a process that is told to end goes
on. Its size follows the pace of the newest batches (seconds a stone), and stands still while it would take half of that
or more. A tenth of the cap is the least: a database that is slow to each statement is not helped by more of them.

How many go side by side is found by trials. What n lanes do is n divided by their pace, over a window of four batches a
lane. In a trial one lane more, or one fewer, does a window. One more stays if that gained a tenth, one fewer if it cost
less than a twentieth (for many lanes half of a lane's share and a quarter), and the next trial goes on the same way.
One that brought nothing is taken back, and the next waits twice as many windows, at most 16. To try one fewer is dear:
that is done every 64 windows, and when the same lanes do a quarter less than usual, for then somebody else, a search or
another process, needs the machine. When they do a quarter more, whoever it was has gone, and one more is tried at once.
"""

from dataclasses import dataclass

LONGEST_SECONDS = 5.0
SMALLEST_SHARE = 10
_SHORTEST_SECONDS = 1e-6

#: Without knowing better, as many lanes as did best on two cores, where a third gained nothing.
FIRST_LANES = 2

#: The weight of the newest batch in the pace, and of the newest window in what is usual.
_NEWEST = 0.3

_BATCHES_PER_LANE = 4
_LONGEST_PATIENCE = 16
_WINDOWS_BETWEEN_FEWER = 64
_WINDOWS_BETWEEN_ALARMS = 8
_CHANGED = 0.75


@dataclass(frozen=True, slots=True)
class Choice:
    """``batch_size`` stones in each of ``concurrency`` batches at a time."""

    batch_size: int
    concurrency: int


class Tuning:
    """Values in, choices out: ``note`` each batch, then do as ``choice`` says; ``settled`` leaves trials out."""

    def __init__(self, *, largest_batch: int, most_lanes: int) -> None:
        self._largest = largest_batch
        self._smallest = max(1, largest_batch // SMALLEST_SHARE)
        self._size = largest_batch
        self._pace: float | None = None
        self._lanes = _Lanes(most_lanes)

    @property
    def choice(self) -> Choice:
        return Choice(self._size, self._lanes.now)

    @property
    def settled(self) -> Choice:
        return Choice(self._size, self._lanes.settled)

    def note(self, stones: int, seconds: float) -> None:
        """A batch of so many stones took so long, its waiting for a connection and its repetitions included."""
        if stones < 1 or seconds < _SHORTEST_SECONDS:
            return  # nothing was measured
        newest = seconds / stones
        self._pace = newest if self._pace is None else self._pace + _NEWEST * (newest - self._pace)
        self._size = self._fitting(self._pace)
        self._lanes.note(stones, seconds)

    def _fitting(self, pace: float) -> int:
        """The present size while that takes half of the longest time or more, else what takes three quarters of it."""
        if LONGEST_SECONDS / 2 <= pace * self._size <= LONGEST_SECONDS:
            return self._size
        return max(self._smallest, int(min(self._largest, 0.75 * LONGEST_SECONDS / pace)))


class _Lanes:
    """How many batches side by side, by trials."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.settled = min(FIRST_LANES, most)
        self._trial = 0  # one lane more (1) or fewer (-1) than what is settled
        self._before = 0.0  # stones a second in the window before the trial
        self._usual: float | None = None
        self._patience = 1
        self._since_trial = 0
        self._since_fewer = 0
        self._open_window(skipped=0)

    @property
    def now(self) -> int:
        return self.settled + self._trial

    def note(self, stones: int, seconds: float) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        self._batches += 1
        self._stones += stones
        self._seconds += seconds
        if self._batches < _BATCHES_PER_LANE * self.now:
            return
        rate = self.now * self._stones / self._seconds
        lanes = self.now
        if self._trial:
            self._judge(rate)
        else:
            self._watch(rate)
        # Batches that began beside another number of lanes tell nothing of the present one.
        self._open_window(skipped=max(lanes, self.now) if lanes != self.now else 0)

    def _open_window(self, *, skipped: int) -> None:
        self._skipped = skipped
        self._batches = 0
        self._stones = 0
        self._seconds = 0.0

    def _watch(self, rate: float) -> None:
        usual = rate if self._usual is None else self._usual
        self._usual = usual + _NEWEST * (rate - usual)
        self._since_trial += 1
        self._since_fewer += 1
        fell = rate < _CHANGED * usual and self._since_trial >= _WINDOWS_BETWEEN_ALARMS
        if fell or self._since_fewer >= _WINDOWS_BETWEEN_FEWER:
            self._begin(-1, rate)
        elif self._since_trial >= self._patience or rate * _CHANGED > usual:
            self._begin(1, rate)

    def _begin(self, direction: int, rate: float) -> None:
        self._since_trial = 0
        if direction < 0:
            self._since_fewer = 0
        self._before = rate
        self._trial = direction if 1 <= self.settled + direction <= self._most else 0

    def _judge(self, rate: float) -> None:
        worth = min(0.1, 0.5 / self.settled)
        least = 1 + worth if self._trial > 0 else 1 - worth / 2
        if rate < least * self._before:
            self._trial = 0
            self._patience = min(_LONGEST_PATIENCE, 2 * self._patience)
            return
        direction = self._trial
        self.settled = self.now
        self._usual = rate
        self._patience = 1
        self._begin(direction, rate)
