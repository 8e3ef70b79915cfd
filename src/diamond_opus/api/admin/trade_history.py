"""Trade for operators: every hold and order, and the word of a person about a lost answer."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from diamond_opus.api.answers import answer_json, paginated
from diamond_opus.api.auth import Caller, Needs, name_clients
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.listing import listing, position_of
from diamond_opus.api.path_ids import NO_QUERY
from diamond_opus.api.public.trade import CONFLICT, desk_of
from diamond_opus.api.query_string import describe_parameters, read_query
from diamond_opus.api.schemas import ListOf, One
from diamond_opus.api.schemas_trade import HoldOfClient, OrderOfClient, ResolveOrderBody
from diamond_opus.api.trade_answers import show_hold_of_client, show_order_of_client, told_to
from diamond_opus.catalog.parameters import Identifier, OneOf, Parameter, Text, read_parameters
from diamond_opus.keys.permissions import Permission
from diamond_opus.trade.lists import TradeFilter, list_holds, list_orders
from diamond_opus.trade.model import HoldStatus, OrderStatus
from diamond_opus.trade.resolve_order import resolve_order

router = APIRouter(tags=["trade"], route_class=GuardedRoute)
Admin = Annotated[Caller, Depends(Needs(Permission.ADMIN))]

_COMMON = (
    Parameter("client", Text(), "Whose: key:<uuid> or hmac:<client>."),
    Parameter("feed", Text(lambda text: text.strip().lower()), "Where the stone was read from."),
    Parameter("diamond_id", Identifier(), "Of this stone."),
)
_ORDER_PARAMETERS = listing(
    Parameter("status", OneOf(tuple(OrderStatus)), "What became of the order.", many=True), *_COMMON
)
_HOLD_PARAMETERS = listing(
    Parameter("status", OneOf(tuple(HoldStatus)), "What became of the hold.", many=True), *_COMMON
)


@router.get(
    "/analytics/orders",
    summary="List all orders",
    responses={200: {"model": ListOf[OrderOfClient]}},
    openapi_extra={"parameters": describe_parameters(_ORDER_PARAMETERS.values())},
)
async def list_all_orders(request: Request, caller: Admin, dependencies: Dependencies) -> Response:
    """Orders of every client: those of which nobody knows first, then the newest."""
    values = read_parameters(_ORDER_PARAMETERS, read_query(request))
    position = position_of(values)
    async with dependencies.snapshot() as conn:
        rows, total = await list_orders(
            conn, _chosen(values), offset=position.offset, limit=position.limit, open_first=True
        )
        names = await name_clients(conn, (order.client for order in rows))
    shown = [show_order_of_client(order, caller, names) for order in rows]
    return answer_json(paginated(shown, total=total, page=position.page, limit=position.limit))


@router.get(
    "/analytics/holds",
    summary="List all holds",
    responses={200: {"model": ListOf[HoldOfClient]}},
    openapi_extra={"parameters": describe_parameters(_HOLD_PARAMETERS.values())},
)
async def list_all_holds(request: Request, caller: Admin, dependencies: Dependencies) -> Response:
    """Holds of every client: those of which nobody knows first, then the newest."""
    values = read_parameters(_HOLD_PARAMETERS, read_query(request))
    position = position_of(values)
    async with dependencies.snapshot() as conn:
        rows, total = await list_holds(
            conn, _chosen(values), offset=position.offset, limit=position.limit, open_first=True
        )
        names = await name_clients(conn, (hold.client for hold in rows))
    shown = [show_hold_of_client(hold, caller, names) for hold in rows]
    return answer_json(paginated(shown, total=total, page=position.page, limit=position.limit))


@router.post(
    "/triggers/resolve-order",
    summary="Say what became of an order",
    responses={200: {"model": One[OrderOfClient]}, **CONFLICT},
    dependencies=[NO_QUERY],
)
async def resolve_unknown_order(
    caller: Admin, dependencies: Dependencies, body: ResolveOrderBody
) -> Response:
    """Settle an order whose answer was lost, after you have asked the supplier by other means.

    `refused` gives the stone free. An order that is `ordered` can be confirmed or refused so too. It is audited.
    """
    with told_to(caller):
        order = await resolve_order(
            desk_of(dependencies),
            body.order_id,
            OrderStatus(body.outcome),
            actor=caller.id,
            note=body.note,
            feed_order_id=body.feed_order_id,
        )
    async with dependencies.snapshot() as conn:
        names = await name_clients(conn, [order.client])
    return answer_json({"data": show_order_of_client(order, caller, names)})


def _chosen(values: Mapping[str, Any]) -> TradeFilter:
    return TradeFilter(
        client=values.get("client"),
        feed=values.get("feed"),
        diamond_id=values.get("diamond_id"),
        statuses=values.get("status", ()),
    )
