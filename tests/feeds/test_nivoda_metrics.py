"""Each request to the supplier is counted by what came of it, with the time that it waited and took."""

import pytest
from feed_builders import NATURAL, RecordingClock, make_client
from scripted_server import Answer, ScriptedSupplier, count_answer, error_answer

from diamond_opus.domain.errors import DiamondError
from diamond_opus.feeds.budget import UnlimitedBudget
from diamond_opus.observability.metrics import REQUEST_OUTCOMES
from metric_rise import Rise

SUPPLIER_REQUESTS = "diamond_supplier_requests_total"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (count_answer(3), "answered"),
        (Answer(status=429), "throttled"),
        (Answer(b"<html>no</html>", status=403), "throttled"),
        (Answer(status=401), "token_rejected"),
        (Answer(status=502), "failed"),
        (Answer(b"not JSON"), "bad_answer"),
        (error_answer("no such field", code="GRAPHQL_VALIDATION_FAILED"), "refused"),
    ],
    ids=["200", "429", "403", "401", "502", "no JSON", "refused"],
)
async def test_a_request_is_counted_by_what_came_of_it(
    supplier: ScriptedSupplier, answer: Answer, outcome: str
) -> None:
    supplier.then(answer, *[count_answer(3)] * 3)
    rise = Rise()
    async with make_client(supplier.url, clock=RecordingClock()) as client:
        try:
            await client.count(NATURAL)
        except DiamondError:
            assert outcome == "refused"

    counted = {
        name: rise.of(SUPPLIER_REQUESTS, feed="nivoda", operation="Count", outcome=name)
        for name in REQUEST_OUTCOMES
    }
    asked = supplier.asked.count("Count")
    assert counted[outcome] >= 1
    assert sum(counted.values()) == asked
    assert counted["answered"] == asked - (outcome != "answered")
    assert rise.of("diamond_supplier_request_seconds_count", feed="nivoda", operation="Count") == asked
    assert rise.of(SUPPLIER_REQUESTS, feed="nivoda", operation="Login", outcome="answered") >= 1


async def test_a_login_that_is_refused_is_told_as_that(supplier: ScriptedSupplier) -> None:
    supplier.then_login(error_answer("wrong"))
    rise = Rise()
    async with make_client(supplier.url, clock=RecordingClock()) as client:
        with pytest.raises(DiamondError):
            await client.count(NATURAL)

    assert rise.of(SUPPLIER_REQUESTS, feed="nivoda", operation="Login", outcome="wrong_credentials") == 1


async def test_waiting_for_the_budget_is_measured(supplier: ScriptedSupplier) -> None:
    clock = RecordingClock()

    class Slow(UnlimitedBudget):
        async def acquire(self) -> None:
            await clock.sleep(0.7)

    supplier.then(count_answer(3))
    rise = Rise()
    async with make_client(supplier.url, clock=clock, budget=Slow()) as client:
        await client.count(NATURAL)

    assert rise.of("diamond_supplier_budget_wait_seconds_count", feed="nivoda") == 2  # the login waits too
    assert rise.of("diamond_supplier_budget_wait_seconds_sum", feed="nivoda") == pytest.approx(1.4)
