"""The text of each GraphQL operation, one operation and its fragments to a request."""

import re
from collections.abc import Mapping
from importlib.resources import files

_PARTS = re.compile(r"^(?=(?:query|mutation|fragment) )", re.MULTILINE)


def split_operations(text: str) -> Mapping[str, str]:
    """Operations by name, each followed by the fragments it uses.

    >>> split_operations("query A {\\n  ...F\\n}\\n\\nfragment F on T {\\n  id\\n}\\n")["A"]
    'query A {\\n  ...F\\n}\\n\\nfragment F on T {\\n  id\\n}'
    """
    parts = {}
    for part in _PARTS.split(text)[1:]:
        kind, name = re.findall(r"\w+", part)[:2]
        parts[name] = (kind, part.strip())
    fragments = {name: body for name, (kind, body) in parts.items() if kind == "fragment"}
    return {
        name: "\n\n".join([body, *(fragment for key, fragment in fragments.items() if f"...{key}" in body)])
        for name, (kind, body) in parts.items()
        if kind != "fragment"
    }


OPERATIONS = split_operations(files("diamond_opus.feeds.nivoda").joinpath("queries.graphql").read_text())
