"""Query documents: parsed and validated once per text, their selections flattened once per shape.

Errors are worded as graphql-js words them, because that is what the supplier runs and clients match on.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    build_schema,
    parse,
    validate,
)

#: The supplier's published SDL; there is one copy of it in this distribution.
SCHEMA_FILE = Path(__file__).parent.parent / "feeds" / "nivoda" / "schema.graphql"

_MAX_DOCUMENTS = 500

#: Response key -> the nodes merged under it.
Fields = dict[str, tuple[FieldNode, ...]]

_UNKNOWN_INPUT_FIELD = re.compile(
    r"Expected value of type '(\w+)' not to include unknown field '(\w+)'.*", re.DOTALL
)
_QUOTED = re.compile(r"'([^']*)'")


@cache
def load_schema() -> GraphQLSchema:
    return build_schema(SCHEMA_FILE.read_text("utf-8"))


def in_graphql_js_words(message: str) -> str:
    """graphql-core's message as the supplier's server would put it.

    >>> in_graphql_js_words("Expected value of type 'DiamondQuery' not to include unknown field 'updatedAt'.")
    'Field "updatedAt" is not defined by type DiamondQuery'
    """
    message = _UNKNOWN_INPUT_FIELD.sub(r'Field "\2" is not defined by type \1', message)
    return _QUOTED.sub(r'"\1"', message)


class Document:
    """One text. ``errors`` is empty when it may be executed."""

    def __init__(self, schema: GraphQLSchema, text: str) -> None:
        self.operations: dict[str, OperationDefinitionNode] = {}
        self._fragments: dict[str, FragmentDefinitionNode] = {}
        self._collected: dict[object, Fields] = {}
        #: Whatever a user of the document wants to remember about its nodes while it lives.
        self.notes: dict[object, Any] = {}
        try:
            self.ast = parse(text, no_location=False)
            self.errors = validate(schema, self.ast)
        except GraphQLError as error:
            self.errors = [error]
            return
        for definition in self.ast.definitions:
            if isinstance(definition, OperationDefinitionNode):
                self.operations[definition.name.value if definition.name else ""] = definition
            elif isinstance(definition, FragmentDefinitionNode):
                self._fragments[definition.name.value] = definition

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Raises GraphQLError when it is not clear which one is meant."""
        if name:
            if name not in self.operations:
                raise GraphQLError(f'Unknown operation named "{name}".')
            return self.operations[name]
        if len(self.operations) != 1:
            raise GraphQLError("Must provide operation name if query contains multiple operations.")
        return next(iter(self.operations.values()))

    @cached_property
    def has_directives(self) -> bool:
        return "@" in (self.ast.loc.source.body if self.ast.loc else "")

    def fields(self, sets: Sequence[SelectionSetNode | None], variables: dict[str, Any]) -> Fields:
        """The flattened selection of all these sets; fragments are spread and @skip and @include obeyed."""
        key = (tuple(map(id, sets)), self.switches(variables))
        known = self._collected.get(key)
        if known is None:
            merged: dict[str, list[FieldNode]] = {}
            for selection_set in sets:
                if selection_set is not None:
                    self._collect(selection_set, variables, merged)
            known = self._collected[key] = {name: tuple(nodes) for name, nodes in merged.items()}
        return known

    def switches(self, variables: dict[str, Any]) -> object:
        """What @skip and @include can depend on: the flattening of a selection is remembered under it."""
        if not self.has_directives:
            return None
        return tuple(sorted((name, value) for name, value in variables.items() if isinstance(value, bool)))

    def _collect(
        self, selection_set: SelectionSetNode, variables: dict[str, Any], merged: dict[str, list[FieldNode]]
    ) -> None:
        for node in selection_set.selections:
            if _is_left_out(node.directives, variables):
                continue
            if isinstance(node, FieldNode):
                merged.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                self._collect(node.selection_set, variables, merged)
            elif isinstance(node, FragmentSpreadNode):
                self._collect(self._fragments[node.name.value].selection_set, variables, merged)


class Documents:
    """The documents seen lately."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._known: OrderedDict[str, Document] = OrderedDict()

    def get(self, text: str) -> Document:
        document = self._known.get(text)
        if document is None:
            document = self._known[text] = Document(self._schema, text)
            if len(self._known) > _MAX_DOCUMENTS:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(text)
        return document


def _is_left_out(directives: Iterable[DirectiveNode] | None, variables: dict[str, Any]) -> bool:
    return any(
        directive.name.value in {"skip", "include"}
        and _condition(directive, variables) == (directive.name.value == "skip")
        for directive in directives or ()
    )


def _condition(directive: DirectiveNode, variables: dict[str, Any]) -> bool:
    value = (directive.arguments or ())[0].value
    if isinstance(value, VariableNode):
        return bool(variables.get(value.name.value))
    return isinstance(value, BooleanValueNode) and value.value
