"""Which apps have to be built anew because these paths changed."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

#: In the order in which they are deployed: whoever receives a message before whoever sends it, the pages last.
APPS = ("consolidator", "worker", "scheduler", "api", "dashboard")
PYTHON = frozenset(APPS) - {"dashboard"}

_NONE: frozenset[str] = frozenset()
_EVERYTHING = frozenset(APPS)

#: The first pattern that fits decides; * goes across folders. What no pattern knows affects everything.
RULES: tuple[tuple[str, frozenset[str]], ...] = (
    # Rooms that one process alone uses. A test compares these lines with what imports what.
    ("src/diamond_opus/api/*", frozenset({"api"})),
    ("src/diamond_opus/analytics/*", frozenset({"api"})),
    ("src/diamond_opus/catalog/*", frozenset({"api"})),
    ("src/diamond_opus/keys/*", frozenset({"api"})),
    ("src/diamond_opus/ingest/*", frozenset({"worker"})),
    ("src/diamond_opus/consolidate/*", frozenset({"api", "consolidator"})),
    ("src/*", PYTHON),
    ("dashboard/*", frozenset({"api", "dashboard"})),  # the API serves the pages as well
    ("docker/nginx.dashboard.*", frozenset({"dashboard"})),
    *((f"docker/Dockerfile.{app}", frozenset({app})) for app in APPS),
    ("pyproject.toml", PYTHON),
    ("requirements.lock", PYTHON),
    ("hatch_build.py", frozenset({"api"})),
    # In no image.
    *(
        (f"{folder}/*", _NONE)
        for folder in (
            ".ci", ".github", "benchmarks", "browser", "docs", "faults", "infrastructure", "sql", "tests",
        )
    ),
    *((name, _NONE) for name in (".env.example", ".gitignore", "LICENSE", "docker-compose*")),
)  # fmt: skip


def affected(paths: Iterable[str]) -> frozenset[str]:
    """The apps whose images differ once ``paths``, relative to the repository, have changed."""
    return _NONE.union(*(_of_one(path) for path in paths))


def _of_one(path: str) -> frozenset[str]:
    if "/" not in path and path.endswith(".md"):
        return _NONE
    return next((apps for pattern, apps in RULES if fnmatchcase(path, pattern)), _EVERYTHING)
