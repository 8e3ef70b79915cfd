"""An API beside a pipeline on one database, and a client that may do everything, for tests of the operators' routes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from api_support import Api, open_api
from pydantic import BaseModel

from diamond_opus.api.schemas import Answer
from diamond_opus.domain.clock import ManualClock
from pipeline_builders import World

PREFIX = "/api/v2"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an operator sits."""

    api: Api
    world: World
    headers: dict[str, str]

    async def get(self, path: str, **parameters: Any) -> httpx2.Response:
        return await self.api.client.get(PREFIX + path, params=parameters, headers=self.headers)

    async def data(self, path: str, **parameters: Any) -> Any:
        answer = await self.get(path, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def post(self, path: str, body: Any = None) -> httpx2.Response:
        """Any JSON, also what is no Unicode: it travels as ASCII. None is no body at all."""
        content = None if body is None else json.dumps(body).encode()
        headers = {**self.headers, "Content-Type": "application/json"}
        return await self.api.client.post(PREFIX + path, content=content, headers=headers)

    async def put(self, path: str, body: Any) -> httpx2.Response:
        return await self.api.client.put(PREFIX + path, json=body, headers=self.headers)

    async def delete(self, path: str, **parameters: Any) -> httpx2.Response:
        return await self.api.client.delete(PREFIX + path, params=parameters, headers=self.headers)

    async def acts(self, action: str) -> list[dict[str, Any]]:
        """What the audit log has of an action, the newest first."""
        found: list[dict[str, Any]] = await self.data("/analytics/audit-log", action=action)
        return found


@asynccontextmanager
async def open_desk(world: World, **overrides: Any) -> AsyncIterator[Desk]:
    """The clock stands at the time of the database, so that ages and expiries are those of real use."""
    clock = ManualClock(await world.value("SELECT now() AS now"))
    async with open_api(world.pool, clock, **{"pipeline": world.process, **overrides}) as api:
        yield Desk(api, world, await api.key("admin"))


def is_exactly(model: type[BaseModel], shown: Any) -> None:
    """What an answer shows is what its model says: no field more, none less, every value of its type."""
    model.model_validate(shown)
    if issubclass(model, Answer):
        names = {field.alias or name for name, field in model.model_fields.items()}
        assert set(shown) == names
