"""How holds and orders are told: which fields, to whom, with which status, and in which words they fail."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from typing import Any

import orjson
from starlette.responses import Response

from diamond_opus.api.answers import answer_error, answer_json
from diamond_opus.api.auth import Caller, signature_was_used
from diamond_opus.api.errors import RETRY_AFTER_SECONDS, ApiError, ErrorCode, forbidden
from diamond_opus.keys.permissions import Permission
from diamond_opus.trade.model import (
    HoldRecord,
    NoSuchHold,
    NoSuchOrder,
    NoSuchStone,
    NothingStored,
    OrderRecord,
    OrderStatus,
    StoredAnswer,
    SupplierFailed,
    TradeConflict,
    TradeForbidden,
)

#: What only the permission cost shows of an order.
_CONFIDENTIAL = frozenset({"feedOrderId", "offerId", "feedPriceCents", "reason"})


def show_hold(hold: HoldRecord, caller: Caller) -> dict[str, Any]:
    shown = {
        "id": hold.id,
        "diamondId": hold.diamond_id,
        "feed": hold.feed,
        "status": hold.status,
        "denied": hold.denied,
        "until": hold.hold_until,
        "createdAt": hold.created_at,
        "updatedAt": hold.updated_at,
    }
    if caller.sees_cost:
        shown |= {"feedHoldId": hold.feed_hold_id, "offerId": hold.offer_id, "reason": hold.reason}
    return shown


def show_hold_of_client(hold: HoldRecord, caller: Caller, names: Mapping[str, str]) -> dict[str, Any]:
    whose = {**_whose(hold.client, names), "holdUntil": hold.hold_until, "byHand": hold.by_hand}
    return {**show_hold(hold, caller), **whose}


def show_order(order: OrderRecord, caller: Caller) -> dict[str, Any]:
    """An order without anything that changes while its status stays."""
    shown = {
        "id": order.id,
        "diamondId": order.diamond_id,
        "feed": order.feed,
        "status": order.status,
        "idempotencyKey": order.idempotency_key,
        "destinationId": order.destination_id,
        "reference": order.reference,
        "comments": order.comments,
        "returnOption": order.return_option,
        "maxPriceCents": order.max_price_cents,
        "createdAt": order.created_at,
    }
    if caller.sees_cost:
        shown |= {
            "feedOrderId": order.feed_order_id,
            "offerId": order.offer_id,
            "feedPriceCents": order.feed_price_cents,
        }
    return shown


def show_order_now(order: OrderRecord, caller: Caller) -> dict[str, Any]:
    now = {"updatedAt": order.updated_at, "resolvedAt": order.resolved_at}
    reason = {"reason": order.reason} if caller.sees_cost else {}
    return {**show_order(order, caller), **now, **reason}


def show_order_of_client(order: OrderRecord, caller: Caller, names: Mapping[str, str]) -> dict[str, Any]:
    whose = {
        **_whose(order.client, names),
        "sentAt": order.sent_at,
        "reportedAt": order.reported_at,
        "resolvedBy": order.resolved_by,
        "resolvedHow": order.resolved_how,
        "resolutionNote": order.resolution_note,
    }
    return {**show_order_now(order, caller), **whose}


def _whose(client: str | None, names: Mapping[str, str]) -> dict[str, Any]:
    return {"client": client, "clientName": names.get(client or "")}


def word_orders_for(caller: Caller) -> Callable[[OrderRecord], StoredAnswer]:
    """What the buyer is told of an order: 201 when it was taken, 202 while nobody knows, 409 when it was refused."""

    def word(order: OrderRecord) -> StoredAnswer:
        if order.status is OrderStatus.REFUSED:
            answer = answer_error(
                409,
                ErrorCode.CONFLICT,
                "the supplier refused the order",
                details={
                    "orderId": str(order.id),
                    **({"reason": order.reason} if caller.sees_cost else {}),
                },
                hint="Choose another stone; a new try needs a new idempotency key.",
            )
        else:
            status = 202 if order.status is OrderStatus.UNKNOWN else 201
            answer = answer_json({"data": show_order(order, caller)}, status=status)
        return StoredAnswer(answer.status_code, bytes(answer.body).decode())

    return word


def answer_stored(answer: StoredAnswer, caller: Caller) -> Response:
    """The very bytes that were stored, but without cost for a client that has lost the permission since."""
    headers = {"Cache-Control": "no-store"}
    body = answer.body.encode()
    return Response(
        body if caller.sees_cost else _without_cost(body), answer.status, headers, "application/json"
    )


def _without_cost(body: bytes) -> bytes:
    content = orjson.loads(body)
    for told in (content.get("data", {}), content.get("error", {}).get("details", {})):
        hidden = _CONFIDENTIAL & set(told)
        if hidden:
            for name in hidden:
                del told[name]
            body = orjson.dumps(content)
    return body


@contextmanager
def told_to(caller: Caller) -> Iterator[None]:
    """Turn what trade refuses into errors of the API; what is confidential is told only with the permission cost."""
    try:
        yield
    except NoSuchStone as error:
        raise ApiError(404, ErrorCode.DIAMOND_NOT_FOUND, str(error)) from error
    except NothingStored as error:
        raise signature_was_used() from error
    except (NoSuchHold, NoSuchOrder) as error:
        raise ApiError(404, ErrorCode.NOT_FOUND, str(error)) from error
    except TradeForbidden as error:
        raise forbidden(Permission.ADMIN, str(error)) from error
    except TradeConflict as error:
        raise _conflict(error, caller) from error
    except SupplierFailed as error:
        raise _unavailable(error) from error


def _conflict(error: TradeConflict, caller: Caller) -> ApiError:
    details = {**error.details, **(error.confidential if caller.sees_cost else {})}
    seconds = error.retry_after_seconds
    return ApiError(
        409,
        ErrorCode.CONFLICT,
        str(error),
        details=details or None,
        hint=error.hint,
        headers={"Retry-After": str(seconds)} if seconds is not None else None,
    )


def _unavailable(error: SupplierFailed) -> ApiError:
    seconds = ceil(error.retry_after_seconds or RETRY_AFTER_SECONDS)
    return ApiError(
        503,
        ErrorCode.SERVICE_UNAVAILABLE,
        str(error),
        hint=f"Try again in {seconds} s; the same idempotency key may be used.",
        headers={"Retry-After": str(seconds)},
    )
