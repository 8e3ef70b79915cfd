"""Where a message says to look, the dashboard has a page."""

import ast
import re
from collections.abc import Iterator
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


def pages_of_alerts() -> Iterator[str]:
    """Those that the code writes out where it raises an alert."""
    for source in (ROOT / "src" / "diamond_opus").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Alert":
                yield from (_template(each.value) for each in node.keywords if each.arg == "page")


def _template(page: ast.expr) -> str:
    if isinstance(page, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in page.values)
    return str(page.value) if isinstance(page, ast.Constant) else ""


def test_every_page_that_an_alert_names_is_one_of_the_dashboard() -> None:
    found = {re.sub(r"{\w+}", "{}", event.page) for event in FOUND}
    raised = set(pages_of_alerts())

    assert {"/runs/{}", "/orders"} <= raised
    assert (found | raised | {ALERTS_PAGE}) - {""} - routes() == set()


def test_the_comparison_would_notice() -> None:
    assert {"/", "/runs", "/runs/{}", "/rejected/{}/{}"} <= routes()
    assert "/watermark" not in routes()
