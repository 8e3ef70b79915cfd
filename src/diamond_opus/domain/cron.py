"""When a cron expression calls, and whether its last call was followed."""

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


def due(now: datetime, cron: str, last_started_at: datetime | None) -> bool:
    """Whether the last call has had no start since; nothing ever started is due at once.

    What is never called is never due: a way to switch it off.

    >>> from datetime import UTC
    >>> three = datetime(2026, 1, 2, 3, tzinfo=UTC)
    >>> due(three, "0 2 * * *", three.replace(hour=1)), due(three, "0 2 * * *", three.replace(hour=2))
    (True, False)
    """
    called_at = last_call(cron, now)
    return called_at is not None and (last_started_at is None or last_started_at < called_at)
