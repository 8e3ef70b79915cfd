"""Which images a change makes necessary, and that the table is true of what imports what."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from affected import APPS, PYTHON, RULES, affected

ROOT = Path(__file__).parents[2]
ALL = frozenset(APPS)


@pytest.mark.parametrize(
    ("path", "apps"),
    [
        ("docs/secrets.md", set()),
        ("README.md", set()),
        ("tests/api/test_search.py", set()),
        ("infrastructure/terraform/environments/prod/main.tf", set()),
        (".github/workflows/ci.yml", set()),
        ("src/diamond_opus/api/public/diamonds.py", {"api"}),
        ("src/diamond_opus/ingest/worker.py", {"worker"}),
        ("src/diamond_opus/consolidate/batch.py", {"api", "consolidator"}),
        ("src/diamond_opus/db/migrations/0042_more.sql", PYTHON),
        ("src/diamond_opus/something_new.py", PYTHON),
        ("requirements.lock", PYTHON),
        ("dashboard/src/main.tsx", {"api", "dashboard"}),
        ("dashboard/README.md", {"api", "dashboard"}),
        ("docker/Dockerfile.worker", {"worker"}),
        ("docker/nginx.dashboard.conf.template", {"dashboard"}),
        ("docker/entrypoint.sh", ALL),
        (".dockerignore", ALL),
        ("something_new", ALL),
    ],
)
def test_a_path_affects_the_apps_that_are_made_of_it(path: str, apps: set[str]) -> None:
    assert affected([path]) == apps


def test_several_paths_affect_what_each_of_them_does() -> None:
    assert affected(["docs/api.md", "src/diamond_opus/ingest/worker.py", "dashboard/index.html"]) == {
        "worker", "api", "dashboard",
    }  # fmt: skip
    assert affected([]) == frozenset()


def test_a_room_for_fewer_apps_is_imported_by_no_room_for_more() -> None:
    """The command line, the wiring and its settings import everything; what they run in a process is not seen here."""
    rooms = {
        room: apps
        for pattern, apps in RULES
        if (room := pattern.removeprefix("src/diamond_opus/").removesuffix("/*")) != pattern and apps < PYTHON
        if pattern != "src/*"
    }
    assert len(rooms) > 4
    source = ROOT / "src" / "diamond_opus"
    for path in source.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if fnmatchcase(name, "src/diamond_opus/cli/*") or path.name in ("wiring.py", "room_settings.py"):
            continue
        imported = set(re.findall(r"^\s*(?:from|import) diamond_opus\.(\w+)", path.read_text(), re.MULTILINE))
        for room in imported & set(rooms):
            assert affected([name]) <= rooms[room], f"{name} imports {room}"
