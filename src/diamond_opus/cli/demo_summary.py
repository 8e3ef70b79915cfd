"""What a demo brought: one JSON line for machines, and tables of what is on sale for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table

from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.runs.model import Run

_QUERIES = load_queries("diamond_opus.cli")
_SHAPES_SHOWN = 10
_BAR_WIDTH = 16


@dataclass(frozen=True, slots=True)
class Summary:
    """The catalogue of one feed as it is now, and the run that filled it."""

    stones: int
    run: Run
    raw: int
    diamonds: int
    priced: int
    rejected: int
    by_shape: Sequence[Mapping[str, Any]]
    by_price: Sequence[Mapping[str, Any]]
    example_id: UUID | None

    def as_json(self) -> dict[str, Any]:
        """``stones`` were asked for; ``diamonds`` = ``raw`` - ``rejected`` unless a stone was lost."""
        run = self.run
        return {
            "stones": self.stones,
            "raw": self.raw,
            "diamonds": self.diamonds,
            "priced": self.priced,
            "rejected": self.rejected,
            "runId": str(run.run_id),
            "state": run.state.value,
            "secondsIngest": _seconds(run.started_at, run.ingest_completed_at),
            "secondsConsolidate": _seconds(run.consolidation_started_at, run.consolidation_completed_at),
        }


async def summarise(conn: Connection, run: Run, stones: int) -> Summary:
    """Count what is in the database now."""
    [totals] = await _rows(conn, "demo_totals", run.feed)
    return Summary(
        stones=stones,
        run=run,
        **totals,
        by_shape=await _rows(conn, "demo_by_shape", run.feed),
        by_price=await _rows(conn, "demo_by_price", run.feed),
        example_id=next((row["id"] for row in await _rows(conn, "demo_example", run.feed)), None),
    )


def print_summary(console: Console, summary: Summary) -> None:
    console.print(_totals(summary))
    console.print(_by_shape(summary))
    console.print(_by_price(summary))


def _totals(summary: Summary) -> Table:
    run = summary.run
    table = Table(title=f"Run {run.run_id}: {run.state}", title_justify="left", show_header=False, box=None)
    table.add_column()
    table.add_column(justify="right", style="bold")
    table.add_column(style="dim")
    ingest = _seconds(run.started_at, run.ingest_completed_at)
    consolidate = _seconds(run.consolidation_started_at, run.consolidation_completed_at)
    for name, count, meaning in (
        ("expected", run.expected_records, "by the supplier's own counts, before reading"),
        ("fetched", run.fetched_records, f"ranges share their edges; read in {ingest or 0:.1f} s"),
        ("distinct", run.distinct_records, "stones, each with the supplier's exact answer"),
        ("unreadable", run.unreadable_records, "items that came as null, or without an identity"),
        ("rejected", summary.rejected, "cannot be sold: no price, no carat, no certificate, ..."),
        (
            "priced",
            summary.priced,
            f"on sale, each by a rule; consolidated in {consolidate or 0:.1f} s",
        ),
    ):
        table.add_row(name, f"{count:,}", meaning)
    return table


def _by_shape(summary: Summary) -> Table:
    table = Table(title="By shape", title_justify="left")
    table.add_column("shape")
    for column in ("diamonds", "lab-grown", "from", "to"):
        table.add_column(column, justify="right")
    for row in summary.by_shape[:_SHAPES_SHOWN]:
        table.add_row(
            row["shape"].title(),
            f"{row['stones']:,}",
            f"{row['lab_grown'] / row['stones']:.0%}",
            _dollars(row["cheapest"]),
            _dollars(row["dearest"]),
        )
    others = summary.by_shape[_SHAPES_SHOWN:]
    if others:
        stones = sum(row["stones"] for row in others)
        table.add_row(
            f"[dim]{len(others)} others[/]",
            f"{stones:,}",
            f"{sum(row['lab_grown'] for row in others) / stones:.0%}",
            _dollars(min(row["cheapest"] for row in others)),
            _dollars(max(row["dearest"] for row in others)),
        )
    return table


def _by_price(summary: Summary) -> Table:
    table = Table(title="By selling price", title_justify="left")
    table.add_column("price")
    table.add_column("diamonds", justify="right")
    table.add_column("share")
    for column in ("from", "to"):
        table.add_column(column, justify="right")
    most = max((row["stones"] for row in summary.by_price), default=0)
    for row in summary.by_price:
        high = f"to ${row['high']:,}" if row["high"] else "and more"
        bar = "█" * round(_BAR_WIDTH * row["stones"] / most) if most else ""
        table.add_row(
            f"${row['low']:,} {high}",
            f"{row['stones']:,}",
            f"[cyan]{bar}[/]",
            _dollars(row["cheapest"]),
            _dollars(row["dearest"]),
        )
    return table


async def _rows(conn: Connection, query: str, feed: str) -> Sequence[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_QUERIES[query], {"feed": feed})
        return await cursor.fetchall()


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return round((end - begin).total_seconds(), 3) if begin and end else None


def _dollars(amount: Decimal | None) -> str:
    return "" if amount is None else f"${amount:,.2f}"
