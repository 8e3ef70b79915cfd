"""API keys over the API: who may call it, and for what."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from diamond_opus.api.answers import answer_json, paginated
from diamond_opus.api.auth import Caller, Needs
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.listing import listing, position_of
from diamond_opus.api.query_string import describe_parameters, read_id, read_query, refuse_parameters
from diamond_opus.api.schemas import ListOf, One
from diamond_opus.api.schemas_keys import ApiKey, CreatedApiKey, NewApiKey
from diamond_opus.catalog.parameters import (
    InvalidParameters,
    Parameter,
    Problem,
    TrueOrFalse,
    read_parameters,
)
from diamond_opus.keys import api_keys as keys
from diamond_opus.keys.permissions import InvalidKey, Permission

router = APIRouter(prefix="/api-keys", tags=["api keys"], route_class=GuardedRoute)
Administrator = Annotated[Caller, Depends(Needs(Permission.ADMIN))]

_PARAMETERS = listing(
    Parameter("usable", TrueOrFalse(), "Only keys that are, or are no longer, neither revoked nor expired.")
)


@router.get(
    "",
    summary="List the API keys",
    responses={200: {"model": ListOf[ApiKey]}},
    openapi_extra={"parameters": describe_parameters(_PARAMETERS.values())},
)
async def list_api_keys(request: Request, _caller: Administrator, dependencies: Dependencies) -> Response:
    """Every key there ever was, the newest first, without the keys themselves."""
    values = read_parameters(_PARAMETERS, read_query(request))
    position, now = position_of(values), dependencies.clock.now()
    async with dependencies.snapshot() as conn:
        found, total = await keys.page_of_keys(
            conn, usable=values.get("usable"), now=now, limit=position.limit, offset=position.offset
        )
    shown = [_shown(key, now) for key in found]
    return answer_json(paginated(shown, total=total, page=position.page, limit=position.limit))


@router.post(
    "",
    status_code=201,
    summary="Make an API key",
    responses={201: {"model": One[CreatedApiKey]}},
)
async def create_api_key(
    request: Request, caller: Administrator, dependencies: Dependencies, body: NewApiKey
) -> Response:
    """The answer shows the key, this once: only its hash is stored. `GET /api-keys` lists what is known of it."""
    refuse_parameters(request)
    now = dependencies.clock.now()
    expires_at = _end(body, now)
    try:
        async with dependencies.unit_of_work() as conn:
            text, key = await keys.create_key(
                conn,
                name=body.name,
                permissions=body.permissions,
                expires_at=expires_at,
                actor=caller.id,
                now=now,
            )
    except InvalidKey as error:
        raise InvalidParameters([Problem(to_camel(error.field), None, str(error))]) from error
    return answer_json({"data": {**_shown(key, now), "key": text}}, status=201)


@router.delete("/{id}", summary="Revoke an API key", responses={200: {"model": One[ApiKey]}})
async def revoke_api_key(
    request: Request,
    caller: Administrator,
    dependencies: Dependencies,
    key_id: Annotated[str, Path(alias="id", json_schema_extra={"format": "uuid"})],
) -> Response:
    """Useless for ever, in every process within 5 s. Doing so again changes nothing and is no error."""
    refuse_parameters(request)
    known_id, now = read_id("id", key_id), dependencies.clock.now()
    try:
        async with dependencies.unit_of_work() as conn:
            key = await keys.revoke_key(conn, known_id, actor=caller.id, now=now)
    except keys.KeyNotFound as error:
        raise ApiError(
            404,
            ErrorCode.NOT_FOUND,
            f"there is no API key with the id {known_id}",
            hint="GET /api-keys lists them.",
        ) from error
    return answer_json({"data": _shown(key, now)})


def _end(body: NewApiKey, now: datetime) -> datetime | None:
    """When the key is to end. Raises InvalidParameters when that is said twice."""
    if body.expires_in_days is None:
        return body.expires_at
    if body.expires_at is not None:
        raise InvalidParameters(
            [Problem("expiresInDays", str(body.expires_in_days), "is given beside expiresAt; name one")]
        )
    return now + timedelta(days=body.expires_in_days)


def _shown(key: keys.ApiKey, now: datetime) -> dict[str, Any]:
    return {
        "id": key.id,
        "clientName": key.client_name,
        "permissions": [permission for permission in Permission if permission in key.permissions],
        "active": key.active,
        "usable": key.is_usable(now),
        "createdAt": key.created_at,
        "lastUsedAt": key.last_used_at,
        "expiresAt": key.expires_at,
    }
