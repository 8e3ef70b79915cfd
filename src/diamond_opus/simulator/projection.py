"""Turns a selection of stone fields into JSON by columns: one plan per selection, no resolver per field.

A plan is a text with gaps and, for each gap, the function that gives a whole page of values for it. Hostile stones
overwrite single gaps afterwards. A field that fails is null, or makes the nearest nullable parent null, as GraphQL
has it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from graphql import FieldNode, GraphQLNonNull, GraphQLObjectType, GraphQLSchema

from diamond_opus.simulator.documents import Document
from diamond_opus.simulator.fields import LEAVES, OBJECTS, ObjectField
from diamond_opus.simulator.hostile import Failure, FieldPath, Overrides
from diamond_opus.simulator.view import View

#: Where the overrides' paths begin for each type a plan can start from.
_ORIGINS: dict[str, FieldPath] = {"DiamondItem": (), "Diamond": ("diamond",)}

#: Where they begin for the parts of a stone that are never overridden.
_ELSEWHERE: FieldPath = ("?",)

ErrorPath = tuple[str | int, ...]
Column = Callable[[View], list[str]]


@dataclass(frozen=True, slots=True)
class StoneError:
    """A failed field of the stone at ``position``; ``path`` is below the stone, in the answer's names."""

    position: int
    path: ErrorPath
    message: str
    makes_stone_null: bool


@dataclass(frozen=True, slots=True)
class _Gap:
    column: Column
    path: FieldPath
    answer_path: ErrorPath
    is_nullable: bool


@dataclass(slots=True)
class Plan:
    """How one selection on one type becomes text. ``objects`` are the non-null objects in it."""

    template: str = ""
    gaps: list[_Gap] = field(default_factory=list)
    objects: dict[FieldPath, ErrorPath] = field(default_factory=dict)

    def render(self, view: View) -> tuple[list[str], list[StoneError]]:
        """The JSON of each stone ("null" where one failed), and what failed."""
        columns = [gap.column(view) for gap in self.gaps]
        errors = []
        for position, overrides in view.overrides().items():
            if error := self._override(columns, position, overrides):
                errors.append(error)
        template = self.template
        rows = zip(*columns, strict=True) if columns else [()] * len(view)
        stones = [template % values for values in rows]
        for error in errors:
            if error.makes_stone_null:
                stones[error.position] = "null"
        return stones, errors

    def _override(self, columns: list[list[str]], position: int, overrides: Overrides) -> StoneError | None:
        """Overwrite what the stone answers otherwise; the first failure, if any."""
        failure: StoneError | None = None
        for path, value in overrides.items():
            if isinstance(value, Failure) and path in self.objects:
                failure = failure or StoneError(
                    position, self.objects[path], value.message, makes_stone_null=True
                )
            for gap, column in zip(self.gaps, columns, strict=True):
                if gap.path != path:
                    continue
                if isinstance(value, Failure):
                    column[position] = "null"
                    failure = failure or StoneError(
                        position, gap.answer_path, value.message, not gap.is_nullable
                    )
                else:
                    column[position] = value
        return failure


class Planner:
    """Makes plans, and remembers them with the document they belong to."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema

    def plan(
        self, document: Document, type_name: str, nodes: Sequence[FieldNode], variables: dict[str, Any]
    ) -> Plan:
        """The plan for stones of ``type_name`` (DiamondItem or Diamond) selected by ``nodes``."""
        key = ("plan", type_name, tuple(map(id, nodes)), document.switches(variables))
        known = document.notes.get(key)
        if known is None:
            drafting = _Drafting(self._schema, document, variables)
            known = document.notes[key] = drafting.draft(type_name, nodes, _ORIGINS[type_name])
        plan: Plan = known
        return plan


@dataclass(frozen=True, slots=True)
class _Drafting:
    """The making of the plans for one selection."""

    schema: GraphQLSchema
    document: Document
    variables: dict[str, Any]

    def draft(self, type_name: str, nodes: Sequence[FieldNode], origin: FieldPath) -> Plan:
        plan = Plan()
        plan.template = self._object(plan, type_name, nodes, origin, ())
        return plan

    def _object(
        self, plan: Plan, type_name: str, nodes: Sequence[FieldNode], path: FieldPath, answer_path: ErrorPath
    ) -> str:
        parts = []
        for key, chosen in self.document.fields(
            [node.selection_set for node in nodes], self.variables
        ).items():
            name = chosen[0].name.value
            below, answer_below = (*path, name), (*answer_path, key)
            if child := OBJECTS.get(type_name, {}).get(name):
                text = self._child(plan, child, chosen, below, answer_below)
            else:
                text = self._leaf(plan, type_name, chosen, below, answer_below)
            parts.append(f'"{key}":{text}')
        return "{" + ",".join(parts) + "}"

    def _child(
        self,
        plan: Plan,
        child: ObjectField,
        nodes: Sequence[FieldNode],
        path: FieldPath,
        answer_path: ErrorPath,
    ) -> str:
        if child.exists is None:
            plan.objects[path] = answer_path
            return self._object(plan, child.type_name, nodes, path, answer_path)
        part = self.draft(child.type_name, nodes, _ELSEWHERE)
        column = _optional(part, child.exists, is_list=child.is_list)
        return _new_gap(plan, _Gap(column, _ELSEWHERE, answer_path, is_nullable=True))

    def _leaf(
        self, plan: Plan, type_name: str, nodes: Sequence[FieldNode], path: FieldPath, answer_path: ErrorPath
    ) -> str:
        name = path[-1]
        if name == "__typename":
            return f'"{type_name}"'
        if (type_name, name) == ("Certificate", "diamonds"):
            return _new_gap(plan, _Gap(self._twins(nodes), path, answer_path, is_nullable=True))
        leaf = LEAVES[type_name][name]
        if isinstance(leaf, str):
            return leaf.replace("%", "%%")
        type_ = self.schema.type_map[type_name]
        assert isinstance(type_, GraphQLObjectType)  # noqa: S101
        is_nullable = not isinstance(type_.fields[name].type, GraphQLNonNull)
        return _new_gap(plan, _Gap(leaf, path, answer_path, is_nullable))

    def _twins(self, nodes: Sequence[FieldNode]) -> Column:
        """``Certificate.diamonds``: every stone on offer with that certificate."""
        plan = self.draft("Diamond", nodes, _ORIGINS["Diamond"])

        def column(view: View) -> list[str]:
            groups = (np.array(view.inventory.twins_of(row), dtype=np.int64) for row in view.row_list)
            return [f"[{','.join(plan.render(View(view.inventory, group))[0])}]" for group in groups]

        return column


def _new_gap(plan: Plan, gap: _Gap) -> str:
    plan.gaps.append(gap)
    return "%s"


def _optional(part: Plan, exists: str, *, is_list: bool) -> Column:
    """A nullable object, or a list of at most one."""
    form, absent = ("[%s]", "[]") if is_list else ("%s", "null")

    def column(view: View) -> list[str]:
        texts, _ = part.render(view)
        return [
            form % text if there else absent for text, there in zip(texts, view.column(exists), strict=True)
        ]

    return column
