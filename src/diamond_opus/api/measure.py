"""What a request counts as: its route's template, its method and the class of its answer, never its path."""

from typing import Any

from starlette.types import Scope

from diamond_opus.api.routes import PREFIX
from diamond_opus.observability.metrics import METHODS, REQUESTS_IN_FLIGHT, UNMATCHED, request_series


class Measured:
    """One request, from its arrival to its end."""

    __slots__ = ("_is_answered", "_method", "_started")

    def __init__(self, method: str, started: float) -> None:
        self._method = method if method in METHODS else "other"
        self._started = started
        self._is_answered = False
        REQUESTS_IN_FLIGHT.inc()

    def answered(self, scope: Scope, status: int, now: float) -> None:
        """The answer begins; how long the client takes to read it says nothing about us."""
        self._observe(scope, f"{status // 100}xx", now)

    def ended(self, scope: Scope, now: float) -> None:
        if not self._is_answered:
            self._observe(scope, "none", now)
        REQUESTS_IN_FLIGHT.dec()

    def _observe(self, scope: Scope, status: str, now: float) -> None:
        self._is_answered = True
        request_series(template_of(scope), self._method, status).observe(now - self._started)


def template_of(scope: Scope) -> str:
    """The template of the route that took the request, as the API's description has it.

    A router that is included knows the path within itself; all of ours are included under one prefix or none.
    """
    route: Any = scope.get("route")
    template: str | None = getattr(route, "path_format", None)
    if template is None:
        return UNMATCHED
    is_under_prefix = scope["path"].startswith(f"{PREFIX}/") and not template.startswith(PREFIX)
    return PREFIX + template if is_under_prefix else template
