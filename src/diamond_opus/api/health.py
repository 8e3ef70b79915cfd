"""Whether this process is alive, and whether it could serve: two questions, because they call for two reactions."""

from typing import cast

from fastapi import APIRouter, Request
from starlette.responses import Response

from diamond_opus.api.answers import answer_json, iso_timestamp
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.schemas import Health
from diamond_opus.api.schemas import Readiness as ReadinessAnswer
from diamond_opus.readiness import Readiness, describe

router = APIRouter(tags=["health"])


@router.get("/health", summary="Is the process alive?", responses={200: {"model": Health}})
async def get_health(dependencies: Dependencies) -> Response:
    """Answers 200 as long as the process runs; asks nothing else."""
    return answer_json({"status": "ok", "timestamp": iso_timestamp(dependencies.clock.now())})


@router.get(
    "/ready",
    summary="Can it serve?",
    responses={
        200: {"model": ReadinessAnswer},
        503: {"model": ReadinessAnswer, "description": "Not now; components say why."},
    },
)
async def get_readiness(request: Request, dependencies: Dependencies) -> Response:
    """Answers 200 when the database is reachable and its schema is up to date, otherwise 503."""
    readiness = cast("Readiness", request.app.state.readiness)
    problems = await readiness.problems()
    timestamp = iso_timestamp(dependencies.clock.now())
    return answer_json(
        {**describe(problems), "timestamp": timestamp}, status=503 if any(problems.values()) else 200
    )
