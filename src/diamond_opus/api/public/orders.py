"""A shop's own orders: what became of each."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from diamond_opus.api.answers import answer_json, paginated
from diamond_opus.api.auth import Caller, Needs
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.listing import listing, position_of
from diamond_opus.api.path_ids import PathId
from diamond_opus.api.public.trade import may_administer
from diamond_opus.api.query_string import describe_parameters, read_query
from diamond_opus.api.schemas import ListOf, One
from diamond_opus.api.schemas_trade import OrderNow
from diamond_opus.api.trade_answers import show_order_now
from diamond_opus.catalog.parameters import Identifier, OneOf, Parameter, read_parameters
from diamond_opus.keys.permissions import Permission
from diamond_opus.trade.lists import TradeFilter, list_orders
from diamond_opus.trade.model import OrderStatus
from diamond_opus.trade.orders import get_order

router = APIRouter(prefix="/orders", tags=["trade"])
Trader = Annotated[Caller, Depends(Needs(Permission.TRADE))]

_PARAMETERS = listing(
    Parameter("status", OneOf(tuple(OrderStatus)), "What became of the order.", many=True),
    Parameter("diamond_id", Identifier(), "Orders of this stone."),
)


@router.get(
    "",
    summary="List your orders",
    responses={200: {"model": ListOf[OrderNow]}},
    openapi_extra={"parameters": describe_parameters(_PARAMETERS.values())},
)
async def list_own_orders(request: Request, caller: Trader, dependencies: Dependencies) -> Response:
    """Your orders, the newest first, as they are now. With the permission admin, everybody's."""
    values = read_parameters(_PARAMETERS, read_query(request))
    position = position_of(values)
    chosen = TradeFilter(
        client=None if may_administer(caller) else caller.id,
        diamond_id=values.get("diamond_id"),
        statuses=values.get("status", ()),
    )
    async with dependencies.snapshot() as conn:
        rows, total = await list_orders(conn, chosen, offset=position.offset, limit=position.limit)
    shown = [show_order_now(order, caller) for order in rows]
    return answer_json(paginated(shown, total=total, page=position.page, limit=position.limit))


@router.get("/{id}", summary="One order", responses={200: {"model": One[OrderNow]}})
async def read_order(caller: Trader, dependencies: Dependencies, order_id: PathId) -> Response:
    """What became of an order; another client's is NOT_FOUND, as one that never was."""
    async with dependencies.snapshot() as conn:
        order = await get_order(conn, order_id)
    if order is None or not (order.client == caller.id or may_administer(caller)):
        raise ApiError(404, ErrorCode.NOT_FOUND, f"there is no order with the id {order_id}")
    return answer_json({"data": show_order_now(order, caller)})
