"""A real Chromium before a real demo: PostgreSQL, the simulated supplier, the pipeline, the API and the dashboard."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tabs import Demo, OpenPage

from alert_receiver import Receiver

_START_SECONDS = 120
#: Chromium must not speak to anybody but the demo.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def provider() -> Iterator[Receiver]:
    """Whom the demo tells of alerts."""
    with Receiver() as started:
        yield started


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, provider: Receiver) -> Iterator[Demo]:
    home = tmp_path_factory.mktemp("demo")
    environment = os.environ | {
        "DIAMOND_HOME": str(home),
        "PORT": "0",
        "RATE_LIMIT_ADMIN_PER_MINUTE": "100000",
        # What fails is soon given up.
        "NIVODA_REQUEST_TRIES": "1",
        "WORKER_MAX_ATTEMPTS": "2",
        "RETRY_FIRST_BACKOFF_SECONDS": "0.2",
        "ALERT_URLS": provider.alert_url,
    }
    command = [str(Path(sys.executable).with_name("diamond")), "demo", "--stones", "3000"]
    log = home / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield _wait_for(process, log)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def _wait_for(process: subprocess.Popen[bytes], log: Path) -> Demo:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        words = [line.split() for line in log.read_text().splitlines()]
        told = {line[0]: line[1] for line in words if len(line) > 1}
        if "Key" in told:
            supplier = urlsplit(told["Supplier"])
            return Demo(told["API"].removesuffix("/api/v2"), told["Key"], f"http://{supplier.netloc}")
        time.sleep(0.2)
    pytest.fail(f"the demo did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "Chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, demo: Demo) -> Iterator[OpenPage]:
    """A tab of its own, that nobody has logged in from. An error of the page's own scripts fails the test."""
    problems: list[str] = []
    contexts = []

    def open_one(*, width: int = 1400, height: int = 1000, theme: str = "light") -> Page:
        context = chromium.new_context(
            base_url=demo.url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        # Nobody is there to choose a place for a download.
        page.add_init_script("delete window.showSaveFilePicker")
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console", lambda line: problems.append(line.text) if "Content Security" in line.text else None
        )
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert problems == []
