"""One run in one process: plan it or find the unfinished one, read, consolidate, until it is over."""

import asyncio
from uuid import UUID

from diamond_opus.cli.follow import View, follow
from diamond_opus.runs import leases, store
from diamond_opus.runs.model import Run, RunType
from diamond_opus.wiring import Pipeline

#: How soon this process looks again for what is due; its wake-ups never leave it.
_SWEEP_SECONDS = 5


async def plan(
    pipeline: Pipeline, feed: str, run_type: RunType | None, view: View, *, run_id: UUID | None = None
) -> Run:
    """Plan a new run and wake its workers. Raises RunRefused while the feed has an active one."""
    run_id = await pipeline.plan_run(feed, run_type, on_count=view.counting, run_id=run_id)
    async with pipeline.pool.connection() as conn:
        return await store.get_run(conn, run_id)


async def drive(
    pipeline: Pipeline, feed: str, run_type: RunType | None, view: View, stop: asyncio.Event
) -> Run:
    """A whole run; one that another process left unfinished is finished instead of a new one.

    Returns it as it is at the end, or when ``stop`` is set.
    """
    async with pipeline.pool.connection() as conn:
        run = await store.find_active_run(conn, feed)
        if run is not None:
            view.resuming(run, *await leases.leases_held(conn, run.run_id))
    if run is None:
        run = await plan(pipeline, feed, run_type, view)
    done = asyncio.Event()
    parts = [
        asyncio.create_task(pipeline.consume_work(done)),
        asyncio.create_task(pipeline.consume_consolidation(done)),
        asyncio.create_task(pipeline.sweeper(feed=feed, alone=True, seconds=_SWEEP_SECONDS).run(done)),
        asyncio.create_task(pipeline.deliverer().run(done)),
    ]
    # Ended by its event: a cancelled wait for a pooled connection may go on all the same.
    following = asyncio.create_task(follow(pipeline.pool, run.run_id, view, done))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((following, stopping, *parts), return_when=asyncio.FIRST_COMPLETED)
        for part in parts:
            if part.done():
                part.result()  # a part that ends before its time has failed
    finally:
        done.set()
        stopping.cancel()
        if stop.is_set():
            # Somebody waits for the end: what is being read is given back now, not after the consumers' grace.
            for part in parts:
                part.cancel()
        await asyncio.gather(*parts, following, return_exceptions=True)
    return following.result()
