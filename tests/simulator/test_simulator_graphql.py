"""The simulator speaks GraphQL as the supplier's schema has it."""

from typing import Any

import aiohttp
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    build_client_schema,
    get_introspection_query,
    print_schema,
)
from supplier_client import ITEM, supplier

from diamond_opus.simulator.documents import load_schema


def _everything(schema: GraphQLSchema, type_: GraphQLOutputType, depth: int) -> str:
    """A selection of every field, objects down to ``depth``."""
    parts = []
    assert isinstance(type_, GraphQLObjectType)
    for name, definition in type_.fields.items():
        named: Any = definition.type
        while isinstance(named, GraphQLNonNull | GraphQLList):
            named = named.of_type
        if not isinstance(named, GraphQLObjectType):
            parts.append(name)
        elif depth:
            parts.append(f"{name} {{ {_everything(schema, named, depth - 1)} }}")
    return " ".join(parts) or "__typename"


def _misfits(type_: GraphQLOutputType, value: Any, path: str) -> list[str]:
    """Where a value does not have its declared type."""
    if isinstance(type_, GraphQLNonNull):
        return [f"{path} is null"] if value is None else _misfits(type_.of_type, value, path)
    if value is None:
        return []
    if isinstance(type_, GraphQLList):
        return [
            misfit for i, item in enumerate(value) for misfit in _misfits(type_.of_type, item, f"{path}[{i}]")
        ]
    if isinstance(type_, GraphQLObjectType):
        return [
            misfit
            for name, item in value.items()
            for misfit in _misfits(type_.fields[name].type, item, f"{path}.{name}")
        ]
    if isinstance(type_, GraphQLEnumType):
        return [] if value in type_.values else [f"{path} = {value!r}"]
    assert isinstance(type_, GraphQLScalarType)
    kinds: dict[str, Any] = {"String": str, "ID": str, "Int": int, "Float": (int, float), "Boolean": bool}
    return [] if isinstance(value, kinds[type_.name]) else [f"{path} = {value!r}"]


async def test_every_answer_field_has_the_type_the_schema_declares() -> None:
    schema = load_schema()
    item = schema.type_map["DiamondItem"]
    assert isinstance(item, GraphQLObjectType)
    async with supplier() as client:
        for lab_grown in (False, True):
            items = await client.walk({"labgrown": lab_grown}, fields=_everything(schema, item, 3))

            assert [misfit for each in items for misfit in _misfits(item, each, "item")] == []
            assert len(items) > 500


async def test_the_production_query_asks_for_about_eighty_fields() -> None:
    async with supplier() as client:
        [item], _ = await client.page(limit=1, fields=ITEM)

        def leaves(value: Any) -> int:
            return sum(leaves(each) for each in value.values()) if isinstance(value, dict) else 1

        assert leaves(item) >= 75
        assert item["id"] == f"DIAMOND/{item['diamond']['id']}"
        assert isinstance(item["price"], int)
        assert isinstance(item["diamond"]["certificate"]["length"], str)


async def test_an_unknown_filter_is_http_400_in_the_words_of_the_supplier() -> None:
    async with supplier() as client:
        written = await client.post('{ diamonds_by_query_count(query: {updatedAt: {from: "2026"}}) }')
        given = await client.post(
            "query($query: DiamondQuery) { diamonds_by_query_count(query: $query) }",
            {"query": {"updatedAt": {}}},
        )

        for status, answer in (written, given):
            assert status == 400
            assert "data" not in answer
            assert 'Field "updatedAt" is not defined by type DiamondQuery' in answer["errors"][0]["message"]


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("{ diamonds_by_query { items { prise } } }", 'Cannot query field "prise" on type "DiamondItem"'),
        ("{ diamonds_by_query(query: {dollar_value: {from: 1}}) { total_count } }", "to"),
        ("{ diamonds_by_query(query: {dollar_value: {from: 1.5, to: 2}}) { total_count } }", "Int"),
        ("{ diamonds_by_query(order: {type: price}) { total_count } }", "direction"),
        ("{ diamonds_by_query(query: {eyeClean: [YES]}) { total_count } }", "YES"),
        ("query($q: Nonsense) { diamonds_by_query(query: $q) { total_count } }", "Nonsense"),
        ("{ diamonds_by_query {", "Syntax Error"),
        ("query A { __typename } query B { __typename }", "operation name"),
        ("subscription { x }", "subscription"),
    ],
)
async def test_what_the_schema_does_not_allow_is_http_400(query: str, part: str) -> None:
    async with supplier() as client:
        status, answer = await client.post(query)

        assert status == 400
        assert part in answer["errors"][0]["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"query": 1}', b'{"query": "{__typename}", "variables": 3}']
)
async def test_a_body_that_is_no_request_is_http_400(body: bytes) -> None:
    async with supplier() as client, client.http.post(client.sim.url, data=body) as response:
        assert response.status == 400
        assert "errors" in await response.json()


async def test_aliases_fragments_variables_and_typenames_work() -> None:
    async with supplier() as client:
        data = await client.data(
            """
            query($limit: Int = 2) {
              total: diamonds_by_query_count
              __typename
              stones: diamonds_by_query(limit: $limit) { ...Page }
            }
            fragment Page on DiamondList { items { offer: id ... on DiamondItem { cents: price } ...Deep } }
            fragment Deep on DiamondItem { diamond { __typename certificate { weight: carats } certificate { lab } } }
            """
        )

        assert data["__typename"] == "Query"
        assert data["total"] > 0
        assert len(data["stones"]["items"]) == 2
        first = data["stones"]["items"][0]
        assert list(first) == ["offer", "cents", "diamond"]
        assert first["diamond"]["__typename"] == "Diamond"
        assert list(first["diamond"]["certificate"]) == ["weight", "lab"]


async def test_skip_and_include_are_obeyed_each_time_anew() -> None:
    query = """query($full: Boolean!) {
      diamonds_by_query(limit: 1) { items { id price @include(if: $full) diamond { image @skip(if: $full) id } } } }"""
    async with supplier() as client:
        for full in (True, False, True):
            data = await client.data(query, {"full": full})

            [item] = data["diamonds_by_query"]["items"]
            assert ("price" in item) is full
            assert ("image" in item["diamond"]) is not full


async def test_the_operation_asked_for_by_name_is_executed() -> None:
    async with supplier() as client:
        _, answer = await client.post(
            "query A { a: __typename } query B { b: __typename }", operationName="B"
        )

        assert answer == {"data": {"b": "Query"}}


async def test_introspection_gives_the_published_schema_without_a_token() -> None:
    async with supplier() as client:
        client.token = None
        status, answer = await client.post(get_introspection_query())

        assert status == 200
        assert print_schema(build_client_schema(answer["data"])) == _without_descriptions(load_schema())


def _without_descriptions(schema: GraphQLSchema) -> str:
    return print_schema(schema)


async def test_introspection_works_beside_other_fields() -> None:
    async with supplier() as client:
        data = await client.data(
            'query($name: String = "x") { type: __type(name: "IntRange") { ...Kind } diamonds_by_query_count }'
            " fragment Kind on __Type { kind inputFields { name } }".replace('($name: String = "x")', "")
        )

        assert data["type"] == {"kind": "INPUT_OBJECT", "inputFields": [{"name": "from"}, {"name": "to"}]}
        assert data["diamonds_by_query_count"] > 0


async def test_a_limit_above_fifty_and_a_negative_offset_are_graphql_errors() -> None:
    async with supplier() as client:
        ask = "query($offset: Int, $limit: Int) { diamonds_by_query(offset: $offset, limit: $limit) { total_count } }"

        assert "50" in await client.problem(ask, {"limit": 51})
        assert "negative" in await client.problem(ask, {"offset": -1})
        assert (await client.data(ask, {"limit": 0}))["diamonds_by_query"]["total_count"] == 0


async def test_an_offset_limit_can_be_set() -> None:
    async with supplier(max_offset=100) as client:
        assert len((await client.page(offset=100))[0]) == 50
        ask = "{ diamonds_by_query(offset: 101) { total_count } }"
        assert "100" in await client.problem(ask)


async def test_one_stone_is_found_by_its_bare_uuid_only() -> None:
    query = "query($id: ID!) { get_diamond_by_id(diamond_id: $id) { id price diamond { certificate { certNumber } } } }"
    async with supplier() as client:
        [item], _ = await client.page(
            offset=17, limit=1, fields="id price diamond { id certificate { certNumber } }"
        )

        data = await client.data(query, {"id": item["diamond"].pop("id")})
        assert data["get_diamond_by_id"] == item
        for unknown in (item["id"], "00000000-0000-4000-8000-000000000000", "nonsense"):
            assert await client.problem(query, {"id": unknown}) == "Diamond not found"


async def test_account_matters_answer_by_the_schema() -> None:
    async with supplier() as client:
        data = await client.data(
            "{ get_currencies { id value is_active } get_exchange_rates { id name to_USD } }"
        )

        assert {"id": "USD", "value": "USD", "is_active": True} in data["get_currencies"]
        assert data["get_exchange_rates"] == [{"id": "USD", "name": "USD", "to_USD": 1.0}]


async def test_the_api_is_found_at_its_path_only_and_by_post_only() -> None:
    async with supplier() as client, aiohttp.ClientSession() as http:
        async with http.get(client.sim.url) as response:
            assert response.status == 405
        async with http.post(client.sim.base_url + "/api/gemstones") as response:
            assert response.status == 404
            assert response.content_type == "text/html"
