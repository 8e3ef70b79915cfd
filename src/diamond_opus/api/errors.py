"""Which status, code and words every failure gets; what the driver said stays in the log."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from math import ceil
from typing import Any

import orjson
import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from psycopg.errors import LockNotAvailable, QueryCanceled
from starlette.exceptions import HTTPException
from starlette.responses import Response

from diamond_opus.api.answers import answer_error
from diamond_opus.api.body_problems import describe_problems
from diamond_opus.catalog.parameters import InvalidParameters, PermissionMissing
from diamond_opus.db.errors import is_transient
from diamond_opus.domain.errors import Retryable
from diamond_opus.observability.logging import get_logger
from diamond_opus.runs.model import RunRefused, UnknownRun

RETRY_AFTER_SECONDS = 5

_MOST_SHOWN = 200
_PATH_PARAMETER = re.compile(r"\{[^}]*\}")

log = get_logger(__name__)


class ErrorCode(StrEnum):
    VALIDATION_ERROR = "VALIDATION_ERROR"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    DIAMOND_NOT_FOUND = "DIAMOND_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    CONFLICT = "CONFLICT"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    RATE_LIMITED = "RATE_LIMITED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"


class ApiError(HTTPException):
    """A refusal with its status; ``details`` is plain JSON and ``hint`` says what to do."""

    def __init__(
        self,
        status: int,
        code: ErrorCode,
        message: str,
        *,
        details: Any = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.code = code
        self.details = details
        self.hint = hint


def install_error_handlers(app: FastAPI) -> None:
    """One handler for each kind of failure; what none of them takes becomes the guard's 500."""
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(InvalidParameters, _invalid)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(PermissionMissing, _forbidden)
    app.add_exception_handler(UnknownRun, _unknown_run)
    app.add_exception_handler(RunRefused, _run_refused)
    app.add_exception_handler(Retryable, _unavailable)
    app.add_exception_handler(psycopg.Error, _database_failed)


def forbidden(permission: str, message: str) -> ApiError:
    return ApiError(
        403,
        ErrorCode.FORBIDDEN,
        message,
        details={"permission": permission},
        hint=f"Ask the operator for a key with the permission {str(permission)!r}.",
    )


async def refused(_request: Request, error: Exception) -> Response:
    """The answer to an HTTPException, ours or the framework's."""
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error, ApiError):
        return answer_error(
            error.status_code,
            error.code,
            error.detail,
            details=error.details,
            hint=error.hint,
            headers=error.headers,
        )
    return _routing_failed(_request, error)


def _routing_failed(request: Request, error: HTTPException) -> Response:
    """What the framework itself refuses: an unknown route, a wrong method, a body that is no JSON."""
    path = request.url.path[:_MOST_SHOWN]
    if error.status_code == 404:
        hint = "GET /api-docs lists the routes."
        return answer_error(404, ErrorCode.NOT_FOUND, f"there is no route {path}", hint=hint)
    if error.status_code == 405:
        allowed = _methods_of(request, (error.headers or {}).get("Allow", ""))
        return answer_error(
            405,
            ErrorCode.METHOD_NOT_ALLOWED,
            f"{request.method} {path} is not possible",
            details={"allowed": allowed},
            headers={"Allow": ", ".join(allowed)},
        )
    code = ErrorCode.VALIDATION_ERROR if error.status_code < 500 else ErrorCode.INTERNAL_ERROR
    return answer_error(error.status_code, code, str(error.detail), headers=error.headers)


def _methods_of(request: Request, named: str) -> list[str]:
    """All that the path has; ``named`` is what the framework names, those of the first route that fits."""
    path = request.url.path
    methods = {method.strip() for method in named.split(",") if method.strip()}
    for template, operations in orjson.loads(request.app.state.openapi_json)["paths"].items():
        if re.fullmatch(_PATH_PARAMETER.sub("[^/]+", template), path):
            methods |= {method.upper() for method in operations}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


async def _invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, InvalidParameters):
        raise error
    problems = [
        {name: value for name, value in asdict(problem).items() if value is not None}
        for problem in error.problems
    ]
    return _validation_error(problems)


async def _unreadable(request: Request, error: Exception) -> Response:
    """A body or path that does not fit its model."""
    if not isinstance(error, RequestValidationError):
        raise error
    return _validation_error(describe_problems(request, error))


def _validation_error(problems: Sequence[Mapping[str, Any]]) -> Response:
    names = list(dict.fromkeys(str(problem["parameter"]) for problem in problems))
    message = f"invalid: {', '.join(names)}; details says why"
    return answer_error(400, ErrorCode.VALIDATION_ERROR, message, details=problems)


async def _unknown_run(_request: Request, error: Exception) -> Response:
    hint = "GET /api/v2/analytics/runs lists them."
    return answer_error(404, ErrorCode.NOT_FOUND, str(error).removeprefix("run: "), hint=hint)


async def _run_refused(_request: Request, error: Exception) -> Response:
    """The step is not possible as things stand; the message says what is."""
    hint = "GET /api/v2/analytics/runs shows where each run stands."
    return answer_error(409, ErrorCode.CONFLICT, str(error).removeprefix("run: "), hint=hint)


async def _forbidden(_request: Request, error: Exception) -> Response:
    if not isinstance(error, PermissionMissing):
        raise error
    return await refused(_request, forbidden(error.permission, str(error)))


async def _unavailable(_request: Request, error: Exception) -> Response:
    """Something we depend on is away for a moment."""
    wish = error.retry_after_seconds if isinstance(error, Retryable) else None
    seconds = ceil(wish or RETRY_AFTER_SECONDS)
    log.warning("service_unavailable", reason=str(error))
    return answer_error(
        503,
        ErrorCode.SERVICE_UNAVAILABLE,
        "the service cannot answer right now",
        hint=f"Try again in {seconds} s; GET /ready says what is wrong.",
        headers={"Retry-After": str(seconds)},
    )


async def _database_failed(request: Request, error: Exception) -> Response:
    if isinstance(error, QueryCanceled | LockNotAvailable):
        log.warning("statement_timed_out", path=request.url.path)
        return answer_error(
            503,
            ErrorCode.SERVICE_UNAVAILABLE,
            "the database took too long for this question",
            hint="Narrow it, for instance by shape and carats, or page with cursors instead of page numbers.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    if is_transient(error):
        return await _unavailable(request, error)
    raise error
