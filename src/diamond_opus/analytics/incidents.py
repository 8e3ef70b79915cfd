"""What is wrong, and who was told of it: incidents with their deliveries, as an operator reads them."""

from collections import defaultdict

from diamond_opus.alerts.protocol import Severity
from diamond_opus.alerts.render import RUNBOOK
from diamond_opus.analytics.rows import Answer, Page, fetch_answers, fetch_page
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries

QUERIES = load_queries("diamond_opus.analytics", "incidents.sql")

_WORST_FIRST = list(reversed(Severity))


async def list_incidents(
    conn: Connection, *, is_open: bool | None, event: str | None, limit: int, offset: int
) -> Page:
    """The open ones first, the worst of them first, then the newest; ``is_open`` None is all."""
    values = {"open": is_open, "event": event, "worst_first": _WORST_FIRST}
    page = await fetch_page(
        conn, QUERIES["list_incidents"], QUERIES["count_incidents"], values, limit=limit, offset=offset
    )
    deliveries = defaultdict(list)
    for row in await fetch_answers(
        conn, QUERIES["list_deliveries"], {"ids": [incident["id"] for incident in page.rows]}
    ):
        deliveries[row.pop("incidentId")].append(row)
    for incident in page.rows:
        incident["runbook"] = f"{RUNBOOK}#{incident['event']}"
        incident["deliveries"] = deliveries[incident["id"]]
    return page


async def summarise_open(conn: Connection) -> Answer:
    """How many are open of each severity, and the worst of them."""
    [counts] = await fetch_answers(conn, QUERIES["count_open"])
    worst = await fetch_answers(conn, QUERIES["worst_open"], {"worst_first": _WORST_FIRST})
    return {**counts, "worst": worst[0] if worst else None}
