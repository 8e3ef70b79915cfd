"""What people do in the dashboard, done in a real browser against real processes."""

import csv
import json
import re
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect
from tabs import Demo, OpenPage, ask, ask_page, barriers, befall, keep, log_in

PAGES = {
    "overview": "/",
    "alerts": "/alerts",
    "runs": "/runs",
    "consolidation": "/consolidation",
    "heatmap": "/heatmap",
    "diamonds": "/diamonds",
    "diamonds-table": "/diamonds?view=table",
    "feeds": "/feeds",
    "rejected": "/rejected",
    "orders": "/orders",
    "holds": "/holds",
    "nivoda": "/nivoda",
    "query": "/query?table=run_metadata",
    "triggers": "/triggers",
    "dead-letters": "/dead-letters",
    "price-rules": "/price-rules",
    "api-keys": "/api-keys",
    "error-logs": "/error-logs",
    "audit-log": "/audit-log",
}


def test_the_first_login_refuses_a_wrong_key_and_leads_where_one_wanted_to_go(
    demo: Demo, open_page: OpenPage
) -> None:
    page = open_page()
    page.goto("/runs?runType=full")
    page.get_by_label("API key").fill("dk_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("unknown, revoked or expired")
    keep(page, "login-refused")
    page.get_by_label("API key").fill(demo.key)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    assert page.url == f"{demo.url}/runs?runType=full"
    expect(page.get_by_label("Type")).to_have_value("full")


def test_a_key_is_kept_by_its_tab_and_by_nothing_else(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key)
    page.reload()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    other = page.context.new_page()
    other.goto("/")
    expect(other.get_by_label("API key")).to_be_visible()
    assert demo.key not in page.evaluate("JSON.stringify(localStorage) + document.cookie + location.href")


def test_a_run_is_started_and_watched_to_its_end_without_a_reload(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/runs")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    rows = page.get_by_role("row")
    expect(rows.nth(1)).to_be_visible()
    before = rows.count()
    page.get_by_role("button", name="Start a full run").click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("The whole inventory is counted and read")
    expect(dialog).to_contain_text(re.compile(r"The last one read [\d,]+ stones and took"))
    keep(page, "runs-start")
    dialog.get_by_role("button", name="Start a full run").click()
    expect(dialog).to_be_hidden()
    expect(rows).to_have_count(before + 1, timeout=30_000)
    expect(rows.nth(1)).to_contain_text("completed", timeout=60_000)
    rows.nth(1).get_by_role("link").click()
    expect(page.get_by_role("heading", name=re.compile("^Run of "))).to_be_visible()
    expect(page.get_by_text("From what was expected to what is on sale")).to_be_visible()
    expect(page.get_by_text("4 of 4")).to_be_visible()
    figures = ask(demo, f"/analytics/runs/{page.url.rpartition('/')[2]}")["run"]
    expect(page.get_by_text(f"of {figures['expectedRecords']:,} expected")).to_be_visible()


def test_a_failed_partition_is_found_and_retried(demo: Demo, open_page: OpenPage) -> None:
    befall(demo, {"kind": "malformed_json", "requests": ["page"]})
    page = open_page()
    log_in(page, demo.key, "/runs")
    page.get_by_role("button", name="Start a full run").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Start a full run").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("failed", timeout=60_000)
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_text("The newest full run failed")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("button", name="Retry failed")).to_be_visible()
    keep(page, "overview-failed")
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("row").nth(1).get_by_role("link").click()
    failed = page.get_by_role("region", name="Partitions").get_by_role("row").filter(has_text="failed")
    expect(failed.first).to_contain_text("what is not JSON")
    keep(page, "run-failed")
    befall(demo)
    page.get_by_role("button", name="Retry failed").click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("Each goes on where it was")
    dialog.get_by_role("button", name="Retry failed").click()
    expect(dialog).to_be_hidden()
    expect(failed).to_have_count(0, timeout=30_000)
    run_id = page.url.rpartition("/")[2]
    expect(page.get_by_text("completed", exact=True).first).to_be_visible(timeout=60_000)
    assert ask(demo, f"/analytics/runs/{run_id}")["run"]["failedWorkers"] == 0


def test_an_expired_session_leads_to_the_login_and_back(demo: Demo, open_page: OpenPage) -> None:
    made = ask(demo, "/api-keys", method="POST", body={"name": "for a while", "permissions": ["admin"]})
    page = open_page()
    log_in(page, made["key"], "/runs?status=%5B%22completed%22%5D")
    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    ask(demo, f"/api-keys/{made['id']}", method="DELETE")
    expect(page.get_by_text("The key has been revoked or has expired")).to_be_visible(timeout=30_000)
    keep(page, "login-expired")
    page.get_by_label("API key").fill(demo.key)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Status")).to_have_value("completed")


def test_who_may_only_read_lands_on_the_stones_and_is_offered_nothing_else(
    demo: Demo, open_page: OpenPage
) -> None:
    made = ask(demo, "/api-keys", method="POST", body={"name": "a shop", "permissions": ["read"]})
    page = open_page()
    log_in(page, made["key"])
    expect(page.get_by_role("heading", name="Diamonds", level=1)).to_be_visible()
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link")).to_have_text(
        ["Diamonds", "API docs (new tab)"]
    )
    for path in ("/runs", "/triggers", "/heatmap", "/api-keys", "/query", newest_run(demo)):
        page.goto(path)
        expect(page.get_by_text("This page needs the permission admin.")).to_be_visible()
        expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    keep(page, "no-permission")
    assert barriers(page) == []
    page.get_by_role("main").get_by_role("link", name="To Diamonds").click()
    expect(page.get_by_role("heading", name="Diamonds", level=1)).to_be_visible()


def test_a_key_for_costs_alone_logs_in(demo: Demo, open_page: OpenPage) -> None:
    made = ask(demo, "/api-keys", method="POST", body={"name": "prices", "permissions": ["cost"]})
    page = open_page()
    log_in(page, made["key"])
    expect(page.get_by_role("heading", name="Price rules", level=1)).to_be_visible()


def test_a_page_and_a_stone_are_reached_by_typing(demo: Demo, open_page: OpenPage) -> None:
    [stone] = ask(demo, "/diamonds?limit=1")
    page = open_page()
    log_in(page, demo.key)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("log aud")
    expect(page.get_by_role("option")).to_have_text(["Audit log"])
    assert barriers(page) == []
    keep(page, "command-palette")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
    page.get_by_role("button", name="Go to").click()
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type(stone["id"])
    page.get_by_role("option", name="Stone").click()
    expect(page).to_have_url(f"{demo.url}/diamonds/{stone['id']}")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type(stone["certificateNumber"])
    expect(page.get_by_role("option")).to_contain_text(stone["certificateNumber"])
    keep(page, "command-certificate")
    page.keyboard.press("Control+a")
    page.keyboard.type("start run")
    page.get_by_role("option", name="Start a run").click()
    expect(page.get_by_role("heading", name="Triggers", level=1)).to_be_focused()


def test_the_stones_that_were_searched_are_downloaded(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/diamonds?lab_grown=%5B%22true%22%5D")
    total = ask_page(demo, "/diamonds?lab_grown=true&limit=1")["pagination"]["total"]
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download as CSV").click()
    assert downloading.value.suggested_filename == "diamonds.csv"
    with downloading.value.path().open(newline="") as file:
        names, *stones = csv.reader(file)
    assert names[0] == "id"
    assert len(stones) == total
    assert {stone[names.index("labGrown")] for stone in stones} == {"t"}


@pytest.mark.parametrize(
    ("path", "told", "way_out"),
    [
        ("/error-logs?service=nope", "No error of nope has been logged.", "Show all errors"),
        ("/audit-log?actor=x", "No change is like that.", "Show all changes"),
        ("/rejected?reason=nothing", "No stone is like that.", "Show all"),
    ],
)
def test_an_empty_list_says_what_left_it_empty(
    demo: Demo, open_page: OpenPage, path: str, told: str, way_out: str
) -> None:
    page = open_page()
    log_in(page, demo.key, path)
    expect(page.get_by_text(told)).to_be_visible()
    if "service" in path:
        expect(page.get_by_label("Service")).to_have_value("nope")
    page.get_by_role("button", name=way_out, exact=True).click()
    expect(page.get_by_text(told)).to_have_count(0)


def test_all_of_it_is_reached_by_keyboard(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/runs")
    page.get_by_label("API key").wait_for()
    page.keyboard.type(demo.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    page.get_by_role("button", name="Start an incremental run").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alertdialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alertdialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Start an incremental run")).to_be_focused()


def test_a_bad_stone_is_found_and_replayed(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key)
    page.get_by_role("link", name="See why").click()
    expect(page.get_by_role("heading", name="Rejected stones")).to_be_visible()
    expect(page.get_by_label("State")).to_have_value("open")
    commonest = page.get_by_role("main").get_by_role("listitem").first.get_by_role("button")
    expect(commonest).to_be_visible()
    keep(page, "rejected-reasons")
    commonest.click()
    expect(commonest).to_have_attribute("aria-pressed", "true")
    count = int(commonest.inner_text().split()[-1])
    page.get_by_role("button", name="Replay all of this reason").click()
    expect(page.get_by_role("alertdialog")).to_contain_text(f"The stored answers of {count} stone")
    page.keyboard.press("Escape")
    commonest.click()
    bad = next(one for one in ask(demo, "/analytics/rejected?resolved=false") if one["readable"])
    stone = bad["supplierStoneId"]
    page.get_by_role("link", name=stone).click()
    expect(page).to_have_url(re.compile(f"{stone}$"))
    expect(page.get_by_role("heading", name="Rejected stones")).to_have_count(0)
    expect(page.get_by_text(bad["reason"], exact=True)).to_be_visible()
    marked = page.locator("mark").inner_text()
    assert marked == json.dumps(
        value_at(ask(demo, f"/analytics/rejected/nivoda/{stone}")["payload"], bad["jsonPath"])
    )
    keep(page, "rejected-stone")
    page.get_by_role("button", name="Replay").click()
    with page.expect_response(re.compile("replay-rejected")) as answered:
        page.get_by_role("alertdialog").get_by_role("button", name="Replay").click()
    expect(page.get_by_role("alertdialog")).to_be_hidden()
    run_id = answered.value.json()["data"]["runId"]
    assert run_id in [run["runId"] for run in ask(demo, "/analytics/runs?limit=100")]
    acts = [act for act in ask(demo, "/analytics/audit-log?limit=20") if act["action"] == "rejected.replay"]
    assert (acts[0]["details"]["ids"], acts[0]["details"]["runId"]) == ([stone], run_id)


def value_at(payload: Any, path: str) -> Any:
    """What a path without list indices leads to."""
    for step in path.removeprefix("$.").split("."):
        payload = payload[step]
    return payload


def test_a_key_is_made_shown_once_and_revoked(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/api-keys")
    page.get_by_role("button", name="Make a key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Whose key it is").fill("The shop in Geneva")
    dialog.get_by_label("trade").check()
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog.get_by_text("It is shown this once")).to_be_visible()
    key = dialog.locator("code").inner_text()
    keep(page, "api-key-made")
    dialog.get_by_role("button", name="Done").click()
    row = page.get_by_role("row").filter(has_text="The shop in Geneva")
    expect(row).to_contain_text("read, trade")
    expect(dialog).to_have_count(0)  # closed, and gone after its transition
    assert key not in page.content()
    assert ask(replace(demo, key=key), "/me")["permissions"] == ["read", "trade"]
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")
    time.sleep(6)  # "within 5 seconds, in every process", and one for a busy machine
    with pytest.raises(HTTPError, match="401"):
        ask(replace(demo, key=key), "/me")


def test_a_stone_is_searched_held_and_bought(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/diamonds")
    page.get_by_role("group", name="Price").wait_for()
    page.get_by_label("OVAL").check()
    page.get_by_role("slider", name="Carats from").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("carat_min="))
    carat_min = parse_qs(urlsplit(page.url).query)["carat_min"][0]
    total = ask_page(demo, f"/diamonds?shape=OVAL&carat_min={carat_min}&limit=1")["pagination"]["total"]
    expect(page.get_by_text(f"{total:,} stones", exact=True)).to_be_visible()
    keep(page, "diamonds-filtered")
    chosen = ask(demo, f"/diamonds?shape=OVAL&carat_min={carat_min}&availability=available&limit=1")[0]
    page.goto(f"/diamonds/{chosen['id']}")
    expect(page.get_by_text("Why it costs what it costs")).to_be_visible()
    expect(page.get_by_text("decides")).to_be_visible()
    page.get_by_role("button", name="Hold", exact=True).click()
    expect(page.get_by_role("alertdialog")).to_contain_text("It sells for $")
    page.get_by_role("alertdialog").get_by_role("button", name="Hold", exact=True).click()
    expect(page.get_by_text("Held by you until")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="is held for you")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.get_by_role("button", name="Buy")).to_be_visible()
    assert barriers(page) == []
    keep(page, "diamond-held")
    page.get_by_role("button", name="End hold").click()
    page.get_by_role("alertdialog").get_by_role("button", name="End hold").click()
    page.get_by_role("button", name="Hold", exact=True).click()
    page.get_by_role("alertdialog").get_by_role("button", name="Hold", exact=True).click()
    expect(page.get_by_text("Held by you until")).to_be_visible()
    page.get_by_role("button", name="Buy").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Buy").click()
    expect(page.get_by_text("sold", exact=True)).to_be_visible()
    keep(page, "diamond-bought")
    [order] = ask(demo, f"/analytics/orders?diamond_id={chosen['id']}")
    assert order["status"] in ("ordered", "confirmed")


def test_a_stone_that_another_holds_is_only_looked_at(demo: Demo, open_page: OpenPage) -> None:
    *_, stone = ask(demo, "/diamonds?availability=available&limit=50")
    made = ask(demo, "/api-keys", method="POST", body={"name": "another shop", "permissions": ["trade"]})
    other = replace(demo, key=made["key"])
    ask(other, f"/diamonds/{stone['id']}/hold", method="POST")
    page = open_page(width=360, height=760)
    log_in(page, demo.key, f"/diamonds/{stone['id']}")
    expect(page.get_by_text("Held by another")).to_be_visible()
    for name in ("Hold", "End hold", "Buy"):
        expect(page.get_by_role("main").get_by_role("button", name=name, exact=True)).to_have_count(0)
    keep(page, "phone-diamond-held")
    page.goto("/holds")
    row = page.get_by_role("row").filter(has_text=stone["id"])
    expect(row).to_contain_text("another shop")
    row.get_by_role("link").click()
    expect(page).to_have_url(f"{demo.url}/diamonds/{stone['id']}")
    ask(other, f"/diamonds/{stone['id']}/hold", method="DELETE")


def test_a_hold_and_an_order_are_seen_and_the_hold_is_ended(demo: Demo, open_page: OpenPage) -> None:
    held, bought, *_ = ask(demo, "/diamonds?availability=available&limit=5")
    ask(demo, f"/diamonds/{held['id']}/hold", method="POST")
    body = {"idempotencyKey": "cart-1", "reference": "PO-4711"}
    ask(demo, f"/diamonds/{bought['id']}/purchase", method="POST", body=body)
    page = open_page()
    log_in(page, demo.key, "/orders")
    expect(page.get_by_role("row").filter(has_text="PO-4711")).to_contain_text(bought["id"])
    page.get_by_role("link", name="Holds").click()
    row = page.get_by_role("row").filter(has_text=held["id"])
    expect(row).to_contain_text("active")
    row.get_by_role("button", name="End hold").click()
    page.get_by_role("alertdialog").get_by_role("button", name="End hold").click()
    expect(row).to_contain_text("released")
    assert ask(demo, f"/diamonds/{held['id']}")["availability"] == "available"


def test_a_live_offer_is_found_at_the_supplier(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/nivoda?labGrown=true")
    expect(page.get_by_text("Nothing has been asked yet")).to_be_visible()
    page.get_by_role("combobox", name="Type").select_option("natural")
    page.get_by_label("Cost to").fill("5000")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(f"{demo.url}/nivoda?priceMax=5000")
    count = ask(demo, "/nivoda/count", method="POST", body={"priceMax": 5000})["count"]
    expect(page.get_by_text(f"{count:,} offers", exact=True)).to_be_visible(timeout=30_000)
    # Not the first one by name: offers of the same moment come in another order now and then.
    offers = ask(demo, "/nivoda/search", method="POST", body={"priceMax": 5000, "limit": 20})["items"]
    row = page.get_by_role("row").nth(1)
    expect(row).to_contain_text("DIAMOND/")
    [first] = [offer for offer in offers if offer["offerId"] in row.inner_text()]
    row.get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"${first['priceCents'] / 100:,.2f}")
    expect(dialog).to_contain_text(first["diamond"]["id"])
    assert barriers(page) == []
    keep(page, "nivoda-offer")
    dialog.get_by_role("button", name="Ask again").click()
    expect(dialog.get_by_role("button", name="Ask again")).to_be_enabled(timeout=30_000)
    expect(dialog.get_by_role("alert")).to_have_count(0)
    dialog.get_by_role("button", name="Close").click()
    page.reload()
    expect(page.get_by_label("Cost to")).to_have_value("5000")
    expect(page.get_by_text("Nothing has been asked yet")).to_be_visible()


def test_a_question_is_put_to_a_table(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/query")
    expect(page.get_by_text("Nothing has been asked yet")).to_be_visible()
    page.get_by_role("combobox", name="Table").select_option("diamonds")
    for column in ("shape", "carats"):
        page.get_by_role("checkbox", name=column, exact=True).check()
    page.get_by_role("button", name="Add a filter").click()
    condition = page.get_by_role("group", name="Filter 1")
    condition.get_by_role("combobox", name="Column").select_option("carats")
    condition.get_by_role("combobox", name="Operator").select_option("gte")
    condition.get_by_label("Value").fill("1.5")
    page.get_by_role("combobox", name="Order by").select_option("carats")
    page.get_by_role("checkbox", name="Largest first").check()
    page.get_by_role("button", name="Ask").click()
    question = {
        "select": "shape, carats",
        "filters": {"carats": {"gte": "1.5"}},
        "order": {"column": "carats", "ascending": False},
        "limit": 25,
    }
    found = ask_page(demo, "/analytics/query/diamonds", method="POST", body=question)
    total = found["pagination"]["total"]
    expect(page.get_by_text(f"{total:,} rows", exact=True)).to_be_visible()
    expect(page.get_by_role("row").nth(1)).to_contain_text(found["data"][0]["carats"])
    keep(page, "query-asked")
    page.reload()
    expect(page.get_by_text(f"{total:,} rows", exact=True)).to_be_visible()
    expect(page.get_by_role("checkbox", name="carats", exact=True)).to_be_checked()
    expect(condition.get_by_label("Value")).to_have_value("1.5")
    condition.get_by_label("Value").fill("heavy")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert")).to_contain_text("takes a number")


def test_the_heatmap_shows_the_density_and_a_preview_scans_anew(demo: Demo, open_page: OpenPage) -> None:
    page = open_page()
    log_in(page, demo.key, "/heatmap")
    for name in ("Natural", "Lab-grown"):
        plot = page.get_by_role("img", name=f"{name} stones by price")
        expect(plot).to_be_visible()
        expect(plot.locator("rect").first).to_be_visible()
    newest = page.get_by_role("region", name="scans").get_by_role("row").nth(1)
    expect(newest).to_contain_text("shown")
    page.get_by_role("button", name="Preview").click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("at most 40 counts")
    dialog.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("A preview, not kept")).to_be_visible(timeout=60_000)
    partitions = page.get_by_role("region", name="Partitions")
    expect(partitions.get_by_role("row").nth(1)).to_contain_text("natural-01")
    keep(page, "heatmap-preview")
    stored = len(ask(demo, "/heatmap/history?limit=100"))
    page.get_by_role("button", name="Scan everything").click()
    dialog.get_by_role("button", name="Scan everything").click()
    expect(page.get_by_text("Asked for by a person")).to_be_visible(timeout=60_000)
    assert len(ask(demo, "/heatmap/history?limit=100")) == stored + 2
    expect(newest).to_contain_text("a person")
    newest.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile("scan="))
    expect(newest).to_contain_text("shown")


def test_the_watermark_is_seen_and_set_back(demo: Demo, open_page: OpenPage) -> None:
    wait_until_no_run_is_active(demo)
    before = ask(demo, "/analytics/watermark")
    minute = datetime.fromisoformat(before["lastUpdatedAt"]).replace(second=0, microsecond=0)
    wanted = minute - timedelta(days=1)
    page = open_page()
    log_in(page, demo.key, "/consolidation")
    expect(page.get_by_text("Read completely up to")).to_be_visible()
    page.get_by_role("button", name="Set watermark").click()
    dialog = page.get_by_role("alertdialog")
    dialog.get_by_label("New moment").fill(wanted.astimezone().strftime("%Y-%m-%dT%H:%M"))
    expect(dialog).to_contain_text("Back by 24 h")
    keep(page, "watermark-set-back")
    try:
        dialog.get_by_role("button", name="Set watermark").click()
        expect(dialog).to_be_hidden()
        expect(page.get_by_text("24 h").first).to_be_visible()
        assert datetime.fromisoformat(ask(demo, "/analytics/watermark")["lastUpdatedAt"]) == wanted
    finally:
        kept = {name: before[name] for name in ("lastUpdatedAt", "lastRunId", "lastRunCompletedAt")}
        ask(demo, "/analytics/watermark", method="PUT", body=kept)
    assert ask(demo, "/analytics/watermark")["lastUpdatedAt"] == before["lastUpdatedAt"]


def wait_until_no_run_is_active(demo: Demo) -> None:
    deadline = time.monotonic() + 60
    while ask(demo, "/analytics/summary")["activeRuns"]:
        assert time.monotonic() < deadline, "a run is still active"
        time.sleep(0.5)


def test_a_rule_is_made_changed_and_moved(demo: Demo, open_page: OpenPage) -> None:
    others = ask(demo, "/pricing-rules")
    page = open_page()
    log_in(page, demo.key, "/price-rules")
    page.get_by_role("button", name="Make a rule").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("OVAL").check()
    dialog.get_by_label("Carats from").fill("1.5")
    dialog.get_by_label("Markup in percent").fill("22.5")
    expect(dialog.get_by_label("The same as a ratio")).to_have_value("1.225")
    dialog.get_by_label("Priority").fill("2000")
    page.mouse.click(5, 5)
    page.keyboard.press("Escape")
    expect(dialog.get_by_text("What you wrote is not saved.")).to_be_visible()
    keep(page, "price-rule-unsaved")
    assert barriers(page) == []
    dialog.get_by_role("button", name="Go on writing").click()
    expect(dialog.get_by_label("Carats from")).to_have_value("1.5")
    keep(page, "price-rule-new")
    assert barriers(page) == []
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog).to_be_hidden()
    row = page.get_by_role("row").filter(has_text="OVAL, from 1.50 ct")
    expect(row).to_contain_text("+22.5 %")
    expect(row).to_contain_text("(every stone) is tried before it")
    keep(page, "price-rule-shadowed")
    row.get_by_role("button", name="Edit").click()
    dialog.get_by_label("Rating").select_option("3")
    dialog.get_by_role("button", name="Close").click()
    dialog.get_by_role("button", name="Throw it away").click()
    expect(dialog).to_be_hidden()
    row.get_by_role("button", name="Edit").click()
    expect(dialog.get_by_label("Rating")).not_to_have_value("3")
    dialog.get_by_label("Rating").select_option("8")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    made = ask(demo, "/pricing-rules")[-1]
    assert (made["shapes"], made["caratMin"], made["markupRatio"], made["rating"]) == (
        ["OVAL"],
        1.5,
        1.225,
        8,
    )
    row.get_by_role("button", name="Move up").focus()
    page.keyboard.press("Enter")
    expect(
        page.get_by_text(f"is number {len(others)} of {len(others) + 1} now; 1 rule changed")
    ).to_be_visible()
    expect(row.get_by_role("button", name="Move up")).to_be_focused()
    assert [rule["id"] for rule in ask(demo, "/pricing-rules")].index(made["id"]) == len(others) - 1
    row.drag_to(
        page.get_by_role("row").last, source_position={"x": 9, "y": 9}, target_position={"x": 9, "y": 9}
    )
    expect(page.get_by_text(f"is number {len(others) + 1} of {len(others) + 1} now")).to_be_visible()
    assert ask(demo, "/pricing-rules")[-1]["id"] == made["id"]
    row.get_by_role("button", name="Deactivate").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Deactivate").click()
    expect(page.get_by_role("alertdialog")).to_be_hidden()
    expect(row).to_have_count(0)
    assert ask(demo, "/pricing-rules") == others
    page.get_by_label("State").select_option("inactive")
    expect(page).to_have_url(re.compile("state=inactive"))
    expect(row.get_by_role("button", name="Reactivate")).to_be_visible()
    assert made["id"] in [rule["id"] for rule in ask(demo, "/pricing-rules?active=false")]


def test_a_phone_shows_all_of_it_without_scrolling_sideways(demo: Demo, open_page: OpenPage) -> None:
    page = open_page(width=360, height=760)
    log_in(page, demo.key)
    expect(page.get_by_text("Needs a person")).to_be_visible()
    page.get_by_role("button", name="Menu").click()
    keep(page, "phone-menu")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Menu")).to_be_focused()
    expect(page.get_by_role("link", name="Runs", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Go to").click()
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("runs")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_focused()
    expect(page.get_by_role("link", name="Holds", exact=True)).to_be_hidden()
    for path in (*PAGES.values(), newest_run(demo)):
        open_ready(page, path)
        keep(page, f"phone-{path.strip('/').partition('/')[0] or 'overview'}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_keeps_anybody_out(demo: Demo, open_page: OpenPage, theme: str) -> None:
    page = open_page(theme=theme)
    page.goto("/login")
    page.get_by_label("API key").wait_for()
    keep(page, f"login-{theme}")
    assert barriers(page) == []
    log_in(page, demo.key)
    for name, path in {**PAGES, "run": newest_run(demo)}.items():
        open_ready(page, path)
        keep(page, f"{name}-{theme}")
        assert barriers(page) == [], name


def open_ready(page: Page, path: str) -> None:
    page.goto(path)
    page.get_by_role("heading", level=1).wait_for()
    expect(page.get_by_role("status", name="Loading")).to_have_count(0)


def newest_run(demo: Demo) -> str:
    return f"/runs/{ask(demo, '/analytics/runs?limit=1')[0]['runId']}"
