"""Each way an answer can be wrong: how it is classified, how often it is asked again, and what people read."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from feed_builders import (
    NATURAL,
    PASSWORD,
    USERNAME,
    RecordingBudget,
    RecordingClock,
    make_client,
    read_sample,
)
from scripted_server import Answer, ScriptedSupplier, count_answer, error_answer, page_answer
from structlog.testing import capture_logs

from diamond_opus.domain.errors import ConfigurationError, Fatal, Retryable
from diamond_opus.feeds.budget import Verdict
from diamond_opus.feeds.nivoda import (
    BadAnswer,
    NivodaAccount,
    NivodaClient,
    NotSent,
    RefusedQuery,
    Throttled,
)
from diamond_opus.feeds.nivoda.errors import parse_retry_after

HTML = Answer(b"<html><body><h1>Request blocked</h1></body></html>", headers={"Content-Type": "text/html"})


@pytest.fixture
def patience() -> RecordingClock:
    return RecordingClock()


@pytest.fixture
def budget() -> RecordingBudget:
    return RecordingBudget()


@pytest.fixture
async def client(
    supplier: ScriptedSupplier, patience: RecordingClock, budget: RecordingBudget
) -> AsyncIterator[NivodaClient]:
    async with make_client(supplier.url, clock=patience, budget=budget, request_timeout_seconds=5) as opened:
        yield opened


TRANSIENT = {
    "502": Answer(b"Bad gateway", status=502),
    "503": Answer(b"", status=503),
    "408": Answer(b"", status=408),
    "500 with JSON": error_answer("boom", status=500),
    "html": HTML,
    "empty": Answer(b""),
    "half of the JSON": Answer(b'{"data":{"diamonds_by_qu'),
    "another protocol": Answer(b'{"hello":"world"}'),
    "errors and no data": error_answer("Something went wrong"),
    "a broken body": Answer({"data": {"diamonds_by_query_count": 7}}, ending="truncated"),
    "a closed connection": Answer({"data": {"diamonds_by_query_count": 7}}, ending="none"),
    "a redirection": Answer(b"", status=302, headers={"Location": "https://example.com/"}),
    "a body that is no gzip": Answer(b"plain", headers={"Content-Encoding": "gzip"}),
    "a deep abyss": Answer(b"[" * 200_000),
}


@pytest.mark.parametrize("answer", TRANSIENT.values(), ids=TRANSIENT)
async def test_a_transient_failure_is_asked_again(
    supplier: ScriptedSupplier, client: NivodaClient, budget: RecordingBudget, answer: Answer
) -> None:
    supplier.then(answer, count_answer(17))

    assert await client.count(NATURAL) == 17
    assert supplier.asked == ["Login", "Count", "Count"]
    assert [outcome.verdict for outcome in budget.outcomes] == [Verdict.GOOD, Verdict.FAILED, Verdict.GOOD]


@pytest.mark.parametrize("answer", TRANSIENT.values(), ids=TRANSIENT)
async def test_a_lasting_transient_failure_says_what_where_and_what_next(
    supplier: ScriptedSupplier, client: NivodaClient, answer: Answer
) -> None:
    supplier.then(*[answer] * 5)

    with pytest.raises(Retryable) as error:
        await client.count(NATURAL)

    assert str(error.value).startswith("nivoda: count of natural USD 1200 to 1340 ")
    assert str(error.value).endswith("; gave up after 5 tries, try again later")
    assert supplier.asked.count("Count") == 5


async def test_waits_grow_with_full_jitter_up_to_a_limit(
    supplier: ScriptedSupplier, patience: RecordingClock
) -> None:
    supplier.then(*[Answer(status=502)] * 7)
    async with make_client(supplier.url, clock=patience, tries=7, max_backoff_seconds=20) as client:
        with pytest.raises(Retryable):
            await client.count(NATURAL)

    assert patience.slept == [2, 4, 8, 16, 20, 20]


async def test_429_is_waited_for_as_long_as_wished(
    supplier: ScriptedSupplier, client: NivodaClient, patience: RecordingClock, budget: RecordingBudget
) -> None:
    supplier.then(Answer(status=429, headers={"Retry-After": "20"}), page_answer([]))

    with capture_logs() as logs:
        await client.read_page(NATURAL, offset=650, limit=50)

    assert patience.slept == [pytest.approx(20.2)]
    assert [log["reason"] for log in logs if log["event"] == "supplier_request_retried"] == [
        "nivoda: page at offset 650 of natural USD 1200 to 1340 answered 429; retry in 20 s"
    ]
    throttled = budget.outcomes[1]
    assert (throttled.kind, throttled.verdict, throttled.pause_seconds) == ("Page", Verdict.THROTTLED, 20)


async def test_a_wish_longer_than_our_patience_is_handed_to_the_caller(
    supplier: ScriptedSupplier, client: NivodaClient, patience: RecordingClock
) -> None:
    supplier.then(Answer(status=429, headers={"Retry-After": "900"}))

    with pytest.raises(Throttled) as error:
        await client.count(NATURAL)

    assert error.value.retry_after_seconds == 900
    assert str(error.value) == "nivoda: count of natural USD 1200 to 1340 answered 429; retry in 900 s"
    assert patience.slept == []


async def test_a_429_without_a_wish_pauses_everybody_a_little(
    supplier: ScriptedSupplier, client: NivodaClient, budget: RecordingBudget
) -> None:
    supplier.then(Answer(status=429), count_answer(1))

    await client.count(NATURAL)

    assert (budget.outcomes[1].verdict, budget.outcomes[1].pause_seconds) == (Verdict.THROTTLED, 5)


@pytest.mark.parametrize("body", [HTML.body, b"", b"Forbidden", b'{"message":"Forbidden"}'])
async def test_403_of_the_gateway_is_throttling_and_no_rejected_token(
    supplier: ScriptedSupplier,
    client: NivodaClient,
    patience: RecordingClock,
    budget: RecordingBudget,
    body: bytes,
) -> None:
    supplier.then(Answer(body, status=403), count_answer(17))

    assert await client.count(NATURAL) == 17
    assert supplier.asked == ["Login", "Count", "Count"]
    assert patience.slept == [pytest.approx(30.2)]
    assert (budget.outcomes[1].verdict, budget.outcomes[1].pause_seconds) == (Verdict.THROTTLED, 30)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(read_sample("error-unknown-filter"), status=400),
        error_answer("Syntax Error", status=400, code="GRAPHQL_PARSE_FAILED"),
        error_answer(
            'Field "updatedAt" is not defined by type DiamondQuery', code="GRAPHQL_VALIDATION_FAILED"
        ),
        Answer({"message": "limit must not be above 50"}, status=400),
    ],
)
async def test_a_refused_query_is_told_in_the_suppliers_words_and_not_asked_again(
    supplier: ScriptedSupplier, client: NivodaClient, answer: Answer
) -> None:
    supplier.then(answer)

    with pytest.raises(RefusedQuery) as error:
        await client.count(NATURAL)

    words = ("updatedAt", "Syntax Error", "limit must not be above 50")
    assert any(word in str(error.value) for word in words)
    assert supplier.asked == ["Login", "Count"]


async def test_the_suppliers_words_are_cut(supplier: ScriptedSupplier, client: NivodaClient) -> None:
    supplier.then(error_answer("no " * 10_000, status=400))

    with pytest.raises(RefusedQuery) as error:
        await client.count(NATURAL)

    assert 300 < len(str(error.value)) < 450


async def test_a_400_that_is_no_json_is_the_gateways_and_asked_again(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(Answer(HTML.body, status=400), count_answer(1))

    assert await client.count(NATURAL) == 1


@pytest.mark.parametrize("status", [404, 405, 410])
async def test_an_address_that_is_not_the_suppliers_is_fatal_and_names_the_setting(
    supplier: ScriptedSupplier, client: NivodaClient, status: int
) -> None:
    supplier.then(Answer(HTML.body, status=status))

    with pytest.raises(Fatal, match=rf"answered {status}.*check NIVODA_ENDPOINT"):
        await client.count(NATURAL)


async def test_html_is_shown_by_its_first_bytes(supplier: ScriptedSupplier, client: NivodaClient) -> None:
    supplier.then(*[HTML] * 5)

    with pytest.raises(BadAnswer, match="not JSON: HTML: '<html><body><h1>Request blocked"):
        await client.count(NATURAL)


async def test_silence_is_ended_by_the_timeout(supplier: ScriptedSupplier) -> None:
    supplier.then(Answer(ending="silence"))
    async with make_client(supplier.url, request_timeout_seconds=0.3, tries=1) as client:
        with pytest.raises(Retryable, match=r"was not answered within 0.3 s; try again later"):
            await client.count(NATURAL)


async def test_a_closed_port_is_a_request_not_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        async with make_client(url, tries=1) as client:
            with pytest.raises(NotSent, match="login was not sent, no connection"):
                await client.count(NATURAL)


async def test_a_budget_out_of_reach_is_a_request_not_sent(supplier: ScriptedSupplier) -> None:
    class Broken(RecordingBudget):
        async def acquire(self) -> None:
            raise Retryable("request budget: no slot could be booked: the database is gone")

    async with make_client(supplier.url, budget=Broken(), tries=1) as client:
        with pytest.raises(NotSent, match="login was not sent: request budget: no slot could be booked"):
            await client.count(NATURAL)


async def test_a_cancelled_request_leaves_the_client_usable(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(Answer(ending="silence"), count_answer(17))
    asking = asyncio.create_task(client.count(NATURAL))
    await supplier.has_seen("Count")

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert await client.count(NATURAL) == 17


@pytest.mark.parametrize("secret", [PASSWORD, USERNAME, "token-1"])
async def test_a_secret_that_the_supplier_quotes_is_not_passed_on(
    supplier: ScriptedSupplier, client: NivodaClient, secret: str
) -> None:
    supplier.then(error_answer(f"you sent me {secret}, really?", status=400))

    with pytest.raises(RefusedQuery, match=r"you sent me \*\*\*, really\?"):
        await client.count(NATURAL)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("0", 0),
        ("-3", 0),
        ("1.5", 1.5),
        ("1e9", 3600),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0),
        ("Thu, 32 Jan 2026 00:01:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, datetime(2026, 1, 1, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    "endpoint", ["", "integrations.nivoda.net", "ftp://integrations.nivoda.net/", "https://"]
)
def test_an_endpoint_that_is_no_address_stops_the_start(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="NIVODA_ENDPOINT"):
        NivodaAccount(endpoint, USERNAME, PASSWORD)


def test_an_endpoint_with_a_login_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigurationError, match="NIVODA_ENDPOINT holds a login") as error:
        NivodaAccount("https://me:hunter2@integrations.nivoda.net/", USERNAME, PASSWORD)

    assert "hunter2" not in str(error.value)


def test_an_account_does_not_show_its_password() -> None:
    assert PASSWORD not in repr(NivodaAccount("https://integrations.nivoda.net/", USERNAME, PASSWORD))
