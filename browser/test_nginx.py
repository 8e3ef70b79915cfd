"""The dashboard behind its own nginx, as its container serves it: the real one, with our template."""

import gzip
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tabs import Demo, log_in

from diamond_opus.api import dashboard
from free_ports import take_port

_ROOT = Path(__file__).parents[1]
_TEMPLATE = _ROOT / "docker" / "nginx.dashboard.conf.template"
_FILES = Path(dashboard.__file__).parents[1] / "dashboard"

#: What nginx's image brings along, with every path in a folder of ours, and as whoever runs the tests.
_AROUND = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


@pytest.fixture(scope="module")
def address(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where nginx listens."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert nginx, "nginx is missing: apt-get install nginx-light"
    folder = tmp_path_factory.mktemp("nginx")
    port = take_port()
    site = _TEMPLATE.read_text().replace("${PORT}", f"127.0.0.1:{port}").replace("${API_URL}", demo.url)
    (folder / "site.conf").write_text(site.replace("/usr/share/nginx/html", str(_FILES)))
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder))
    process = subprocess.Popen([nginx, "-p", folder, "-c", folder / "nginx.conf"])
    try:
        _wait_for(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("nginx did not start")


def get(address: str, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(address, timeout=10)
    connection.request(
        "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


@pytest.mark.parametrize("path", ["/", "/runs", "/diamonds/8c6982cd-9e10-4795-93bc-b19938405167"])
def test_every_address_of_the_dashboard_is_its_page(address: str, path: str) -> None:
    answer, page = get(address, path)
    assert (answer.status, page) == (200, (_FILES / "index.html").read_bytes())
    assert answer.headers["Cache-Control"] == "no-cache"


def test_it_says_of_its_files_what_the_api_says_of_them(address: str, demo: Demo) -> None:
    script = next(file.name for file in (_FILES / "assets").iterdir() if file.name.startswith("index-"))
    for path in ("/", f"/assets/{script}"):
        by_nginx, _ = get(address, path)
        by_api, _ = get(demo.url.removeprefix("http://"), path)
        for name in ("Cache-Control", "Content-Security-Policy"):
            assert by_nginx.headers.get_all(name) == by_api.headers.get_all(name), (path, name)


def test_scripts_are_packed_and_those_that_are_not_there_are_no_page(address: str) -> None:
    script = max((_FILES / "assets").glob("*.js"), key=lambda file: file.stat().st_size)
    answer, packed = get(address, f"/assets/{script.name}", Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed) == script.read_bytes()
    assert get(address, "/assets/gone-12345678.js")[0].status == 404


def test_the_api_is_behind_the_same_address(address: str, demo: Demo) -> None:
    answer, body = get(address, "/api/v2/diamonds?limit=1", X_API_Key=demo.key)
    assert (answer.status, body[:9]) == (200, b'{"data":[')
    refused, _ = get(address, "/api/v2/diamonds")
    assert (refused.status, refused.headers["Content-Type"]) == (401, "application/json")
    for path in ("/health", "/ready", "/api-docs", "/openapi.json"):
        assert get(address, path)[0].status == 200, path


def test_events_arrive_when_they_are_said(address: str, demo: Demo) -> None:
    connection = HTTPConnection(address, timeout=5)
    connection.request("GET", "/api/v2/analytics/events", headers={"X-API-Key": demo.key})
    answer = connection.getresponse()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.readline() == b"retry: 2000\n", "a stream that never ends gives its first line at once"
    connection.close()


def test_nothing_tells_about_the_server(address: str) -> None:
    answer, page = get(address, "/__nginx_debug")
    assert page == (_FILES / "index.html").read_bytes(), "one more address of the page's own"
    assert answer.headers["Server"] == "nginx", "without a version"


def test_one_works_with_it_as_with_the_api_s_own(address: str, demo: Demo, chromium: Browser) -> None:
    context = chromium.new_context(base_url=f"http://{address}")
    page = context.new_page()
    log_in(page, demo.key, "/runs")
    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    context.close()
