"""Which routes there are, and what they have in common; made without a database, so that it can be described."""

from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import Scope

from diamond_opus.api import dashboard, docs, health, metrics
from diamond_opus.api.admin import (
    alerts,
    api_keys,
    events,
    free_query,
    heatmap,
    logs,
    nivoda,
    overview,
    pricing_rules,
    put_right,
    replays,
    runs,
    start_runs,
    trade_history,
    watermark,
)
from diamond_opus.api.public import diamonds, explanation, export, me, orders, trade
from diamond_opus.api.schemas import Error

PREFIX = "/api/v2"

#: They come every few seconds and tell nothing, so that they are neither logged nor traced while all is well.
PROBES = frozenset({"/health", "/ready"})

#: What any route may answer; openapi.py leaves out what one cannot.
COMMON_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {
        "description": "VALIDATION_ERROR: details names every parameter that is wrong, and what is allowed."
    },
    401: {"description": "UNAUTHORIZED: no credentials, wrong ones, or a signature that was used before."},
    403: {"description": "FORBIDDEN: details names the permission that is missing."},
    404: {"description": "NOT_FOUND, or DIAMOND_NOT_FOUND."},
    413: {"description": "PAYLOAD_TOO_LARGE: the body is larger than 1 MB."},
    429: {"description": "RATE_LIMITED: wait for Retry-After seconds."},
    500: {"description": "INTERNAL_ERROR: recorded under its trace id."},
    503: {"description": "SERVICE_UNAVAILABLE: try again after Retry-After seconds."},
}


_REFUSED: dict[int | str, dict[str, Any]] = {
    409: {"model": Error, "description": "CONFLICT: not as things stand; the message says what is possible."}
}


def make_bare_app(version: str) -> FastAPI:
    """The application with its routes, before it is given what they work on."""
    app = FastAPI(
        title="Diamond Opus API",
        version=version,
        description="Search a priced catalogue of diamonds. Money is whole US cents, times are UTC.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(docs.router)
    app.include_router(dashboard.router)
    versioned = APIRouter(
        prefix=PREFIX, responses={status: {"model": Error, **text} for status, text in COMMON_ERRORS.items()}
    )
    versioned.include_router(export.router)  # before diamonds: "export" is no stone's id
    versioned.include_router(diamonds.router)
    versioned.include_router(explanation.router)
    versioned.include_router(me.router)
    versioned.include_router(api_keys.router)
    versioned.include_router(pricing_rules.router)
    for operators_room in (overview, runs, logs, free_query, events):
        versioned.include_router(operators_room.router)
    for acting_room in (start_runs, put_right, replays, heatmap, watermark):
        versioned.include_router(acting_room.router, responses=_REFUSED)
    versioned.include_router(alerts.router)
    versioned.include_router(trade.router)
    versioned.include_router(orders.router)
    versioned.include_router(trade_history.router)
    versioned.include_router(nivoda.router)
    app.include_router(versioned)
    return app


def template_of(scope: Scope) -> str | None:
    """The route that a request was answered by, as ``/api/v2/diamonds/{id}``: there are only so many. None for none."""
    path: str | None = getattr(scope.get("route"), "path", None)
    if path is None or path.startswith(PREFIX) or not scope["path"].startswith(f"{PREFIX}/"):
        return path
    return PREFIX + path  # a route of a router that was included with a prefix does not know it
