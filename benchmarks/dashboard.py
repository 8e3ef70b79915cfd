"""The dashboard in a real Chromium before a real demo: how soon a first visit shows it, and how soon a page changes.

Beside each stands what cannot be beaten in the same run: the same browser with an empty page of the same server, and
two frames of the screen.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.world import diamond

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

_ROUNDS = 7
_START_SECONDS = 300.0
_PAGES = ("Runs", "Diamonds", "Price rules", "Orders", "Overview")

#: From the click until the new page's title is drawn.
_CHANGE_PAGE = """async ([link, title]) => {
    const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const started = performance.now();
    [...document.querySelectorAll("nav a")].find((each) => each.textContent === link).click();
    while (document.querySelector("h1")?.textContent !== title) await new Promise((done) => setTimeout(done));
    await drawn();
    return performance.now() - started;
}"""
_TWO_FRAMES = """async () => {
    const started = performance.now();
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    return performance.now() - started;
}"""
#: What a browser tells of a visit by itself: milliseconds, and the share of the screen that moved.
_VITALS = """() => new Promise((done) => {
    const told = { largest: 0, shift: 0, blocked: 0 };
    const watch = (type, note) => new PerformanceObserver((list) => list.getEntries().forEach(note))
        .observe({ type, buffered: true });
    watch("largest-contentful-paint", (entry) => { told.largest = entry.startTime; });
    watch("layout-shift", (entry) => { told.shift += entry.value; });
    watch("longtask", (entry) => { told.blocked += Math.max(0, entry.duration - 50); });
    setTimeout(() => done(told), 500);
})"""


async def measure(rows: int, _sessions: int, _batch_size: int | None) -> dict[str, float | int]:
    async with _demo(rows) as (url, key), _chromium() as browser:
        empty = [await _visit(browser, f"{url}/diamond.svg", key, "svg") for _ in range(_ROUNDS)]
        first, vitals = [], []
        for _ in range(_ROUNDS):
            context = await _context(browser, key)
            page = await context.new_page()
            first.append(await _open(page, url, "text=Stones in the catalogue"))
            vitals.append(await page.evaluate(_VITALS))
            await context.close()
        changes, frames = await _change_pages(browser, url, key)
    return {
        "stones": rows,
        "first_visit_p50_ms": median(first),
        "first_visit_target_ms": 1500.0,
        "empty_page_p50_ms": median(empty),
        "first_visit_by_empty_page": median(first) / median(empty),
        "largest_paint_p50_ms": median(each["largest"] for each in vitals),
        "blocked_p50_ms": median(each["blocked"] for each in vitals),
        "layout_shift_max": max(each["shift"] for each in vitals),
        "page_change_p50_ms": median(changes),
        "page_change_max_ms": max(changes),
        "page_change_target_ms": 100.0,
        "two_frames_p50_ms": median(frames),
        "page_change_by_two_frames": median(changes) / median(frames),
    }


async def _visit(browser: "Browser", address: str, key: str, shown: str) -> float:
    context = await _context(browser, key)
    milliseconds = await _open(await context.new_page(), address, shown)
    await context.close()
    return milliseconds


async def _open(page: "Page", address: str, shown: str) -> float:
    started = time.perf_counter()
    await page.goto(address, wait_until="commit")
    await page.wait_for_selector(shown)
    return (time.perf_counter() - started) * 1000


async def _change_pages(browser: "Browser", url: str, key: str) -> tuple[list[float], list[float]]:
    """Each page several times; its code and what it shows may have come before, as for whoever works here."""
    context = await _context(browser, key)
    page = await context.new_page()
    await _open(page, url, "text=Stones in the catalogue")
    changes, frames = [], []
    for _ in range(_ROUNDS):
        for name in _PAGES:
            changes.append(await page.evaluate(_CHANGE_PAGE, [name, name]))
            frames.append(await page.evaluate(_TWO_FRAMES))
    await context.close()
    return changes, frames


async def _context(browser: "Browser", key: str) -> "BrowserContext":
    """Somebody who has never been here, and has logged in."""
    context = await browser.new_context(viewport={"width": 1400, "height": 1000})
    await context.add_init_script(f"sessionStorage.setItem('api-key', '{key}')")
    return context


@asynccontextmanager
async def _chromium() -> AsyncIterator["Browser"]:
    try:
        from playwright.async_api import async_playwright
    except ModuleNotFoundError:
        raise SystemExit(
            "benchmarks: this one needs: uv run --group browser python -m benchmarks dashboard"
        ) from None
    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("benchmarks: Chromium is missing: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@asynccontextmanager
async def _demo(stones: int) -> AsyncIterator[tuple[str, str]]:
    """Its address and key, once it invites."""
    home = Path(tempfile.mkdtemp(prefix="diamond-benchmark-"))
    told = home / "told.txt"
    environment = os.environ | {"DIAMOND_HOME": str(home), "PORT": "0"}
    with told.open("w") as output:
        async with diamond(environment, "demo", "--stones", str(stones), output=output) as process:
            deadline = time.monotonic() + _START_SECONDS
            while "Key" not in (words := _words(told)):
                if process.returncode is not None or time.monotonic() > deadline:
                    raise SystemExit(f"benchmarks: the demo does not start:\n{told.read_text()}")
                await asyncio.sleep(0.2)
            yield words["Dashboard"].rstrip("/"), words["Key"]
    shutil.rmtree(home, ignore_errors=True)


def _words(told: Path) -> dict[str, str]:
    lines = [line.split() for line in told.read_text().splitlines()]
    return {line[0]: line[1] for line in lines if len(line) == 2}
