"""Facets, export, the change feed and what stands behind a stone, over HTTP."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx2
import orjson
import pytest
from api_support import CONFIDENTIAL, SEARCH, Api, open_api
from starlette.types import Message, Receive, Scope, Send

from diamond_opus.api.public import export
from diamond_opus.db.pool import Pool, connect, transaction
from diamond_opus.domain.clock import ManualClock


@pytest.fixture
async def api(pool: Pool, clock: ManualClock) -> AsyncIterator[Api]:
    async with open_api(pool, clock) as opened:
        yield opened


async def add_three(api: Api) -> list[UUID]:
    return [
        await api.add_stone(supplier_stone_id="a", color="D", price_model_price=Decimal("1000.00")),
        await api.add_stone(supplier_stone_id="b", color="E", price_model_price=Decimal("99.99")),
        await api.add_stone(supplier_stone_id="c", color=None, color_rank=None, lab_grown=True, shape="OVAL"),
    ]


@pytest.mark.parametrize("is_loaded", [False, True])
async def test_a_facet_counts_as_if_its_own_filter_were_not_set(api: Api, is_loaded: bool) -> None:
    await add_three(api)
    if is_loaded:
        await api.app.state.dependencies.catalog.refresh(api.pool)

    answer = await api.client.get(f"{SEARCH}/facets?color=D", headers=await api.key())

    data = answer.json()["data"]
    assert data["total"] == 1
    assert data["color"] == [
        {"value": "D", "count": 1},
        {"value": "E", "count": 1},
        {"value": None, "count": 1},
    ]
    assert data["shape"] == [{"value": "ROUND", "count": 1}]
    assert data["labGrown"] == [{"value": False, "count": 1}]
    assert [bar for bar in data["price"] if bar["count"]] == [{"from": 100_000, "to": 150_000, "count": 1}]
    assert data["carats"][-1]["to"] is None


async def test_facets_and_searches_refuse_what_they_do_not_know(api: Api) -> None:
    headers = await api.key()
    for path in (f"{SEARCH}/facets?page=2", f"{SEARCH}?fields=colour", f"{SEARCH}/export?format=xml"):
        answer = await api.client.get(path, headers=headers)
        assert answer.status_code == 400, path
        assert answer.json()["error"]["details"][0]["allowed"]


async def test_the_etag_of_facets_changes_with_the_catalogue_and_with_the_scope(api: Api) -> None:
    await add_three(api)
    reader, admin = await api.key(), await api.key("admin")
    first = await api.client.get(f"{SEARCH}/facets", headers=reader)
    again = await api.client.get(
        f"{SEARCH}/facets", headers={**reader, "If-None-Match": first.headers["etag"]}
    )
    other_scope = await api.client.get(f"{SEARCH}/facets", headers=admin)
    await api.add_stone(supplier_stone_id="d")
    changed = await api.client.get(
        f"{SEARCH}/facets", headers={**reader, "If-None-Match": first.headers["etag"]}
    )

    assert again.status_code == 304
    assert changed.status_code == 200
    assert len({answer.headers["etag"] for answer in (first, other_scope, changed)}) == 3


async def test_an_export_has_the_fields_of_the_search_in_both_formats(api: Api) -> None:
    await add_three(api)
    await api.execute(
        """UPDATE diamonds SET attributes = '{"comments": "a \\"quote\\", a \\\\ and\\na line"}' """
    )
    headers = await api.key()
    searched = {one["id"]: one for one in (await api.client.get(SEARCH, headers=headers)).json()["data"]}

    ndjson = await api.client.get(f"{SEARCH}/export?format=ndjson", headers=headers)
    table = await api.client.get(f"{SEARCH}/export", headers=headers)

    lines = {one["id"]: one for one in map(orjson.loads, ndjson.text.splitlines())}
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(table.text))}
    assert {key: _without_times(one) for key, one in lines.items()} == {
        key: _without_times(one) for key, one in searched.items()
    }
    assert set(rows) == set(searched)
    assert set(next(iter(rows.values()))) == set(next(iter(searched.values())))
    assert not any(text in ndjson.text + table.text for text in CONFIDENTIAL)


def _without_times(stone: dict[str, Any]) -> dict[str, Any]:
    """Microseconds are written in full by the one and shortened by the other."""
    return {name: value for name, value in stone.items() if not name.endswith("At")}


async def test_an_export_takes_filters_fields_and_permissions(api: Api) -> None:
    await add_three(api)
    answer = await api.client.get(
        f"{SEARCH}/export?format=ndjson&lab_grown=true&fields=shape,feedPriceCents",
        headers=await api.key("admin"),
    )
    [line] = answer.text.splitlines()
    assert set(orjson.loads(line)) == {"id", "shape", "feedPriceCents"}

    refused = await api.client.get(f"{SEARCH}/export?fields=feedPriceCents", headers=await api.key())
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_a_shop_keeps_a_copy_in_step_by_the_time_each_answer_names(api: Api) -> None:
    kept_id, gone_id, _ = await add_three(api)
    headers = await api.key()
    export = await api.client.get(f"{SEARCH}/export?format=ndjson&fields=status", headers=headers)
    copy = {one["id"]: one["status"] for one in map(orjson.loads, export.text.splitlines())}
    await asyncio.sleep(0.01)
    await api.execute(f"UPDATE diamonds SET local_status = 'sold', updated_at = now() WHERE id = '{kept_id}'")
    await api.execute(
        f"UPDATE diamonds SET status = 'deleted', deleted_at = now(), updated_at = now() WHERE id = '{gone_id}'"
    )

    since = export.headers["x-as-of"]
    changes = await api.client.get(f"{SEARCH}?updated_since={since}", headers=headers)

    copy |= {one["id"]: one["status"] for one in changes.json()["data"]}
    assert (copy[str(kept_id)], copy[str(gone_id)]) == ("active", "deleted")
    assert {one["id"] for one in changes.json()["data"]} == {str(kept_id), str(gone_id)}
    assert changes.headers["x-as-of"] > since
    again = await api.client.get(
        f"{SEARCH}?updated_since={since}", headers={**headers, "If-None-Match": changes.headers["etag"]}
    )
    assert again.status_code == 304
    assert again.headers["x-as-of"] > changes.headers["x-as-of"], "time goes on where nothing changes"


async def test_a_writer_that_is_still_open_holds_the_time_to_ask_from_back(api: Api) -> None:
    """Its change carries the moment it began, and is seen only when it commits."""
    [stone_id, *_] = await add_three(api)
    headers = await api.key()
    async with api.pool.connection() as conn, conn.transaction():
        await conn.execute("SELECT now()")
        await asyncio.sleep(0.05)
        before = await api.client.get(f"{SEARCH}?updated_since=2020-01-01T00:00:00Z", headers=headers)
        await conn.execute(
            "UPDATE diamonds SET local_status = 'sold', updated_at = now() WHERE id = %s", [stone_id]
        )
    since = before.headers["x-as-of"]
    after = await api.client.get(f"{SEARCH}?updated_since={since}", headers=headers)
    assert str(stone_id) in {one["id"] for one in after.json()["data"]}


async def test_only_so_many_exports_run_at_once_and_one_for_each_client(api: Api) -> None:
    exporting, headers = api.app.state.exporting, await api.key()
    exporting |= {"a", "b", "c", "d"}
    answer = await api.client.get(f"{SEARCH}/export", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "RATE_LIMITED")
    assert answer.headers["retry-after"]
    exporting.discard("a")
    assert (await api.client.get(f"{SEARCH}/export", headers=headers)).status_code == 200
    assert exporting == {"b", "c", "d"}, "an export gives its place back"


async def test_an_export_of_a_locked_table_is_503_and_not_a_download_that_never_begins(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_LOCK_TIMEOUT", b"SET LOCAL lock_timeout = '50ms'")
    headers = await api.key()
    async with api.pool.connection() as conn, conn.transaction():
        await conn.execute("LOCK TABLE diamonds")
        answer = await api.client.get(f"{SEARCH}/export", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert not api.app.state.exporting


async def test_a_slow_export_does_not_hold_the_change_feed_back(api: Api) -> None:
    async with (
        await connect(str(api.pool.conninfo), application_name="diamond export") as slow,
        transaction(slow, snapshot=True),
    ):
        began = await (await slow.execute("SELECT now()")).fetchone()
        await asyncio.sleep(0.01)
        answer = await api.client.get(f"{SEARCH}?updated_since=2020-01-01T00:00:00Z", headers=await api.key())
    assert began is not None
    assert datetime.fromisoformat(answer.headers["x-as-of"]) > began[0]


async def test_who_has_the_whole_export_may_ask_for_the_next_at_once(api: Api) -> None:
    under_way = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                under_way.append(set(api.app.state.exporting))
            await send(message)

        await api.app(scope, receive, noting)

    key = await api.key("read")
    transport = httpx2.ASGITransport(watched)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api.test") as client:
        answer = await client.get(f"{SEARCH}/export", headers=key)

    assert answer.status_code == 200
    assert under_way == [set()]


async def test_a_price_is_explained_by_the_rules_in_their_order(api: Api) -> None:
    stone_id = await api.add_stone(price_model_price=Decimal("894.44"), markup_ratio=Decimal("1.15"))
    await api.execute(
        "INSERT INTO pricing_rules (priority, shapes, markup_ratio) VALUES (10, '{OVAL}', 1.5), (20, '{ROUND}', 1.3)"
    )

    answer = await api.client.get(f"{SEARCH}/{stone_id}/price-explanation", headers=await api.key("cost"))

    data = answer.json()["data"]
    assert [(rule["priority"], rule["unmet"], rule["isDecisive"]) for rule in data["rules"]] == [
        (10, ["shapes"], False),
        (20, [], True),
        (1000, [], False),
    ]
    assert data["feedPriceCents"] == 77_777
    assert data["stored"]["priceModelPriceCents"] == 89_444
    assert data["now"]["priceModelPriceCents"] == 101_110  # 1.3 times 777.77 is 1,011.101
    denied = await api.client.get(f"{SEARCH}/{stone_id}/price-explanation", headers=await api.key("trade"))
    assert denied.status_code == 403


async def test_the_raw_answer_is_the_supplier_s_own_text(api: Api) -> None:
    stone_id = await api.add_stone()
    payload = '{"id": "DIAMOND/x",  "price": 1.50, "price": 2}'
    await api.execute(
        f"""INSERT INTO raw_diamonds (feed, supplier_stone_id, id, run_id, offer_id, payload, payload_hash,
            asked_lab_grown, fetched_at, last_seen_at, last_seen_run_id)
            VALUES ('nivoda', 'secret-stone', '{stone_id}', gen_random_uuid(), 'o', '{payload}', 'h', FALSE, now(),
            now(), gen_random_uuid())"""
    )
    answer = await api.client.get(f"{SEARCH}/{stone_id}/raw", headers=await api.key("admin"))
    assert f'"payload":{payload}' in answer.text
    assert answer.json()["data"]["payloadDroppedAt"] is None
    assert (
        await api.client.get(f"{SEARCH}/{stone_id}/raw", headers=await api.key("cost"))
    ).status_code == 403


async def test_a_raw_answer_that_was_dropped_says_so_and_since_when(api: Api) -> None:
    stone_id = await api.add_stone()
    await api.execute(
        f"""INSERT INTO raw_diamonds (feed, supplier_stone_id, id, run_id, offer_id, payload, payload_hash,
            asked_lab_grown, fetched_at, last_seen_at, last_seen_run_id, removed_at, updated_at)
            VALUES ('nivoda', 'secret-stone', '{stone_id}', gen_random_uuid(), 'o', 'null', '', FALSE, now(),
            now(), gen_random_uuid(), '2026-01-01', '2026-04-02T05:00:00Z')"""
    )
    answer = await api.client.get(f"{SEARCH}/{stone_id}/raw", headers=await api.key("admin"))
    data = answer.json()["data"]
    assert (data["payload"], data["payloadHash"]) == (None, "")
    assert data["payloadDroppedAt"].startswith("2026-04-02T05:00:00")
