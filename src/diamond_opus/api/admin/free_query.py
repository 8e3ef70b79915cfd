"""A free question to a table, for what no other route answers."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from diamond_opus.analytics.query_table import Question, query_table
from diamond_opus.analytics.tables import TABLES
from diamond_opus.api.answers import answer_json
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.operators import Operator
from diamond_opus.api.query_string import refuse_parameters
from diamond_opus.api.schemas_operators import Found, QuestionBody

router = APIRouter(prefix="/analytics", tags=["analytics"], route_class=GuardedRoute)


@router.post("/query/{table}", summary="Ask a table", responses={200: {"model": Found}})
async def ask_table(
    request: Request,
    _caller: Operator,
    dependencies: Dependencies,
    table: Annotated[str, Path(json_schema_extra={"enum": list(TABLES)})],
    body: QuestionBody | None = None,
) -> Response:
    """Rows of an allowed table: chosen columns or aggregates, filters, order, limit, offset.

    Columns beside aggregates are what is grouped by. A column that is not allowed is an error that lists those that
    are. Money is dollars here, as the table keeps it.
    """
    refuse_parameters(request)
    body = body or QuestionBody()
    question = Question(
        table=table,
        select=body.select,
        filters=body.filters,
        order=None if body.order is None else (body.order.column, body.order.ascending),
        limit=body.limit,
        offset=body.offset,
    )
    async with dependencies.snapshot() as conn:
        page = await query_table(conn, question)
    window = {"total": page.total, "limit": body.limit, "offset": body.offset}
    return answer_json({"data": page.rows, "pagination": window})
