"""Every operators' route is for admin keys alone, takes no parameter that it does not know, and is described."""

from typing import Any
from uuid import UUID

import pytest
from operator_support import open_desk

from diamond_opus.api.openapi import openapi_document
from pipeline_builders import Pool, World

AREAS = ("/api/v2/analytics", "/api/v2/triggers", "/api/v2/heatmap")
#: Written by others, with tests of their own.
ELSEWHERE = ("/holds", "/orders", "/resolve-order")


def routes() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in openapi_document()["paths"].items()
        if path.startswith(AREAS) and not path.endswith(ELSEWHERE)
        for method, operation in methods.items()
    ]


def called(path: str) -> str:
    return path.format(runId=UUID(int=1), table="diamonds", feed="nivoda", supplierStoneId="x")


def test_every_area_of_the_design_is_there() -> None:
    paths = {path.removeprefix("/api/v2") for _, path, _ in routes()}
    assert {
        "/analytics/summary",
        "/analytics/runs",
        "/analytics/runs/{runId}",
        "/analytics/runs/{runId}/quality",
        "/analytics/failed-workers",
        "/analytics/feeds",
        "/analytics/suppliers",
        "/analytics/consolidation",
        "/analytics/consolidation/status",
        "/analytics/consolidation/{runId}",
        "/analytics/error-logs",
        "/analytics/error-logs/services",
        "/analytics/rejected",
        "/analytics/audit-log",
        "/analytics/alerts",
        "/analytics/dead-letters",
        "/analytics/watermark",
        "/analytics/query/{table}",
        "/analytics/events",
        "/triggers/scheduler",
        "/triggers/consolidate",
        "/triggers/resume-consolidation",
        "/triggers/retry-workers",
        "/triggers/cancel-run",
        "/triggers/accept-removals",
        "/triggers/replay-rejected",
        "/triggers/replay-dead-letters",
        "/triggers/resolve-alert",
        "/triggers/failed-workers/{runId}",
        "/heatmap/run",
        "/heatmap/preview",
        "/heatmap/history",
    } <= paths


@pytest.mark.parametrize(("method", "path", "operation"), routes(), ids=lambda value: str(value)[:60])
def test_every_route_is_described_for_its_reader(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["x-permissions"] == ["admin"]
    assert not operation["description"].startswith("Needs")
    [success] = [status for status in operation["responses"] if status.startswith("2")]
    assert operation["responses"][success]["content"]


async def test_a_key_that_may_do_all_but_that_is_forbidden_everywhere(pool: Pool) -> None:
    async with open_desk(World(pool)) as desk:
        trader = await desk.api.key("trade", "cost")
        for method, path, _ in routes():
            body: dict[str, Any] | None = {} if method in ("POST", "PUT") else None
            answer = await desk.api.client.request(method, called(path), headers=trader, json=body)
            assert answer.status_code == 403, (method, path)
            assert answer.json()["error"]["details"] == {"permission": "admin"}
            nobody = await desk.api.client.request(method, called(path), json=body)
            assert nobody.status_code == 401, (method, path)


async def test_an_unknown_parameter_is_400_everywhere(pool: Pool) -> None:
    bodies: dict[str, Any] = {
        "/api/v2/analytics/watermark": {"lastUpdatedAt": "2025-01-01T00:00:00Z"},
        "/api/v2/triggers/replay-rejected": {"reason": "x"},
        "/api/v2/triggers/replay-dead-letters": {"queue": "consolidate"},
        "/api/v2/triggers/resolve-alert": {"alertId": str(UUID(int=1))},
    }
    async with open_desk(World(pool)) as desk:
        for method, path, operation in routes():
            body = bodies.get(path, {"runId": str(UUID(int=1))} if "RunBody" in str(operation) else {})
            if "triggers" in path and not body and "scheduler" not in path:
                body = {"runId": str(UUID(int=1))}
            answer = await desk.api.client.request(
                method,
                called(path) + "?colour=D",
                headers=desk.headers,
                json=body if method in ("POST", "PUT") else None,
            )
            assert answer.status_code == 400, (method, path, answer.text)
            assert [problem["parameter"] for problem in answer.json()["error"]["details"]] == ["colour"], path
