"""Wake-ups: what is due in the database, as the messages that say so. Sending one is never vital."""

from collections.abc import Sequence

import psycopg

from diamond_opus.domain.errors import DiamondError
from diamond_opus.observability.logging import get_logger
from diamond_opus.queue.messages import Consolidate, WorkItem
from diamond_opus.queue.protocol import Message, Queue
from diamond_opus.runs.model import DuePartition, DueRun

log = get_logger("wakeups")


def work_item(due: DuePartition) -> Message:
    """The message id carries the wake number, so duplicate detection never swallows a deliberate re-send."""
    return WorkItem(
        run_id=due.run_id,
        trace_id=due.trace_id,
        feed=due.feed,
        partition_id=due.partition_id,
        lab_grown=due.lab_grown,
        min_price=due.price_from,
        max_price=due.price_to,
        total_records=due.expected_records,
        updated_from=due.updated_from,
        updated_to=due.updated_to,
    ).to_message(wakes=due.wakes)


def consolidation(due: DueRun) -> Message:
    return Consolidate(run_id=due.run_id, trace_id=due.trace_id, feed=due.feed, force=due.forced).to_message(
        wakes=due.wakes
    )


async def wake_partitions(queue: Queue, partitions: Sequence[DuePartition]) -> None:
    await send(queue, [work_item(due) for due in partitions])


async def wake_runs(queue: Queue, due_runs: Sequence[DueRun]) -> None:
    await send(queue, [consolidation(due) for due in due_runs])


async def send(queue: Queue, messages: Sequence[Message], *, delay_seconds: float = 0) -> None:
    """A wake-up that cannot be sent is logged, not raised: the row stays due and the sweeper sends it again."""
    if not messages:
        return
    try:
        await queue.send(messages, delay_seconds=delay_seconds)
    except (DiamondError, psycopg.Error) as error:
        log.warning("wake_up_not_sent", queue=queue.name, messages=len(messages), reason=str(error))
