"""Everything about a simulated supplier that can be chosen, with the values the demo uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from diamond_opus.simulator.faults import Fault

DEFAULT_USERNAME = "demo@example.com"
DEFAULT_PASSWORD = "demo"  # noqa: S105
DEFAULT_PORT = 4010
DEFAULT_HOST = "127.0.0.1"

#: Where the supplier's GraphQL is found on the server.
API_PATH = "/api/diamonds"


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """One simulated supplier. Rates and shares are between 0 and 1.

    Inventory: ``stones`` natural and lab-grown together, the same for the same ``seed``; ``hostile_share``
    of them odd (hostile.py); ``wrong_types`` and ``lone_surrogates`` add kinds that break the schema or
    many parsers.

    Answers: ``short_page_rate`` of pages withhold their last rows; with ``unstable_ties`` each pair of
    neighbours with equal keys swaps at ``tie_swap_rate``, anew for each request; ``null_item_errors`` tells
    failed items in ``errors``; ``max_offset`` refuses deeper pages; ``count_factor`` falsifies
    diamonds_by_query_count (once seen: half).

    Account: ``refused_login`` answers a null session or an error; ``token_lifetime_seconds``;
    ``expires_in`` is the unit of Session.expires.

    Load: above ``max_requests_per_second`` (in any one second) requests get 429; ``answer_delay_seconds``
    is added to each.

    Churn: about ``churn_per_1000_requests`` events come with requests and ``churn_per_second`` with time.
    """

    stones: int = 20_000
    seed: int = 1
    hostile_share: float = 0.005
    wrong_types: bool = False
    lone_surrogates: bool = False
    username: str = DEFAULT_USERNAME
    password: str = DEFAULT_PASSWORD
    refused_login: Literal["null", "error"] = "null"
    token_lifetime_seconds: float = 6 * 3600
    expires_in: Literal["seconds", "milliseconds"] = "milliseconds"
    short_page_rate: float = 0.03
    unstable_ties: bool = True
    tie_swap_rate: float = 0.05
    null_item_errors: bool = True
    max_offset: int | None = None
    count_factor: float = 1.0
    max_requests_per_second: int | None = None
    answer_delay_seconds: float = 0.0
    churn_per_1000_requests: float = 0.0
    churn_per_second: float = 0.0
    faults: Sequence[Fault] = ()

    def __post_init__(self) -> None:
        if self.stones < 0:
            raise ValueError(f"stones must not be negative: {self.stones}")
        for name in ("hostile_share", "short_page_rate", "tie_swap_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1: {getattr(self, name)}")

    @property
    def hostile_options(self) -> frozenset[str]:
        return frozenset(name for name in ("wrong_types", "lone_surrogates") if getattr(self, name))
