"""When a cron expression calls."""

from datetime import datetime, timedelta

from croniter import CroniterBadDateError, croniter


def last_call(cron: str, at: datetime) -> datetime | None:
    """The newest moment up to ``at`` that ``cron`` names; None when it names none at all, such as ``0 0 31 2 *``.

    >>> from datetime import UTC
    >>> last_call("0 2 * * *", datetime(2026, 1, 2, 2, tzinfo=UTC)).isoformat()
    '2026-01-02T02:00:00+00:00'
    """
    # get_prev() leaves out the very moment it starts from.
    after = at.replace(microsecond=0) + timedelta(seconds=1)
    try:
        called_at: datetime = croniter(cron, after).get_prev(datetime)
    except CroniterBadDateError:
        return None
    return called_at
