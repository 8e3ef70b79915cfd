"""Reads one partition: cuts it into ranges shallow enough to read, reads each, and commits data with progress."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from diamond_opus.domain.clock import Clock
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import StoneSource
from diamond_opus.ingest.allowance import Allowance
from diamond_opus.ingest.read_range import Batch, RangeReader, ReadingSettings, Unsettled
from diamond_opus.ingest.walk import TooDeep
from diamond_opus.observability.logging import get_logger
from diamond_opus.partitioning.reading import Dimension, ReadDeep, children_cover, split_for_reading
from diamond_opus.runs.model import ClaimedPartition, Progress

log = get_logger("ingest")

#: Stores a batch and the progress it stands for in one transaction, fenced by the partition's lease.
Commit = Callable[[Selection, Batch, Progress], Awaitable[None]]


class PartitionReader:
    """Works through a partition's ranges, cheapest first, and remembers what is left in the cursor.

    The cursor holds the ranges still to be read; the one being read is among them until its end is committed, so a
    new holder repeats at most that range, at most ``ReadingSettings.range_limit`` stones.
    """

    def __init__(
        self,
        source: StoneSource,
        claimed: ClaimedPartition,
        settings: ReadingSettings,
        *,
        clock: Clock,
        commit: Commit,
    ) -> None:
        self._source = source
        self._claimed = claimed
        self._settings = settings
        self._clock = clock
        self._commit = commit
        self._claimed_at = clock.monotonic()
        self._todo = _decode_cursor(claimed)
        self._ids: set[str] = set()
        self._roots = len(self._todo)  # how many of them this attempt began with
        self._allowance = Allowance(source)

    async def read(self) -> None:
        """Read what the cursor says is left. Raises what the source or the commit raises."""
        while self._todo:
            selection = self._todo.pop()
            count = await self._source.count(selection)
            if len(self._todo) < self._roots:
                self._roots = len(self._todo)
                self._allowance.begin(selection, count)
            if count <= self._settings.range_limit:
                await self._read_range(selection)
            else:
                await self._split(selection, count, limit=self._settings.range_limit)

    async def _split_into_pages(self, selection: Selection, reason: str) -> None:
        """Aim for parts of one page each: no order can hide a stone of those."""
        count = await self._source.count(selection)
        limit = self._source.page_limit - self._settings.overlap
        if count <= limit:
            self._todo.append(selection)
            return
        log.warning("range_unsettled", partition_id=self._claimed.partition_id, reason=reason)
        await self._split(selection, count, limit=limit)

    async def _split(self, selection: Selection, count: int, *, limit: int) -> None:
        """Put the parts of a range that is too big on the pile; what nothing can split is read deep.

        Parts by price cover the range by themselves. Others must prove by fresh counts that they do: a filter by
        shape would hide a stone whose shape the supplier's list lacks.
        """
        failed: Dimension | None = None
        while True:
            split = split_for_reading(
                selection,
                count,
                limit,
                shapes=self._source.shapes,
                colors=self._source.colors,
                after=failed,
            )
            if isinstance(split, ReadDeep):
                await self._read_range(selection, deep=split.reason)
                return
            if split.dimension is Dimension.PRICE or await self._cover(selection, count, split.children):
                self._todo.extend(reversed(split.children))
                return
            failed = split.dimension

    async def _cover(self, selection: Selection, count: int, children: Sequence[Selection]) -> bool:
        """Twice, if need be: a stone that left while they were counted must not look like a hidden one."""
        for _ in range(2):
            if children_cover(count, [await self._source.count(child) for child in children]):
                return True
            count = await self._source.count(selection)
        return False

    async def _read_range(self, selection: Selection, *, deep: str | None = None) -> None:
        pending = (*self._todo, selection)
        self._allowance.begin_range()

        async def store(batch: Batch) -> None:
            await self._commit(selection, batch, self._progress(batch, pending))

        reader = RangeReader(
            self._source,
            selection,
            self._settings,
            store=store,
            now=self._database_time,
            label=f"{self._claimed.run_id}:{self._claimed.partition_id}",
            allowance=self._allowance,
            deep=deep is not None,
        )
        try:
            outcome = await reader.read()
        except TooDeep:
            await store(reader.rest)
            await self._split(selection, self._settings.range_limit + 1, limit=self._settings.range_limit)
            return
        except Unsettled as unsettled:
            await store(reader.rest)
            await self._split_into_pages(selection, str(unsettled))
            return
        notes = [*outcome.notes, *([f"read past offset {self._settings.max_offset}: {deep}"] if deep else [])]
        distinct = len(outcome.ids - self._ids)
        self._ids |= outcome.ids
        await self._commit(
            selection,
            reader.rest,
            self._progress(
                reader.rest,
                tuple(self._todo),
                distinct=distinct,
                unreadable=outcome.unreadable,
                disputed=outcome.disputed,
                notes=tuple(notes),
            ),
        )

    def _progress(self, batch: Batch, todo: Sequence[Selection], **outcome: Any) -> Progress:
        return Progress(
            cursor={"ranges": [_encode(selection) for selection in todo]},
            fetched=batch.first_seen,
            pages=batch.pages,
            **outcome,
        )

    def _database_time(self) -> datetime:
        return self._claimed.database_time + timedelta(seconds=self._clock.monotonic() - self._claimed_at)


def _decode_cursor(claimed: ClaimedPartition) -> list[Selection]:
    """The ranges left, in reverse order of reading; a fresh partition has one, itself."""
    ranges = claimed.cursor.get("ranges")
    if ranges is None:
        return [
            Selection(
                lab_grown=claimed.lab_grown,
                price_from=claimed.price_from,
                price_to=claimed.price_to,
                updated_from=updated_from(claimed),
            )
        ]
    return [_decode(fields) for fields in ranges]


def updated_from(claimed: ClaimedPartition, *, overlap: timedelta = timedelta(minutes=15)) -> datetime | None:
    """From which change on stones are asked: the run's own start of window, or for a catch-up its planning time.

    The overlap covers what was changed at the supplier but not yet visible to its filter.
    """
    return claimed.updated_to - overlap if claimed.is_catch_up else claimed.updated_from


def _encode(selection: Selection) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(selection).items() if value is not None}
    if selection.updated_from is not None:
        fields["updated_from"] = selection.updated_from.isoformat()
    return fields


def _decode(fields: dict[str, Any]) -> Selection:
    values = dict(fields)
    if "updated_from" in values:
        values["updated_from"] = datetime.fromisoformat(values["updated_from"])
    for name in ("shapes", "colors"):
        if name in values:
            values[name] = tuple(values[name])
    return Selection(**values)
