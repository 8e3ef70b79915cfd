"""Scans of the inventory's density, kept for history and for planning without scanning again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

from diamond_opus.runs.steps import QUERIES


async def store_density_scan(
    conn: AsyncConnection[Any],
    *,
    feed: str,
    run_id: UUID | None,
    scan: Mapping[str, Any],
    api_calls: int,
    scanned_at: datetime,
) -> None:
    """``scan`` is a density map as JSON: ``lab_grown``, ``total``, ``cells``."""
    await conn.execute(
        QUERIES["insert_density_scan"],
        {
            "feed": feed,
            "lab_grown": scan["lab_grown"],
            "total": scan["total"],
            "cells": Jsonb(scan["cells"]),
            "api_calls": api_calls,
            "scanned_at": scanned_at,
            "run_id": run_id,
        },
    )


async def latest_density_scan(
    conn: AsyncConnection[Any], feed: str, *, lab_grown: bool
) -> Sequence[Any] | None:
    """The cells of the newest full scan of a type, None before the first."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(QUERIES["latest_density_scan"], {"feed": feed, "lab_grown": lab_grown})
        cells: Sequence[Any] | None = await cursor.fetchone()
    return cells
