"""The process's metrics on the API's own port, where no other is open; for who may see everything."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.operators import Operator
from diamond_opus.monitoring.gauges import answer_scrape

#: Not described: it is no part of the API that clients are made from.
router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def get_metrics(request: Request, _caller: Operator, dependencies: Dependencies) -> Response:
    """For Prometheus, which sends the key as a header of its own (deploy/monitoring/prometheus.yml)."""
    body, content_type = await answer_scrape(dependencies.pipeline.gauges, request.headers.get("accept"))
    return Response(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})
