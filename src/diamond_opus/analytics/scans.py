"""How many stones ask which price: scans made and stored, in the words of the heatmap."""

from collections.abc import Sequence

from diamond_opus.analytics.rows import Answer, Page, fetch_page
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.partitioning.density import DensityMap
from diamond_opus.partitioning.plan import PlannedPartition
from diamond_opus.schedule.count_density import Scan

QUERIES = load_queries("diamond_opus.analytics", "scans.sql")


async def list_scans(
    conn: Connection, feed: str | None, lab_grown: bool | None, *, limit: int, offset: int
) -> Page:
    """The newest first."""
    page = await fetch_page(
        conn,
        QUERIES["list_scans"],
        QUERIES["count_scans"],
        {"feed": feed, "lab_grown": lab_grown},
        limit=limit,
        offset=offset,
    )
    for row in page.rows:
        stored = {"lab_grown": row["labGrown"], "total": row["total"], "cells": row.pop("cells")}
        row["densityMap"] = show_density(DensityMap.from_json(stored))
    return page


def show_scan(
    scans: Sequence[Scan],
    partitions: Sequence[PlannedPartition],
    *,
    price_from: int,
    price_to: int,
    most_records: int | None,
    milliseconds: int,
    in_two_passes: bool,
) -> Answer:
    """Of the density what lies within the prices; of the partitions as many as hold ``most_records`` together."""
    cells = [cell for scan in scans for cell in show_density(scan.density)]
    shown = [
        cell
        for cell in cells
        if cell["minPrice"] <= price_to and (cell["maxPrice"] is None or cell["maxPrice"] >= price_from)
    ]
    return {
        "totalRecords": sum(scan.density.total for scan in scans),
        "workerCount": len(partitions),
        "stats": {
            "apiCalls": sum(scan.api_calls for scan in scans),
            "scanDurationMs": milliseconds,
            "rangesScanned": len(cells),
            "nonEmptyRanges": sum(cell["count"] > 0 for cell in cells),
            "usedTwoPass": in_two_passes,
        },
        "densityMap": shown,
        "partitions": _show_partitions(partitions, most_records),
    }


def show_density(density: DensityMap) -> list[Answer]:
    return [
        {
            "labGrown": density.lab_grown,
            "minPrice": cell.price_from,
            "maxPrice": cell.price_to,
            "count": cell.count,
        }
        for cell in density.cells
    ]


def _show_partitions(partitions: Sequence[PlannedPartition], most_records: int | None) -> list[Answer]:
    shown: list[Answer] = []
    reached = 0
    for partition in partitions:
        if most_records is not None and reached >= most_records:
            break
        reached += partition.expected_records
        shown.append(
            {
                "partitionId": partition.partition_id,
                "labGrown": partition.lab_grown,
                "minPrice": partition.price_from,
                "maxPrice": partition.price_to,
                "totalRecords": partition.expected_records,
            }
        )
    return shown
