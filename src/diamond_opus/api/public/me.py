"""Who asks, and what they may do: so that a client can show what is possible before it is refused."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from diamond_opus.api.answers import answer_json
from diamond_opus.api.auth import Caller, Needs
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.query_string import refuse_parameters
from diamond_opus.api.schemas import One
from diamond_opus.api.schemas_keys import Me
from diamond_opus.keys.permissions import Permission

router = APIRouter(tags=["api keys"])


@router.get("/me", summary="Who I am, and what I may do", responses={200: {"model": One[Me]}})
async def read_me(
    request: Request, caller: Annotated[Caller, Depends(Needs(None))], dependencies: Dependencies
) -> Response:
    """Of the credentials that the request was sent with."""
    refuse_parameters(request)
    content = {
        "id": caller.id,
        "name": caller.name,
        "permissions": sorted(caller.permissions, key=list(Permission).index),
        "version": dependencies.version,
    }
    return answer_json({"data": content})
