"""What a watermark store must give: one value per feed, moved by compare-and-set."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from diamond_opus.domain.errors import DiamondError, Retryable


class WatermarkConflict(DiamondError):
    """Somebody else moved the watermark since it was read; read it again and decide anew."""


class WatermarkUnavailable(Retryable):
    """The store answers nobody now: that says nothing about the run that met it, and is waited for."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """JSON as SPEC documents it: ``lastUpdatedAt``, ``lastRunId``, ``lastRunCompletedAt``.

    ``last_updated_at`` is the planning time of the newest run that was consolidated completely, never a completion
    time. ``version`` is the store's own mark for compare-and-set; equal versions mean equal content.
    """

    last_updated_at: datetime
    last_run_id: str | None
    last_run_completed_at: datetime | None
    version: str = ""


class WatermarkStore(Protocol):
    async def read(self, feed: str) -> Watermark | None:
        """The watermark, or None before the first complete run."""
        ...

    async def write(self, feed: str, watermark: Watermark, *, expected_version: str | None) -> Watermark:
        """Store it if the present one still has ``expected_version`` (None: if there is none yet).

        Returns it with its new version. Raises WatermarkConflict otherwise.
        """
        ...


#: Two processes end a run at the same time at most; whoever is refused so often is refused for another reason.
_MOST_CONFLICTS = 20


async def advance(
    store: WatermarkStore,
    feed: str,
    to: Watermark,
    *,
    read_from: datetime | None = None,
    instead_of: datetime | None = None,
) -> Watermark | None:
    """Move the watermark forward to ``to``; one that is already there or later stays as it is.

    ``read_from`` is the watermark on which the reading was built, None when everything was read: one that a person
    set back behind it, or took away, stays, for what lies between was not read. ``instead_of`` is one that was found
    to be wrong, and is replaced though it is later. Returns what is there at the end, None when there is none.

    Repeating it is harmless, and two processes doing it at once end with the later of the two.
    """
    for _ in range(_MOST_CONFLICTS):
        present = await store.read(feed)
        if present is not None and to.last_updated_at <= present.last_updated_at != instead_of:
            return present
        if read_from is not None and (present is None or present.last_updated_at < read_from):
            return present
        try:
            return await store.write(feed, to, expected_version=present.version if present else None)
        except WatermarkConflict:
            continue
    raise WatermarkUnavailable(
        f"watermark of {feed}: it changed {_MOST_CONFLICTS} times while it was to be moved"
    )
