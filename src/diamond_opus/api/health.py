"""Whether this process is alive, and whether it could serve: two questions, because they call for two reactions."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from fastapi import APIRouter, Request
from starlette.responses import Response

from diamond_opus.api.answers import answer_json, iso_timestamp
from diamond_opus.api.dependencies import ApiDependencies, Dependencies
from diamond_opus.api.schemas import Health, Readiness
from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.db.pool import transaction
from diamond_opus.observability.logging import get_logger

PATIENCE_SECONDS = 2.0
#: These routes are open: however often they are called, the database is asked no more than once in this time.
REMEMBER_SECONDS = 1.0

log = get_logger(__name__)
router = APIRouter(tags=["health"])


@router.get("/health", summary="Is the process alive?", responses={200: {"model": Health}})
async def get_health(dependencies: Dependencies) -> Response:
    """Answers 200 as long as the process runs; asks nothing else."""
    return answer_json({"status": "ok", "timestamp": iso_timestamp(dependencies.clock.now())})


@router.get(
    "/ready",
    summary="Can it serve?",
    responses={
        200: {"model": Readiness},
        503: {"model": Readiness, "description": "Not now; components say why."},
    },
)
async def get_readiness(request: Request) -> Response:
    """Answers 200 when the database is reachable and its schema is up to date, otherwise 503."""
    check = cast("ReadinessCheck", request.app.state.readiness)
    return await check.answer()


@dataclass(frozen=True, slots=True)
class _Component:
    """What is wrong with it, None when nothing is."""

    problem: str | None = None

    def shown(self) -> Mapping[str, Any]:
        return {"status": "ok"} if self.problem is None else {"status": "failed", "problem": self.problem}


class ReadinessCheck:
    """Asks the database, one question at a time, and remembers the answer for a moment."""

    def __init__(self, dependencies: ApiDependencies) -> None:
        self._dependencies = dependencies
        self._asking = asyncio.Lock()
        self._components: Mapping[str, _Component] = {}
        self._until = float("-inf")

    async def answer(self) -> Response:
        clock = self._dependencies.clock
        async with self._asking:
            if clock.monotonic() >= self._until:
                self._components = await self._ask()
                self._until = clock.monotonic() + REMEMBER_SECONDS
            components = self._components
        is_ready = all(component.problem is None for component in components.values())
        content = {
            "status": "ready" if is_ready else "not_ready",
            "timestamp": iso_timestamp(clock.now()),
            "components": {name: component.shown() for name, component in components.items()},
        }
        return answer_json(content, status=200 if is_ready else 503)

    async def _ask(self) -> Mapping[str, _Component]:
        """The reasons shown are ours: a driver's would tell anybody where the database stands."""
        dependencies = self._dependencies
        milliseconds = int(PATIENCE_SECONDS * 1000)
        try:
            async with (
                asyncio.timeout(PATIENCE_SECONDS),
                dependencies.pool.connection(timeout=PATIENCE_SECONDS) as conn,
                transaction(conn, statement_timeout_ms=milliseconds),
            ):
                missing = await dependencies.pending_migrations(conn)
        except (psycopg.Error, DatabaseUnavailable, TimeoutError) as error:
            log.warning("not_ready", component="database", reason=str(error) or type(error).__name__)
            unknown = _Component("unknown while the database cannot be asked")
            return {
                "database": _Component(f"gave no answer within {PATIENCE_SECONDS:g} s"),
                "migrations": unknown,
            }
        if missing:
            problem = f"pending: {', '.join(missing)}; run `diamond db migrate`"
            return {"database": _Component(), "migrations": _Component(problem)}
        return {"database": _Component(), "migrations": _Component()}
