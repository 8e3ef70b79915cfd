"""The list of stones: its filters, its pages, and one stone beside it."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect
from tabs import Demo, OpenPage, ask, ask_page, barriers, keep, log_in


def query_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def stone_links(page: Page) -> "list[str]":
    links = page.get_by_role("region", name="Stones").get_by_role("listitem").get_by_role("link")
    links.first.wait_for()
    return [str(link.get_attribute("href")) for link in links.all()]


def test_an_address_keeps_what_it_can_mean(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/diamonds?carat_min=5&carat_max=1&foo=bar&price_min=x&shape=ROUND&color=blue")
    expect(page).to_have_url(f"{demo.url}/diamonds?shape=%5B%22ROUND%22%5D")
    total = ask_page(demo, "/diamonds?shape=ROUND&limit=1")["pagination"]["total"]
    expect(page.get_by_text(f"{total:,} stones", exact=True)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_back_leads_through_the_filters(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/diamonds")
    page.get_by_role("checkbox", name="OVAL").check()
    expect(page).to_have_url(re.compile("OVAL"))
    slider = page.get_by_role("slider", name="Carats from")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("carat_min"))
    page.get_by_label("Price to, $").fill("7500.5")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("price_max=750050"))
    expect(page.get_by_role("group", name="Price")).to_contain_text("$7,500.50")
    set_filters = page.get_by_role("list", name="Filters that are set")
    expect(set_filters.get_by_role("listitem")).to_have_count(3)
    assert barriers(page) == []
    keep(page, "diamonds-chips")
    set_filters.get_by_role("button", name="Without Shape: OVAL").click()
    expect(page.get_by_role("checkbox", name="OVAL")).not_to_be_checked()
    page.go_back()
    expect(page.get_by_role("checkbox", name="OVAL")).to_be_checked()
    page.go_back()
    expect(page.get_by_label("Price to, $")).to_have_value("")
    page.go_back()
    expect(page).to_have_url(f"{demo.url}/diamonds?shape=%5B%22OVAL%22%5D")
    page.go_back()
    expect(page).to_have_url(f"{demo.url}/diamonds")


def test_a_chosen_value_that_no_stone_has_can_be_taken_back(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/diamonds?certificate_lab=NOBODY")
    expect(page.get_by_text("No stone meets all of these.")).to_be_visible()
    expect(page.get_by_role("button", name="Without Certificate: NOBODY")).to_be_visible()
    page.get_by_role("checkbox", name="NOBODY").click()
    expect(page).to_have_url(f"{demo.url}/diamonds")


def test_the_next_page_is_read_from_its_top(demo: Demo, open_page: OpenPage) -> None:
    page = open_page(height=700)
    log_in(page, demo.key, "/diamonds")
    first = stone_links(page)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text(re.compile(r"^2 of \d"))).to_be_visible()
    expect(page.get_by_role("region", name="Stones").locator(f'a[href="{first[0]}"]')).to_have_count(0)
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    assert (
        page.evaluate("document.activeElement.contains(document.querySelector('nav[aria-label^=Pages]'))")
        is False
    )
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == stone_links(page)[0]
    page.go_back()
    assert stone_links(page)[0] == first[0]


@pytest.mark.parametrize("path", ["/diamonds", "/rejected"])
def test_a_page_past_the_end_leads_back(demo: Demo, open_page: OpenPage, path: str) -> None:
    page = open_page()
    log_in(page, demo.key, f"{path}?page=400")
    expect(page.get_by_text(re.compile(r"There (is|are) only \d+ pages?"))).to_be_visible()
    page.get_by_role("button", name="To the last page").click()
    expect(page.get_by_text("There are only")).to_have_count(0)
    page.goto(f"{path}?page=99999999")
    expect(page.get_by_text("There is no page 99999999.")).to_be_visible()
    page.get_by_role("button", name="To the first page").click()
    expect(page).to_have_url(f"{demo.url}{path}")


def test_a_stone_opens_beside_the_list(demo: Demo, open_page: OpenPage) -> None:
    page = open_page(width=1440)
    log_in(page, demo.key, "/diamonds?shape=ROUND&availability=available")
    first, second, *_ = stone_links(page)
    page.locator(f'a[href="{first}"]').click()
    drawer = page.get_by_role("complementary", name="The chosen stone")
    expect(drawer.get_by_text("Why it costs what it costs")).to_be_visible()
    expect(drawer.get_by_role("button", name="Hold", exact=True)).to_be_visible()
    assert query_of(page)["stone"] == [first.rpartition("/")[2]]
    assert barriers(page) == []
    keep(page, "drawer")
    page.locator(f'li a[href="{second}"]').click()
    expect(page).to_have_url(re.compile(second.rpartition("/")[2]))
    drawer.get_by_role("button", name="Hold", exact=True).click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alertdialog")).to_be_hidden()
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    assert "stone" not in query_of(page)
    expect(page.locator(f'li a[href="{second}"]')).to_be_focused()
    page.locator(f'li a[href="{first}"]').click()
    page.go_back()
    expect(drawer).to_be_hidden()
    page.go_forward()
    page.reload()
    drawer.get_by_role("button", name="Close").click()
    expect(drawer).to_be_hidden()
    page.locator(f'li a[href="{first}"]').click()
    drawer.get_by_role("link", name="Open its page").click()
    expect(page).to_have_url(f"{demo.url}{first}")


def test_a_phone_shows_stones_first_and_each_on_its_page(demo: Demo, open_page: OpenPage) -> None:
    page = open_page(width=360, height=760)
    log_in(page, demo.key, "/diamonds?shape=ROUND&lab_grown=true")
    first = stone_links(page)[0]
    assert page.locator(f'a[href="{first}"]').evaluate("link => link.getBoundingClientRect().top") < 760
    expect(page.get_by_text("Filters (2)")).to_be_visible()
    expect(page.get_by_role("checkbox", name="OVAL")).to_be_hidden()
    page.get_by_text("Filters (2)").click()
    expect(page.get_by_role("checkbox", name="OVAL")).to_be_visible()
    keep(page, "phone-filters")
    page.locator(f'a[href="{first}"]').click()
    expect(page).to_have_url(f"{demo.url}{first}")
    page.goto(f"/diamonds?stone={first.rpartition('/')[2]}")
    expect(page.get_by_text("Why it costs what it costs")).to_be_visible()
    keep(page, "phone-drawer")
    page.get_by_role("button", name="Close").click()
    expect(page).to_have_url(f"{demo.url}/diamonds")


def test_a_double_click_downloads_the_stones(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/diamonds")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download as CSV").dblclick()
    assert downloading.value.path().read_text().count("\n") > 1


def test_what_is_wrong_with_a_field_stands_at_the_field(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/nivoda")
    page.get_by_label("Carats from").fill("3")
    page.get_by_label("Carats to").fill("1")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_label("Carats from")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("must not be above “Carats to”")).to_be_visible()
    expect(page.get_by_text("This cannot be asked.")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert barriers(page) == []
    keep(page, "nivoda-refused")
    page.goto("/price-rules")
    page.get_by_role("button", name="Make a rule").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Carats from (ct)").fill("3")
    dialog.get_by_label("Carats to (ct)").fill("1")
    dialog.get_by_label("Markup in percent").fill("10")
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog.get_by_label("Carats from (ct)")).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_text("“Carats to (ct)”")).to_be_visible()
    expect(dialog.get_by_role("alert")).to_have_count(0)


def test_a_phone_scrolls_tables_instead_of_breaking_words(demo: Demo, open_page: OpenPage) -> None:
    page = open_page(width=360, height=760)
    log_in(page, demo.key, "/rejected")
    rows = page.get_by_role("row")
    expect(rows.nth(1)).to_be_visible()
    keep(page, "phone-rejected")
    heights = [row.evaluate("row => row.clientHeight") for row in rows.all()]
    assert max(heights) < 150
    page.goto("/price-rules")
    expect(page.get_by_role("button", name="Edit").first).to_be_visible()
    keep(page, "phone-price-rules")
    buttons = rows.nth(1).get_by_role("button")
    assert len({round(button.bounding_box()["y"]) for button in buttons.all()}) == 1  # type: ignore[index]


def test_a_wall_uses_all_of_its_width(demo: Demo, open_page: OpenPage) -> None:
    stone = ask(demo, "/diamonds?limit=1")[0]["id"]
    page = open_page(width=3840, height=2160)
    log_in(page, demo.key, f"/diamonds?stone={stone}")
    expect(page.get_by_text("Why it costs what it costs")).to_be_visible()
    keep(page, "wall-diamonds")
    drawer = page.get_by_role("complementary").bounding_box()
    assert drawer
    assert drawer["x"] + drawer["width"] > 3750
    assert page.evaluate("getComputedStyle(document.body).fontSize") == "21px"
    for path in ("/", "/runs", "/heatmap"):
        page.goto(path)
        page.get_by_role("heading", level=1).wait_for()
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        keep(page, f"wall-{path.strip('/') or 'overview'}")
