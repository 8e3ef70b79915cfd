"""What is on sale, counted once for each version of the dataset: by availability, by feed, by vendor."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row, tuple_row

from diamond_opus.analytics.rows import Answer, fetch_value
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries

QUERIES = load_queries("diamond_opus.analytics", "catalogue.sql")

#: The words of SPEC's answer for each availability.
_AVAILABILITIES = {
    "available": "available",
    "on_hold": "onHold",
    "sold": "sold",
    "unavailable": "unavailable",
}


@dataclass(frozen=True, slots=True)
class Group:
    """The stones on sale of one feed, vendor and availability; money in cents, sums where not said otherwise."""

    feed: str
    supplier_name: str | None
    availability: str
    stones: int
    feed_price_cents: int
    min_feed_price_cents: int
    max_feed_price_cents: int
    price_model_price_cents: int
    last_updated: datetime


async def dataset_key(conn: Connection) -> object | None:
    """What the counts depend on; None while no version was ever recorded, so that nothing is known of changes."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(QUERIES["dataset_key"])
        return tuple(await cursor.fetchall()) or None


async def dataset_updated_at(conn: Connection) -> datetime | None:
    """When anything that a shop could see was changed last."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(QUERIES["dataset_key"])
        return max((row[2] for row in await cursor.fetchall()), default=None)


async def count_catalogue(conn: Connection) -> Sequence[Group]:
    async with conn.cursor(row_factory=class_row(Group)) as cursor:
        await cursor.execute(QUERIES["count_catalogue"])
        return await cursor.fetchall()


async def raw_key(conn: Connection) -> object | None:
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(QUERIES["raw_key"])
        return tuple(await cursor.fetchall()) or None


async def count_raw(conn: Connection) -> int:
    return int(await fetch_value(conn, QUERIES["count_raw"]))


def by_availability(groups: Iterable[Group]) -> dict[str, int]:
    """``available``, ``onHold``, ``sold``, ``unavailable``: all four, also when there are none."""
    counts = dict.fromkeys(_AVAILABILITIES.values(), 0)
    for group in groups:
        counts[_AVAILABILITIES[group.availability]] += group.stones
    return counts


def by_feed(groups: Iterable[Group]) -> list[Answer]:
    """The biggest first."""
    return [{"feed": feed, **_sum_up(of_feed)} for feed, of_feed in _grouped(groups, lambda g: g.feed)]


def by_supplier(groups: Iterable[Group]) -> list[Answer]:
    """Vendors, the biggest first; stones without a vendor stand under None."""
    return [
        {"supplierName": name, "feeds": sorted({group.feed for group in of_vendor}), **_sum_up(of_vendor)}
        for name, of_vendor in _grouped(groups, lambda g: g.supplier_name)
    ]


def _grouped(groups: Iterable[Group], name_of: Callable[[Group], Any]) -> list[tuple[Any, list[Group]]]:
    found = defaultdict[Any, list[Group]](list)
    for group in groups:
        found[name_of(group)].append(group)
    return sorted(found.items(), key=lambda item: (-sum(g.stones for g in item[1]), str(item[0])))


def _sum_up(groups: Sequence[Group]) -> Answer:
    """Averages are whole cents, half up as all money is."""
    stones = sum(group.stones for group in groups)
    counts = by_availability(groups)
    return {
        "totalDiamonds": stones,
        "availableDiamonds": counts["available"],
        "onHoldDiamonds": counts["onHold"],
        "soldDiamonds": counts["sold"],
        "unavailableDiamonds": counts["unavailable"],
        "avgFeedPriceCents": _mean(sum(group.feed_price_cents for group in groups), stones),
        "minFeedPriceCents": min(group.min_feed_price_cents for group in groups),
        "maxFeedPriceCents": max(group.max_feed_price_cents for group in groups),
        "avgPriceModelPriceCents": _mean(sum(group.price_model_price_cents for group in groups), stones),
        "lastUpdated": max(group.last_updated for group in groups),
    }


def _mean(total: int, count: int) -> int:
    return (2 * total + count) // (2 * count)
