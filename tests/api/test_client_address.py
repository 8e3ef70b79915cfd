"""Which address counts as the client's, and how many failures one may have."""

import pytest
from starlette.requests import Request

from diamond_opus.api.attempts import MOST_ADDRESSES, MOST_FAILURES, FailedAttempts
from diamond_opus.api.client_address import ClientAddresses
from diamond_opus.domain.clock import ManualClock

PROXIES = ClientAddresses(["10.0.0.0/8", "192.0.2.1", "2001:db8:ffff::/48"])


def request(peer: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return Request({"type": "http", "client": (peer, 50_000) if peer else None, "headers": headers})


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["made-up, 198.51.100.1, 192.0.2.1"], "198.51.100.1"),
        ("10.1.2.3", ["198.51.100.1", "198.51.100.2"], "198.51.100.2"),
        ("10.1.2.3", ["nonsense"], "10.1.2.3"),
        ("10.1.2.3", [""], "10.1.2.3"),
        ("10.1.2.3", ["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        ("::ffff:10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8:ffff::1", ["2001:db8:1:2:aaaa::1"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", [], "2001:db8:1:2::/64"),
        (None, ["198.51.100.1"], ""),
    ],
)
def test_the_nearest_address_that_is_no_proxy_of_ours_counts(
    peer: str | None, forwarded: list[str], expected: str
) -> None:
    assert PROXIES.of(request(peer, *forwarded)) == expected


def test_failures_are_forgotten_one_by_one_after_a_minute(clock: ManualClock) -> None:
    attempts = FailedAttempts(clock)
    for _ in range(MOST_FAILURES):
        attempts.note_failure("a")
        clock.advance(seconds=1)

    assert attempts.seconds_blocked("a") == 60 - MOST_FAILURES
    assert attempts.seconds_blocked("b") == 0
    clock.advance(seconds=60 - MOST_FAILURES)
    assert attempts.seconds_blocked("a") == 0
    attempts.note_failure("a")
    assert attempts.seconds_blocked("a") == 1


def test_the_memory_of_failures_is_bounded(clock: ManualClock) -> None:
    attempts = FailedAttempts(clock)
    for _ in range(MOST_FAILURES):
        attempts.note_failure("first")
    for number in range(MOST_ADDRESSES):
        attempts.note_failure(f"address {number}")

    assert attempts.seconds_blocked("first") == 0
    assert attempts.seconds_blocked("address 9999") == 0
    for _ in range(MOST_FAILURES):
        attempts.note_failure("address 9999")
    assert attempts.seconds_blocked("address 9999") > 0
