"""Whatever filter the schema allows is answered: with stones that agree with their count, or with a clear error."""

import random
from typing import Any

import orjson
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInputType, GraphQLList, GraphQLNonNull
from supplier_client import CALM

from diamond_opus.simulator.documents import load_schema
from diamond_opus.simulator.http import Request
from diamond_opus.simulator.supplier import Supplier

SCALARS: dict[str, list[Any]] = {
    "Int": [0, 1, 7, 50, 700, -5, 2_147_483_647, -2_147_483_648],
    "Float": [0, 1.5, -3.25, 60, 1e300, -1e300, 1e-300],
    "String": ["", "x", "ROUND", "2026-01-01", '"\\'],
    "ID": ["", "x", "00000000-0000-4000-8000-000000000000"],
    "Boolean": [True, False],
}


def _some_value(type_: GraphQLInputType, dice: random.Random) -> Any:
    if isinstance(type_, GraphQLNonNull):
        return _some_value(type_.of_type, dice)
    if isinstance(type_, GraphQLList):
        item = type_.of_type
        can_be_null = not isinstance(item, GraphQLNonNull)
        return [
            None if can_be_null and dice.random() < 0.1 else _some_value(item, dice)
            for _ in range(dice.randrange(4))
        ]
    if isinstance(type_, GraphQLEnumType):
        return dice.choice(list(type_.values))
    if isinstance(type_, GraphQLInputObjectType):
        return {name: _some_value(field.type, dice) for name, field in type_.fields.items()}
    return dice.choice(SCALARS[type_.name])


def test_every_filter_the_schema_allows_is_counted_as_it_is_listed_or_refused_by_name() -> None:
    supplier = Supplier(CALM)
    token = supplier.accounts.open_session()["token"]
    fields = load_schema().type_map["DiamondQuery"].fields  # type: ignore[attr-defined]  # an object type
    dice = random.Random(5)
    query = """query($query: DiamondQuery) {
      page: diamonds_by_query(query: $query, order: {type: price, direction: ASC}) { items { id } }
      count: diamonds_by_query_count(query: $query) }"""
    answered = refused = 0
    for _ in range(600):
        names = dice.sample(list(fields), dice.choice([1, 1, 2, 4]))
        asked = {name: _some_value(fields[name].type, dice) for name in names}
        body = orjson.dumps({"query": query, "variables": {"query": asked}})
        headers = {"authorization": f"Bearer {token}"}

        response = supplier.handle(Request("POST", "/api/diamonds", "", headers, body, "127.0.0.1"))

        assert response.status == 200, (asked, response.body)
        assert isinstance(response.body, bytes)
        answer = orjson.loads(response.body)
        if "errors" in answer:
            refused += 1
            assert "is not" in answer["errors"][0]["message"], asked
        else:
            answered += 1
            assert len(answer["data"]["page"]["items"]) == min(50, answer["data"]["count"]), asked
    assert answered > 200
    assert refused > 50
