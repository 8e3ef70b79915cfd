"""Which stones are gone: missed by a complete full run, and confirmed by the supplier or by a second full run."""

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row, scalar_row
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts.protocol import Alert, Alerts, Severity
from diamond_opus.db.changes import announce_changes, record_changes
from diamond_opus.db.pool import patience
from diamond_opus.db.queries import load_queries
from diamond_opus.feeds.protocol import StoneSource
from diamond_opus.observability.logging import get_logger

QUERIES = load_queries("diamond_opus.consolidate", "removal.sql")

log = get_logger("consolidate")

Pool = AsyncConnectionPool[AsyncConnection[Any]]

#: Stones known to be there that each look-up asks for as well.
_WITNESSES = 3


async def remove_missing(
    pool: Pool,
    run_id: UUID,
    feed: str,
    source: StoneSource | None,
    alerts: Alerts,
    *,
    guard_share: float,
) -> int:
    """Freeze, guard, confirm, remove; returns how many stones were removed in this run.

    Repeatable: what was frozen stays frozen, what was decided stays decided. Without a source (no supplier account
    in this process) every candidate stays uncertain, and a second full run decides. To be done under a lease, which
    somebody else keeps.
    """
    with patience():
        async with pool.connection() as conn:
            await conn.execute(QUERIES["freeze_candidates"], {"run_id": run_id})
            await _guard(conn, run_id, feed, alerts, share=guard_share)
    return await remove_confirmed(pool, run_id, feed, source)


async def remove_confirmed(pool: Pool, run_id: UUID, feed: str, source: StoneSource | None) -> int:
    """Ask about every frozen candidate and remove what is gone; returns how many the run has removed so far."""
    for lab_grown in (False, True):
        while ids := await _next(
            pool, run_id, lab_grown, limit=source.page_limit - _WITNESSES if source else 1000
        ):
            await _confirm(pool, run_id, feed, source, ids, lab_grown=lab_grown)
    return await _remove(pool, run_id, feed)


async def _remove(pool: Pool, run_id: UUID, feed: str) -> int:
    async with pool.connection() as conn, conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
        await announce_changes(conn)
        with patience():
            await cursor.execute(QUERIES["remove_gone"], {"run_id": run_id})
        row = await cursor.fetchone() or {"removed_records": 0, "removed_ids": []}
        await record_changes(conn, feed, row["removed_ids"])
    return int(row["removed_records"])


async def _guard(
    conn: AsyncConnection[Any], run_id: UUID, feed: str, alerts: Alerts, *, share: float
) -> None:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            QUERIES["guard_candidates"], {"run_id": run_id, "feed": feed, "share": str(share)}
        )
        tripped = await cursor.fetchall()
    for row in tripped:
        kind = "lab-grown" if row["lab_grown"] else "natural"
        await alerts.raise_alert(
            Alert(
                severity=Severity.ERROR,
                event="removal_guarded",
                title=f"{row['missing']} {kind} stones of {feed} are missing; none was removed",
                text=f"That is more than {share:.0%} of the {row['active']} on sale, and the run is complete without "
                "their removal.",
                run_id=str(run_id),
                subject=f"{run_id}:{kind}",
                stones=row["missing"],
                cause="The filter or the account was changed, or the supplier really withdrew them.",
                action=f"If they are really gone: diamond accept-removals {run_id}",
                page=f"/runs/{run_id}",
                fields={"missing": row["missing"], "active": row["active"]},
            )
        )


async def _next(pool: Pool, run_id: UUID, lab_grown: bool, *, limit: int) -> list[str]:
    async with pool.connection() as conn, conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            QUERIES["next_candidates"], {"run_id": run_id, "lab_grown": lab_grown, "limit": limit}
        )
        return await cursor.fetchall()


async def _confirm(
    pool: Pool, run_id: UUID, feed: str, source: StoneSource | None, ids: list[str], *, lab_grown: bool
) -> None:
    """Ask the supplier about these very stones and write down the answer."""
    present: list[str] = []
    uncertain: list[str] = ids
    if source is not None:
        present, uncertain = await _look_up(pool, run_id, feed, source, ids, lab_grown=lab_grown)
    async with pool.connection() as conn, conn.transaction():
        await conn.execute(
            QUERIES["decide_candidates"],
            {"run_id": run_id, "asked": ids, "present": present, "uncertain": uncertain},
        )
        await conn.execute(QUERIES["see_again"], {"run_id": run_id, "feed": feed, "present": present})
    log.info(
        "candidates_confirmed", run_id=run_id, asked=len(ids), present=len(present), uncertain=len(uncertain)
    )


async def _look_up(
    pool: Pool, run_id: UUID, feed: str, source: StoneSource, ids: list[str], *, lab_grown: bool
) -> tuple[list[str], list[str]]:
    """Which of ``ids`` the supplier shows, and which stay uncertain.

    Stones that were read since the run began are asked for among them: an answer without any of these witnesses proves
    nothing about the others, for the look-up itself may have failed (a filter not honoured, ids in another form).
    """
    async with pool.connection() as conn, conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            QUERIES["witnesses"],
            {"run_id": run_id, "feed": feed, "lab_grown": lab_grown, "limit": _WITNESSES},
        )
        witnesses: set[str] = set(await cursor.fetchall())
    presence = await source.look_up([*ids, *witnesses], lab_grown=lab_grown)
    shown = {item.supplier_stone_id for item in presence.found}
    # One that the supplier counts but does not show is unreadable, not gone.
    present = [stone_id for stone_id in ids if stone_id in shown or stone_id in presence.uncertain_ids]
    if witnesses and not witnesses & shown:
        log.warning("look_up_without_witness", run_id=run_id, asked=len(ids))
        return present, [stone_id for stone_id in ids if stone_id not in present]
    return present, []
