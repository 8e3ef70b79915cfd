"""A message says what the likely cause is, what to do and where to look, and the dashboard has a page for that."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from diamond_opus.alerts.render import ALERTS_PAGE
from diamond_opus.monitoring.events import FOUND

ROOT = Path(__file__).parents[2]
ROUTES = ROOT / "dashboard" / "src" / "routes" / "_signed-in"


def routes() -> set[str]:
    """The paths that the router makes of the files' names; ``{}`` stands for any value."""
    names = (path.relative_to(ROUTES).with_suffix("").as_posix() for path in ROUTES.rglob("*.tsx"))
    parts = (re.split(r"[/.]", name) for name in names if name != "$")
    return {
        "/" + "/".join("{}" if part.startswith("$") else part for part in path if part != "index")
        for path in parts
    }


def raised_alerts() -> Iterator[tuple[str, Mapping[str, ast.expr]]]:
    """Where the code makes one, and what it gives it by name."""
    for source in sorted((ROOT / "src" / "diamond_opus").rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Alert":
                where = f"{source.relative_to(ROOT)}:{node.lineno}"
                yield where, {each.arg: each.value for each in node.keywords if each.arg}


def pages_of_alerts() -> Iterator[str]:
    """Those that the code writes out where it raises an alert."""
    for _, given in raised_alerts():
        if "page" in given:
            yield _template(given["page"])


def _template(page: ast.expr) -> str:
    if isinstance(page, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in page.values)
    return str(page.value) if isinstance(page, ast.Constant) else ""


def test_every_page_that_an_alert_names_is_one_of_the_dashboard() -> None:
    found = {re.sub(r"{\w+}", "{}", event.page) for event in FOUND}
    raised = set(pages_of_alerts())

    assert {"/runs/{}", "/orders"} <= raised
    assert (found | raised | {ALERTS_PAGE}) - {""} - routes() == set()


def test_every_alert_says_its_likely_cause_and_what_to_do() -> None:
    raised = dict(raised_alerts())
    assert len(raised) > 10

    assert [event.name for event in FOUND if not (event.cause and event.action)] == []
    assert [
        where for where, given in raised.items() if not (_says(given, "cause") and _says(given, "action"))
    ] == []


def _says(given: Mapping[str, ast.expr], what: str) -> bool:
    return what in given and not (isinstance(given[what], ast.Constant) and _template(given[what]) == "")


def test_the_comparison_would_notice() -> None:
    assert {"/", "/runs", "/runs/{}", "/rejected/{}/{}"} <= routes()
    assert "/watermark" not in routes()
