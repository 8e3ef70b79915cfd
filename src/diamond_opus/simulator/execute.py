"""Executes a validated document on a tree of plain values and writes the answer as JSON text.

A value is a dict (an object), a callable (asked with the field's arguments), a list, a scalar, or
``Stones``: rows that a projection plan renders at once. Stones are where the volume is; everything else is
small and may be slow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    execute_sync,
    get_argument_values,
    get_variable_values,
)

from diamond_opus.simulator.columns import Rows
from diamond_opus.simulator.documents import Document, Documents, in_graphql_js_words
from diamond_opus.simulator.inventory import Inventory
from diamond_opus.simulator.projection import Planner
from diamond_opus.simulator.view import View

Path = tuple[str | int, ...]
Value = Any


class FieldError(Exception):
    """A field cannot be answered; the text is for ``errors[].message``."""


class _NullParentError(Exception):
    """A non-null field failed, so the parent must be null; its error is already written down."""


class RequestError(Exception):
    """The request cannot be executed at all: HTTP 400 with these messages."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = [
            {
                "message": in_graphql_js_words(error.message),
                **(
                    {"locations": [{"line": at.line, "column": at.column} for at in error.locations]}
                    if error.locations
                    else {}
                ),
                "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"},
            }
            for error in errors
        ]


@dataclass(frozen=True, slots=True)
class Stones:
    """Stones to render in this order: a list of them, or the single one in ``rows``.

    ``spoiled`` positions fail with a server error; ``report`` says whether failures are told in ``errors``.
    """

    rows: Rows
    spoiled: frozenset[int] = frozenset()
    report: bool = True


@dataclass(slots=True)
class _Run:
    """One execution: where its errors gather."""

    document: Document
    variables: Any
    errors: list[dict[str, object]] = field(default_factory=list)

    @property
    def coerced(self) -> dict[str, Any]:
        values: dict[str, Any] = self.variables.coerced
        return values


class Executor:
    """Bound to a schema and an inventory; ``roots`` come with each request because they know who asks."""

    def __init__(self, schema: GraphQLSchema, inventory: Inventory) -> None:
        self._schema = schema
        self._inventory = inventory
        self._documents = Documents(schema)
        self._planner = Planner(schema)

    def prepare(self, text: str, operation_name: str | None) -> tuple[Document, OperationDefinitionNode]:
        """The document and the operation meant. Raises RequestError."""
        document = self._documents.get(text)
        if document.errors:
            raise RequestError(document.errors)
        try:
            return document, document.operation(operation_name)
        except GraphQLError as error:
            raise RequestError([error]) from None

    def execute(
        self, document: Document, operation: OperationDefinitionNode, variables: dict[str, Any],
        root: Callable[[OperationType], dict[str, Value]],
    ) -> bytes:  # fmt: skip
        """The whole answer, ``{"data":…}`` with ``errors`` where there are any. Raises RequestError."""
        values = get_variable_values(
            self._schema, operation.variable_definitions or (), variables, hide_suggestions=True
        )
        if isinstance(values, list):
            raise RequestError(values)
        run = _Run(document, values)
        type_ = (
            self._schema.query_type
            if operation.operation is OperationType.QUERY
            else self._schema.mutation_type
        )
        assert type_ is not None  # noqa: S101
        try:
            data = self._object(run, type_, root(operation.operation), (operation.selection_set,), ())
        except _NullParentError:
            data = "null"
        if run.errors:
            return f'{{"errors":{orjson.dumps(run.errors).decode()},"data":{data}}}'.encode()
        return f'{{"data":{data}}}'.encode()

    def _object(
        self,
        run: _Run,
        type_: GraphQLObjectType,
        value: dict[str, Value],
        sets: Sequence[SelectionSetNode | None],
        path: Path,
    ) -> str:
        parts = []
        for key, nodes in run.document.fields(sets, run.coerced).items():
            name = nodes[0].name.value
            if name == "__typename":
                text = f'"{type_.name}"'
            elif name.startswith("__"):
                text = self._introspected(run, key, nodes)
            else:
                text = self._field(run, type_, value.get(name), nodes, (*path, key))
            parts.append(f'"{key}":{text}')
        return "{" + ",".join(parts) + "}"

    def _field(
        self, run: _Run, parent: GraphQLObjectType, value: Value, nodes: tuple[FieldNode, ...], path: Path
    ) -> str:
        definition = parent.fields[nodes[0].name.value]
        try:
            if callable(value):
                value = value(**get_argument_values(definition, nodes[0], run.variables))
            return self._complete(run, definition.type, value, nodes, path)
        except FieldError as error:
            run.errors.append(
                {"message": str(error), "path": list(path)} if _is_located(error) else {"message": str(error)}
            )
        except GraphQLError as error:
            run.errors.append({"message": in_graphql_js_words(error.message), "path": list(path)})
        except _NullParentError:
            pass
        if isinstance(definition.type, GraphQLNonNull):
            raise _NullParentError
        return "null"

    def _complete(
        self, run: _Run, type_: GraphQLOutputType, value: Value, nodes: tuple[FieldNode, ...], path: Path
    ) -> str:
        if isinstance(type_, GraphQLNonNull):
            text = self._complete(run, type_.of_type, value, nodes, path)
            if text == "null":
                if value is None:
                    raise FieldError(f"Cannot return null for non-nullable field {'.'.join(map(str, path))}.")
                raise _NullParentError
            return text
        if value is None:
            return "null"
        if isinstance(value, Stones):
            return self._stones(run, type_, value, nodes, path)
        if isinstance(type_, GraphQLList):
            items = (
                self._complete(run, type_.of_type, item, nodes, (*path, i)) for i, item in enumerate(value)
            )
            return "[" + ",".join(items) + "]"
        if isinstance(type_, GraphQLObjectType):
            return self._object(run, type_, value, [node.selection_set for node in nodes], path)
        return orjson.dumps(value).decode()

    def _stones(
        self, run: _Run, type_: GraphQLOutputType, stones: Stones, nodes: tuple[FieldNode, ...], path: Path
    ) -> str:
        is_list = isinstance(type_, GraphQLList)
        item_type = type_.of_type if isinstance(type_, GraphQLList) else type_
        assert isinstance(item_type, GraphQLObjectType)  # noqa: S101
        plan = self._planner.plan(run.document, item_type.name, nodes, run.coerced)
        texts, errors = plan.render(View(self._inventory, stones.rows))
        for position in stones.spoiled:
            texts[position] = "null"
        if stones.report:
            for error in errors:
                place = (*path, error.position) if is_list else path
                run.errors.append({"message": error.message, "path": [*place, *error.path]})
            run.errors.extend(
                {"message": "Internal server error", "path": [*path, at]} for at in sorted(stones.spoiled)
            )
        return "[" + ",".join(texts) + "]" if is_list else texts[0]

    def _introspected(self, run: _Run, key: str, nodes: tuple[FieldNode, ...]) -> str:
        """``__schema`` and ``__type`` are left to graphql-core, with only this field in the operation."""
        fragments = [
            node for node in run.document.ast.definitions if not isinstance(node, OperationDefinitionNode)
        ]
        operation = OperationDefinitionNode(
            operation=OperationType.QUERY,
            variable_definitions=tuple(
                definition
                for node in run.document.operations.values()
                for definition in node.variable_definitions or ()
            ),
            selection_set=SelectionSetNode(selections=tuple(nodes)),
        )
        result = execute_sync(
            self._schema,
            DocumentNode(definitions=(operation, *fragments)),
            variable_values=run.coerced,
        )
        return orjson.dumps((result.data or {}).get(key)).decode()


def _is_located(error: FieldError) -> bool:
    return not isinstance(error, AuthenticationError)


class AuthenticationError(FieldError):
    """No token, or one that is not good any more; told without a path, as the supplier does."""
