"""What stands in a path or beside it: ids in one spelling, and no query where none is meant."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from diamond_opus.api.public.diamonds import StoneId, read_stone_id
from diamond_opus.api.query_string import refuse_parameters


# Async only because FastAPI would send a plain function to a thread.
async def _id_of_path(request: Request, given: StoneId) -> UUID:
    refuse_parameters(request)
    return read_stone_id(given)


async def _no_query(request: Request) -> None:
    refuse_parameters(request)


#: The ``{id}`` of a route that takes no query.
PathId = Annotated[UUID, Depends(_id_of_path)]

#: For ``dependencies=`` of a route that takes no query: an unknown parameter is an error, never ignored.
NO_QUERY = Depends(_no_query)
