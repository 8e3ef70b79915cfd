"""Signed requests: the documented signature is accepted, and nothing in a header can do more than be refused."""

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.keys.permissions import Permission
from diamond_opus.keys.signatures import (
    HmacClient,
    SignatureRefused,
    SignedRequest,
    parse_hmac_secrets,
    verify_signature,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIMESTAMP = "1767225600"
CLIENTS = MappingProxyType({"shop": HmacClient("shop", "s3cret"), "naïve": HmacClient("naïve", "gehëim")})


def sign(secret: str, method: str, path: str, timestamp: str, body: bytes) -> str:
    """The signature exactly as SPEC's example computes it."""
    canonical = f"{method}\n{path}\n{timestamp}\n{hashlib.sha256(body).hexdigest()}"
    return hmac.new(secret.encode(), canonical.encode(), hashlib.sha256).hexdigest()


GOOD = SignedRequest(
    client_id="shop",
    timestamp=TIMESTAMP,
    signature=sign("s3cret", "POST", "/api/v2/x", TIMESTAMP, b"{}"),
    method="POST",
    targets=[b"/api/v2/x"],
    body=b"{}",
)


def test_the_documented_signature_is_accepted() -> None:
    assert verify_signature(CLIENTS, GOOD, NOW) is CLIENTS["shop"]


def test_a_known_signature_is_what_other_programs_compute() -> None:
    # printf 'GET\n/api/v2/diamonds\n1767225600\n<sha256 of nothing>' | openssl dgst -sha256 -hmac secret1
    signature = "5dc6be7a94766ac66a64981122464a924732c729c4e43cdcd8f13692cdc4ba4b"
    request = SignedRequest("shopify", TIMESTAMP, signature, "GET", [b"/api/v2/diamonds"], b"")

    assert verify_signature({"shopify": HmacClient("shopify", "secret1")}, request, NOW).name == "shopify"


def test_any_of_the_targets_may_have_been_signed_and_the_digits_may_be_capitals() -> None:
    request = replace(GOOD, targets=[b"/api/v2/x?a=1", b"/api/v2/x"], signature=GOOD.signature.upper())

    assert verify_signature(CLIENTS, request, NOW).name == "shop"


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "GET"},
        {"targets": [b"/api/v2/y"]},
        {"targets": [b"/api/v2/x/"]},
        {"targets": []},
        {"body": b"{} "},
        {"timestamp": "1767225601"},
        {"client_id": "shop "},
        {"client_id": ""},
        {"client_id": "constructor"},
        {"client_id": "__class__"},
        {"client_id": "__proto__"},
        {"client_id": "naïve"},
        {"client_id": "\x00" * 5000},
        {"signature": ""},
        {"signature": "é" * 64},
        {"signature": "0" * 63},
        {"signature": "0" * 64},
        {"signature": "g" * 64},
        {"signature": "0" * 100_000},
    ],
)
def test_whatever_differs_from_what_was_signed_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(SignatureRefused, match="does not match"):
        verify_signature(CLIENTS, replace(GOOD, **changed), NOW)


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "NaN",
        "Infinity",
        "-1767225600",
        "1767225600.0",
        "1e9",
        "٣",
        "9" * 13,
        "9" * 100_000,
        "17672 25600",
        "0x5f",
    ],
)
def test_what_is_no_timestamp_is_refused(timestamp: str) -> None:
    request = replace(
        GOOD, timestamp=timestamp, signature=sign("s3cret", "POST", "/api/v2/x", timestamp, b"{}")
    )

    with pytest.raises(SignatureRefused, match="not a time"):
        verify_signature(CLIENTS, request, NOW)


@pytest.mark.parametrize(
    ("seconds", "is_accepted"), [(300, True), (-300, True), (301, False), (-301, False), (10**11, False)]
)
def test_a_timestamp_may_be_three_hundred_seconds_off(seconds: int, is_accepted: bool) -> None:
    timestamp = str(int(TIMESTAMP) + seconds)
    request = replace(
        GOOD, timestamp=timestamp, signature=sign("s3cret", "POST", "/api/v2/x", timestamp, b"{}")
    )

    if is_accepted:
        assert verify_signature(CLIENTS, request, NOW).name == "shop"
    else:
        with pytest.raises(SignatureRefused, match="300 s off") as refused:
            verify_signature(CLIENTS, request, NOW)
        assert "2026-01-01T00:00:00Z" in refused.value.hint


@given(st.text(), st.text(), st.text(), st.binary())
def test_no_header_or_body_does_more_than_be_refused(
    client: str, timestamp: str, signature: str, body: bytes
) -> None:
    request = SignedRequest(client, timestamp, signature, "POST", [b"/x"], body)

    with pytest.raises(SignatureRefused):
        verify_signature(CLIENTS, request, NOW)


def test_a_secret_alone_may_read_and_trade() -> None:
    clients = parse_hmac_secrets(
        '{"shopify": "secret1", "internal": {"secret": "secret2", "permissions": ["admin"]}}'
    )

    assert clients == {
        "shopify": HmacClient("shopify", "secret1", frozenset({Permission.READ, Permission.TRADE})),
        "internal": HmacClient("internal", "secret2", frozenset({Permission.ADMIN})),
    }
    assert "secret1" not in repr(clients)
    assert parse_hmac_secrets(None) == parse_hmac_secrets("") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hush", "must be a JSON object"),
        ('["hush"]', "must be a JSON object"),
        ('{"shop": "hush"', "must be a JSON object"),
        ('{"shop": ""}', "'shop' needs a secret"),
        ('{"": "hush"}', "'' needs a secret"),
        ('{"shop": 5}', "'shop' needs a secret"),
        ('{"shop": {"key": "hush"}}', "'shop' needs a secret"),
        ('{"shop": {"secret": "hush", "permissions": "read"}}', "must be a list"),
        ('{"shop": {"secret": "hush", "permissions": [1]}}', "must be a list"),
        ('{"shop": {"secret": "hush", "permissions": []}}', "at least one permission"),
        ('{"shop": {"secret": "hush", "permissions": ["write"]}}', "'write' is no permission"),
    ],
)
def test_wrong_secrets_stop_the_start_without_being_shown(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        parse_hmac_secrets(text)

    assert "HMAC_SECRETS" in str(refused.value)
    assert "hush" not in str(refused.value)
