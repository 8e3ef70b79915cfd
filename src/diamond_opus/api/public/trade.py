"""Trade for shops: hold a stone, let it go, buy it once, and ask or say what may be done with it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from starlette.responses import Response

from diamond_opus.api.answers import answer_json
from diamond_opus.api.auth import Caller, Needs, is_repeat
from diamond_opus.api.dependencies import ApiDependencies, Dependencies
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.path_ids import PathId
from diamond_opus.api.schemas import Error, One
from diamond_opus.api.schemas_trade import AvailabilityBody, Hold, Order, PurchaseBody, StoneAvailability
from diamond_opus.api.trade_answers import answer_stored, show_hold, told_to, word_orders_for
from diamond_opus.catalog.parameters import InvalidParameters, Problem
from diamond_opus.keys.permissions import Permission
from diamond_opus.trade.check_availability import check_availability
from diamond_opus.trade.desk import Desk
from diamond_opus.trade.hold_stone import hold_stone
from diamond_opus.trade.model import HoldRecord, HoldStatus, NoSuchHold
from diamond_opus.trade.order_stone import order_stone
from diamond_opus.trade.purchase import Purchase
from diamond_opus.trade.release_hold import release_hold
from diamond_opus.trade.set_availability import set_availability
from diamond_opus.trade.stones import find_stone

router = APIRouter(prefix="/diamonds", tags=["trade"], route_class=GuardedRoute)
Trader = Annotated[Caller, Depends(Needs(Permission.TRADE))]
#: The same signed request may come again: with its idempotency key it gets the stored answer.
Buyer = Annotated[Caller, Depends(Needs(Permission.TRADE, replayable=True))]

LONGEST_KEY = 200

CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {
        "model": Error,
        "description": "CONFLICT: what is in the way, and for how long where that is known.",
    }
}

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Names this purchase: the same key with the same body never buys twice. 1 to 200 characters.",
    ),
]
OtherKey = Annotated[
    str | None, Header(alias="X-Idempotency-Key", description="Another name of the same header.")
]


@router.post(
    "/{id}/hold",
    summary="Hold a stone",
    status_code=201,
    responses={
        201: {"model": One[Hold], "description": "The stone is held for you until `until`."},
        202: {"model": One[Hold], "description": "The supplier's answer was lost; it is being found out."},
        **CONFLICT,
    },
)
async def create_hold(caller: Trader, dependencies: Dependencies, stone_id: PathId) -> Response:
    """Ask the supplier to keep a stone for you, usually for 24 hours.

    409 when it cannot be had, when somebody holds it, or when the vendor denies the hold (`details.denied`).
    """
    with told_to(caller):
        hold = await hold_stone(desk_of(dependencies), stone_id, client=caller.id)
    return answer_hold(hold, caller)


@router.delete(
    "/{id}/hold",
    summary="End a hold",
    responses={
        200: {"model": One[Hold]},
        202: {"model": One[Hold], "description": "The supplier's answer was lost; it is being found out."},
        **CONFLICT,
    },
)
async def end_hold(caller: Trader, dependencies: Dependencies, stone_id: PathId) -> Response:
    """End your own hold of a stone, at the supplier and here. With the permission admin, anybody's."""
    with told_to(caller):
        async with dependencies.unit_of_work() as conn:
            stone = await find_stone(conn, stone_id)
        if stone is None:
            raise NoSuchHold("there is no live hold of this stone")
        hold = await release_hold(
            desk_of(dependencies), stone.key, client=caller.id, is_admin=may_administer(caller)
        )
    return answer_json(
        {"data": show_hold(hold, caller)}, status=200 if hold.status is HoldStatus.RELEASED else 202
    )


@router.post(
    "/{id}/purchase",
    summary="Buy a stone, once",
    status_code=201,
    responses={
        201: {"model": One[Order], "description": "The supplier took the order."},
        202: {
            "model": One[Order],
            "description": "status unknown: the supplier's answer was lost. It is never sent again by itself; "
            "GET /orders/{id} shows what became of it.",
        },
        **CONFLICT,
    },
)
async def purchase_diamond(
    request: Request,
    caller: Buyer,
    dependencies: Dependencies,
    stone_id: PathId,
    body: PurchaseBody | None = None,
    key: Key = None,
    other_key: OtherKey = None,
) -> Response:
    """Order a stone from the supplier, at the price that the supplier asks at this moment.

    The idempotency key comes in `Idempotency-Key`, `X-Idempotency-Key` or `idempotencyKey` of the body, in this order.
    The same key with the same body gets the first answer again, byte for byte; with another body it is 409; while the
    first request is under way it is 409 with `Retry-After`. After a 503, or a 409 before anything was sent, the same
    key may be used again. 409 too when the stone cannot be had, or costs more than `maxPriceCents` now: what it costs
    us for a key with the permission `cost`, else the selling price by the rules of today.
    """
    purchase = read_purchase(body or PurchaseBody(), key, other_key, caller)
    with told_to(caller):
        answer = await order_stone(
            desk_of(dependencies),
            stone_id,
            purchase,
            client=caller.id,
            word=word_orders_for(caller),
            is_repeat=is_repeat(request),
        )
    return answer_stored(answer, caller)


@router.post(
    "/{id}/availability",
    summary="Ask or say what may be done with a stone",
    responses={200: {"model": One[StoneAvailability]}, **CONFLICT},
)
async def update_availability(
    caller: Trader, dependencies: Dependencies, stone_id: PathId, body: AvailabilityBody | None = None
) -> Response:
    """Without a body, ask the supplier now and store its answer, which may end a hold. With one, note what you know.

    What you note stands beside the supplier's word and survives every new listing: `on_hold` and `sold` elsewhere,
    `unavailable`, or `available` to take it back.
    """
    given = body or AvailabilityBody()
    desk = desk_of(dependencies)
    with told_to(caller):
        if given.availability is None:
            return await _check(desk, caller, stone_id, given)
        stone = await set_availability(
            desk,
            stone_id,
            given.availability,
            hold_id=given.hold_id,
            client=caller.id,
            is_admin=may_administer(caller),
        )
    shown = {"id": stone.id, "availability": stone.availability, "rawAvailability": None, "checkedAt": None}
    return answer_json({"data": shown})


async def _check(desk: Desk, caller: Caller, stone_id: PathId, given: AvailabilityBody) -> Response:
    if given.hold_id is not None:
        raise InvalidParameters([Problem("holdId", given.hold_id, "has no meaning without availability")])
    stone, look = await check_availability(desk, stone_id)
    shown = {
        "id": stone.id,
        "availability": stone.availability,
        "rawAvailability": look.raw_availability,
        "checkedAt": look.asked_at,
    }
    if caller.sees_cost:
        shown["holdId"] = look.hold_id
    return answer_json({"data": shown})


def desk_of(dependencies: ApiDependencies) -> Desk:
    """Where trade is done: on the API's own connections."""
    return dependencies.pipeline.desk(dependencies.pool)


def may_administer(caller: Caller) -> bool:
    return Permission.ADMIN in caller.permissions


def answer_hold(hold: HoldRecord, caller: Caller) -> Response:
    """201 for a hold that is there, 202 for one of which nobody knows."""
    status = 201 if hold.status is HoldStatus.ACTIVE else 202
    return answer_json({"data": show_hold(hold, caller)}, status=status)


def read_purchase(body: PurchaseBody, key: str | None, other_key: str | None, caller: Caller) -> Purchase:
    """The purchase with its key. Raises InvalidParameters when no key was sent, or none that can be kept."""
    places = {"Idempotency-Key": key, "X-Idempotency-Key": other_key, "idempotencyKey": body.idempotency_key}
    given = {name: text.strip() for name, text in places.items() if text is not None}
    name, text = next(iter(given.items()), ("idempotencyKey", ""))
    if key is not None and other_key is not None and key.strip() != other_key.strip():
        message = "differs from X-Idempotency-Key: which purchase is meant?"
        raise InvalidParameters([Problem(name, text[:100], message)])
    if not text or len(text) > LONGEST_KEY or not text.isprintable():
        message = f"is needed: 1 to {LONGEST_KEY} printable characters that name this purchase"
        raise InvalidParameters([Problem(name, text[:100] or None, message)])
    return Purchase(
        text,
        destination_id=body.destination_id,
        reference=body.reference,
        comments=body.comments,
        return_option=body.return_option,
        max_price_cents=body.max_price_cents,
        limits_selling_price=not caller.sees_cost,
    )
