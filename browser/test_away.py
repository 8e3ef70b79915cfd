"""What people see of the dashboard while the API is away, and of addresses and answers that nobody expected."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from tabs import Demo, OpenPage, barriers, keep, log_in

from gate import Gate

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def gate(demo: Demo) -> Iterator[Gate]:
    address = urlsplit(demo.url)
    gate = Gate(str(address.hostname), address.port or 80)
    yield gate
    gate.shut()


def through(gate: Gate, path: str) -> str:
    return f"http://127.0.0.1:{gate.port}{path}"


def go_to_rejected(page: Page) -> None:
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Rejected stones").click()


def test_a_page_whose_code_is_not_there_yet_waits_for_the_api(
    demo: Demo, open_page: OpenPage, gate: Gate
) -> None:
    page = open_page()
    # What is loaded ahead would have brought it.
    page.add_init_script("const wait = setTimeout; setTimeout = (f, ms) => ms === 2000 ? 0 : wait(f, ms)")
    log_in(page, demo.key, through(gate, "/"))
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    gate.shut()
    go_to_rejected(page)
    expect(page.get_by_role("heading", name="This page cannot be shown")).to_be_visible()
    expect(page.get_by_text("The code of this page could not be loaded")).to_be_visible()
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    page.locator("#main").get_by_role("button", name="Try again").last.click()
    expect(page.get_by_text("The server does not answer yet.")).to_be_visible()
    keep(page, "away-code")
    gate.open()
    page.locator("#main").get_by_role("button", name="Try again").last.click()
    expect(page.get_by_role("heading", name="Rejected stones")).to_be_visible()


def test_that_the_api_is_away_is_said_once_and_it_is_asked_until_it_is_back(
    demo: Demo, open_page: OpenPage, gate: Gate
) -> None:
    page = open_page()
    log_in(page, demo.key, through(gate, "/"))
    loaded = "performance.getEntriesByType('resource').some(({ name }) => name.includes('/assets/rejected'))"
    while not page.evaluate(loaded):
        page.wait_for_timeout(100)
    page.wait_for_timeout(500)
    gate.shut()
    go_to_rejected(page)
    expect(page.get_by_role("heading", name="Rejected stones")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(page.get_by_role("alert")).to_contain_text("The API does not answer.")
    expect(page.get_by_text("Not known until the API answers.").first).to_be_visible()
    assert barriers(page) == []
    keep(page, "away")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Overview").click()
    expect(page.get_by_text("Needs a person")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(1)
    go_to_rejected(page)
    gate.open()
    expect(page.get_by_role("alert")).to_have_count(0, timeout=20_000)
    expect(page.get_by_role("row").nth(1)).to_be_visible()


def test_an_address_that_no_page_has_stands_in_the_shell(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/nope")
    expect(page.get_by_role("heading", name="There is no such page", level=1)).to_be_visible()
    assert barriers(page) == []
    keep(page, "nope")
    page.get_by_role("link", name="To the page Overview").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_an_answer_that_nobody_expected_is_asked_for_anew(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    page.route("**/api/v2/analytics/feeds*", lambda route: route.fulfill(json={"data": [{}]}))
    log_in(page, demo.key, "/feeds")
    expect(page.get_by_role("heading", name="This page cannot be shown")).to_be_visible()
    keep(page, "page-error")
    page.unroute_all()
    page.locator("#main").get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Feeds")).to_be_visible()


@pytest.mark.parametrize("stone", [UNKNOWN, "xyz"])
def test_a_stone_that_is_not_there_is_told_once(demo: Demo, open_page: OpenPage, stone: str) -> None:
    page = open_page()
    log_in(page, demo.key, f"/diamonds/{stone}")
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(page.get_by_role("button", name=re.compile("Try again|Show it"))).to_have_count(0)
