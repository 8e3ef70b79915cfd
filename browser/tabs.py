"""What the browser tests do with a demo: ask it, log in, keep what it looks like, look for what keeps people out."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from playwright.sync_api import Page

_ROOT = Path(__file__).parents[1]
#: What is looked at, and never committed.
_SCREENSHOTS = _ROOT / "browser" / "screenshots"
_AXE = _ROOT / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"

OpenPage = Callable[..., Page]


@dataclass(frozen=True, slots=True)
class Demo:
    """``supplier`` is the simulator's address, whose levers stand in simulator/control.py."""

    url: str
    key: str
    supplier: str


def ask(demo: Demo, path: str, *, method: str = "GET", body: Any = None) -> Any:
    return ask_page(demo, path, method=method, body=body)["data"]


def ask_page(demo: Demo, path: str, *, method: str = "GET", body: Any = None) -> Any:
    request = Request(
        f"{demo.url}/api/v2{path}",
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"X-API-Key": demo.key, "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


def befall(demo: Demo, *faults: dict[str, Any]) -> None:
    """From now on the supplier has these faults, and no others."""
    body = json.dumps({"faults": faults}).encode()
    with urlopen(Request(f"{demo.supplier}/control/faults", data=body), timeout=10) as answer:
        assert answer.status == 200


def log_in(page: Page, key: str, path: str = "/") -> None:
    page.goto(path)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    page.locator("#main").wait_for()


def keep(page: Page, name: str) -> None:
    _SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=_SCREENSHOTS / f"{name}.png", full_page=True)


def barriers(page: Page) -> list[str]:
    """What axe finds that would keep somebody out: WCAG 2.2 A and AA, serious or worse."""
    page.evaluate(_AXE.read_text())
    found = page.evaluate(
        "async () => (await axe.run(document, {runOnly: "
        "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})).violations"
    )
    return [
        f"{one['impact']} {one['id']}: {node['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
