"""What the supplier does while it is read: the same moves in the same order, whoever disturbs the readers."""

from collections.abc import Callable
from dataclasses import dataclass

from diamond_opus.runs.model import RunType
from diamond_opus.simulator.http import Request, Response
from diamond_opus.simulator.server import API_PATH, Simulator
from diamond_opus.simulator.settings import SimulatorSettings

STONES = 5_000
_MOVES_BETWEEN, _REQUESTS_WITH_MOVES = 500, 500


@dataclass(frozen=True, slots=True)
class Timeline:
    """``is_loaded``: the inventory was read once before. ``moves_a_request``: how much it moves while the first run
    reads it.

    Two runs follow: one of type ``first``, and an incremental one after which everything must be known.
    """

    number: int
    is_loaded: bool
    first: RunType
    moves_a_request: float = 0.0

    @property
    def moves(self) -> bool:
        return self.moves_a_request > 0

    @property
    def removes(self) -> bool:
        """Stones are missing in the first run, and it may remove them."""
        return self.is_loaded and self.first is RunType.FULL

    @property
    def settings(self) -> SimulatorSettings:
        """Short pages and odd stones. Rows with equal keys keep their order, for null items are told apart by it."""
        return SimulatorSettings(
            stones=STONES,
            seed=100 + self.is_loaded,
            hostile_share=0.02,
            short_page_rate=0.05,
            unstable_ties=False,
        )


TIMELINES = (
    Timeline(0, is_loaded=True, first=RunType.INCREMENTAL),
    Timeline(1, is_loaded=True, first=RunType.FULL),
    Timeline(2, is_loaded=False, first=RunType.FULL, moves_a_request=0.5),
    Timeline(3, is_loaded=True, first=RunType.INCREMENTAL, moves_a_request=0.5),
    Timeline(4, is_loaded=True, first=RunType.FULL, moves_a_request=0.5),
)


class Supplier(Simulator):
    """A simulator whose moves come by number, so that their order does not depend on who asks what and when."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline.settings)
        self.timeline = timeline
        self.requests = 0
        self._moves_left = 0
        self._moves_due = 0.0
        self._callbacks: list[tuple[int, Callable[[], None]]] = []

    @property
    def port(self) -> int:
        return int(self.base_url.rpartition(":")[2])

    def at_request(self, number: int, callback: Callable[[], None]) -> None:
        """Call back when so many requests have come from now on."""
        self._callbacks.append((self.requests + number, callback))

    def forget_callbacks(self) -> None:
        self._callbacks.clear()

    def move_before_first(self) -> None:
        self._move(_MOVES_BETWEEN)
        self._moves_left = int(_REQUESTS_WITH_MOVES * self.timeline.moves_a_request)

    def move_between(self) -> None:
        """What was left of the moves of the first run, and those before the second."""
        self._move(self._moves_left + _MOVES_BETWEEN)
        self._moves_left = 0

    def _move_meanwhile(self) -> None:
        self._moves_due = min(self._moves_due + self.timeline.moves_a_request, self._moves_left)
        moves = int(self._moves_due)
        self._moves_due -= moves
        self._moves_left -= moves
        self._move(moves)

    def _move(self, moves: int) -> None:
        """One by one, as during a run: several at once would be drawn in another order."""
        for _ in range(moves):
            self.churn(1)

    def _handle(self, request: Request) -> Response:
        if request.path == API_PATH:
            self.requests += 1
            self._move_meanwhile()
            due = [each for each in self._callbacks if each[0] <= self.requests]
            self._callbacks = [each for each in self._callbacks if each[0] > self.requests]
            for _, callback in due:
                callback()
        return super()._handle(request)
