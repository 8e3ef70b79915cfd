"""What is copied in is what comes back, for every type and NULL among them, and however the column is encoded."""

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from diamond_opus.db import copy
from diamond_opus.db.copy import BinaryRows, Column, Encoder

# PostgreSQL's text holds any character but NUL, and lone surrogates are no characters.
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
moments = st.datetimes(timezones=st.just(UTC))
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=8,
).map(lambda document: json.dumps(document).encode())


def same(value: Any) -> Any:
    return value


def decimal(scale: int) -> Callable[[int], Decimal]:
    return lambda value: Decimal(f"{value}E-{scale}")


# Of each column: its type, how it is encoded, what may be in it, and what then comes back.
Case = tuple[str, Encoder, st.SearchStrategy[Any], Callable[[Any], Any]]
COLUMNS: Sequence[Case] = [
    ("boolean", copy.boolean(), st.booleans(), same),
    ("int2", copy.int2(), st.integers(-(2**15), 2**15 - 1), same),
    ("int4", copy.int4(), st.integers(-(2**31), 2**31 - 1), same),
    ("int8", copy.int8(), st.integers(-(2**63), 2**63 - 1), same),
    ("text", copy.text(), words, same),
    ("text", copy.text(varied=True), words, same),
    ("text[]", copy.text_array(), st.lists(st.none() | words, max_size=4), same),
    ("uuid", copy.uuid(), st.binary(min_size=16, max_size=16), lambda value: UUID(bytes=value)),
    ("timestamptz", copy.timestamptz(), moments, same),
    ("json", copy.json(), documents, same),
    ("jsonb", copy.jsonb(), documents, json.loads),
    ("numeric", copy.numeric(0), st.integers(-(10**30), 10**30), decimal(0)),
    ("numeric(12, 2)", copy.numeric(2), st.integers(-(10**12) + 1, 10**12 - 1), decimal(2)),
    ("numeric(12, 2)", copy.numeric(2, varied=True), st.integers(-(10**12) + 1, 10**12 - 1), decimal(2)),
    ("numeric", copy.numeric(2, varied=True), st.integers(-(10**25), 10**25), decimal(2)),
    ("numeric(8, 3)", copy.numeric(3), st.integers(-(10**8) + 1, 10**8 - 1), decimal(3)),
    ("numeric(5, 4)", copy.numeric(4, varied=True), st.integers(-99999, 99999), decimal(4)),
]
ROWS = BinaryRows(*(encoder for _, encoder, _, _ in COLUMNS))
# One table serves all examples of a test; Phase.explain takes minutes over a real database.
PROPERTY = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
COPY: LiteralString = "COPY copied FROM STDIN (FORMAT BINARY)"


@pytest.fixture
def conn(empty_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(empty_database_url, autocommit=True) as opened:
        columns = ", ".join(f"c{at} {kind}" for at, (kind, *_) in enumerate(COLUMNS))
        opened.execute(f"CREATE TABLE copied ({columns})".encode())
        yield opened


def copy_in(conn: psycopg.Connection[Any], batches: Sequence[Sequence[Column]]) -> None:
    with conn.cursor() as cursor, cursor.copy(COPY) as writer:
        for piece in ROWS.stream(batches):
            writer.write(piece)


def read_back(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """JSON as its bytes, the rest as the driver reads it."""
    names = (f"c{at}::text" if kind == "json" else f"c{at}" for at, (kind, *_) in enumerate(COLUMNS))
    rows = conn.execute(f"SELECT {', '.join(names)} FROM copied ORDER BY ctid".encode()).fetchall()
    at = [kind for kind, *_ in COLUMNS].index("json")
    return [(*row[:at], row[at] and row[at].encode(), *row[at + 1 :]) for row in rows]


def expected(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return [
        tuple(None if value is None else give(value) for value, (*_, give) in zip(row, COLUMNS, strict=True))
        for row in rows
    ]


@given(st.lists(st.tuples(*(st.none() | values for _, _, values, _ in COLUMNS)), min_size=1, max_size=12))
@PROPERTY
def test_what_is_copied_in_comes_back(conn: psycopg.Connection[Any], rows: list[tuple[Any, ...]]) -> None:
    conn.execute("TRUNCATE copied")

    copy_in(conn, [list(zip(*rows, strict=True))])

    assert read_back(conn) == expected(rows)


@given(st.lists(st.tuples(*(values for _, _, values, _ in COLUMNS)), min_size=1, max_size=12))
@PROPERTY
def test_columns_without_null_take_the_quick_way_to_the_same_end(
    conn: psycopg.Connection[Any], rows: list[tuple[Any, ...]]
) -> None:
    conn.execute("TRUNCATE copied")

    copy_in(conn, [list(zip(*rows, strict=True))])

    assert read_back(conn) == expected(rows)


def test_many_rows_in_several_batches_keep_their_order(conn: psycopg.Connection[Any]) -> None:
    conn.execute("ALTER TABLE copied ALTER c2 SET NOT NULL")
    numbers = range(copy.BLOCK_ROWS * 2 + 7)

    def batch(of: Sequence[int]) -> list[Column]:
        return [[None] * len(of) if at != 2 else list(of) for at in range(len(COLUMNS))]

    copy_in(conn, [batch(numbers[:10]), batch([]), batch(numbers[10:])])

    assert [row[2] for row in read_back(conn)] == list(numbers)


def encode_one(encoder: Encoder, values: Column) -> bytes:
    return b"".join(BinaryRows(encoder).encode([values]))


def field(data: bytes) -> bytes:
    return struct.pack("!hi", 1, len(data)) + data


@pytest.mark.parametrize("encoder", [copy.text(), copy.text(varied=True)])
def test_a_text_longer_than_any_table_of_lengths_is_encoded_all_the_same(encoder: Encoder) -> None:
    long = "é" * 10_000

    assert encode_one(encoder, [long, "x"]) == field(long.encode()) + field(b"x")


def test_json_longer_than_any_table_of_lengths_is_encoded_all_the_same() -> None:
    long = b'"' + b"x" * 20_000 + b'"'

    assert encode_one(copy.json(), [long, b"1"]) == field(long) + field(b"1")
    assert encode_one(copy.jsonb(), [long, b"1"]) == field(b"\x01" + long) + field(b"\x011")


def test_an_encoder_forgets_rather_than_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "MOST_REMEMBERED", 3)
    values = [*"abcdefgh", None, "a", None]

    assert encode_one(copy.text(), values) == encode_one(copy.text(varied=True), values)


def test_prices_may_come_as_an_array() -> None:
    cents = np.array([0, 1, 99, 100, 123_456_789, -5, 10**13], dtype=np.int64)

    whole = encode_one(copy.numeric(2, varied=True), cents)

    assert whole == encode_one(copy.numeric(2, varied=True), cents.tolist())
    assert encode_one(copy.numeric(2, varied=True), cents[:4].astype(np.int32)) == whole[: 4 * 22]


@pytest.mark.parametrize("varied", [False, True])
def test_a_float_is_never_taken_for_money(varied: bool) -> None:
    with pytest.raises((TypeError, struct.error)):
        encode_one(copy.numeric(2, varied=varied), [1.5])


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(TypeError, match="offset-naive"):
        encode_one(copy.timestamptz(), [datetime(2026, 1, 1)])  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ([[1]], "1 columns were given for 2 encoders"),
        ([[1, 2], [1]], "column 1 has 1 values, the first one has 2"),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(columns: Sequence[Column], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        list(BinaryRows(copy.int4(), copy.int4()).encode(columns))


def test_a_scale_that_money_and_ratios_never_have_is_refused() -> None:
    with pytest.raises(ValueError, match="scale 5"):
        copy.numeric(5)
