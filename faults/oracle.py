"""Judges what a schedule left: the tables of a quiet run, nothing unfinished, nothing held, no order twice."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from diamond_opus.domain.stone import Stone
from diamond_opus.feeds.nivoda import NivodaMapper
from diamond_opus.feeds.protocol import RawStone
from faults.timeline import Supplier

#: What must be equal after any two histories of one supplier; times, ids of runs and what was asked are left out.
_CONTENT = {
    "raw_diamonds": """
        SELECT supplier_stone_id,
            jsonb_build_array(offer_id, payload_hash, asked_lab_grown, consolidated, removed_at IS NULL) AS content
        FROM raw_diamonds""",
    "diamonds": """
        SELECT supplier_stone_id,
            to_jsonb(d) - '{last_seen_at,created_at,updated_at,deleted_at,of_next_release}'::text[] AS content
        FROM diamonds AS d""",
    "rejected_diamonds": """
        SELECT supplier_stone_id, jsonb_build_array(reason, json_path) AS content
        FROM rejected_diamonds
        WHERE resolved_at IS NULL AND readable""",
}

UNTOLD_FAILURES = """
    SELECT run_id, error FROM run_metadata AS r
    WHERE state = 'failed' AND NOT EXISTS (
        SELECT FROM error_logs AS e
        WHERE e.context ->> 'alert' = r.failure AND e.context ->> 'runId' = r.run_id::text
    )"""

#: Everything that a schedule must not leave behind, each with its rows.
_LEFTOVERS = {
    "a violation": "SELECT what FROM faults.violations ORDER BY at LIMIT 5",
    "an active run": """
        SELECT run_id, state, error FROM run_metadata
        WHERE state IN ('planned', 'ingesting', 'ingested', 'consolidating')""",
    "a partition in somebody's hands": """
        SELECT partition_id, state, worker_id FROM partition_progress
        WHERE state = 'running' OR lease_token IS NOT NULL""",
    "a run that is being ended": "SELECT run_id FROM run_metadata WHERE finalise_token IS NOT NULL",
    "a stone not consolidated": """
        SELECT supplier_stone_id FROM raw_diamonds
        WHERE NOT consolidated AND fetched_at < (SELECT max(consolidation_started_at) FROM run_metadata)
        LIMIT 5""",
    "a diamond made from another answer": """
        SELECT w.supplier_stone_id FROM raw_diamonds AS w JOIN diamonds AS d USING (feed, supplier_stone_id)
        WHERE w.consolidated AND w.removed_at IS NULL AND d.raw_hash <> w.payload_hash
          AND NOT EXISTS (
              SELECT FROM rejected_diamonds AS r
              WHERE r.supplier_stone_id = w.supplier_stone_id AND r.resolved_at IS NULL
          )
        LIMIT 5""",
    "an attempt that did not end": """
        SELECT run_id, partition_id, attempt FROM worker_runs WHERE status = 'running'""",
    "figures that do not add up": """
        SELECT run_id, expected_workers, completed_workers, failed_workers FROM run_metadata AS r
        WHERE completed_workers <> (
            SELECT count(*) FROM partition_progress AS p WHERE p.run_id = r.run_id AND p.state = 'completed'
        ) OR failed_workers <> (
            SELECT count(*) FROM partition_progress AS p WHERE p.run_id = r.run_id AND p.state = 'failed'
        )""",
    "a lost answer that nobody was told of": """
        SELECT id, status FROM purchase_history AS p
        WHERE status = 'unknown' AND (reported_at IS NULL OR NOT EXISTS (
            SELECT FROM error_logs AS e
            WHERE e.context ->> 'alert' = 'order_unknown' AND e.context ->> 'orderId' = p.id::text
        ))""",
    "an order or a hold that nobody sends any more": """
        SELECT id, status FROM purchase_history WHERE status = 'sending'
        UNION ALL
        SELECT id, status FROM hold_history WHERE status = 'sending'""",
    "a stone on sale that is gone": """
        SELECT supplier_stone_id FROM raw_diamonds AS w JOIN diamonds AS d USING (feed, supplier_stone_id)
        WHERE w.removed_at IS NOT NULL AND d.status = 'active' AND d.availability = 'available'""",
    "a stone on sale that may be ordered": """
        SELECT supplier_stone_id FROM purchase_history AS p JOIN diamonds AS d USING (feed, supplier_stone_id)
        WHERE p.status IN ('sending', 'unknown', 'ordered', 'confirmed') AND d.availability = 'available'""",
    "a failed run that nobody was told of": UNTOLD_FAILURES,
    "two holds of one stone": """
        SELECT supplier_stone_id FROM hold_history
        WHERE status IN ('sending', 'active', 'unknown', 'releasing')
        GROUP BY supplier_stone_id HAVING count(*) > 1""",
    "a stone on sale that may be held": """
        SELECT supplier_stone_id FROM hold_history AS h JOIN diamonds AS d USING (feed, supplier_stone_id)
        WHERE h.status IN ('sending', 'active', 'unknown', 'releasing') AND d.availability = 'available'""",
    "two orders of one stone": """
        SELECT supplier_stone_id FROM purchase_history
        WHERE status IN ('sending', 'unknown', 'ordered', 'confirmed')
        GROUP BY supplier_stone_id HAVING count(*) > 1""",
}

#: What each run tells of itself, in the order in which they began.
_FIGURES = """
    SELECT expected_records AS expected, fetched_records AS fetched, distinct_records AS distinct,
        unreadable_records AS unreadable, rejected_records AS rejected
    FROM run_overview ORDER BY started_at"""

#: The newest answers about stones of which no order, hold, mark or rejection has anything to say.
_ANSWERED = """
    SELECT w.supplier_stone_id, w.offer_id, w.payload::text AS payload, w.asked_lab_grown, w.asked_price_from,
        w.asked_price_to, d.availability
    FROM raw_diamonds AS w JOIN diamonds AS d USING (feed, supplier_stone_id)
    WHERE supplier_stone_id = ANY (%s)
      AND w.consolidated AND w.removed_at IS NULL AND d.status = 'active' AND d.local_status IS NULL
      AND NOT EXISTS (
          SELECT FROM rejected_diamonds AS r
          WHERE r.supplier_stone_id = w.supplier_stone_id AND r.resolved_at IS NULL
      )"""

_GROW_BY_ORDERS = frozenset({"expected", "fetched", "distinct"})

#: By table and stone a hash of its content.
Content = Mapping[str, Mapping[str, str]]

#: By their names.
Figures = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a quiet history of a timeline leaves: tables, the stones listed at the end, requests of its two runs.

    ``doubtful`` are odd stones whose price is a unit error in one range and none in a wider one.

    ``template`` is the database in which every history of this timeline begins.
    """

    content: Content
    present: Set[str]
    doubtful: Set[str]
    requests: tuple[int, int]
    figures: Sequence[Figures]
    template: str


def read_content(url: str) -> Content:
    with psycopg.connect(url, autocommit=True) as conn:
        hashes = "SELECT supplier_stone_id, md5(content::text) FROM ({}) AS c"
        return {
            name: dict(conn.execute(hashes.format(sql).encode()).fetchall()) for name, sql in _CONTENT.items()
        }


def read_figures(url: str) -> Sequence[Figures]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        return conn.execute(_FIGURES.encode()).fetchall()


def wrong_figures(url: str, expected: Expected, *, bought: int) -> list[str]:
    """Where runs that met the same supplier as the quiet ones tell something else of it than those.

    Stones that are ``bought`` while the last run reads are listed anew, as changed.
    """
    found = read_figures(url)
    if len(found) != len(expected.figures):
        return [f"{len(found)} runs instead of {len(expected.figures)}"]
    faults = []
    for number, (told, true) in enumerate(zip(found, expected.figures, strict=True), 1):
        growing = _GROW_BY_ORDERS if number == len(found) else frozenset()
        if any(not 0 <= told[name] - true[name] <= bought * (name in growing) for name in true):
            faults.append(f"run {number} tells {dict(told)}, it should be {dict(true)}")
    return faults


def present_stones(supplier: Supplier) -> tuple[set[str], set[str]]:
    """Which stones are listed, and which of all may be judged either way, by the range in which they were met."""
    truths = supplier.truth()
    return (
        {truth.id for truth in truths if truth.present},
        {truth.id for truth in truths if truth.verdict == "either"},
    )


def leftovers(url: str) -> list[str]:
    """What must not be there, in words."""
    found = []
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        for what, sql in _LEFTOVERS.items():
            rows = conn.execute(sql).fetchall()
            if rows:
                found.append(f"{what}: {rows[:3]}")
        found += _wrong_watermark(conn)
    return found


def _wrong_watermark(conn: psycopg.Connection[dict[str, Any]]) -> list[str]:
    """It must be where the newest run that was read whole began."""
    rows = conn.execute(
        """SELECT w.last_updated_at, r.updated_to, r.run_id
        FROM run_metadata AS r LEFT JOIN watermarks AS w ON w.feed = r.feed
        WHERE r.state = 'completed' AND NOT r.forced
        ORDER BY r.updated_to DESC LIMIT 1"""
    ).fetchall()
    return [
        f"the watermark is {row['last_updated_at']}, run {row['run_id']} was planned at {row['updated_to']}"
        for row in rows
        if row["last_updated_at"] != row["updated_to"]
    ]


def differences(url: str, expected: Expected, *, apart: Set[str], removals_count: bool) -> list[str]:
    """Where the tables differ from those of the quiet history, with the first stone of each.

    ``apart`` are stones that were traded or tampered with. Unless ``removals_count``, only stones that are listed are
    compared: whether one that left in mid-run was seen before it left is nobody's fault.
    """
    faults = []
    found = read_content(url)
    for table, rows in expected.content.items():
        keys = (set(rows) | set(found[table])) - apart
        if not removals_count:
            keys &= expected.present
        wrong = sorted(key for key in keys if rows.get(key) != found[table].get(key))
        if wrong:
            first = f"{wrong[0]} is {_show(url, table, wrong[0])}, it should be " + (
                "something else" if wrong[0] in rows else "nothing"
            )
            faults.append(f"{table}: {len(wrong)} of {len(keys)} stones differ; {first}")
    return faults


def _show(url: str, table: str, stone_id: str) -> str:
    with psycopg.connect(url, autocommit=True) as conn:
        statement = f"SELECT content FROM ({_CONTENT[table]}) AS c WHERE supplier_stone_id = %s"
        rows = conn.execute(statement.encode(), (stone_id,)).fetchall()
    return str(rows[0][0])[:600] if rows else "nothing"


def wrong_orders(url: str, supplier: Supplier) -> list[str]:
    """The supplier's book against ours: no stone twice, and none that we do not know of."""
    ordered: dict[str, int] = {}
    for order in supplier.supplier.trade.book.orders.values():
        for item in order.items:
            stone = supplier.supplier.inventory.stone_id(item.row)
            ordered[stone] = ordered.get(stone, 0) + 1
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        ours = conn.execute("SELECT supplier_stone_id, status FROM purchase_history").fetchall()
    live = {
        row["supplier_stone_id"]
        for row in ours
        if row["status"] in ("sending", "unknown", "ordered", "confirmed")
    }
    sure = {row["supplier_stone_id"] for row in ours if row["status"] in ("ordered", "confirmed")}
    faults = [f"{stone} was ordered {count} times" for stone, count in ordered.items() if count > 1]
    faults += [f"{stone} was ordered and nobody here knows" for stone in ordered if stone not in live]
    faults += [f"{stone} is ordered here and not at the supplier" for stone in sorted(sure - set(ordered))]
    return faults


def wrong_looks(url: str, stones: Set[str]) -> list[str]:
    """Stones that were traded or looked at, that nothing here keeps now, and that are not what their answer says."""
    mapper = NivodaMapper()
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        rows = conn.execute(_ANSWERED, (list(stones),)).fetchall()
    faults = []
    for row in rows:
        raw = RawStone(
            row["supplier_stone_id"], row["offer_id"], row["payload"].encode(), row["asked_lab_grown"],
            row["asked_price_from"], row["asked_price_to"],
        )  # fmt: skip
        stone = mapper.map_stone(raw, [])
        said = stone.feed_availability if isinstance(stone, Stone) else "unavailable"
        if row["availability"] != said:
            faults.append(
                f"{row['supplier_stone_id']} is {row['availability']}, its newest answer says {said}"
            )
    return faults


def wrong_holds(url: str, supplier: Supplier) -> list[str]:
    """The supplier's holds against ours: no stone asked for twice, and none that we do not know of."""
    held = Counter(hold.stone_id for hold in supplier.supplier.trade.book.holds.values())
    with psycopg.connect(url, autocommit=True) as conn:
        asked = conn.execute("SELECT supplier_stone_id FROM hold_history WHERE status <> 'failed'").fetchall()
    known = Counter(stone for (stone,) in asked)
    return [
        f"{stone} was held {count} times at the supplier, and {known[stone]} times here"
        for stone, count in held.items()
        if count > known[stone]
    ]


def unknown_orders(url: str) -> int:
    with psycopg.connect(url) as conn:
        [(count,)] = conn.execute("SELECT count(*) FROM purchase_history WHERE status = 'unknown'").fetchall()
    return int(count)


def explain(faults: Sequence[str]) -> str:
    return "\n".join(f"  - {fault}" for fault in faults)
