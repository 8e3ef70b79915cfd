"""A catalogue of any size for benchmarks that read it: filled by SQL, indexed in memory."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.world import database
from diamond_opus.catalog.engine import Catalog
from diamond_opus.db.pool import Pool, connect, open_pool
from diamond_opus.wiring import migrate_database

_FILL = Path(__file__).with_name("catalogue.sql").read_text()

#: What shops ask: a landing page, a ring builder's sliders, a fancy search, a filter that finds little.
QUERIES = (
    "",
    "sort_by=price&sort_order=asc",
    "shape=ROUND&carat_min=1&carat_max=1.5&color=D,E,F&clarity=VVS1,VVS2,VS1&sort_by=price&sort_order=asc",
    "shape=OVAL,EMERALD&lab_grown=true&price_max=200000&sort_by=carats&sort_order=desc",
    "lab_grown=false&carat_min=0.9&carat_max=1.1&cut=EX&polish=EX&symmetry=EX&fluorescence=NON&sort_by=price",
    "shape=CUSHION BRILLIANT,CUSHION MODIFIED&ratio_min=1.15&ratio_max=1.25&has_image=true&sort_by=price_per_carat",
    "color=D&clarity=FL,IF&certificate_lab=GIA&sort_by=carats",
    "availability=available&price_min=100000&price_max=500000&sort_by=rating",
    "availability=available&lab_grown=true&shape=ROUND&price_min=50000&price_max=60000&sort_by=price&sort_order=asc",
    "shape=PEAR&carat_min=3&color=K,L&sort_by=color",
    "delivery_days_max=5&returnable=true&eye_clean=true&sort_by=clarity&sort_order=asc",
    "page=150&limit=50&sort_by=price&sort_order=asc",
)


@asynccontextmanager
async def catalogue(stones: int) -> AsyncIterator[tuple[Pool, Catalog, float]]:
    """A migrated database with that many stones, an index that is exact to it, and the seconds of its loading."""
    with database() as server:
        await migrate_database(server.url)
        async with await connect(server.url, application_name="benchmark") as conn:
            statement = _FILL.partition("\n")[2]
            await conn.execute(statement.encode(), {"stones": stones})
            await conn.execute("VACUUM (ANALYZE) diamonds")
        async with open_pool(server.url, application_name="benchmark", max_size=4) as pool:
            catalog = Catalog()
            started = time.perf_counter()
            await catalog.refresh(pool)
            yield pool, catalog, time.perf_counter() - started
