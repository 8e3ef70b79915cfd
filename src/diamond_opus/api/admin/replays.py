"""What was set aside is tried again: stones in quarantine, messages nobody could handle."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from diamond_opus.api.admin.watermark import read_feed
from diamond_opus.api.answers import answer_json
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.operators import Operator
from diamond_opus.api.query_string import refuse_parameters
from diamond_opus.api.schemas import One
from diamond_opus.api.schemas_triggers import (
    LettersReplayed,
    RejectedReplayed,
    ReplayLettersBody,
    ReplayRejectedBody,
)
from diamond_opus.catalog.parameters import InvalidParameters, Problem
from diamond_opus.consolidate.replay import replay_rejected
from diamond_opus.db.audit import record_act
from diamond_opus.queue.protocol import CONSOLIDATE, Queue
from diamond_opus.runs import store
from diamond_opus.runs.model import RunState
from diamond_opus.wakeups import wake_runs

router = APIRouter(prefix="/triggers", tags=["triggers"], route_class=GuardedRoute)

MOST_LETTERS = 1_000


@router.post(
    "/replay-rejected",
    status_code=202,
    summary="Map stones in quarantine anew",
    responses={202: {"model": One[RejectedReplayed]}},
)
async def replay_rejected_stones(
    request: Request, caller: Operator, dependencies: Dependencies, body: ReplayRejectedBody
) -> Response:
    """Those of `ids`, of `reason`, or of both at once. An active run takes them along; without one, a run is made for
    them that reads nothing and leaves the watermark where it is.
    """
    refuse_parameters(request)
    if body.ids is None and body.reason is None:
        raise InvalidParameters([Problem("ids", None, "name stones by ids, or a reason")])
    feed = read_feed(body.feed)
    async with dependencies.unit_of_work() as conn:
        replay = await replay_rejected(
            conn,
            feed,
            ids=body.ids,
            reason=body.reason,
            actor=caller.id,
            time_limit_seconds=dependencies.pipeline.settings.run_timeout_seconds,
        )
        consolidates_now = replay.run_state in (RunState.INGESTED, RunState.CONSOLIDATING)
        due = [await store.take_run(conn, replay.run_id)] if consolidates_now else []
    await wake_runs(dependencies.pipeline.queues[CONSOLIDATE], due)
    when = "now" if consolidates_now else "when its reading is done"
    content = {
        "message": f"{replay.stones} stones are mapped anew by run {replay.run_id}, {when}",
        "feed": feed,
        "stones": replay.stones,
        "runId": replay.run_id,
        "runState": replay.run_state,
        "isNew": replay.is_new,
    }
    return answer_json({"data": content}, status=202)


@router.post(
    "/replay-dead-letters",
    summary="Send messages again that nobody could handle",
    responses={200: {"model": One[LettersReplayed]}},
)
async def replay_dead_letters(
    request: Request, caller: Operator, dependencies: Dependencies, body: ReplayLettersBody
) -> Response:
    """Those of `ids`, or the oldest 1,000 of the queue. A message is only a wake-up, so a replay is always harmless."""
    refuse_parameters(request)
    queue = dependencies.pipeline.queues[body.queue]
    ids = (
        body.ids if body.ids is not None else [letter.id for letter in await queue.dead_letters(MOST_LETTERS)]
    )
    async with dependencies.unit_of_work() as conn:
        await record_act(
            conn,
            actor=caller.id,
            action="dead_letters.replay",
            subject=body.queue,
            details={"messages": len(ids), "ids": list(ids[:100])},
        )
    missing = await _replay(queue, ids)
    replayed = len(set(ids)) - len(missing)
    content = {
        "message": f"{replayed} messages are queued again",
        "queue": body.queue,
        "replayed": replayed,
        "missing": missing,
    }
    return answer_json({"data": content})


async def _replay(queue: Queue, ids: Sequence[str]) -> list[str]:
    """Returns those that were not there."""
    return [letter_id for letter_id in dict.fromkeys(ids) if not await queue.replay(letter_id)]
