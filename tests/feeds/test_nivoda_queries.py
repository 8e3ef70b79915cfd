"""Every operation the feed sends must be one the supplier's schema knows."""

from collections.abc import Mapping
from importlib.resources import files

import pytest
from graphql import GraphQLEnumType, build_schema, parse, validate
from graphql.language import FieldNode, FragmentDefinitionNode, SelectionSetNode
from msgspec import Struct
from msgspec.structs import fields

from diamond_opus.feeds.nivoda.documents import OPERATIONS
from diamond_opus.feeds.nivoda.items import Certificate, Delivery, Diamond, Item, Supplier
from diamond_opus.feeds.nivoda.query_filter import COLORS, SHAPES

FOLDER = files("diamond_opus.feeds.nivoda")
SCHEMA = build_schema(FOLDER.joinpath("schema.graphql").read_text())


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_is_valid_against_the_schema(name: str) -> None:
    document = parse(OPERATIONS[name])

    assert validate(SCHEMA, document) == []
    assert [getattr(part, "operation", None) is not None for part in document.definitions].count(True) == 1


def test_the_operations_are_those_the_feed_uses() -> None:
    assert set(OPERATIONS) == {
        "Login", "Count", "Page", "Diamond", "CreateHold", "CancelHold", "CreateOrder",
    }  # fmt: skip


def test_the_colors_are_the_schemas() -> None:
    kind = SCHEMA.type_map["DiamondColor"]
    assert isinstance(kind, GraphQLEnumType)
    assert set(COLORS) == set(kind.values)


def test_every_shape_stands_once() -> None:
    assert len(SHAPES) == len(set(SHAPES)) == 50


def _asked_fields() -> dict[str, list[str]]:
    """Field names in the order of the query, by the path that leads to them."""
    found: dict[str, list[str]] = {}

    def walk(path: str, selection: SelectionSetNode) -> None:
        nodes = [node for node in selection.selections if isinstance(node, FieldNode)]
        found[path] = [node.name.value for node in nodes]
        for node in nodes:
            if node.selection_set is not None:
                walk(f"{path}.{node.name.value}", node.selection_set)

    [fragment] = [
        part for part in parse(OPERATIONS["Page"]).definitions if isinstance(part, FragmentDefinitionNode)
    ]
    walk("item", fragment.selection_set)
    return found


def test_the_mapper_decodes_the_fields_in_the_order_in_which_they_are_asked() -> None:
    asked = _asked_fields()
    structs: Mapping[str, type[Struct]] = {
        "item": Item,
        "item.diamond": Diamond,
        "item.diamond.delivery_time": Delivery,
        "item.diamond.certificate": Certificate,
        "item.diamond.supplier": Supplier,
    }
    for path, struct in structs.items():
        decoded = [field.name for field in fields(struct)]
        assert [name for name in asked[path] if name in decoded] == decoded
