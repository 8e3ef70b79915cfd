"""The application: routes, errors and layers put together around what they are given."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from diamond_opus.api import dashboard
from diamond_opus.api.auth import Authenticator
from diamond_opus.api.dependencies import ApiDependencies
from diamond_opus.api.errors import install_error_handlers
from diamond_opus.api.middleware import Edge, Guard
from diamond_opus.api.openapi import openapi_json
from diamond_opus.api.operators import OperatorParts
from diamond_opus.api.rate_limits import LIMIT_HEADER, REMAINING_HEADER, RESET_HEADER, RateLimiter
from diamond_opus.api.request_log import RequestLog
from diamond_opus.api.routes import make_bare_app
from diamond_opus.readiness import Readiness

_READABLE_HEADERS = (
    "X-Trace-Id", "X-As-Of", "ETag", "Retry-After", LIMIT_HEADER, REMAINING_HEADER, RESET_HEADER,
)  # fmt: skip
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")


def create_app(dependencies: ApiDependencies) -> FastAPI:
    """An ASGI application that opens nothing and closes nothing: the pool is its owner's.

    What it begins in the background ends with ``operators.ended_with``, which its owner puts around serving it.

    Raises ConfigurationError for trusted proxies that are no addresses.
    """
    app = make_bare_app(dependencies.version)
    app.state.dependencies = dependencies
    app.state.authenticator = Authenticator(dependencies)
    app.state.exporting = set()
    app.state.rate_limiter = RateLimiter(dependencies.clock, dependencies.rate_limits)
    app.state.request_log = RequestLog()
    app.state.readiness = Readiness(dependencies.pool, dependencies.pending_migrations, dependencies.clock)
    app.state.openapi_json = openapi_json(dependencies.version)
    app.state.operators = OperatorParts(dependencies)
    app.state.dashboard = dashboard.installed_files()
    install_error_handlers(app)
    app.add_exception_handler(404, dashboard.page_or_refusal)
    # The last one added is the outermost; even a 500 must be readable for a page of another origin.
    app.add_middleware(Guard)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(dependencies.cors_origins),
        allow_credentials=False,
        allow_methods=_METHODS,
        allow_headers=["*"],
        expose_headers=_READABLE_HEADERS,
        max_age=600,
    )
    app.add_middleware(Edge, clock=dependencies.clock, request_log=app.state.request_log)
    return app
