"""Nivoda as a feed: a client that reads the supplier's inventory and a mapper that makes stones of it.

>>> from diamond_opus.feeds.nivoda import map_item
>>> certificate = {"lab": "GIA", "shape": "OVAL", "carats": 1.05, "color": "E", "clarity": "VS1"}
>>> diamond = {"id": "7c1e", "availability": "ON_HOLD", "certificate": certificate}
>>> stone = map_item({"id": "DIAMOND/7c1e", "price": 136988, "diamond": diamond}, asked_lab_grown=True)
>>> stone.feed_price_cents, stone.feed_availability, stone.lab_grown
(136988, 'on_hold', True)

Reading the inventory needs an account, a budget for its requests and a clock::

    account = NivodaAccount(endpoint, username, password)
    async with NivodaClient(account, budget=UnlimitedBudget(), clock=SystemClock()) as client:
        selection = Selection(lab_grown=False, price_from=1200, price_to=1340)
        total = await client.count(selection)  # the only count to trust: a page's own total is its row count
        page = await client.read_page(selection, offset=0, limit=client.page_limit)

An item has two ids: ``item.id`` (the offer, which orders take) and ``diamond.id`` (the stone, which
identifies it and which holds take). Prices are whole US cents, though filters take whole dollars.
"""

from diamond_opus.feeds.nivoda.client import PAGE_LIMIT, NivodaClient
from diamond_opus.feeds.nivoda.connection import NivodaAccount, NivodaConnection
from diamond_opus.feeds.nivoda.errors import (
    BadAnswer,
    NotSent,
    RefusedQuery,
    Throttled,
    WrongCredentials,
)
from diamond_opus.feeds.nivoda.mapper import NivodaMapper, map_item
from diamond_opus.feeds.nivoda.query_filter import validate_filter
from diamond_opus.feeds.nivoda.trading import NivodaTrading

__all__ = [
    "PAGE_LIMIT",
    "BadAnswer",
    "NivodaAccount",
    "NivodaClient",
    "NivodaConnection",
    "NivodaMapper",
    "NivodaTrading",
    "NotSent",
    "RefusedQuery",
    "Throttled",
    "WrongCredentials",
    "map_item",
    "validate_filter",
]
