"""Every kind of trouble that is found by looking: how bad it is, and what a person is told about it.

Those that are told where they arise (a run that failed, an order whose answer was lost) are written there. Each has a
page in docs/runbook.md, whose heading is the event's name; a test holds both lists together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diamond_opus.alerts.protocol import Alert, Severity

#: Told where they arise, and over when the database says so (conditions.sql, still_so).
RAISED = (
    "planning_failed",
    "consolidation_skipped",
    "consolidation_failed",
    "run_partial",
    "run_timed_out",
    "removal_guarded",
    "watermark_ahead",
    "empty_inventory",
    "order_unknown",
    "hold_unknown",
    "database_full",
    "database_unavailable",
    "test",
)

#: No row tells that these are over.
SETTLED_BY_PEOPLE = ("order_contradicted",)


@dataclass(frozen=True, slots=True)
class Event:
    """The texts are templates over the columns of the query that finds it."""

    name: str
    severity: Severity
    title: str
    text: str
    cause: str
    action: str
    page: str = ""

    def alert(self, row: Mapping[str, Any]) -> Alert:
        run_id = row.get("run_id")
        return Alert(
            self.severity,
            self.name,
            self.title.format_map(row),
            self.text.format_map(row),
            run_id=str(run_id) if run_id else None,
            subject=row["subject"],
            since=row["since"],
            stones=row.get("stones"),
            cause=self.cause.format_map(row),
            action=self.action.format_map(row),
            page=self.page.format_map(row),
        )


FOUND = (
    Event(
        "run_late",
        Severity.ERROR,
        "No run of {subject} was completed in its time",
        "The clock called for one at {called_at:%Y-%m-%d %H:%M} UTC; none was completed since {since:%Y-%m-%d %H:%M} "
        "UTC. Shops see the inventory as it was then.",
        "A run is still at work, failed, or was never started: no process plans runs, or the supplier is away.",
        "diamond status",
        "/runs",
    ),
    Event(
        "full_run_late",
        Severity.WARNING,
        "No full run of {subject} was completed in its time",
        "The clock called for one at {called_at:%Y-%m-%d %H:%M} UTC; none was completed since {since:%Y-%m-%d %H:%M} "
        "UTC. Stones that the supplier has withdrawn since are still on sale: only a full run finds them.",
        "The full run is still at work, failed, was refused while another was active, or nothing plans it.",
        "diamond schedule --type full",
        "/runs",
    ),
    Event(
        "partition_failed",
        Severity.WARNING,
        "{partitions} ranges of run {run_id} failed for good",
        "They wait for a person; about {stones} stones of {feed} are unread. {examples}",
        "The supplier refuses or breaks off these very pages, again and again.",
        "{remedy}",
        "/runs/{run_id}",
    ),
    Event(
        "rejected_share",
        Severity.WARNING,
        "{percent} % of the stones of {feed} are rejected",
        "{stones} of {seen} stones could not be used and are not on sale. What was rejected is kept.",
        "The supplier sends a field in a new form, or a rule prices nothing.",
        "Look at the reasons; when they are mended: Replay on the page of rejected stones",
        "/rejected",
    ),
    Event(
        "supplier_unavailable",
        Severity.WARNING,
        "{feed} answers nobody",
        "{reason}. Runs wait for it and go on by themselves.",
        "The supplier is down, or this machine cannot reach it.",
        "diamond doctor",
    ),
    Event(
        "supplier_refuses",
        Severity.ERROR,
        "{feed} refuses us",
        "{reason}. Everything that asks it is slowed down, holds and orders included.",
        "Too many requests for the account, or its gateway takes this machine for an attacker.",
        "Lower NIVODA_MAX_REQUESTS_PER_SECOND; if that does not help, speak to the supplier: diamond doctor",
    ),
    Event(
        "supplier_login_failed",
        Severity.CRITICAL,
        "{feed} does not let us log in",
        "{reason}. Nothing can be read, held or ordered.",
        "The password was changed, or the account is closed.",
        "Set NIVODA_USERNAME and NIVODA_PASSWORD, start the processes anew, then: diamond doctor",
    ),
    Event(
        "budget_exhausted",
        Severity.WARNING,
        "Requests to the supplier wait for {wait_seconds} s; {rate} a second are allowed",
        "The request budget of {account} adapts to what the supplier bears, and is as low as it gets.",
        "The supplier throttles us, or answers more and more slowly; or NIVODA_MAX_REQUESTS_PER_SECOND is too low.",
        "diamond status",
    ),
    Event(
        "dead_letters",
        Severity.WARNING,
        "{letters} messages of {subject} were set aside",
        "Nobody could handle them. The oldest says: {reason}. Messages only wake; the sweeper wakes again what is due.",
        "A release that cannot read the messages of another, or a process that dies over and over.",
        "Look at them and replay them: POST /api/v2/triggers/replay-dead-letters",
        "/dead-letters",
    ),
    Event(
        "watermark_stuck",
        Severity.ERROR,
        "The watermark of {feed} does not move",
        "Run {run_id} read up to {updated_to:%Y-%m-%d %H:%M} UTC and was completed, and the watermark is at "
        "{watermark_at}. Each run reads again what is behind it.",
        "A person set it back, or the clock of the database's server was changed.",
        "Look at the audit log, and at the clocks: diamond doctor",
        "/consolidation",
    ),
    Event(
        "database_nearly_full",
        Severity.ERROR,
        "The database has little room left",
        "{used_gb:.1f} GB are used of {limit_gb:.1f}. When none is left, nothing can be read or sold.",
        "The inventory has grown, or housekeeping was not done.",
        "diamond maintain; or give it more room",
    ),
    Event(
        "backup_overdue",
        Severity.ERROR,
        "There is no backup younger than BACKUP_MAX_AGE_HOURS",
        "None was made since {since:%Y-%m-%d %H:%M} UTC.",
        "The job that makes it does not run, or fails.",
        "diamond backup FILE",
    ),
    Event(
        "maintenance_overdue",
        Severity.WARNING,
        "Housekeeping was not done in its time: {tasks}",
        "Not since {since:%Y-%m-%d %H:%M} UTC. What nobody needs any more is kept, and grows. {reason}",
        "No process that does it by MAINTAIN_CRON has run, or it fails.",
        "diamond maintain",
    ),
)
