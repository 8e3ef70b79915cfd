"""The supplier's counter as it is: live offers, and holds and orders by offer id, through the same safe books."""

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from diamond_opus.api.answers import answer_json
from diamond_opus.api.auth import Caller, Needs, is_repeat
from diamond_opus.api.dependencies import ApiDependencies, Dependencies
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.path_ids import NO_QUERY
from diamond_opus.api.public.trade import CONFLICT, Key, OtherKey, answer_hold, desk_of, read_purchase
from diamond_opus.api.schemas import One
from diamond_opus.api.schemas_trade import (
    CancelHoldBody,
    Hold,
    LiveOffer,
    OfferCount,
    OfferCountBody,
    OfferHoldBody,
    OfferPage,
    OfferPurchaseBody,
    OfferSearchBody,
    Order,
)
from diamond_opus.api.trade_answers import (
    answer_stored,
    show_hold,
    told_to,
    word_orders_for,
)
from diamond_opus.catalog.parameters import InvalidParameters, Problem
from diamond_opus.domain.ids import diamond_id
from diamond_opus.feeds.trading import Offer, OfferQuestion
from diamond_opus.keys.permissions import Permission
from diamond_opus.trade.hold_stone import hold_stone
from diamond_opus.trade.holds import find_by_feed_hold, get_hold
from diamond_opus.trade.model import HoldRecord, HoldStatus, NoSuchHold, TradedStone
from diamond_opus.trade.order_stone import order_stone
from diamond_opus.trade.release_hold import release_hold
from diamond_opus.wiring import NIVODA

router = APIRouter(prefix="/nivoda", tags=["nivoda"], dependencies=[NO_QUERY], route_class=GuardedRoute)
CostReader = Annotated[Caller, Depends(Needs(Permission.COST))]
Admin = Annotated[Caller, Depends(Needs(Permission.ADMIN))]
Buyer = Annotated[Caller, Depends(Needs(Permission.ADMIN, replayable=True))]

_LOST = "The supplier's answer was lost; it is being found out."


@router.post("/search", summary="Search live offers", responses={200: {"model": One[OfferPage]}})
async def search_offers(caller: CostReader, dependencies: Dependencies, body: OfferSearchBody) -> Response:
    """Ask the supplier now, oldest offers first; nothing is stored. Prices of the filter are whole dollars of cost."""
    question = _question(body)
    desk = desk_of(dependencies)
    with told_to(caller):
        trader = desk.trader(NIVODA)
        async with desk.asking():
            total = await trader.count(question)
            items = await trader.search(question, offset=body.offset, limit=body.limit)
    shown = [_show_offer(trader.read_offer(item)) for item in items]
    page = {"totalCount": total, "offset": body.offset, "limit": body.limit, "items": shown}
    return answer_json({"data": page})


@router.post("/count", summary="Count live offers", responses={200: {"model": One[OfferCount]}})
async def count_offers(caller: CostReader, dependencies: Dependencies, body: OfferCountBody) -> Response:
    """How many offers the supplier has now that meet the filter."""
    question = _question(body)
    desk = desk_of(dependencies)
    with told_to(caller):
        trader = desk.trader(NIVODA)
        async with desk.asking():
            count = await trader.count(question)
    return answer_json({"data": {"count": count}})


@router.get("/diamond/{offerId:path}", summary="One live offer", responses={200: {"model": One[LiveOffer]}})
async def read_offer(
    caller: CostReader,
    dependencies: Dependencies,
    offer_id: Annotated[str, Path(alias="offerId", description="With its slash encoded: DIAMOND%2F…")],
) -> Response:
    """An offer as the supplier shows it now; nothing is stored."""
    desk = desk_of(dependencies)
    with told_to(caller):
        trader = desk.trader(NIVODA)
        stone_id = trader.stone_of_offer(offer_id)
        async with desk.asking():
            item = await trader.get_diamond(stone_id) if stone_id is not None else None
    if item is None:
        raise ApiError(404, ErrorCode.NOT_FOUND, "the supplier has no such offer")
    return answer_json({"data": _show_offer(trader.read_offer(item))})


@router.post(
    "/hold",
    summary="Hold an offer",
    status_code=201,
    responses={201: {"model": One[Hold]}, 202: {"model": One[Hold], "description": _LOST}, **CONFLICT},
)
async def hold_offer(caller: Admin, dependencies: Dependencies, body: OfferHoldBody) -> Response:
    """As `POST /diamonds/{id}/hold`, also for stones that are not in the catalogue."""
    with told_to(caller):
        stone = _stranger(dependencies, body.offer_id)
        hold = await hold_stone(desk_of(dependencies), stone.id, client=caller.id, stranger=stone)
    return answer_hold(hold, caller)


@router.post(
    "/cancel-hold",
    summary="End any hold",
    responses={200: {"model": One[Hold]}, 202: {"model": One[Hold], "description": _LOST}, **CONFLICT},
)
async def cancel_hold(caller: Admin, dependencies: Dependencies, body: CancelHoldBody) -> Response:
    """End a hold at the supplier and here, by our id of it or by the supplier's."""
    with told_to(caller):
        found = await _find_hold(dependencies, body.hold_id)
        hold = await release_hold(desk_of(dependencies), found.key, client=caller.id, is_admin=True)
    status = 200 if hold.status is HoldStatus.RELEASED else 202
    return answer_json({"data": show_hold(hold, caller)}, status=status)


@router.post(
    "/order",
    summary="Order an offer, once",
    status_code=201,
    responses={201: {"model": One[Order]}, 202: {"model": One[Order], "description": _LOST}, **CONFLICT},
)
async def order_offer(
    request: Request,
    caller: Buyer,
    dependencies: Dependencies,
    body: OfferPurchaseBody,
    key: Key = None,
    other_key: OtherKey = None,
) -> Response:
    """As `POST /diamonds/{id}/purchase`, also for stones that are not in the catalogue."""
    purchase = read_purchase(body, key, other_key, caller)
    with told_to(caller):
        stone = _stranger(dependencies, body.offer_id)
        answer = await order_stone(
            desk_of(dependencies),
            stone.id,
            purchase,
            client=caller.id,
            word=word_orders_for(caller),
            stranger=stone,
            is_repeat=is_repeat(request),
        )
    return answer_stored(answer, caller)


def _question(body: OfferCountBody) -> OfferQuestion:
    """Raises InvalidParameters for a range that is the wrong way round."""
    problems = [
        Problem(f"{name}Min", str(low), f"must not be above {name}Max, which is {high}")
        for name, low, high in (
            ("price", body.price_min, body.price_max),
            ("carat", body.carat_min, body.carat_max),
        )
        if low is not None and high is not None and low > high
    ]
    if problems:
        raise InvalidParameters(problems)
    return OfferQuestion(
        lab_grown=body.lab_grown,
        price_from=body.price_min,
        price_to=body.price_max,
        carats_from=_hundredths(body.carat_min),
        carats_to=_hundredths(body.carat_max),
        shapes=tuple(shape.upper() for shape in body.shapes),
        has_image=body.has_image,
        has_video=body.has_video,
    )


def _hundredths(carats: float | None) -> int | None:
    return None if carats is None else round(carats * 100)


def _stranger(dependencies: ApiDependencies, offer_id: str) -> TradedStone:
    """The stone of an offer as if it were not in the catalogue: the supplier is asked for its price in any case."""
    stone_id = desk_of(dependencies).trader(NIVODA).stone_of_offer(offer_id)
    if stone_id is None:
        message = "is no offer id of this supplier, such as DIAMOND/8c6982cd-9e10-4795-93bc-b19938405167"
        raise InvalidParameters([Problem("offerId", offer_id, message)])
    return TradedStone(diamond_id(NIVODA, stone_id), NIVODA, stone_id, offer_id, True, 0, "available", False)


async def _find_hold(dependencies: ApiDependencies, text: str) -> HoldRecord:
    async with dependencies.unit_of_work() as conn:
        hold = await get_hold(conn, our_id) if (our_id := _as_uuid(text)) else None
        hold = hold or await find_by_feed_hold(conn, NIVODA, text)
    if hold is None:
        raise NoSuchHold(f"there is no hold with the id {text}")
    return hold


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _show_offer(offer: Offer) -> dict[str, Any]:
    certificate = asdict(offer.certificate) if offer.certificate else None
    if certificate is not None:
        certificate["labGrown"] = certificate.pop("lab_grown")
    return {
        "offerId": offer.offer_id,
        "priceCents": offer.price_cents,
        "discount": offer.discount,
        "diamond": {
            "id": offer.supplier_stone_id,
            "availability": offer.availability,
            "rawAvailability": offer.raw_availability,
            "holdId": offer.hold_id,
            "orderItemId": offer.order_item_id,
            "stockId": offer.stock_id,
            "supplierStockId": offer.supplier_stock_id,
            "image": offer.image_url,
            "video": offer.video_url,
            "certificate": certificate,
            "supplier": {"id": offer.supplier_id, "name": offer.supplier_name},
        },
    }
