"""The first thing an operator looks at: how much is on sale, how fresh it is, how the runs went, what waits."""

from collections.abc import Sequence
from datetime import datetime

from diamond_opus.analytics.catalogue import Group, by_availability, dataset_updated_at
from diamond_opus.analytics.incidents import summarise_open
from diamond_opus.analytics.remembered import Remembered
from diamond_opus.analytics.rows import Answer, fetch_answers
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.watermark.protocol import Watermark

QUERIES = load_queries("diamond_opus.analytics", "summary.sql")


async def summarise(
    conn: Connection,
    catalogue: Remembered[Sequence[Group]],
    watermark: Watermark | None,
    *,
    now: datetime,
) -> Answer:
    """``watermark`` is the configured store's, which is the truth; its age is counted from ``now``."""
    [recent] = await fetch_answers(conn, QUERIES["recent_runs"])
    [attention] = await fetch_answers(conn, QUERIES["attention"])
    successful = await fetch_answers(conn, QUERIES["last_successful_run"])
    counts = by_availability(catalogue.value)
    moved_to = watermark.last_updated_at if watermark else None
    return {
        "totalActiveDiamonds": sum(counts.values()),
        "totalFeeds": len({group.feed for group in catalogue.value}),
        "diamondsByAvailability": counts,
        "lastSuccessfulRun": successful[0] if successful else None,
        "activeRuns": await fetch_answers(conn, QUERIES["active_runs"]),
        "currentWatermark": moved_to,
        "recentRunsCount": recent,
        "needsAttention": attention,
        "openAlerts": await summarise_open(conn),
        "freshness": {
            "countedAt": catalogue.counted_at,
            "isCurrent": catalogue.is_current,
            "datasetUpdatedAt": await dataset_updated_at(conn),
            "watermarkAgeSeconds": max(0, int((now - moved_to).total_seconds())) if moved_to else None,
        },
    }
