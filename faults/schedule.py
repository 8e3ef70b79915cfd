"""What happens in a schedule, drawn from its seed: the supplier's timeline, the crew, and which faults when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from faults.points import BUYING, CONSOLIDATING, ENDING, PLANNING, READING
from faults.timeline import TIMELINES, Timeline

Group = Literal["process", "database", "queue", "supplier", "clock", "operation"]

#: Every kind of fault, by what it befalls.
KINDS: Mapping[str, Group] = {
    "kill": "process",  # at any instant
    "kill_at_point": "process",  # in the very statement
    "suspended": "process",  # stands still until another has taken its work over; what it sent arrives late
    "vanished": "process",  # killed with its machine: its connections stay open, with their locks
    "kill_buying": "process",  # the API, in the middle of a purchase
    "crash": "database",  # a backend dies, the server recovers by itself
    "restart": "database",  # the server dies and is started again
    "drop": "database",  # every connection breaks at once
    "cut_off": "database",  # one process cannot reach the database, for longer than its leases
    "half_open": "database",  # a process's connections are dead and do not say so
    "cut_before": "database",  # a connection breaks before the statement arrives
    "cut_after": "database",  # the statement is done, its answer never comes: a commit in doubt
    "serialization": "database",  # 40001
    "deadlock": "database",  # 40P01
    "statement_timeout": "database",  # 57014
    "too_many_connections": "database",  # 53300
    "disk_full": "database",  # 53100 at every write, for a while
    "slow": "database",  # every statement takes longer, for a while
    "lock_storm": "database",  # somebody locks rows in the other order: real deadlocks
    "lost": "queue",
    "doubled": "queue",
    "delayed": "queue",
    "shuffled": "queue",
    "poisoned": "queue",
    "http_429": "supplier",
    "gateway_403": "supplier",
    "bad_gateway": "supplier",
    "unavailable": "supplier",
    "truncated": "supplier",
    "malformed_json": "supplier",
    "reset": "supplier",
    "answer_lost": "supplier",
    "slow_answers": "supplier",
    "expired_token": "supplier",
    "outage": "supplier",  # no request is answered at all, for longer than every retry
    "pages_refused": "supplier",  # counts are answered and pages are not: partitions fail, and a person acts
    "jump": "clock",  # a process's clock is set hours forward or back
    "two_schedulers": "operation",
    "migration": "operation",  # the next release's migration, in mid-run
    "deployment": "operation",  # every process is replaced by one with other settings, one after the other
    "late_answer": "operation",  # a newer answer about stones arrives while they are consolidated
}

#: The timelines of consecutive seeds.
_TURNS = (0, 1, 3, 0, 2, 3, 0, 4, 3)

#: How many of the other schedules have an API as well: to build one costs as much as half a run.
_API_SHARE = 0.2

#: Where there is a choice, so many happen at a certain statement instead of a moment.
_AT_A_POINT = 0.5

#: What only the crew inside this process can suffer.
_ONLY_INSIDE = frozenset({"jump"})


@dataclass(frozen=True, slots=True)
class Injection:
    """``moment`` is the share of the run's quiet number of requests after which it happens; with ``point`` it happens
    at the ``nth`` such statement instead.
    """

    kind: str
    run: int
    moment: float
    point: str | None
    nth: int
    seed: int

    def __str__(self) -> str:
        where = f"at {self.point} ({self.nth})" if self.point else f"after {self.moment:.0%} of the requests"
        return f"{self.kind} in run {self.run} {where}"


@dataclass(frozen=True, slots=True)
class Schedule:
    seed: int
    timeline: Timeline
    as_processes: bool
    workers: int
    consolidators: int
    apis: int
    injections: Sequence[Injection]

    @property
    def consolidates_partly(self) -> bool:
        """Every other schedule whose partitions may fail."""
        return self.seed % 4 < 2 and any(injection.kind == "pages_refused" for injection in self.injections)

    def __str__(self) -> str:
        kind = "processes" if self.as_processes else "tasks"
        crew = f"{self.workers} workers, {self.consolidators} consolidators, {self.apis} API as {kind}"
        faults = "; ".join(str(injection) for injection in self.injections)
        return f"schedule {self.seed} (timeline {self.timeline.number}, {crew}): {faults}"


def timeline_of(seed: int) -> Timeline:
    """Incremental runs twice as often as full ones, which cost four times as much."""
    return TIMELINES[_TURNS[seed % len(_TURNS)]]


def draw(seed: int, *, as_processes: bool, kinds: Sequence[str] | None = None) -> Schedule:
    """The schedule of a seed, always the same; ``kinds`` asks for certain faults instead of several by chance."""
    random = Random(f"schedule {seed} {as_processes}")
    timeline = timeline_of(seed)
    chosen = list(kinds) if kinds is not None else _choose(random, as_processes)
    return Schedule(
        seed,
        timeline,
        as_processes,
        workers=random.choice((2, 2, 3)),
        consolidators=random.choice((1, 2, 2)),
        apis=1 if as_processes or "kill_buying" in chosen or random.random() < _API_SHARE else 0,
        injections=[_injection(random, kind, timeline) for kind in chosen],
    )


def _choose(random: Random, as_processes: bool) -> list[str]:
    """At least four kinds, for not every point is reached, of two groups or more; processes are killed as well."""
    possible = [kind for kind in KINDS if not (as_processes and kind in _ONLY_INSIDE)]
    while True:
        chosen = random.sample(possible, random.randint(4, 6))
        if as_processes:
            chosen = list(dict.fromkeys(["kill", "kill_at_point", *chosen]))
        if len({KINDS[kind] for kind in chosen}) > 1:
            return chosen


def _injection(random: Random, kind: str, timeline: Timeline) -> Injection:
    run = 2 if kind == "kill_buying" else random.choice((1, 1, 2))
    point: str | None = None
    if kind == "kill_buying":
        point = random.choice(list(BUYING))
    elif kind in ("kill_at_point", "cut_before", "cut_after", "vanished"):
        point = random.choice(
            (*READING, *CONSOLIDATING, *(("commit",) if kind != "kill_at_point" else PLANNING))
        )
    elif kind == "suspended" and random.random() < _AT_A_POINT:
        point = random.choice(("commit", "advance_partition", "claim_batch", "take_finalisation"))
    elif KINDS[kind] == "supplier" and timeline.removes and random.random() < _AT_A_POINT:
        run, point = 1, random.choice(ENDING)
    elif kind in ("serialization", "deadlock", "statement_timeout", "too_many_connections"):
        point = random.choice((*READING, *CONSOLIDATING))
    elif kind == "late_answer":
        point = "claim_batch"
    nth = (
        random.randint(1, 4)
        if point in ("store_incoming", "advance_partition", "claim_batch", "commit")
        else 1
    )
    return Injection(kind, run, random.uniform(0.02, 0.7), point, nth, random.randrange(2**32))
