"""Name every variable that is missing or cannot be right, all at once, before a workflow does anything.

Called with the variables' names; their values are in the environment. docs/secrets.md says where each comes from.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_REGISTRY = re.compile(r"[a-z0-9]{5,50}\.azurecr\.io|ghcr\.io/[a-z0-9][a-z0-9._/-]*[a-z0-9]")
_NAME = re.compile(r"[a-z][a-z0-9]{2,8}")


def problems(names: Sequence[str], values: Mapping[str, str]) -> Iterator[str]:
    """One line for each variable that is not as it must be. No value is repeated: it may be a secret."""
    for name in names:
        value = values.get(name, "")
        if not value:
            yield f"{name} is missing"
        elif name.endswith(("_CLIENT_ID", "_TENANT_ID", "_SUBSCRIPTION_ID")) and not _GUID.fullmatch(value):
            yield f"{name} must be a GUID such as 01234567-89ab-cdef-0123-456789abcdef"
        elif name == "IMAGE_REGISTRY" and not _REGISTRY.fullmatch(value):
            yield f"{name} must be NAME.azurecr.io or ghcr.io/OWNER, in lower case and without a slash at its end"
        elif name == "DEPLOYMENT_NAME" and not _NAME.fullmatch(value):
            yield f"{name} must be 3 to 9 lower-case letters and digits, the first a letter"


def main(names: Sequence[str]) -> int:
    found = list(problems(names, os.environ))
    for problem in found:
        print(f"::error title=Configuration::{problem}. docs/secrets.md says where it comes from.")
    if not found:
        print(f"All there: {', '.join(names)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
