"""At most one supplier order per idempotency key and per stone: under concurrency, and whenever a process dies."""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from pipeline_processes import Processes
from trade_market import Client, Market

FIFTY = range(50)


async def test_invariant_06_fifty_purchases_with_one_key_are_one_order(market: Market) -> None:
    shop, stone = await market.client("trade"), await market.stone()
    market.befall("slow", "create_order", seconds=0.3)

    answers = await asyncio.gather(*(shop.buy(stone, "one key", reference="PO-1") for _ in FIFTY))

    assert len(market.orders) == 1
    taken = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert len(taken) + len(waiting) == 50
    assert taken
    assert {answer.content for answer in taken} == {taken[0].content}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in waiting)
    assert (await shop.buy(stone, "one key", reference="PO-1")).content == taken[0].content


async def test_invariant_06_fifty_purchases_with_different_keys_of_one_stone_are_one_order(
    market: Market,
) -> None:
    shops = [await market.client("trade") for _ in range(5)]
    stone = await market.stone()

    answers = await asyncio.gather(
        *(shop.buy(stone, f"key-{number}") for number, shop in zip(FIFTY, itertools.cycle(shops)))
    )

    assert len(market.orders) == 1
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 49}


async def test_invariant_06_one_key_for_many_stones_at_once_is_one_order(market: Market) -> None:
    shop = await market.client("trade")
    stones = [await market.stone() for _ in range(10)]

    answers = await asyncio.gather(*(shop.buy(stone, "one key") for stone in stones))

    assert len(market.orders) == 1
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 9}


async def test_invariant_06_holds_and_purchases_at_once_end_in_one_winner(market: Market) -> None:
    stone = await market.stone()
    clients = [await market.client("trade") for _ in range(10)]
    acts: Sequence[Callable[[Client], Awaitable[Any]]] = [
        lambda client: client.hold(stone),
        lambda client: client.buy(stone),
    ]

    answers = await asyncio.gather(*(act(client) for client, act in zip(clients, itertools.cycle(acts))))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 9}
    assert len(market.orders) + len(market.holds) == 1


class Apis:
    """Real ``diamond api`` processes on one database and one supplier, asked over HTTP."""

    def __init__(self, processes: Processes, headers: dict[str, str], http: aiohttp.ClientSession) -> None:
        self._processes = processes
        self._headers = headers
        self._http = http

    async def start(self) -> tuple[asyncio.subprocess.Process, str]:
        """The process and its address."""
        known = self._addresses()
        process = await self._processes.start("api")
        async with asyncio.timeout(60):
            while not (new := self._addresses() - known):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
        return process, new.pop()

    async def buy(self, address: str, stone: UUID, key: str) -> tuple[int, dict[str, Any]]:
        return await self.post(address, f"/diamonds/{stone}/purchase", {"idempotencyKey": key})

    async def post(self, address: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        url = f"{address}/api/v2{path}"
        async with self._http.post(url, json=body, headers=self._headers) as answer:
            return answer.status, await answer.json()

    @property
    def log(self) -> str:
        return self._processes.log.read_text()

    def _addresses(self) -> set[str]:
        log = self._processes.log
        return (
            set(re.findall(r"^http://127\.0\.0\.1:\d+$", log.read_text(), re.MULTILINE))
            if log.exists()
            else set()
        )


@pytest.fixture
async def apis(market: Market, database_url: str, tmp_path: Path) -> AsyncIterator[Apis]:
    admin = await market.client("admin")
    async with (
        Processes(database_url, market.simulator, tmp_path, port=0, log_format="json") as processes,
        aiohttp.ClientSession() as http,
    ):
        yield Apis(processes, admin.headers, http)


@pytest.mark.long  # two processes start
async def test_invariant_06_two_processes_with_two_connections_each_order_once(
    market: Market, apis: Apis
) -> None:
    addresses = [address for _, address in [await apis.start(), await apis.start()]]
    first, second = await market.stone(), await market.stone()
    market.befall("slow", "create_order", seconds=0.2)

    one_key = await asyncio.gather(
        *(apis.buy(address, first, "one key") for _, address in zip(FIFTY, itertools.cycle(addresses)))
    )
    many_keys = await asyncio.gather(
        *(
            apis.buy(address, second, f"key-{number}")
            for number, address in zip(FIFTY, itertools.cycle(addresses))
        )
    )

    assert len(market.orders) == 2
    assert set(Counter(status for status, _ in one_key)) <= {201, 409}
    assert Counter(status for status, _ in many_keys) == {201: 1, 409: 49}


@pytest.mark.long  # the lease of a dead process has to lapse
async def test_invariant_06_a_process_killed_between_the_supplier_s_yes_and_our_commit(
    market: Market, apis: Apis
) -> None:
    shown, hidden = await market.stone(), await market.stone()
    offers = {stone: (await market.diamond(stone))["offer_id"] for stone in (shown, hidden)}
    process, address = await apis.start()
    market.befall("slow", "create_order", seconds=600.0)
    asking = [asyncio.create_task(apis.buy(address, stone, f"key of {stone}")) for stone in (shown, hidden)]
    async with asyncio.timeout(30):
        while len(market.orders) < 2:  # noqa: ASYNC110 - the supplier says yes to another process
            await asyncio.sleep(0.02)

    process.kill()
    await process.wait()
    loop = asyncio.get_running_loop()
    killed_at = loop.time()
    await asyncio.gather(*asking, return_exceptions=True)
    market.recover()
    inventory = market.simulator.supplier.inventory
    place = inventory.row_of(await market.supplier_id(hidden))
    assert place is not None
    inventory.remove(place, market.simulator.supplier.clock.now_ms())
    _, address = await apis.start()
    for stone in (shown, hidden):
        assert (await apis.buy(address, stone, f"key of {stone}"))[0] in (202, 409)
        assert (await apis.buy(address, stone, f"another key of {stone}"))[0] == 409
        assert await market.availability(stone) != "available"

    async with asyncio.timeout(60 - (loop.time() - killed_at)):
        while apis.log.count('"order_unknown"') < 2:  # noqa: ASYNC110 - another process reports it
            await asyncio.sleep(0.1)
    async with asyncio.timeout(30):
        while await status_of(market, shown) == "unknown":  # noqa: ASYNC110 - another process finds it out
            await asyncio.sleep(0.1)

    assert await status_of(market, shown) == "ordered", "by evidence: the stone bears the mark of our order"
    assert await status_of(market, hidden) == "unknown", "nothing can be proved of a stone that is gone"
    row = await market.row("SELECT id FROM purchase_history WHERE diamond_id = %s", hidden)
    word = {"orderId": str(row["id"]), "outcome": "confirmed", "note": "the supplier's desk said so by phone"}
    assert (await apis.post(address, "/triggers/resolve-order", word))[0] == 200
    assert await status_of(market, hidden) == "confirmed", "by a person"
    for stone in (shown, hidden):
        assert await market.availability(stone) == "sold"
        assert (await apis.buy(address, stone, f"key of {stone}"))[0] == 201
        assert (await apis.buy(address, stone, "one more key"))[0] == 409
    ordered = Counter(item.offer_id for order in market.orders for item in order.items)
    assert ordered == dict.fromkeys(offers.values(), 1)


async def status_of(market: Market, stone: UUID) -> str:
    status: str = (await market.row("SELECT status FROM purchase_history WHERE diamond_id = %s", stone))[
        "status"
    ]
    return status
