"""Holds and orders: sent once, and every failure tells whether it may have been done."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest
from feed_builders import NATURAL, STONE_ID, RecordingClock, make_client, make_item, read_sample
from scripted_server import (
    Answer,
    ScriptedSupplier,
    count_answer,
    error_answer,
)

from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.feeds.budget import UnlimitedBudget
from diamond_opus.feeds.nivoda import (
    BadAnswer,
    NivodaAccount,
    NivodaClient,
    NivodaTrading,
    NotSent,
    RefusedQuery,
    Throttled,
)
from diamond_opus.feeds.trading import AnswerLost, Hold, OrderRequest, Refused
from diamond_opus.simulator.faults import Fault
from diamond_opus.simulator.server import Simulator
from diamond_opus.simulator.settings import DEFAULT_PASSWORD, DEFAULT_USERNAME, SimulatorSettings

OFFER_ID = f"DIAMOND/{STONE_ID}"
Action = Callable[[NivodaTrading], Awaitable[object]]

ACTIONS: dict[str, Action] = {
    "hold": lambda trading: trading.create_hold(STONE_ID),
    "end of a hold": lambda trading: trading.cancel_hold("hold-1"),
    "order": lambda trading: trading.create_order(OrderRequest(OFFER_ID)),
}
each_action = pytest.mark.parametrize("act", ACTIONS.values(), ids=ACTIONS)


@pytest.fixture
async def client(supplier: ScriptedSupplier) -> AsyncIterator[NivodaClient]:
    async with make_client(supplier.url, clock=RecordingClock(), request_timeout_seconds=0.5) as opened:
        yield opened


@pytest.fixture
def trading(client: NivodaClient) -> NivodaTrading:
    return NivodaTrading(client.connection)


async def test_a_hold_is_asked_for_by_the_stones_own_id(
    supplier: ScriptedSupplier, trading: NivodaTrading
) -> None:
    hold = read_sample("response-create-hold")["data"]["as"]["create_hold"]
    supplier.then(Answer({"data": {"create_hold": hold}}))

    assert await trading.create_hold(STONE_ID) == Hold("hold-123", False, datetime(2024, 1, 1, tzinfo=UTC))
    assert supplier.seen[-1].variables == {"diamond_id": STONE_ID}


@pytest.mark.parametrize(
    ("until", "moment"),
    [
        (1_767_225_600, datetime(2026, 1, 1, tzinfo=UTC)),
        (1_767_225_600_000.0, datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00", datetime(2026, 1, 1, tzinfo=UTC)),
        (None, None),
        ("tomorrow", None),
        (1e300, None),
    ],
)
async def test_the_end_of_a_hold_is_read_in_every_spelling(
    supplier: ScriptedSupplier, trading: NivodaTrading, until: object, moment: datetime | None
) -> None:
    supplier.then(Answer({"data": {"create_hold": {"id": "h", "denied": None, "until": until}}}))

    assert await trading.create_hold(STONE_ID) == Hold("h", False, moment)


async def test_a_denied_hold_is_an_answer(supplier: ScriptedSupplier, trading: NivodaTrading) -> None:
    supplier.then(Answer({"data": {"create_hold": {"id": "h", "denied": True}}}))

    assert (await trading.create_hold(STONE_ID)).is_denied


async def test_a_hold_is_ended_by_its_own_id(supplier: ScriptedSupplier, trading: NivodaTrading) -> None:
    supplier.then(Answer({"data": {"cancel_hold": {"id": "hold-1", "denied": False, "until": None}}}))

    assert (await trading.cancel_hold("hold-1")).id == "hold-1"
    assert supplier.seen[-1].variables == {"hold_id": "hold-1"}


async def test_an_order_names_the_offer_and_only_what_was_given(
    supplier: ScriptedSupplier, trading: NivodaTrading
) -> None:
    supplier.then(*[Answer({"data": {"create_order": "order-1"}})] * 2)

    assert await trading.create_order(OrderRequest(OFFER_ID)) == "order-1"
    await trading.create_order(OrderRequest(OFFER_ID, "place-1", "PO-1", "Rush", return_option=False))

    assert [seen.variables["items"] for seen in supplier.seen[1:]] == [
        [{"offerId": OFFER_ID}],
        [
            {
                "offerId": OFFER_ID,
                "destinationId": "place-1",
                "customer_order_number": "PO-1",
                "customer_comment": "Rush",
                "return_option": False,
            }
        ],
    ]


LOST = {
    "502": Answer(b"Bad gateway", status=502),
    "503": Answer(b"", status=503),
    "html": Answer(b"<html>"),
    "half an answer": Answer({"data": {"create_order": "order-1"}}, ending="truncated"),
    "a closed connection": Answer(ending="none"),
    "silence": Answer(ending="silence"),
    "neither data nor errors": Answer(
        {"data": {"create_order": None, "create_hold": None, "cancel_hold": None}}
    ),
    "the supplier's own failure": error_answer("Internal server error", code="INTERNAL_SERVER_ERROR"),
    "another form": Answer({"data": {"create_order": {}, "create_hold": 1, "cancel_hold": []}}),
}


@each_action
@pytest.mark.parametrize("answer", LOST.values(), ids=LOST)
async def test_an_action_whose_answer_was_lost_may_have_been_done_and_is_never_sent_again(
    supplier: ScriptedSupplier, trading: NivodaTrading, act: Action, answer: Answer
) -> None:
    supplier.then(answer, Answer({"data": {"create_order": "second"}}))

    with pytest.raises(AnswerLost, match="it may have been done, do not send it again") as error:
        await act(trading)

    assert not isinstance(error.value, (Retryable, Fatal))
    assert len(supplier.seen) == 2


@each_action
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(status=429, headers={"Retry-After": "7"}), Throttled),
        (Answer(b"<html>", status=403), Throttled),
        (error_answer("limit", status=400), RefusedQuery),
    ],
    ids=["429", "403", "400"],
)
async def test_an_action_turned_away_was_surely_not_done(
    supplier: ScriptedSupplier, trading: NivodaTrading, act: Action, answer: Answer, kind: type[Exception]
) -> None:
    supplier.then(answer)

    with pytest.raises(kind):
        await act(trading)

    assert len(supplier.seen) == 2


@each_action
@pytest.mark.parametrize("code", [None, "BAD_USER_INPUT"])
async def test_an_action_is_refused_in_the_suppliers_words(
    supplier: ScriptedSupplier, trading: NivodaTrading, act: Action, code: str | None
) -> None:
    supplier.then(error_answer("Diamond is not available", code=code))

    with pytest.raises(Refused, match="was refused: Diamond is not available"):
        await act(trading)


@each_action
async def test_an_action_without_a_login_was_surely_not_done(
    supplier: ScriptedSupplier, trading: NivodaTrading, act: Action
) -> None:
    supplier.then_login(*[Answer(status=502)] * 5)

    with pytest.raises(NotSent, match="login answered 502"):
        await act(trading)


async def test_an_action_with_an_expired_token_is_sent_again_with_a_new_one(
    supplier: ScriptedSupplier, trading: NivodaTrading
) -> None:
    supplier.then(error_answer("jwt expired"), Answer({"data": {"create_order": "order-1"}}))

    assert await trading.create_order(OrderRequest(OFFER_ID)) == "order-1"


async def test_an_action_refused_with_two_tokens_was_surely_not_done(
    supplier: ScriptedSupplier, trading: NivodaTrading
) -> None:
    supplier.then(error_answer("jwt expired"), error_answer("jwt expired"))

    with pytest.raises(NotSent, match="a new login did not help"):
        await trading.create_order(OrderRequest(OFFER_ID))


async def test_an_action_never_takes_a_connection_that_may_be_closed_by_now(
    supplier: ScriptedSupplier, client: NivodaClient, trading: NivodaTrading
) -> None:
    supplier.then(count_answer(1), count_answer(1), *[Answer({"data": {"create_order": "order-1"}})] * 2)
    await client.count(NATURAL)
    await client.count(NATURAL)
    for _ in range(2):
        await trading.create_order(OrderRequest(OFFER_ID))

    login, *counts, first, second = [seen.peer for seen in supplier.seen]
    assert set(counts) == {login}
    assert len({login, first, second}) == 3


async def test_a_stone_is_looked_at_by_its_id(supplier: ScriptedSupplier, trading: NivodaTrading) -> None:
    supplier.then(Answer({"data": {"get_diamond_by_id": make_item()}}))

    item = await trading.get_diamond(STONE_ID)

    assert item is not None
    assert (item.supplier_stone_id, item.offer_id, item.price_cents) == (STONE_ID, OFFER_ID, 130_000)


@pytest.mark.parametrize(
    "answer", [error_answer("Diamond not found"), Answer({"data": {"get_diamond_by_id": None}})]
)
async def test_a_stone_that_is_not_answered_and_not_counted_is_gone(
    supplier: ScriptedSupplier, trading: NivodaTrading, answer: Answer
) -> None:
    supplier.then(answer, count_answer(0), count_answer(0))

    assert await trading.get_diamond(STONE_ID) is None
    assert supplier.queries == [
        {"labgrown": False, "filter_ids": [STONE_ID]},
        {"labgrown": True, "filter_ids": [STONE_ID]},
    ]


async def test_a_stone_that_is_not_answered_but_counted_is_not_gone(
    supplier: ScriptedSupplier, trading: NivodaTrading
) -> None:
    supplier.then(error_answer("Something went wrong"), count_answer(0), count_answer(1))

    with pytest.raises(BadAnswer, match="it is listed all the same"):
        await trading.get_diamond(STONE_ID)


@pytest.mark.parametrize("item", [make_item("another"), {"id": "DIAMOND/x"}])
async def test_another_stone_than_the_one_asked_for_is_no_answer(
    supplier: ScriptedSupplier, trading: NivodaTrading, item: object
) -> None:
    supplier.then(Answer({"data": {"get_diamond_by_id": item}}))

    with pytest.raises(BadAnswer, match="another or an unreadable item"):
        await trading.get_diamond(STONE_ID)


async def test_a_stone_is_held_released_and_ordered_at_the_simulator() -> None:
    settings = SimulatorSettings(stones=200, seed=5, hostile_share=0.0)
    async with Simulator(settings) as simulator:
        truth = next(stone for stone in simulator.truth() if stone.availability == "AVAILABLE")
        account = NivodaAccount(simulator.url, DEFAULT_USERNAME, DEFAULT_PASSWORD)
        client = NivodaClient(account, budget=UnlimitedBudget(), clock=RecordingClock())
        async with client:
            trading = NivodaTrading(client.connection)

            hold = await trading.create_hold(truth.id)
            assert hold.until is not None
            assert hold.until.timestamp() > time.time()
            await trading.cancel_hold(hold.id)

            simulator.set_faults([Fault("answer_lost", limit=1, requests=("create_order",))])
            with pytest.raises(AnswerLost):
                await trading.create_order(OrderRequest(truth.offer_id))

            seen = await trading.get_diamond(truth.id)
            assert seen is not None
            assert b'"OrderItemId":"' in seen.payload
            with pytest.raises(Refused):
                await trading.create_order(OrderRequest(truth.offer_id))
            assert await trading.get_diamond("00000000-0000-4000-8000-000000000000") is None
