"""Nivoda's counter for single stones, as ``feeds/trading.py`` words it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from diamond_opus.domain.errors import DiamondError, Retryable
from diamond_opus.feeds.nivoda.answers import Envelope, identify, read_count, read_diamond, read_page
from diamond_opus.feeds.nivoda.connection import NivodaConnection, Question
from diamond_opus.feeds.nivoda.errors import (
    BadAnswer,
    NotSent,
    Throttled,
    judge_action,
    judge_errors,
)
from diamond_opus.feeds.nivoda.offers import OFFER_PREFIX, read_offer
from diamond_opus.feeds.nivoda.query_filter import OLDEST_FIRST, build_lookup, build_offer_query
from diamond_opus.feeds.protocol import RawItem
from diamond_opus.feeds.trading import AnswerLost, Hold, Offer, OfferQuestion, OrderRequest

T = TypeVar("T")


#: A moment later than this, in seconds since 1970, is in milliseconds.
_LATEST_SECONDS = 100_000_000_000


class NivodaTrading:
    """``Trader`` over a connection that may be shared with a client."""

    def __init__(self, connection: NivodaConnection) -> None:
        self._connection = connection

    def stone_of_offer(self, offer_id: str) -> str | None:
        """``DIAMOND/<uuid>`` is the offer of the stone ``<uuid>``."""
        stone_id = offer_id.removeprefix(OFFER_PREFIX)
        try:
            is_id = str(UUID(stone_id)) == stone_id
        except ValueError:
            is_id = False
        return stone_id if is_id and offer_id.startswith(OFFER_PREFIX) else None

    def read_offer(self, item: RawItem) -> Offer:
        return read_offer(item)

    async def search(self, question: OfferQuestion, *, offset: int, limit: int) -> Sequence[RawItem]:
        variables = {
            "query": build_offer_query(question),
            "order": OLDEST_FIRST,
            "offset": offset,
            "limit": limit,
        }
        page = await self._connection.ask(
            Question("Page", variables, f"{limit} offers at {offset}", read_page)
        )
        return [row for row in page.rows if isinstance(row, RawItem)]

    async def count(self, question: OfferQuestion) -> int:
        variables = {"query": build_offer_query(question)}
        return await self._connection.ask(Question("Count", variables, "count of offers", read_count))

    async def get_diamond(self, supplier_stone_id: str) -> RawItem | None:
        """The stone as the supplier shows it now, None when it surely has it no more.

        An answer without the stone is an error whose text decides nothing, so the stone is then counted.
        Raises ``Retryable`` or ``Fatal``.
        """
        subject = f"stone {supplier_stone_id}"
        question = Question(
            "Diamond", {"diamond_id": supplier_stone_id}, subject, read_diamond, _judge_missing
        )
        try:
            payload = await self._connection.ask(question)
        except _MissingError as error:
            if not await self._is_listed(supplier_stone_id):
                return None
            raise BadAnswer(f"{error}; it is listed all the same, try again later") from error
        item = identify(payload, "$.data.get_diamond_by_id")
        if not isinstance(item, RawItem) or item.supplier_stone_id != supplier_stone_id:
            raise BadAnswer(
                f"nivoda: {subject} was answered with another or an unreadable item; try again later"
            )
        return item

    async def create_hold(self, supplier_stone_id: str) -> Hold:
        """Ask for a hold of 24 hours; takes the stone's own id, not the offer's."""
        return await self._do(
            "CreateHold", {"diamond_id": supplier_stone_id}, f"hold of stone {supplier_stone_id}", _read_hold
        )

    async def cancel_hold(self, hold_id: str) -> Hold:
        return await self._do("CancelHold", {"hold_id": hold_id}, f"end of hold {hold_id}", _read_hold)

    async def create_order(self, order: OrderRequest) -> str:
        """Order one offer; the supplier's order id."""
        item = {
            "offerId": order.offer_id,
            "destinationId": order.destination_id,
            "customer_order_number": order.reference,
            "customer_comment": order.comment,
            "return_option": order.return_option,
        }
        given = {name: value for name, value in item.items() if value is not None}
        return await self._do("CreateOrder", {"items": [given]}, f"order of {order.offer_id}", _read_order)

    async def _do(
        self,
        operation: str,
        variables: Mapping[str, Any],
        subject: str,
        read: Callable[[bytes], tuple[T | None, Sequence[Any]]],
    ) -> T:
        question = Question(operation, variables, subject, read, judge_action, is_action=True)
        try:
            return await self._connection.ask(question, tries=1)
        except (NotSent, Throttled):
            raise
        except Retryable as error:
            raise AnswerLost(
                f"{error.__cause__ or error}; it may have been done, do not send it again"
            ) from error

    async def _is_listed(self, supplier_stone_id: str) -> bool:
        """Whether either type of the whole inventory has the stone, whatever narrows the feed."""
        for lab_grown in (False, True):
            query = build_lookup({}, [supplier_stone_id], lab_grown=lab_grown)
            subject = f"count of stone {supplier_stone_id}"
            if await self._connection.ask(Question("Count", {"query": query}, subject, read_count)) > 0:
                return True
        return False


class _MissingError(DiamondError):
    """The answer holds no stone, for whatever reason."""


def _judge_missing(subject: str, errors: Sequence[Any]) -> DiamondError:
    judged = judge_errors(subject, errors)
    return _MissingError(str(judged)) if isinstance(judged, BadAnswer) else judged


class _HoldAnswer(msgspec.Struct):
    id: str
    denied: bool | None = None
    until: float | str | None = None


class _HoldData(msgspec.Struct):
    create_hold: _HoldAnswer | None = None
    cancel_hold: _HoldAnswer | None = None


class _OrderData(msgspec.Struct):
    create_order: str | None = None


_decode_hold = msgspec.json.Decoder(Envelope[_HoldData]).decode
_decode_order = msgspec.json.Decoder(Envelope[_OrderData]).decode


def _read_hold(body: bytes) -> tuple[Hold | None, Sequence[Any]]:
    """The hold that was made or ended."""
    envelope = _decode_hold(body)
    found = envelope.data and (envelope.data.create_hold or envelope.data.cancel_hold)
    hold = Hold(found.id, found.denied is True, _read_moment(found.until)) if found else None
    return hold, envelope.errors or ()


def _read_order(body: bytes) -> tuple[str | None, Sequence[Any]]:
    """The order's id."""
    envelope = _decode_order(body)
    return (envelope.data.create_order or None if envelope.data is not None else None), envelope.errors or ()


def _read_moment(until: float | str | None) -> datetime | None:
    """A number by the schema (of seconds or milliseconds), a date in words by one client; None when neither."""
    try:
        if isinstance(until, str):
            moment = datetime.fromisoformat(until)
            return moment.replace(tzinfo=moment.tzinfo or UTC)
        if until is None:
            return None
        return datetime.fromtimestamp(until / 1000 if until > _LATEST_SECONDS else until, UTC)
    except (ValueError, OverflowError, OSError):
        return None
