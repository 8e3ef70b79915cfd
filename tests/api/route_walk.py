"""Every operation that the OpenAPI document has, with paths that lead to what is really there."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from diamond_opus.api.openapi import openapi_document

PREFIX = "/api/v2"

#: By the beginning of a path: where an id for its parameter is found. The longest beginning counts.
SOURCES: Mapping[str, str] = {
    "/analytics/query/": "SELECT 'diamonds'",
    "/diamonds": "SELECT id::text FROM diamonds WHERE status = 'active' ORDER BY id LIMIT 1",
    "/pricing-rules": "SELECT id::text FROM pricing_rules ORDER BY priority DESC, id LIMIT 1",
    "/api-keys": "SELECT id::text FROM api_keys WHERE client_name = 'to be revoked' LIMIT 1",
    "/nivoda": "SELECT offer_id FROM diamonds ORDER BY id LIMIT 1",
    "/orders": "SELECT id::text FROM purchase_history LIMIT 1",
    "/analytics": "SELECT run_id::text FROM run_metadata ORDER BY started_at DESC LIMIT 1",
    "/triggers": "SELECT run_id::text FROM run_metadata ORDER BY started_at DESC LIMIT 1",
}


class Operation(NamedTuple):
    """One method of one path template, as the document describes it."""

    method: str
    path: str
    described: Mapping[str, Any]

    @property
    def permission(self) -> str | None:
        """The permission that it needs; None for what is open."""
        needs = self.described.get("x-permissions")
        return needs[0] if needs else None

    @property
    def answers_forever(self) -> bool:
        """Whether it goes on until the client hangs up."""
        return any(
            "text/event-stream" in answer.get("content", {})
            for answer in self.described["responses"].values()
        )


@cache
def document() -> Mapping[str, Any]:
    """Made once, because that takes half a second."""
    return openapi_document()


def operations() -> Iterator[Operation]:
    for path, methods in document()["paths"].items():
        for method, described in methods.items():
            yield Operation(method.upper(), path, described)


def id_source(path: str) -> str | None:
    """The query that finds an id for the parameter of a path template."""
    beginnings = [beginning for beginning in SOURCES if path.startswith(PREFIX + beginning)]
    return SOURCES[max(beginnings, key=len)] if "{" in path and beginnings else None
