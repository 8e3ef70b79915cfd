"""What the simulator's tests share: a calm simulator on a free port and a client that asks it over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import orjson

from diamond_opus.simulator.server import DEFAULT_PASSWORD, DEFAULT_USERNAME, Simulator, SimulatorSettings

#: No short pages, no swapped ties, no hostile stones: each test adds what it is about.
CALM = SimulatorSettings(stones=2_000, seed=7, hostile_share=0.0, short_page_rate=0.0, unstable_ties=False)

LOGIN = """query($username: String!, $password: String!) {
  authenticate { username_and_password(username: $username, password: $password) { token expires refresh_token } }
}"""

#: What a client of the production API asks for.
ITEM = """
id price discount diamond_price markup_price markup_discount
diamond {
  id availability OrderItemId HoldId NivodaStockId supplierStockId image video eyeClean brown green blue gray milky
  bowtie mine_of_origin supplier_video_link approval_type final_price show_measurements show_certificate_number
  return_window CertificateType location
  delivery_time { express_timeline_applicable min_business_days max_business_days }
  certificate {
    id lab certNumber pdfUrl shape fullShape carats clarity cut polish symmetry color f_color f_intensity f_overtone
    length width depth depthPercentage table crownAngle crownHeight pavAngle pavHeight pavDepth starLength lowerGirdle
    floInt floCol verified labgrown labgrown_type treated girdle culetSize girdleCondition culet_condition cut_style
    keyToSymbols comments product_images { id url type }
  }
  supplier { id name legal_name }
  v360 { url frame_count top_index }
}
"""

OLDEST_FIRST = {"type": "createdAt", "direction": "ASC"}


@dataclass
class Client:
    """Asks one simulator; ``token`` goes with every request in the header."""

    sim: Simulator
    http: aiohttp.ClientSession
    token: str | None = None

    async def post(
        self, query: str, variables: dict[str, Any] | None = None, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of the answer."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        body = {"query": query, "variables": variables or {}, **more}
        async with self.http.post(self.sim.url, json=body, headers=headers) as response:
            return response.status, orjson.loads(await response.read())

    async def data(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data of an answer that has to be free of errors."""
        status, answer = await self.post(query, variables)
        assert (status, answer.get("errors")) == (200, None)
        data: dict[str, Any] = answer["data"]
        return data

    async def problem(self, query: str, variables: dict[str, Any] | None = None) -> str:
        """The first error's message of an answer with HTTP status 200."""
        status, answer = await self.post(query, variables)
        assert status == 200
        return str(answer["errors"][0]["message"])

    async def log_in(
        self, username: str = DEFAULT_USERNAME, password: str = DEFAULT_PASSWORD
    ) -> dict[str, Any] | None:
        data = await self.data(LOGIN, {"username": username, "password": password})
        session: dict[str, Any] | None = data["authenticate"]["username_and_password"]
        self.token = session["token"] if session else self.token
        return session

    async def count(self, **filters: Any) -> int:
        data = await self.data(
            "query($query: DiamondQuery) { diamonds_by_query_count(query: $query) }", {"query": filters}
        )
        return int(data["diamonds_by_query_count"])

    async def page(
        self, query: dict[str, Any] | None = None, *, offset: int = 0, limit: int = 50,
        order: dict[str, str] | None = OLDEST_FIRST, fields: str = "id price",
    ) -> tuple[list[Any], dict[str, Any]]:  # fmt: skip
        """The items of a page, and the whole answer."""
        text = f"""query($query: DiamondQuery, $offset: Int, $limit: Int, $order: DiamondOrder) {{
            diamonds_by_query(query: $query, offset: $offset, limit: $limit, order: $order)
            {{ items {{ {fields} }} total_count }} }}"""
        status, answer = await self.post(
            text, {"query": query, "offset": offset, "limit": limit, "order": order}
        )
        assert status == 200, answer
        assert answer["data"] is not None, answer["errors"]
        items: list[Any] = answer["data"]["diamonds_by_query"]["items"]
        assert answer["data"]["diamonds_by_query"]["total_count"] == len(items)
        return items, answer

    async def walk(
        self,
        query: dict[str, Any] | None = None,
        *,
        fields: str = "id price",
        order: dict[str, str] | None = OLDEST_FIRST,
    ) -> list[Any]:
        """All items by plain offsets; right only for a simulator that keeps still."""
        found: list[Any] = []
        while True:
            items, _ = await self.page(query, offset=len(found), fields=fields, order=order)
            if not items:
                return found
            found += items

    async def both(self, *, fields: str = "id price") -> list[Any]:
        """Natural and lab-grown stones."""
        return [
            *await self.walk({"labgrown": False}, fields=fields),
            *await self.walk({"labgrown": True}, fields=fields),
        ]

    async def control(self, name: str, **body: Any) -> dict[str, Any]:
        """Give an order to the control address."""
        async with self.http.post(self.sim.control_url + name, json=body) as response:
            answer: dict[str, Any] = orjson.loads(await response.read())
            assert response.status == 200, answer
            return answer

    async def ndjson(self, name: str) -> list[dict[str, Any]]:
        async with self.http.get(self.sim.control_url + name) as response:
            assert response.status == 200
            return [orjson.loads(line) for line in (await response.read()).splitlines()]


@asynccontextmanager
async def supplier(**changes: Any) -> AsyncIterator[Client]:
    """A running simulator, calm but for ``changes`` of the settings, and a client that is logged in."""
    async with Simulator(replace(CALM, **changes)) as sim, aiohttp.ClientSession() as http:
        client = Client(sim, http)
        await client.log_in(sim.supplier.settings.username, sim.supplier.settings.password)
        yield client
