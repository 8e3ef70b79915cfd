"""The figures of many schedules: what was injected, what was recovered from in which time, what was lost."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

from faults.oracle import explain
from faults.play import Outcome
from faults.schedule import KINDS


def _quantile(seconds: Sequence[float], percent: int) -> float:
    longest = max(seconds, default=0.0)
    if percent == 100 or len(seconds) < 2:
        return round(longest, 2)
    return round(quantiles(seconds, n=100)[percent - 1], 2)


@dataclass(slots=True)
class Report:
    schedules: int = 0
    as_processes: int = 0
    seconds: float = 0.0
    injected: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    orphaned: list[float] = field(default_factory=list)
    takeovers: int = 0
    orders: int = 0
    holds: int = 0
    unknown_orders: int = 0
    with_three_kinds: int = 0
    failed: list[Outcome] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.failed

    def add(self, outcome: Outcome) -> None:
        self.schedules += 1
        self.as_processes += outcome.schedule.as_processes
        self.injected += outcome.injected
        self.with_three_kinds += len(+outcome.injected) >= 3
        self.recoveries += outcome.recoveries
        self.orphaned += outcome.orphaned
        self.takeovers += outcome.takeovers
        self.orders += outcome.orders
        self.holds += outcome.holds
        self.unknown_orders += outcome.unknown_orders
        if not outcome.is_good:
            self.failed.append(outcome)

    @staticmethod
    def line(outcome: Outcome) -> str:
        """One schedule: good, or what is wrong and how to see it again."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.injected.items()))
        if outcome.is_good:
            longest = max(outcome.recoveries, default=0.0)
            return (
                f"good  {outcome.schedule.seed} in {outcome.seconds:.1f} s, "
                f"after each fault moving again within {longest:.1f} s: {kinds}"
            )
        again = f"python -m faults --replay {outcome.schedule.seed}"
        again += " --processes" if outcome.schedule.as_processes else ""
        again += " --as-shipped" if outcome.as_shipped else ""
        return f"BAD   {outcome.schedule}\n{explain(outcome.faults)}\n  again: {again}"

    def as_json(self) -> dict[str, Any]:
        return {
            "schedules": self.schedules,
            "asProcesses": self.as_processes,
            "withThreeKinds": self.with_three_kinds,
            "seconds": round(self.seconds, 1),
            "injected": {kind: self.injected[kind] for kind in KINDS},
            "faults": sum(self.injected.values()),
            "recoverySecondsP50": _quantile(self.recoveries, 50),
            "recoverySecondsP99": _quantile(self.recoveries, 99),
            "recoverySecondsMax": _quantile(self.recoveries, 100),
            "orphanedSecondsP50": _quantile(self.orphaned, 50),
            "orphanedSecondsMax": _quantile(self.orphaned, 100),
            "takeovers": self.takeovers,
            "orders": self.orders,
            "holds": self.holds,
            "unknownOrders": self.unknown_orders,
            "failedSchedules": [outcome.schedule.seed for outcome in self.failed],
        }

    def as_text(self) -> str:
        figures = self.as_json()
        injected = figures.pop("injected")
        lines = [f"{name}: {value}" for name, value in figures.items()]
        lines += [f"  {kind}: {count}" for kind, count in injected.items()]
        lines.append(f"{self.schedules - len(self.failed)} passed, {len(self.failed)} failed")
        return "\n".join(lines)
