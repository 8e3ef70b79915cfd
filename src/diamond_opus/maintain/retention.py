"""How long what nobody needs any more is kept, and where that time begins when it is now."""

from dataclasses import dataclass
from datetime import datetime, timedelta

#: Every running process has followed a change of the catalogue long before; one that has not reads everything anew.
CHANGES_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What is older than these moments goes; ``now`` is for what carries its own end."""

    now: datetime
    raw: datetime
    deleted_stones: datetime
    runs: datetime
    density: datetime
    error_logs: datetime
    audit: datetime
    incidents: datetime
    dead_letters: datetime
    changes: datetime


@dataclass(frozen=True, slots=True)
class Retention:
    """Days, as the settings have them."""

    raw_days: int = 90
    deleted_stone_days: int = 365
    run_days: int = 90
    density_days: int = 90
    error_log_days: int = 30
    audit_days: int = 730
    incident_days: int = 180
    dead_letter_days: int = 30

    def cutoffs(self, now: datetime) -> Cutoffs:
        def ago(days: int) -> datetime:
            return now - timedelta(days=days)

        return Cutoffs(
            now=now,
            raw=ago(self.raw_days),
            deleted_stones=ago(self.deleted_stone_days),
            runs=ago(self.run_days),
            density=ago(self.density_days),
            error_logs=ago(self.error_log_days),
            audit=ago(self.audit_days),
            incidents=ago(self.incident_days),
            dead_letters=ago(self.dead_letter_days),
            changes=now - CHANGES_KEPT,
        )
