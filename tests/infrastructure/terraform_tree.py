"""Reads the Terraform files and finds what `terraform validate` would, which needs the provider and so the network.

Names, nesting and kinds are compared with what the provider's published bindings say
(infrastructure/checks/azurerm_schema.json), references with what the same folder declares.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "infrastructure" / "terraform"
MODULES = TERRAFORM / "modules"
ENVIRONMENTS = TERRAFORM / "environments"
SCHEMA: Mapping[str, Any] = json.loads(
    (ROOT / "infrastructure" / "checks" / "azurerm_schema.json").read_text(encoding="utf-8")
)

#: Arguments and blocks that Terraform itself gives every resource, data source and module.
META_ARGUMENTS = {"count", "depends_on", "for_each", "provider"}
META_BLOCKS = {"lifecycle"}


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a file: ``resource "azurerm_x" "y" { ... }`` has the kind resource and two labels."""

    kind: str
    labels: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    blocks: tuple["Block", ...] = ()

    @property
    def address(self) -> str:
        return ".".join(self.labels) or self.kind

    def named(self, kind: str) -> "list[Block]":
        """The blocks of a kind in it; a dynamic one counts as what it makes."""
        return [_made(block) for block in self.blocks if _made(block).kind == kind]


def parse(text: str) -> list[Block]:
    return list(_blocks(hcl2.loads(text)))


@cache
def parse_folder(folder: Path) -> tuple[Block, ...]:
    return tuple(block for path in sorted(folder.glob("*.tf")) for block in parse(path.read_text("utf-8")))


def folders() -> list[Path]:
    return sorted({path.parent for path in TERRAFORM.rglob("*.tf")})


def tfvars(environment: str) -> Mapping[str, Any]:
    text = (ENVIRONMENTS / environment / "terraform.tfvars").read_text(encoding="utf-8")
    return {name: value for name, value in hcl2.loads(text).items() if not name.startswith("__")}


def text_of(value: Any) -> str | None:
    """A literal string without its quotation marks; None for anything else."""
    return value[1:-1] if isinstance(value, str) and value.startswith('"') else None


def _blocks(body: Mapping[str, Any]) -> Iterator[Block]:
    for kind, value in body.items():
        if not kind.startswith("__") and _are_blocks(value):
            for one in value:
                yield _block(kind, (), one)


def _block(kind: str, labels: tuple[str, ...], body: Mapping[str, Any]) -> Block:
    # A label is a key in quotation marks with the block's body, or the next label, under it.
    own = [key for key in body if not key.startswith("__")]
    if len(own) == 1 and own[0].startswith('"') and isinstance(body[own[0]], dict):
        return _block(kind, (*labels, own[0].strip('"')), body[own[0]])
    arguments = {name: body[name] for name in own if not _are_blocks(body[name])}
    return Block(kind, labels, arguments, tuple(_blocks(body)))


def _are_blocks(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and (one.get("__is_block__") or _is_labelled(one)) for one in value)
    )


def _is_labelled(body: Mapping[str, Any]) -> bool:
    own = [value for key, value in body.items() if not key.startswith("__")]
    return len(own) == 1 and isinstance(own[0], dict) and (own[0].get("__is_block__") or _is_labelled(own[0]))


def _made(block: Block) -> Block:
    """What a dynamic block makes, of its content; any other block itself."""
    if block.kind != "dynamic":
        return block
    content = next(inner for inner in block.blocks if inner.kind == "content")
    return Block(block.labels[0], (), content.arguments, content.blocks)


def problems(blocks: tuple[Block, ...] | list[Block], where: str) -> list[str]:
    """Unknown, misplaced, missing, repeated and wrongly typed arguments of the provider's blocks."""
    found: list[str] = []
    for block in blocks:
        if block.kind == "resource":
            name = block.labels[0]
        elif block.kind == "data":
            name = f"data_{block.labels[0]}"
        elif block.kind == "provider":
            name = "provider"
        else:
            continue
        if name not in SCHEMA:
            found.append(
                f"{where}: {block.address}: the provider has no such resource, or the extract is old"
            )
            continue
        found += _compare(block, SCHEMA[name], f"{where}: {block.address}", is_top=True)
    return found


def _compare(block: Block, schema: Mapping[str, Any], path: str, *, is_top: bool = False) -> Iterator[str]:
    arguments, nested = schema["arguments"], schema["blocks"]
    for name, value in block.arguments.items():
        if is_top and name in META_ARGUMENTS:
            continue
        if name in nested:
            yield f"{path}: {name} is a block, not an argument"
        elif name not in arguments:
            yield f"{path}: no argument {name}"
        elif not _may_be(value, arguments[name]):
            yield f"{path}: {name} is a {arguments[name]}, not {value!r}"
    made = [
        (block.kind == "dynamic", inner)
        for block in block.blocks
        if not (is_top and block.kind in META_BLOCKS)
        for inner in [_made(block)]
    ]
    for _, inner in made:
        if inner.kind in nested:
            yield from _compare(inner, nested[inner.kind], f"{path}.{inner.kind}")
        elif inner.kind in arguments:
            yield f"{path}: {inner.kind} is an argument, not a block"
        else:
            yield f"{path}: no block {inner.kind}"
    # How often a dynamic block comes is known when it is applied.
    for kind, times in Counter(inner.kind for is_dynamic, inner in made if not is_dynamic).items():
        if times > 1 and kind in nested and not nested[kind]["repeated"]:
            yield f"{path}: block {kind} may come once, not {times} times"
    present = {*block.arguments, *(inner.kind for _, inner in made)}
    for name in schema["required"]:
        if name not in present:
            yield f"{path}: {name} is missing"


def _may_be(value: Any, kind: str) -> bool:
    if isinstance(value, str) and not value.startswith('"'):
        return True  # an expression: its kind shows when it is applied
    if isinstance(value, bool):
        return kind == "bool"
    if isinstance(value, int | float):
        return kind == "number"
    if isinstance(value, list):
        return kind == "list"
    return kind == ("map" if isinstance(value, dict) else "string")


_REFERENCE = re.compile(
    r"(?<![\w.\"-])(?:(data)\.)?(azurerm_\w+|module|var|local)\.(\w+)((?:\[[^\]]*\])*)(?:\.(\w+))?"
)


def dangling(folder: Path, files: Mapping[str, str] | None = None) -> list[str]:
    """References to what is not declared, declarations nobody refers to, and calls of modules that do not fit.

    ``files`` are read instead of the folder's own; modules are still looked for from the folder.
    """
    files = files or {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.tf"))}
    blocks = [block for text in files.values() for block in parse(text)]
    declared: dict[str, set[str]] = {
        "var": {block.labels[0] for block in blocks if block.kind == "variable"},
        "local": {name for block in blocks if block.kind == "locals" for name in block.arguments},
        "module": {block.labels[0] for block in blocks if block.kind == "module"},
    }
    for block in blocks:
        if block.kind in ("resource", "data"):
            declared.setdefault(f"{block.kind}.{block.labels[0]}", set()).add(block.labels[1])
    sources = {
        block.labels[0]: (folder / str(text_of(block.arguments["source"]))).resolve()
        for block in blocks
        if block.kind == "module"
    }

    found = []
    used: dict[str, set[str]] = {"var": set(), "local": set()}
    for name, text in files.items():
        code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
        for data, kind, label, index, attribute in _REFERENCE.findall(code):
            here = f"{name}: {'data.' if data else ''}{kind}.{label}"
            key = f"{'data' if data else 'resource'}.{kind}" if kind.startswith("azurerm_") else kind
            if label not in declared.get(key, set()):
                found.append(f"{here} is not declared")
            elif kind in used:
                used[kind].add(label)
            elif kind == "module":
                if attribute and attribute not in outputs(sources[label]):
                    found.append(f"{here} has no output {attribute}")
            elif attribute and attribute not in SCHEMA[f"data_{kind}" if data else kind]["attributes"]:
                found.append(f"{here}{index} has no attribute {attribute}")
    for kind, names in used.items():
        found += [f"{kind}.{name} is never used" for name in sorted(declared[kind] - names)]

    for block in blocks:
        if block.kind == "module":
            given = set(block.arguments) - META_ARGUMENTS - {"source", "providers"}
            wanted = variables(sources[block.labels[0]])
            missing = {
                name for name, variable in wanted.items() if "default" not in variable.arguments
            } - given
            found += [f"module.{block.labels[0]}: no variable {name}" for name in sorted(given - set(wanted))]
            found += [f"module.{block.labels[0]}: {name} is missing" for name in sorted(missing)]
    return found


def variables(folder: Path) -> dict[str, Block]:
    return {block.labels[0]: block for block in parse_folder(folder) if block.kind == "variable"}


def outputs(folder: Path) -> set[str]:
    return {block.labels[0] for block in parse_folder(folder) if block.kind == "output"}
