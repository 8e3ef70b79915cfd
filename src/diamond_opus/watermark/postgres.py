"""The watermark in the table ``watermarks``, for an installation without a blob store."""

from dataclasses import replace
from datetime import UTC

from psycopg.rows import TupleRow, tuple_row

from diamond_opus.db.pool import Pool
from diamond_opus.db.queries import load_queries
from diamond_opus.watermark.protocol import Watermark, WatermarkConflict

_QUERIES = load_queries("diamond_opus.watermark")


class PostgresWatermarkStore:
    """Each call is a transaction of its own; the version is a number that grows with every write."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read(self, feed: str) -> Watermark | None:
        row = await self._fetch_one("read_watermark", feed=feed)
        if row is None:
            return None
        last_updated_at, last_run_id, last_run_completed_at, version = row
        return Watermark(
            last_updated_at.astimezone(UTC),
            last_run_id,
            None if last_run_completed_at is None else last_run_completed_at.astimezone(UTC),
            str(version),
        )

    async def write(self, feed: str, watermark: Watermark, *, expected_version: str | None) -> Watermark:
        query = "create_watermark" if expected_version is None else "replace_watermark"
        row = await self._fetch_one(
            query,
            feed=feed,
            last_updated_at=watermark.last_updated_at,
            last_run_id=watermark.last_run_id,
            last_run_completed_at=watermark.last_run_completed_at,
            expected_version=_number(expected_version),
        )
        if row is None:
            raise WatermarkConflict(
                f"watermark of {feed}: version is no longer {expected_version}; read it again"
            )
        return replace(watermark, version=str(row[0]))

    async def _fetch_one(self, query: str, **parameters: object) -> TupleRow | None:
        async with self._pool.connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(_QUERIES[query], parameters)
            row: TupleRow | None = await cursor.fetchone()
            return row


def _number(version: str | None) -> int:
    """The version as this table counts it; one that came from another store matches nothing."""
    return int(version) if version is not None and version.isdecimal() else -1
