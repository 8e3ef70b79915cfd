"""What may leave the process: secrets of every shape are masked, and nothing is too long."""

import time
from decimal import Decimal
from uuid import UUID

import orjson
import pytest

from diamond_opus.observability.redact import MASK, clean_field, clean_fields, clean_text

SECRET = "hunter2-Zq9"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://diamond:{SECRET}@db:5432/opus",
        f"postgresql://diamond:{SECRET}@more@db:5432/opus",
        f"postgresql://diamond:with/{SECRET}@db:5432/opus refused",
        f"postgresql://diamond:12/{SECRET}?x@db:5432/opus",
        f"postgresql://diamond:with@and/{SECRET}@db:5432/opus",
        f"https://{SECRET}@collector.example/v1/traces",
        f"slack://{SECRET}@T0/B0",
        f"connecting with host=db password={SECRET} dbname=opus",
        f"host=db password='{SECRET} with spaces' dbname=opus",
        f"Authorization: Bearer {SECRET}",
        f"authorization: {SECRET}",
        f'{{"Authorization": "HMAC {SECRET}", "x": 1}}',
        f'{{"password": "{SECRET}", "user": "ann"}}',
        f'{{\\"password\\": \\"{SECRET}\\"}}',
        f"NIVODA_PASSWORD={SECRET}",
        f"X-API-Key: {SECRET}",
        f"api_key={SECRET}&page=2",
        f"Endpoint=sb://opus.example/;SharedAccessKeyName=root;SharedAccessKey={SECRET}",
        f"AccountName=opus;AccountKey={SECRET}==;EndpointSuffix=example",
        f"https://opus.example/watermarks/nivoda.json?sv=2024&sig={SECRET}",
        f"token={SECRET}",
        f"HMAC_SECRETS={SECRET}",
        f'HMAC_SECRETS={{"shop": "{SECRET}", "other": "{SECRET}"}} is not valid',
        f"sent eyJhbGciOiJIUzI1NiJ9.{SECRET}AAAAAAAA.{SECRET}",
        f"POST https://hooks.slack.com/services/T0/B0/{SECRET} failed",
        f"cookie: session={SECRET}",
        f"dk_{SECRET:A<43}",
        f"/api/v2/diamonds/dk_{SECRET:A<43}",
    ],
)
def test_a_secret_inside_a_text_is_masked(text: str) -> None:
    cleaned = clean_text(text)

    assert SECRET not in cleaned
    assert MASK in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "nivoda: page 14 of partition 8f2c (USD cents 120000-134000) returned 429; retry in 20 s",
        "https://opus.example:8443/api/v2/diamonds?page=2",
        "postgresql://diamond@db:5432/opus and ann@shop.example",
        "https://opus.example:8443/a/b?c=d says 'ann@shop.example'",
        "cut grade EX, color D, clarity VVS1\nsecond line\twith a tab",
        "the budget allows 25 tokens per second",
    ],
)
def test_an_ordinary_text_is_left_alone(text: str) -> None:
    assert clean_text(text) == text


@pytest.mark.parametrize(
    "key",
    [
        *("password", "NIVODA_PASSWORD", "clientSecret", "X-Api-Key", "authorization", "lease_token"),
        *("Set-Cookie", "AZURE_STORAGE_CONNECTION_STRING", "hmac_secrets", "SharedAccessKey", "key", "dsn"),
    ],
)
def test_a_field_with_a_secret_name_is_masked_whatever_it_holds(key: str) -> None:
    assert clean_fields({key: SECRET}) == {key: MASK}
    assert clean_fields({key: {"inner": SECRET}}) == {key: MASK}
    assert clean_fields({"outer": [{key: SECRET.encode()}]}) == {"outer": [{key: MASK}]}


def test_a_count_is_no_secret_even_when_its_name_says_token() -> None:
    assert clean_fields({"tokens_left": 7, "key_prefix": "do_12"}) == {
        "tokens_left": 7,
        "key_prefix": "do_12",
    }


def test_control_characters_and_lone_surrogates_are_replaced() -> None:
    assert clean_text("a\x00b\x1b[31mc\ud800d") == "a�b�[31mc�d"


def test_a_long_text_is_cut_to_the_limit_and_says_its_size() -> None:
    cleaned = clean_text("é" * 10_000, limit_bytes=100)

    assert len(cleaned.encode()) <= 100
    assert cleaned.startswith("éé")
    assert cleaned.endswith("(20000 bytes, cut)")


def test_a_traceback_keeps_its_beginning_and_its_end() -> None:
    cleaned = clean_text("first line\n" + "x" * 10_000 + "\nlast line", limit_bytes=500, keep_end=True)

    assert len(cleaned.encode()) <= 500
    assert cleaned.startswith("first line")
    assert cleaned.endswith("last line")


def test_a_secret_is_not_laid_bare_by_the_cut() -> None:
    text = "x" * 3_990 + f" postgresql://diamond:{SECRET}{'p' * 400}@db/opus"

    assert SECRET not in clean_text(text)


def test_a_megabyte_costs_little_more_than_the_part_that_is_kept() -> None:
    started = time.process_time()
    clean_text("://a:" * 200_000)
    clean_text("://a" * 200_000)
    clean_text("password" * 200_000)
    clean_text("eyJ" + "a" * 1_000_000)

    assert time.process_time() - started < 2


def test_values_of_every_kind_become_plain_json() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    fields = {
        "uuid": UUID(int=1),
        "money": Decimal("1.10"),
        "huge": 2**70,
        "bytes": b"\xff\x00",
        "set": {1},
        "nan": float("nan"),
        "broken": Broken(),
        "error": ValueError("bad carat"),
    }

    cleaned = clean_fields(fields)

    assert orjson.loads(orjson.dumps(cleaned)) == {
        "uuid": "00000000-0000-0000-0000-000000000001",
        "money": "1.10",
        "huge": "1180591620717411303424",
        "bytes": "��",
        "set": [1],
        "nan": None,
        "broken": "<Broken whose text failed: RuntimeError>",
        "error": "bad carat",
    }


def test_deep_and_wide_values_are_bounded() -> None:
    deep: object = "bottom"
    for _ in range(50):
        deep = {"in": deep}

    assert "bottom" not in str(clean_field("deep", deep))
    wide = clean_field("wide", {f"field {n}": "v" * 300 for n in range(1000)}, limit_bytes=2_000)
    assert isinstance(wide, str)
    assert len(wide.encode()) <= 2_000
