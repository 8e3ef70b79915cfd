"""The dashboard's page for its own addresses, its files with the right headers, and nothing for anybody else's."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from api_support import Api, open_api

from diamond_opus.api.dashboard import REBUILD, DashboardFiles
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGE = "<!doctype html><title>Diamond Opus</title>"
SCRIPT = "const diamonds = 1;\n" * 100


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "dashboard"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "theme.js").write_text("const theme = 1;")
    (folder / "sources.sha256").write_text("mark")
    (folder / "assets" / "index-abc.js").write_text(SCRIPT)
    (tmp_path / "secret.js").write_text("secret")
    return folder


@pytest.fixture
async def api(pool: Pool, clock: ManualClock, built: Path) -> AsyncIterator[Api]:
    async with open_api(pool, clock) as api:
        api.app.state.dashboard = DashboardFiles(built)
        yield api


@pytest.mark.parametrize(
    "path", ["/", "/runs", "/runs/4e40e36f-e690-4545-a17a-00c6420f28b6", "/login?from=/runs"]
)
async def test_every_address_of_a_page_is_answered_with_the_page(api: Api, path: str) -> None:
    answer = await api.client.get(path, headers=BROWSER)
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Cache-Control"] == "no-cache", "a new release must be seen at the next visit"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/runs", {"Accept": "application/json"}),
        ("GET", "/api/v2/nothing", BROWSER),
        ("GET", "/api-docs/nothing.css", BROWSER),
        ("GET", "/assets/index-old.js", BROWSER),
        ("GET", "/favicon.ico", BROWSER),
        ("GET", "/nothing.js", BROWSER),
        ("GET", "/sources.sha256", BROWSER),
        ("GET", "/assets/..%2f..%2fsecret.js", BROWSER),
        ("GET", "/..%2fsecret.js", BROWSER),
        ("POST", "/runs", BROWSER),
    ],
)
async def test_what_is_no_page_stays_an_error_in_json(
    api: Api, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await api.client.request(method, path, headers=headers)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOT_FOUND"


async def test_files_named_by_their_content_are_kept_for_ever_and_others_are_asked_for(api: Api) -> None:
    script = await api.client.get("/assets/index-abc.js")
    assert (script.text, script.headers["Content-Type"]) == (SCRIPT, "text/javascript; charset=utf-8")
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    theme = await api.client.get("/theme.js")
    assert (theme.text, theme.headers["Cache-Control"]) == ("const theme = 1;", "no-cache")


async def test_files_are_packed_for_who_takes_them_packed(api: Api) -> None:
    async with api.client.stream(
        "GET", "/assets/index-abc.js", headers={"Accept-Encoding": "gzip"}
    ) as packed:
        content = b"".join([part async for part in packed.aiter_raw()])
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(content).decode() == SCRIPT
    plain = await api.client.get("/assets/index-abc.js", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["Vary"]


async def test_without_a_built_dashboard_the_page_says_what_is_missing_and_how_to_get_it(
    pool: Pool, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_api(pool, clock) as api:
        api.app.state.dashboard = DashboardFiles(tmp_path)
        answer = await api.client.get("/", headers=BROWSER)
        other = await api.client.get("/runs", headers=BROWSER)
    assert answer.status_code == 404
    assert REBUILD in answer.text
    assert other.json()["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ("admin", ["read", "cost", "trade", "admin"]),
        ("trade", ["read", "trade"]),
        ("read", ["read"]),
        ("cost", ["cost"]),
    ],
)
async def test_a_key_learns_what_it_may_do(api: Api, given: str, held: list[str]) -> None:
    answer = await api.client.get("/api/v2/me", headers=await api.key(given))
    assert answer.status_code == 200
    assert answer.json()["data"]["permissions"] == held
    assert answer.json()["data"]["name"] == "shop"


async def test_who_brings_no_key_learns_nothing(api: Api) -> None:
    assert (await api.client.get("/api/v2/me")).status_code == 401
