"""One batch, one transaction: claim pending raw rows, map, price, merge into ``diamonds``, mark done, commit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.abc import QueryNoTemplate
from psycopg.rows import scalar_row

from diamond_opus.consolidate.claim import Claimed, claim
from diamond_opus.consolidate.rows import COLUMNS, CONTENT, Sources, as_copy, columns_of, pick
from diamond_opus.db.changes import record_packed_changes
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.errors import Warned
from diamond_opus.domain.stone import Stone
from diamond_opus.feeds.protocol import Rejected, StoneMapper
from diamond_opus.observability.metrics import rejection_reason
from diamond_opus.pricing import PricingEngine
from diamond_opus.pricing.matching import PricedColumns, UnpriceableStone

QUERIES = load_queries("diamond_opus.consolidate")

_NAMES = sql.SQL(", ").join(sql.Identifier(name) for name in COLUMNS)
_MERGE = sql.SQL(QUERIES["merge_staging"]).format(
    columns=_NAMES,
    current=sql.SQL(", ").join(sql.Identifier("d", name) for name in CONTENT),
    staged=sql.SQL(", ").join(sql.Identifier("s", name) for name in COLUMNS),
    staged_content=sql.SQL(", ").join(sql.Identifier("s", name) for name in CONTENT),
)


@dataclass(slots=True)
class Mapped:
    """What became of a batch's payloads; ``positions`` are those of the accepted stones in the claim."""

    accepted: list[Stone] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    rejected: list[tuple[str, Rejected]] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """``last_id`` is where the next batch of the pass begins; None when nothing was claimed.

    ``payload_bytes`` is what the claimed payloads were together, ``reasons`` how many were rejected by category, and
    ``by_rule`` how many were priced by a rule that is not made for every stone, out of ``priced``.
    """

    processed: int
    rejected: int
    last_id: str | None
    payload_bytes: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    priced: int = 0
    by_rule: int = 0


async def consolidate_batch(
    conn: AsyncConnection[Any],
    run_id: UUID,
    feed: str,
    mapper: StoneMapper,
    *,
    after: str = "",
    limit: int,
    only: Sequence[str] | None = None,
    quarantine: str | None = None,
) -> BatchOutcome:
    """Consolidate up to ``limit`` pending stones with ids beyond ``after`` (or just ``only`` those).

    Must run in a transaction. ``quarantine`` rejects every stone of the batch for that reason instead: the last
    resort for one that the database does not take.
    """
    await conn.execute(QUERIES["begin_batch"])
    claimed = await claim(conn, feed, after=after, limit=limit, only=only)
    if claimed is None:
        return BatchOutcome(0, 0, None)
    changed: list[bytes] = []
    by_rule = 0
    if quarantine is None:
        mapped = _map(claimed, mapper)
        priced = await _price(conn, feed, mapped)
        by_rule = priced.count_by_rule()
        changed += await _write(conn, feed, claimed, mapped, priced)
    else:
        refused = Rejected("$", quarantine)
        mapped = Mapped(rejected=[(stone_id, refused) for stone_id in claimed.stone_ids])
    changed += await _reject(conn, run_id, feed, mapped)
    await _resolve(conn, feed, claimed.stone_ids, {stone.supplier_stone_id for stone in mapped.accepted})
    if mapped.warnings:
        await conn.execute(QUERIES["count_warnings"], {"run_id": run_id, **_tally(mapped.warnings)})
    await record_packed_changes(conn, feed, b"".join(changed))
    await conn.execute(
        QUERIES["count_batch"],
        {"run_id": run_id, "processed": len(claimed), "rejected": len(mapped.rejected)},
    )
    return BatchOutcome(
        processed=len(claimed),
        rejected=len(mapped.rejected),
        last_id=max(claimed.stone_ids),
        payload_bytes=sum(map(len, claimed.payloads)),
        reasons=Counter(rejection_reason(why.json_path) for _, why in mapped.rejected),
        priced=len(mapped.accepted),
        by_rule=by_rule,
    )


def _map(claimed: Claimed, mapper: StoneMapper) -> Mapped:
    mapped = Mapped()
    for position, raw in enumerate(claimed.raws()):
        stone = mapper.map_stone(raw, mapped.warnings)
        if isinstance(stone, Stone):
            mapped.accepted.append(stone)
            mapped.positions.append(position)
        else:
            mapped.rejected.append((raw.supplier_stone_id, stone))
    return mapped


async def _price(conn: AsyncConnection[Any], feed: str, mapped: Mapped) -> PricedColumns:
    """Price the accepted stones by the rules as they are now; what has no price is rejected. Raises InvalidRule."""
    engine = PricingEngine()
    await engine.load_rules(conn)
    try:
        return _price_columns(engine, feed, mapped.accepted)
    except UnpriceableStone as error:
        bad = set(error.positions)
        mapped.rejected += [
            (mapped.accepted[at].supplier_stone_id, Rejected("$.price", str(error))) for at in sorted(bad)
        ]
        good = [at for at in range(len(mapped.accepted)) if at not in bad]
        mapped.accepted = [mapped.accepted[at] for at in good]
        mapped.positions = [mapped.positions[at] for at in good]
        return _price_columns(engine, feed, mapped.accepted)


def _price_columns(engine: PricingEngine, feed: str, stones: Sequence[Stone]) -> PricedColumns:
    return engine.price_columns(
        feed,
        [stone.carats_hundredths for stone in stones],
        [stone.shape for stone in stones],
        [stone.lab_grown for stone in stones],
        [stone.feed_price_cents for stone in stones],
        stone_ids=[stone.supplier_stone_id for stone in stones],
    )


async def _write(
    conn: AsyncConnection[Any], feed: str, claimed: Claimed, mapped: Mapped, priced: PricedColumns
) -> list[bytes]:
    """New stones go straight into the table, known ones through a staging table and one merge.

    Returns the ids of those that are new or changed. A stone is new when its diamond was missing at the claim, and
    nobody else can make it: its raw row is locked.
    """
    sources = (claimed.ids, claimed.raw_hashes, claimed.last_seen_at, claimed.is_known)
    ids, raw_hashes, last_seen_at, is_known = pick(sources, mapped.positions)
    columns = columns_of(feed, mapped.accepted, Sources(ids, raw_hashes, last_seen_at), priced)
    new = [at for at, is_there in enumerate(is_known) if not is_there]
    known = [at for at, is_there in enumerate(is_known) if is_there]
    changed = [ids[at] for at in new]
    if new:
        chosen = columns if not known else pick(columns, new)
        await _copy(conn, sql.SQL(QUERIES["copy_new"]).format(columns=_NAMES), chosen)
    if known:
        chosen = columns if not new else pick(columns, known)
        await conn.execute(QUERIES["create_staging"])
        await conn.execute(QUERIES["relax_staging"])
        await _copy(conn, sql.SQL(QUERIES["copy_staging"]).format(columns=_NAMES), chosen)
        changed += await _changed_by(conn, _MERGE)
        await conn.execute("DROP TABLE staging")
    return changed


async def _copy(
    conn: AsyncConnection[Any], statement: sql.Composed, columns: Sequence[Sequence[Any]]
) -> None:
    async with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in as_copy(columns):
            await copy.write(piece)


async def _reject(conn: AsyncConnection[Any], run_id: UUID, feed: str, mapped: Mapped) -> list[bytes]:
    """Quarantine; the ids of diamonds that are therefore no longer on sale."""
    if not mapped.rejected:
        return []
    values = {
        "feed": feed,
        "run_id": run_id,
        "ids": [stone_id for stone_id, _ in mapped.rejected],
        "reasons": [why.reason for _, why in mapped.rejected],
        "paths": [why.json_path for _, why in mapped.rejected],
    }
    return await _changed_by(conn, QUERIES["reject"], values)


async def _changed_by(
    conn: AsyncConnection[Any], statement: QueryNoTemplate, values: Mapping[str, Any] | None = None
) -> list[bytes]:
    """The ids that the statement returns."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(statement, values)
        return [changed.bytes for changed in await cursor.fetchall()]


async def _resolve(conn: AsyncConnection[Any], feed: str, ids: Sequence[str], accepted: set[str]) -> None:
    """Stones that were in quarantine and are accepted now leave it."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(QUERIES["open_rejections"], {"feed": feed, "first": min(ids), "last": max(ids)})
        resolved = [stone_id for stone_id in await cursor.fetchall() if stone_id in accepted]
    if resolved:
        await conn.execute(QUERIES["resolve_rejected"], {"feed": feed, "ids": resolved})


def _tally(warnings: Sequence[Warned]) -> Mapping[str, Any]:
    counts = Counter((warning.json_path, warning.reason) for warning in warnings)
    examples = {(warning.json_path, warning.reason): warning.example for warning in warnings}
    return {
        "paths": [path for path, _ in counts],
        "reasons": [reason for _, reason in counts],
        "occurrences": list(counts.values()),
        "examples": [examples[key][:200] for key in counts],
    }
