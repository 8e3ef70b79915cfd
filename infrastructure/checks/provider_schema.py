"""Write down which arguments, blocks and attributes azurerm has, from the provider's published Python bindings.

The provider itself cannot be had from a package registry, so `terraform validate` needs HashiCorp's. Its bindings
(cdktf-cdktf-provider-azurerm) are generated from the provider's own schema, one class for each block. They are 160 MB;
the extract for the resources that we use is kept in azurerm_schema.json and read by tests/infrastructure.

    python provider_schema.py FOLDER_OF_THE_BINDINGS          writes the extract
    python provider_schema.py FOLDER_OF_THE_BINDINGS --check  fails if it is not the same
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TERRAFORM = HERE.parent / "terraform"
EXTRACT = HERE / "azurerm_schema.json"

#: What every resource has from Terraform itself; the bindings name them beside the provider's own.
META = {"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners"}

Classes = dict[str, ast.ClassDef]
Schema = dict[str, Any]


def used(terraform: Path) -> list[str]:
    """The folders of the bindings for the resources and data sources that our files have."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(terraform.rglob("*.tf")))
    resources = re.findall(r'^resource "azurerm_(\w+)"', text, re.MULTILINE)
    data = re.findall(r'^data "azurerm_(\w+)"', text, re.MULTILINE)
    return sorted({*resources, *(f"data_azurerm_{name}" for name in data), "provider"})


def read(bindings: Path, folder: str) -> Schema:
    tree = ast.parse((bindings / folder / "__init__.py").read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    # The resource's own class is the first one; the others are its blocks, its lists and its configuration.
    first = next(iter(classes))
    return {**_block(classes, first), "attributes": sorted(_attributes(classes[first]))}


def _block(classes: Classes, name: str) -> Schema:
    """Arguments with their kind, nested blocks, and which of both must be there."""
    arguments: dict[str, str] = {}
    blocks: dict[str, Schema] = {}
    required = []
    for argument, annotation, is_required in _parameters(classes[name]):
        inner = re.search(r'"(\w+)"', annotation)
        if inner:
            # One that may come once has the class itself, one that may be repeated a sequence of it.
            blocks[argument] = {
                **_block(classes, inner.group(1)),
                "repeated": "Sequence" in annotation,
            }
        else:
            arguments[argument] = _kind(annotation)
        if is_required:
            required.append(argument)
    return {"arguments": arguments, "blocks": blocks, "required": sorted(required)}


def _parameters(node: ast.ClassDef) -> Iterator[tuple[str, str, bool]]:
    for function in node.body:
        if isinstance(function, ast.FunctionDef) and function.name == "__init__":
            for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
                if argument.arg not in META and argument.annotation is not None:
                    annotation = ast.unparse(argument.annotation).replace("'", '"')
                    # Not ours to check: the mapping that each block may be given as instead of its class.
                    yield (
                        argument.arg,
                        annotation.replace("Dict[builtins.str, typing.Any]", ""),
                        default is None,
                    )


def _kind(annotation: str) -> str:
    for word, kind in (("Mapping", "map"), ("Sequence", "list"), ("bool", "bool"), ("Number", "number")):
        if word in annotation:
            return kind
    return "string"


def _attributes(node: ast.ClassDef) -> Iterator[str]:
    """What may be read from a resource: its arguments, and what the provider computes."""
    for function in node.body:
        # `name_input` is what was given for `name`, TF_RESOURCE_TYPE a constant: of the bindings, not the provider.
        if (
            isinstance(function, ast.FunctionDef)
            and any(ast.unparse(decorator).endswith("property") for decorator in function.decorator_list)
            and not function.name.endswith("_input")
            and function.name.islower()
        ):
            yield function.name


def extract(bindings: Path, terraform: Path = TERRAFORM) -> str:
    schema = {
        folder if folder == "provider" or folder.startswith("data_") else f"azurerm_{folder}": read(
            bindings, folder
        )
        for folder in used(terraform)
    }
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


def main(bindings: str, *options: str) -> int:
    text = extract(Path(bindings))
    if "--check" not in options:
        EXTRACT.write_text(text, encoding="utf-8")
        return 0
    if EXTRACT.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(
        f"{EXTRACT.name} is not what the bindings say; write it anew with {Path(__file__).name}\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
