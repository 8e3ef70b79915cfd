"""What each timeline leaves when nobody disturbs it: worked out once by the same pipeline, one process, no faults."""

import asyncio
import os
import pickle
from dataclasses import replace
from pathlib import Path

from diamond_opus.cli.drive import drive
from diamond_opus.cli.follow import SilentView
from diamond_opus.runs.model import RunState, RunType
from diamond_opus.settings import load_settings
from diamond_opus.wiring import NIVODA, open_pipeline
from faults import oracle
from faults.ground import Ground
from faults.oracle import Expected
from faults.settings import settings_of
from faults.timeline import Supplier, Timeline


class QuietHistories:
    """Expectations by timeline, made when they are first asked for.

    Jobs that have a folder in common spare each other the work; only the database to begin in is each ground's own.
    """

    def __init__(self, ground: Ground, shared: Path | None = None) -> None:
        self._ground = ground
        self._shared = shared
        self._known: dict[int, Expected] = {}
        self._loaded: str | None = None

    async def of(self, timeline: Timeline) -> Expected:
        if timeline.number not in self._known:
            template = await self._load(timeline) if timeline.is_loaded else "blank"
            known = self._read_shared(timeline)
            if known is None:
                known = await self._live(timeline, template)
                self._share(timeline, known)
            self._known[timeline.number] = replace(known, template=template)
        return self._known[timeline.number]

    def _read_shared(self, timeline: Timeline) -> Expected | None:
        path = self._path(timeline)
        if path is None or not path.exists():
            return None
        known: Expected = pickle.loads(path.read_bytes())  # noqa: S301 - another job of this call wrote it
        return known

    def _share(self, timeline: Timeline, known: Expected) -> None:
        path = self._path(timeline)
        if path is not None:
            being_written = path.with_suffix(f".{os.getpid()}")
            being_written.write_bytes(pickle.dumps(known))
            being_written.rename(path)

    def _path(self, timeline: Timeline) -> Path | None:
        return self._shared / f"timeline-{timeline.number}" if self._shared else None

    async def _load(self, timeline: Timeline) -> str:
        """The database in which the inventory was read once: the same for every timeline that begins so."""
        if self._loaded is None:
            template = await asyncio.to_thread(self._ground.create)
            async with Supplier(timeline) as supplier:
                await _read(supplier, self._ground.url(template), RunType.FULL)
            self._loaded = template
        return self._loaded

    async def _live(self, timeline: Timeline, template: str) -> Expected:
        async with Supplier(timeline) as supplier:
            database = await asyncio.to_thread(self._ground.create, template)
            url = self._ground.url(database)
            supplier.move_before_first()
            first = await _read(supplier, url, timeline.first)
            supplier.move_between()
            second = await _read(supplier, url, RunType.INCREMENTAL)
            assert not oracle.leftovers(url), oracle.leftovers(url)
            content, figures = oracle.read_content(url), oracle.read_figures(url)
            await asyncio.to_thread(self._ground.drop, database)
            return Expected(content, *oracle.present_stones(supplier), (first, second), figures, template)


async def _read(supplier: Supplier, url: str, run_type: RunType) -> int:
    """A whole run; returns how many requests it took. With the product's own patience: a busy machine is no fault."""
    before = supplier.requests
    settings = load_settings(**settings_of(supplier.port, as_shipped=True))
    async with open_pipeline(
        settings, url, service="quiet", own_queues=True, least_connections=6, unlimited=True
    ) as pipeline:
        run = await drive(pipeline, NIVODA, run_type, SilentView(), asyncio.Event())
    assert run.state is RunState.COMPLETED, run
    return supplier.requests - before
