"""What is going on now, as named states: whoever compares two looks knows what happened between them."""

from collections.abc import Mapping
from dataclasses import dataclass

from diamond_opus.analytics.consolidation import percent
from diamond_opus.analytics.rows import Answer, fetch_answers
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.runs.model import RunState

QUERIES = load_queries("diamond_opus.analytics", "progress.sql")

_CONSOLIDATION = ("consolidationProcessed", "consolidationErrors", "consolidationTotal")


@dataclass(frozen=True, slots=True)
class State:
    """``event`` is its kind: run, partition, consolidation or attention."""

    event: str
    data: Answer


async def look(conn: Connection) -> Mapping[str, State]:
    """Every state by a key that stays the same while its data changes."""
    states: dict[str, State] = {}
    for run in await fetch_answers(conn, QUERIES["runs_to_watch"]):
        processed, errors, total = (run.pop(name) for name in _CONSOLIDATION)
        states[f"run:{run['runId']}"] = State("run", run)
        if run["state"] == RunState.CONSOLIDATING or processed:
            states[f"consolidation:{run['runId']}"] = State(
                "consolidation",
                {
                    "runId": run["runId"],
                    "processed": processed,
                    "errors": errors,
                    "total": max(total, processed),
                    "progressPercent": percent(processed, max(total, processed)),
                },
            )
    for partition in await fetch_answers(conn, QUERIES["partitions_to_watch"]):
        key = f"partition:{partition['runId']}:{partition['partitionId']}"
        states[key] = State("partition", partition)
    [things] = await fetch_answers(conn, QUERIES["things_to_watch"])
    states["attention"] = State("attention", things)
    return states
