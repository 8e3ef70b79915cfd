"""What the client asks and what it makes of good, partial and odd answers, over real HTTP."""

import hashlib
import json
from collections.abc import AsyncIterator

import pytest
from feed_builders import NATURAL, STONE_ID, make_client, make_item, read_sample
from scripted_server import (
    Answer,
    ScriptedSupplier,
    count_answer,
    page_answer,
    raw_page_answer,
)

from diamond_opus.db.pool import Pool
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.nivoda import BadAnswer, NivodaClient
from diamond_opus.feeds.nivoda.query_filter import COLORS, SHAPES
from diamond_opus.feeds.protocol import Page, RawItem, StoneSource, Unreadable
from diamond_opus.observability.trace import new_trace, parse_traceparent, use_trace
from diamond_opus.observability.tracing import record_to


@pytest.fixture
async def client(supplier: ScriptedSupplier) -> AsyncIterator[NivodaClient]:
    async with make_client(supplier.url) as opened:
        yield opened


def ids(count: int) -> list[str]:
    return [f"{number:08d}-9e10-4795-93bc-b19938405167" for number in range(count)]


def test_the_client_is_a_stone_source(supplier: ScriptedSupplier) -> None:
    source: StoneSource = make_client(supplier.url)

    assert (source.name, source.page_limit) == ("nivoda", 50)
    assert (source.shapes, source.colors) == (SHAPES, COLORS)


def test_the_shapes_and_colors_to_split_by_are_those_of_the_base_filter() -> None:
    client = make_client("http://127.0.0.1:1", base_filter={"shapes": ["ROUND"], "color": ["D", "E"]})

    assert (client.shapes, client.colors) == (("ROUND",), ("D", "E"))


async def test_a_count_is_asked_with_the_token_of_a_login(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(count_answer(read_sample("response-count")["data"]["as"]["diamonds_by_query_count"]))

    assert await client.count(NATURAL) == 36_413

    login, count = supplier.seen
    assert (login.operation, login.token) == ("Login", None)
    assert (count.operation, count.token) == ("Count", "token-1")
    assert count.variables == {"query": {"labgrown": False, "dollar_value": {"from": 1200, "to": 1340}}}


async def test_a_page_is_asked_oldest_first_and_never_above_the_limit(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(page_answer([]), page_answer([]))

    await client.read_page(NATURAL, offset=650, limit=200)
    await client.read_page(NATURAL, offset=0, limit=7)

    variables = [seen.variables for seen in supplier.seen if seen.operation == "Page"]
    assert [(asked["offset"], asked["limit"]) for asked in variables] == [(650, 50), (0, 7)]
    assert variables[0]["order"] == {"type": "createdAt", "direction": "ASC"}


@pytest.mark.parametrize(("offset", "limit"), [(-1, 50), (0, 0)])
async def test_a_page_that_cannot_be_is_not_asked(
    supplier: ScriptedSupplier, client: NivodaClient, offset: int, limit: int
) -> None:
    with pytest.raises(ValueError, match="no page"):
        await client.read_page(NATURAL, offset=offset, limit=limit)

    assert supplier.seen == []


async def test_what_the_base_filter_excludes_is_not_asked(supplier: ScriptedSupplier) -> None:
    async with make_client(supplier.url, base_filter={"shapes": ["ROUND"]}) as client:
        pears = Selection(lab_grown=False, shapes=("PEAR",))

        assert await client.count(pears) == 0
        assert await client.read_page(pears, offset=0, limit=50) == Page(())

    assert supplier.seen == []


async def test_the_bytes_of_each_item_are_kept_exactly_as_received(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    odd = b'{ "diamond" :{"x":1.50, "id":"a-1","x":1e5},\n\t"price":  448324 , "id":"DIAMOND/a-1","unknown":[ ] }'
    plain = json.dumps(make_item(), ensure_ascii=False).encode()
    supplier.then(raw_page_answer(odd, plain))

    page = await client.read_page(NATURAL, offset=0, limit=50)

    first, second = page.rows
    assert first == RawItem("a-1", "DIAMOND/a-1", odd, hashlib.sha256(odd).hexdigest(), 448_324)
    assert isinstance(second, RawItem)
    assert (second.supplier_stone_id, second.payload) == (STONE_ID, plain)


async def test_an_item_known_by_its_bytes_comes_as_it_is_and_any_other_is_read(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    same, before = b'{"id":"DIAMOND/a","diamond":{"id":"a"}}', b'{"id":"DIAMOND/b","diamond":{"id":"b"}}'
    after = before.replace(b"{", b"{ ", 1)
    supplier.then(raw_page_answer(same, before), raw_page_answer(after, same, b"null"))
    first = await client.read_page(NATURAL, offset=0, limit=50)
    known = {row.payload: row for row in first.rows if isinstance(row, RawItem)}

    page = await client.read_page(NATURAL, offset=0, limit=50, known=known)

    changed, unchanged, unreadable = page.rows
    assert unchanged is known[same]
    assert isinstance(unreadable, Unreadable)
    assert isinstance(changed, RawItem)
    assert (changed.payload, changed.payload_hash) == (after, hashlib.sha256(after).hexdigest())


@pytest.mark.parametrize(
    ("price", "cents"),
    [("1", 1), ("1.5", None), ('"448324"', None), ("null", None), ("1e3", None), ("-5", None)],
)
async def test_a_price_that_is_no_whole_number_is_left_to_the_mapper(
    supplier: ScriptedSupplier, client: NivodaClient, price: str, cents: int | None
) -> None:
    supplier.then(raw_page_answer(b'{"id":"DIAMOND/a","price":%b,"diamond":{"id":"a"}}' % price.encode()))

    [row] = (await client.read_page(NATURAL, offset=0, limit=50)).rows

    assert isinstance(row, RawItem)
    assert row.price_cents == cents


@pytest.mark.parametrize(
    ("item", "reason", "path"),
    [
        (b"null", "null item", ""),
        (b"7", "the item has no diamond", ".diamond"),
        (b'{"id":"DIAMOND/a","price":1}', "the item has no diamond", ".diamond"),
        (b'{"id":"DIAMOND/a","diamond":null}', "the item has no diamond", ".diamond"),
        (b'{"id":"DIAMOND/a","diamond":{"id":null}}', "the diamond has no usable id", ".diamond.id"),
        (b'{"id":"DIAMOND/a","diamond":{"id":""}}', "the diamond has no usable id", ".diamond.id"),
        (b'{"id":"DIAMOND/a","diamond":{"id":17}}', "the diamond has no usable id", ".diamond.id"),
        (b'{"id":"DIAMOND/a","diamond":{"id":"a\\u0000b"}}', "the diamond has no usable id", ".diamond.id"),
        (b'{"id":"DIAMOND/a","diamond":{"id":"\\ud800"}}', "the diamond has no usable id", ".diamond.id"),
        (b'{"diamond":{"id":"%b"}}' % (b"a" * 201), "the diamond has no usable id", ".diamond.id"),
        (b'{"diamond":{"id":"a"},"x":"\xff"}', "the item is not UTF-8", ""),
    ],
)
async def test_an_item_without_identity_is_kept_as_unreadable_beside_its_neighbours(
    supplier: ScriptedSupplier, client: NivodaClient, item: bytes, reason: str, path: str
) -> None:
    supplier.then(raw_page_answer(json.dumps(make_item()).encode(), item))

    good, odd = (await client.read_page(NATURAL, offset=0, limit=50)).rows

    assert isinstance(good, RawItem)
    assert odd == Unreadable(reason, f"$.data.diamonds_by_query.items[1]{path}", item)


@pytest.mark.parametrize("text", ["before\\ud800after", "\\udfff", "\\ud800"])
async def test_a_lone_surrogate_in_one_item_costs_neither_it_nor_the_page(
    supplier: ScriptedSupplier, client: NivodaClient, text: str
) -> None:
    odd = b'{"id":"DIAMOND/a","price":5,"diamond":{"id":"a","comments":"%b"}}' % text.encode()
    plain = json.dumps(make_item()).encode()
    why = b'{"message":"boom","path":["diamonds_by_query","items",1,"price"]}'
    supplier.then(Answer(raw_page_answer(plain, b"null", odd, plain).content[:-1] + b',"errors":[%b]}' % why))

    rows = (await client.read_page(NATURAL, offset=0, limit=50)).rows

    assert isinstance(rows[1], Unreadable)
    assert rows[1].reason == "null item, price failed at the supplier: boom"
    assert [row.payload for row in rows] == [plain, b"null", odd, plain]
    assert isinstance(rows[2], RawItem)
    assert (rows[2].supplier_stone_id, rows[2].offer_id) == ("a", "DIAMOND/a")


async def test_every_payload_kept_is_json_that_the_database_takes(
    supplier: ScriptedSupplier, client: NivodaClient, pool: Pool
) -> None:
    identity = b'"id":"DIAMOND/a","diamond":{"id":"a"}'
    odd = [
        b'"\\ud800"',
        b'"\\u0000"',
        b'"\\udfff\\ud800x"',
        b"1e999",
        b"9" * 5_000,
        b'{"a":1,"a":2}',
        "\u2028".join('""').encode(),
    ]
    supplier.then(raw_page_answer(*(b"{%b,%b}" % (identity, b'"x":' + value) for value in odd)))

    rows = (await client.read_page(NATURAL, offset=0, limit=50)).rows

    assert [type(row) for row in rows] == [RawItem] * len(odd)
    async with pool.connection() as conn:
        for row in rows:
            cursor = await conn.execute("SELECT %s::json::text", [row.payload.decode()])
            assert await cursor.fetchone() == (row.payload.decode(),)


async def test_an_offer_id_that_is_none_is_left_to_the_mapper_to_reject(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(page_answer([{"price": 5, "diamond": {"id": "a"}}]))

    [row] = (await client.read_page(NATURAL, offset=0, limit=50)).rows

    assert isinstance(row, RawItem)
    assert row.offer_id == ""


async def test_items_beside_errors_are_used_and_nulls_are_explained_by_them(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    lab = {
        "message": 'Enum "CertificateLab" cannot represent value: "GIAA"',
        "path": ["diamonds_by_query", "items", 1, "diamond", "certificate", "lab"],
    }
    clarity = {
        "message": "odd",
        "path": ["diamonds_by_query", "items", 0, "diamond", "certificate", "clarity"],
    }
    supplier.then(page_answer([make_item(), None, None], [clarity, lab, "odd"]))

    good, explained, unexplained = (await client.read_page(NATURAL, offset=0, limit=50)).rows

    assert isinstance(good, RawItem)
    assert explained == Unreadable(
        f"null item, diamond.certificate.lab failed at the supplier: {lab['message']}",
        "$.data.diamonds_by_query.items[1]",
        b"null",
    )
    assert unexplained == Unreadable("null item", "$.data.diamonds_by_query.items[2]", b"null")


@pytest.mark.parametrize(
    "answer",
    [
        page_answer(None),
        page_answer(None, [{"message": "boom"}]),
        Answer({"data": None}),
        Answer({"data": {}}),
        Answer({}),
        Answer({"data": {"diamonds_by_query": {"items": {}}}}),
        Answer([]),
        Answer(b"null"),
    ],
)
async def test_a_page_without_a_list_of_items_is_asked_again(
    supplier: ScriptedSupplier, client: NivodaClient, answer: Answer
) -> None:
    supplier.then(answer, page_answer([make_item()]))

    page = await client.read_page(NATURAL, offset=0, limit=50)

    assert len(page.rows) == 1
    assert supplier.asked == ["Login", "Page", "Page"]


@pytest.mark.parametrize("count", [None, -1, 1.5, "17", True])
async def test_a_count_that_is_no_count_is_asked_again(
    supplier: ScriptedSupplier, client: NivodaClient, count: object
) -> None:
    supplier.then(Answer({"data": {"diamonds_by_query_count": count}}), count_answer(17))

    assert await client.count(NATURAL) == 17


async def test_an_empty_page_is_a_page(supplier: ScriptedSupplier, client: NivodaClient) -> None:
    supplier.then(page_answer([]))

    assert (await client.read_page(NATURAL, offset=500, limit=50)).rows == []


async def test_a_look_up_that_shows_every_stone_needs_one_request(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    wanted = ids(3)
    supplier.then(page_answer([make_item(stone) for stone in wanted]))

    presence = await client.look_up(wanted, lab_grown=True)

    assert [item.supplier_stone_id for item in presence.found] == wanted
    assert presence.uncertain_ids == frozenset()
    assert supplier.queries == [{"labgrown": True, "filter_ids": wanted}]
    assert supplier.asked == ["Login", "Page"]


async def test_a_short_page_of_a_look_up_does_not_make_stones_absent(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    first, second, gone = ids(3)
    supplier.then(page_answer([make_item(first)]), page_answer([make_item(second)]), page_answer([]))

    presence = await client.look_up([first, second, gone], lab_grown=False)

    assert [item.supplier_stone_id for item in presence.found] == [first, second]
    assert presence.uncertain_ids == frozenset()
    assert [seen.variables["offset"] for seen in supplier.seen if seen.operation == "Page"] == [0, 1, 2]


async def test_where_a_look_up_has_a_null_each_stone_not_shown_is_counted_alone(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    shown, hidden, gone = ids(3)
    supplier.then(page_answer([make_item(shown), None]), page_answer([]), count_answer(1), count_answer(0))

    presence = await client.look_up([shown, hidden, gone], lab_grown=False)

    assert [item.supplier_stone_id for item in presence.found] == [shown]
    assert presence.uncertain_ids == {hidden}
    assert [query["filter_ids"] for query in supplier.queries[-2:]] == [[hidden], [gone]]


async def test_a_look_up_that_never_ends_proves_nothing(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    shown, hidden = ids(2)
    supplier.then(page_answer([make_item(shown)] * 50), page_answer([make_item(shown)] * 50), count_answer(1))

    presence = await client.look_up([shown, hidden], lab_grown=False)

    assert presence.uncertain_ids == {hidden}


async def test_a_look_up_answered_with_other_stones_proves_nothing(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(page_answer([make_item("somebody-else")]))

    with pytest.raises(BadAnswer, match="somebody-else, which was not asked for"):
        await client.look_up(ids(2), lab_grown=False)


async def test_a_look_up_of_nothing_asks_nothing(supplier: ScriptedSupplier, client: NivodaClient) -> None:
    presence = await client.look_up([], lab_grown=False)

    assert (list(presence.found), presence.uncertain_ids) == ([], frozenset())
    assert supplier.seen == []


async def test_a_look_up_of_more_than_a_page_is_refused(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    with pytest.raises(ValueError, match="51 stones in one look-up, at most 50"):
        await client.look_up(ids(51), lab_grown=False)


async def test_a_look_up_stays_within_the_base_filter(supplier: ScriptedSupplier) -> None:
    [stone] = ids(1)
    supplier.then(page_answer([]))
    async with make_client(supplier.url, base_filter={"availability": ["AVAILABLE"]}) as client:
        await client.look_up([stone], lab_grown=False)

    assert supplier.queries == [{"availability": ["AVAILABLE"], "labgrown": False, "filter_ids": [stone]}]


async def test_checking_the_account_logs_in_anew_and_counts(
    supplier: ScriptedSupplier, client: NivodaClient
) -> None:
    supplier.then(count_answer(5), count_answer(437_849))
    await client.count(NATURAL)

    assert await client.check() == 437_849
    assert supplier.asked == ["Login", "Count", "Login", "Count"]


class Recorded:
    """A recorder that takes everything and keeps nothing."""

    def start(self, *_: object, **__: object) -> "Recorded":
        return self

    def is_sampled(self, trace_id: str) -> bool:
        return True

    def set(self, attributes: object) -> None: ...
    def rename(self, name: str) -> None: ...
    def fail(self, kind: str, text: str) -> None: ...
    def end(self) -> None: ...
    def close(self, *, seconds: float) -> None: ...


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_the_supplier_is_told_of_a_trace_only_while_one_is_recorded(
    supplier: ScriptedSupplier, client: NivodaClient, is_recorded: bool
) -> None:
    supplier.then(count_answer(7), count_answer(7))
    record_to(Recorded() if is_recorded else None)
    try:
        await client.count(NATURAL)
        trace = new_trace()
        with use_trace(trace):
            await client.count(NATURAL)
    finally:
        record_to(None)

    _, outside, inside = (parse_traceparent(seen.headers.get("traceparent")) for seen in supplier.seen)
    assert outside is None
    assert (inside.trace_id if inside else None) == (trace.trace_id if is_recorded else None)
    assert not {"tracestate", "baggage"} & {name.lower() for seen in supplier.seen for name in seen.headers}
