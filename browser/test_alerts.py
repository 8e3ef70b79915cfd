"""What is wrong is seen at once, with who was told of it, and a person says that it is over."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tabs import Demo, OpenPage, ask, barriers, befall, keep, log_in


@pytest.fixture(scope="module")
def skipped(demo: Demo) -> Iterator[dict[str, Any]]:
    """An alert: the supplier breaks off every page, so that a run fails; its channel has been told."""
    befall(demo, {"kind": "malformed_json", "requests": ["page"]})
    run_id = ask(demo, "/triggers/scheduler", method="POST", body={"runType": "full"})["runId"]
    try:
        yield _wait_for_alert(demo, run_id)
    finally:
        befall(demo)
        ask(demo, "/triggers/cancel-run", method="POST", body={"runId": run_id})


def _wait_for_alert(demo: Demo, run_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for alert in ask(demo, "/analytics/alerts?open=true&event=consolidation_skipped"):
            is_told = [delivery["state"] for delivery in alert["deliveries"]] == ["delivered"]
            if alert["runId"] == run_id and is_told:
                return dict(alert)
        time.sleep(0.2)
    pytest.fail("no alert was raised and told")


def card(page: Page, alert: dict[str, Any]) -> Any:
    heading = page.get_by_role("heading", name=alert["title"], exact=True)
    return page.get_by_role("listitem").filter(has=heading)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_overview_begins_with_what_is_wrong(
    demo: Demo, open_page: OpenPage, skipped: dict[str, Any], theme: str
) -> None:
    page = open_page(theme=theme)
    log_in(page, demo.key)
    strip = page.get_by_role("region", name="Open alerts")
    expect(strip).to_contain_text(re.compile(r"\d error"))
    expect(strip.get_by_role("link", name="What to do")).to_be_visible()
    keep(page, f"overview-alerts-{theme}")
    strip.get_by_role("link", name="What to do").click()
    expect(page.get_by_role("heading", name="Alerts", level=1)).to_be_focused()
    told = card(page, skipped)
    expect(told).to_contain_text(skipped["action"])
    told.get_by_text("1 message: 1 delivered").click()
    expect(told.get_by_role("row").nth(1)).to_contain_text("the beginning")
    told.get_by_text("What else is known").click()
    expect(told).to_contain_text("docs/runbook.md#consolidation_skipped")
    assert barriers(page) == []
    keep(page, f"alerts-open-{theme}")


def test_a_phone_shows_an_alert_without_scrolling_sideways(
    demo: Demo, open_page: OpenPage, skipped: dict[str, Any]
) -> None:
    page = open_page(width=360, height=760)
    log_in(page, demo.key, "/alerts")
    told = card(page, skipped)
    told.get_by_text("1 message: 1 delivered").click()
    told.get_by_text("What else is known").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    keep(page, "phone-alerts-open")


def test_an_alert_leads_to_its_page_and_is_settled(
    demo: Demo, open_page: OpenPage, skipped: dict[str, Any]
) -> None:
    page = open_page()
    log_in(page, demo.key, "/alerts?state=open")
    told = card(page, skipped)
    told.get_by_role("link", name="The run").click()
    expect(page).to_have_url(f"{demo.url}/runs/{skipped['runId']}")
    expect(page.get_by_role("heading", name=re.compile("^Run of "))).to_be_visible()
    page.go_back()
    told.get_by_role("button", name="It is settled").click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("Who was told of it is told that it is over")
    dialog.get_by_label("What was done").fill("the run is given up")
    keep(page, "alerts-settle")
    assert barriers(page) == []
    dialog.get_by_role("button", name="It is settled").click()
    expect(page.get_by_role("status").filter(has_text="The alert is over.")).to_be_visible()
    expect(told).to_have_count(0)
    page.get_by_label("State").select_option("over")
    expect(told).to_contain_text("ended it: the run is given up")
    expect(told.get_by_role("button", name="It is settled")).to_have_count(0)
    told.get_by_role("button", name="consolidation_skipped").click()
    expect(page).to_have_url(f"{demo.url}/alerts?state=over&event=consolidation_skipped")
    keep(page, "alerts-over")
    [act, *_] = ask(demo, "/analytics/audit-log?action=incident.resolve")
    assert (act["subject"], act["details"]["note"]) == (skipped["id"], "the run is given up")
