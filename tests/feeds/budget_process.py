"""A process that shares a request budget: asks for counts as fast as the budget lets it, several at a time.

Run as: budget_process.py DATABASE_URL ENDPOINT REQUESTS PER_SECOND. It says when it is ready and waits for a word,
so that no process still starts up, with all the machine's power, while another already asks.
"""

import asyncio
import sys

from feed_builders import NATURAL, PASSWORD, USERNAME

from diamond_opus.db.pool import open_pool
from diamond_opus.domain.clock import SystemClock
from diamond_opus.feeds.budget import PostgresBudget, account_key
from diamond_opus.feeds.nivoda import NivodaAccount, NivodaClient


async def ask(database_url: str, endpoint: str, requests: int, per_second: float) -> None:
    clock = SystemClock()
    async with open_pool(database_url, application_name="budget test", max_size=4) as pool:
        account = account_key(endpoint, USERNAME)
        budget = PostgresBudget(pool, account, clock, max_per_second=per_second, start_per_second=per_second)
        client = NivodaClient(NivodaAccount(endpoint, USERNAME, PASSWORD), budget=budget, clock=clock)
        async with client:
            print("ready", flush=True)  # noqa: T201  # to the test that started it
            await asyncio.to_thread(sys.stdin.readline)
            await asyncio.gather(*(client.count(NATURAL) for _ in range(requests)))


if __name__ == "__main__":
    asyncio.run(ask(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
