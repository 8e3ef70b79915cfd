"""The token: one login for all, renewed ahead and after a rejection, and wrong credentials told plainly."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import pytest
from feed_builders import NATURAL, PASSWORD, USERNAME, RecordingClock, make_client, read_sample
from scripted_server import Answer, ScriptedSupplier, count_answer, error_answer, login_answer

from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.feeds.budget import UnlimitedBudget
from diamond_opus.feeds.nivoda import NivodaClient, WrongCredentials
from diamond_opus.feeds.nivoda.token import TokenKeeper, read_lifetime

REJECTIONS = {
    "jwt expired": Answer(read_sample("error-jwt-expired")),
    "JWT malformed": error_answer("JWT malformed"),
    "invalid token": error_answer("Invalid token provided"),
    "token expired": error_answer("Token expired"),
    "unauthorized": error_answer("Unauthorized"),
    "authentication required": error_answer("Authentication required"),
    "unauthenticated": error_answer("Unauthenticated!"),
    "only a code": error_answer("no", code="UNAUTHENTICATED"),
    "401": Answer(b"", status=401),
    "401 with JSON": error_answer("no", status=401),
    "403 with JSON": error_answer("jwt expired", status=403),
    "400 with JSON": error_answer("jwt expired", status=400),
}


@pytest.fixture
def patience() -> RecordingClock:
    return RecordingClock()


@pytest.fixture
async def client(supplier: ScriptedSupplier, patience: RecordingClock) -> AsyncIterator[NivodaClient]:
    async with make_client(supplier.url, clock=patience) as opened:
        yield opened


def make_jwt(**claims: object) -> str:
    parts = ({"alg": "HS256"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*texts, "c2lnbmF0dXJl"])


async def test_many_requests_at_once_share_one_login(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(*[count_answer(1)] * 20)

    await asyncio.gather(*(client.count(NATURAL) for _ in range(20)))

    assert supplier.asked.count("Login") == 1
    assert {seen.token for seen in supplier.seen} == {None, "token-1"}


@pytest.mark.parametrize("rejection", REJECTIONS.values(), ids=REJECTIONS)
async def test_a_rejected_token_is_replaced_once_and_the_request_repeated(
    supplier: ScriptedSupplier, client: NivodaClient, patience: RecordingClock, rejection: Answer
) -> None:
    supplier.then(rejection, count_answer(17))

    assert await client.count(NATURAL) == 17
    assert [seen.token for seen in supplier.seen] == [None, "token-1", None, "token-2"]
    assert patience.slept == []


async def test_tokens_that_end_one_after_the_other_are_waited_out(
    supplier: ScriptedSupplier, client: NivodaClient, patience: RecordingClock
) -> None:
    supplier.then(*[error_answer("jwt expired")] * 4, count_answer(17))

    assert await client.count(NATURAL) == 17
    assert supplier.asked == ["Login", "Count"] * 5
    assert len(patience.slept) == 3  # the first is replaced at once


async def test_an_account_whose_every_token_is_rejected_is_the_callers_to_retry(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(*[error_answer("jwt expired")] * 6)

    with pytest.raises(Retryable, match="a new login did not help: check that the account may use the API"):
        await client.count(NATURAL)

    assert supplier.asked == ["Login", "Count"] * 6


async def test_many_rejections_of_one_token_lead_to_one_login(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(count_answer(1), *[error_answer("jwt expired")] * 5, *[count_answer(2)] * 5)
    await client.count(NATURAL)

    assert await asyncio.gather(*(client.count(NATURAL) for _ in range(5))) == [2] * 5

    assert supplier.asked.count("Login") == 2


async def test_the_rejection_of_an_old_token_does_not_discard_a_newer_one(patience: RecordingClock) -> None:
    tokens = iter(("old", "new", "newest"))

    async def login() -> str:
        return next(tokens)

    keeper = TokenKeeper(login, patience, lifetime_seconds=3600)
    old = await keeper.get()
    keeper.reject(old)
    new = await keeper.get()

    keeper.reject(old)

    assert await keeper.get() == new == "new"


async def test_a_token_is_renewed_before_it_ends(
    supplier: ScriptedSupplier, client: NivodaClient, patience: RecordingClock
) -> None:
    supplier.then(*[count_answer(1)] * 3)
    await client.count(NATURAL)

    patience.advance(seconds=6 * 3600 - 301)
    await client.count(NATURAL)
    patience.advance(seconds=2)
    await client.count(NATURAL)

    assert [seen.token for seen in supplier.seen] == [None, "token-1", "token-1", None, "token-2"]


@pytest.mark.parametrize(
    ("lifetime", "kept"),
    [(24 * 3600, 6 * 3600 - 300), (3600, 3300), (120, 60)],
    ids=["long", "hour", "short"],
)
async def test_a_token_that_tells_a_shorter_life_is_believed(
    supplier: ScriptedSupplier, client: NivodaClient, patience: RecordingClock, lifetime: int, kept: int
) -> None:
    far_away = 4_000_000_000
    token = make_jwt(iat=far_away, exp=far_away + lifetime)
    supplier.then_login(login_answer(token), login_answer(token))
    supplier.then(*[count_answer(1)] * 3)
    await client.count(NATURAL)

    patience.advance(seconds=kept - 1)
    await client.count(NATURAL)
    assert supplier.asked.count("Login") == 1
    patience.advance(seconds=1)
    await client.count(NATURAL)
    assert supplier.asked.count("Login") == 2


@pytest.mark.parametrize(
    ("token", "lifetime"),
    [
        (make_jwt(exp=1_000), 100.0),
        (make_jwt(exp=1_000, iat=10), 990.0),
        (make_jwt(exp=800), None),
        (make_jwt(exp="soon"), None),
        (make_jwt(iat=5), None),
        ("opaque", None),
        ("a.b.c", None),
        ("a.YQ.c", None),
        ("..", None),
    ],
)
def test_a_lifetime_is_read_where_there_is_one(token: str, lifetime: float | None) -> None:
    assert read_lifetime(token, 900.0) == lifetime


async def test_a_failed_renewal_keeps_a_token_that_still_lives(
    supplier: ScriptedSupplier, client: NivodaClient, patience: RecordingClock
) -> None:
    supplier.then(*[count_answer(1)] * 2)
    await client.count(NATURAL)
    patience.advance(seconds=6 * 3600 - 200)
    supplier.then_login(*[Answer(status=502)] * 5)

    await client.count(NATURAL)

    assert supplier.seen[-1].token == "token-1"


async def test_a_failed_login_is_tried_again_and_then_told_to_every_waiter(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then_login(*[Answer(status=502)] * 5)

    results = await asyncio.gather(*(client.count(NATURAL) for _ in range(3)), return_exceptions=True)

    assert supplier.asked == ["Login"] * 5
    assert [str(result) for result in results] == [
        "nivoda: login answered 502; gave up after 5 tries, try again later"
    ] * 3


WRONG = {
    "a null session": Answer({"data": {"authenticate": {"username_and_password": None}}}),
    "an empty token": login_answer(""),
    "no authenticate": Answer({"data": {"authenticate": None}}),
    "an error": error_answer(f"Invalid username or password for {USERNAME}: {PASSWORD}"),
    "401": Answer({"errors": [{"message": "wrong"}]}, status=401),
    "403 with a token's text": error_answer("Unauthorized", status=403),
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG)
async def test_wrong_credentials_are_fatal_and_named_by_their_settings_only(
    supplier: ScriptedSupplier, client: NivodaClient, answer: Answer
) -> None:
    supplier.then_login(answer)

    with pytest.raises(WrongCredentials) as error:
        await client.count(NATURAL)

    assert isinstance(error.value, Fatal)
    assert str(error.value).startswith("nivoda: login ")
    assert str(error.value).endswith("; check NIVODA_USERNAME and NIVODA_PASSWORD")
    assert PASSWORD not in str(error.value)
    assert USERNAME not in str(error.value)
    assert supplier.asked == ["Login"]


async def test_wrong_credentials_are_not_tried_again_for_a_minute(
    supplier: ScriptedSupplier, client: NivodaClient, patience: RecordingClock
) -> None:
    supplier.then_login(WRONG["a null session"])
    supplier.then(count_answer(17))
    for _ in range(3):
        with pytest.raises(WrongCredentials):
            await client.count(NATURAL)
    assert supplier.asked == ["Login"]

    patience.advance(seconds=61)

    assert await client.count(NATURAL) == 17


async def test_a_supplier_that_says_it_failed_itself_is_not_wrong_credentials(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then_login(error_answer("Internal server error", code="INTERNAL_SERVER_ERROR"))
    supplier.then(count_answer(17))

    assert await client.count(NATURAL) == 17
    assert supplier.asked == ["Login", "Login", "Count"]


async def test_logins_go_through_the_budget(supplier: ScriptedSupplier) -> None:
    budget = UnlimitedBudget()
    supplier.then(count_answer(1), error_answer("jwt expired"), count_answer(1))
    async with make_client(supplier.url, budget=budget) as client:
        await client.count(NATURAL)
        await client.count(NATURAL)

    assert budget.acquired == len(supplier.seen) == 5


async def test_a_waiter_that_is_cancelled_does_not_take_the_login_from_the_others(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(count_answer(1))
    impatient = asyncio.create_task(client.count(NATURAL))
    patient = asyncio.create_task(client.count(NATURAL))
    await asyncio.sleep(0)

    impatient.cancel()

    assert await patient == 1
    assert supplier.asked == ["Login", "Count"]


async def test_a_client_closed_during_a_login_leaves_nothing_behind(supplier: ScriptedSupplier) -> None:
    supplier.then_login(Answer(ending="silence"))
    client = make_client(supplier.url)
    asking = asyncio.create_task(client.count(NATURAL))
    await supplier.has_seen("Login")

    await client.aclose()

    with pytest.raises(asyncio.CancelledError):
        await asking
