"""The dashboard's files, which hatch_build.py has put into the package: one page for all of its addresses."""

import gzip
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import cast

from fastapi import APIRouter, Request
from starlette.responses import Response

from diamond_opus.api.errors import ApiError, ErrorCode, refused

#: How it is built after all, for whoever finds that it was not.
REBUILD = "uv sync --reinstall-package diamond-opus"

_MISSING = f"""\
<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>Diamond Opus</title></head>
  <body>
    <h1>The dashboard is not in this installation</h1>
    <p>npm was out of reach when the package was built. Where it is not: <code>{REBUILD}</code></p>
    <p>All else works: the API under /api/v2, and its description at <a href="/api-docs">/api-docs</a>.</p>
  </body>
</html>
"""
_PAGE = "index.html"
_MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
#: It speaks to this server only; stones' pictures and certificates come from the suppliers' servers.
_POLICY = (
    "default-src 'self'; img-src 'self' https: data:; style-src 'self' 'unsafe-inline'; frame-src https:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# The names of what stands in assets hold their content's hash.
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_EACH_TIME = "no-cache"
_NO_PAGES = ("/api/", "/api-docs", "/assets/")

router = APIRouter(include_in_schema=False)


class DashboardFiles:
    """What stands in a folder and its ``assets``, by the names that are asked for: nothing else can be read.

    The folder is looked at once: a dashboard that is built anew is served after the next start.
    """

    def __init__(self, folder: Traversable) -> None:
        parts = {"": folder, "assets/": folder / "assets"}
        self._files = {
            prefix + file.name: file
            for prefix, part in parts.items()
            if part.is_dir()
            for file in part.iterdir()
            if file.name.rpartition(".")[2] in _MEDIA_TYPES
        }
        self._read: dict[str, tuple[bytes, bytes]] = {}

    @property
    def is_built(self) -> bool:
        return _PAGE in self._files

    def answer(self, request: Request, name: str) -> Response:
        """The file, packed for who takes it so. Raises ApiError 404."""
        if name not in self._files:
            raise ApiError(404, ErrorCode.NOT_FOUND, f"the dashboard has no file {name[:100]}")
        plain, packed = self._contents(name)
        headers = {
            "Cache-Control": _FOR_EVER if name.startswith("assets/") else _ASK_EACH_TIME,
            "Content-Security-Policy": _POLICY,
            "Vary": "Accept-Encoding",
        }
        media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return Response(plain, headers=headers, media_type=media_type)
        return Response(packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=media_type)

    def _contents(self, name: str) -> tuple[bytes, bytes]:
        if name not in self._read:
            plain = self._files[name].read_bytes()
            self._read[name] = plain, gzip.compress(plain, mtime=0)
        return self._read[name]


def installed_files() -> DashboardFiles:
    return DashboardFiles(files("diamond_opus") / "dashboard")


@router.get("/")
async def get_dashboard(request: Request) -> Response:
    files_here = _files_of(request)
    if not files_here.is_built:
        return Response(_MISSING, status_code=404, media_type=_MEDIA_TYPES["html"])
    return files_here.answer(request, _PAGE)


@router.get("/assets/{name}")
async def get_dashboard_asset(request: Request, name: str) -> Response:
    return _files_of(request).answer(request, f"assets/{name}")


@router.get("/{name}.svg")
@router.get("/{name}.js")
async def get_dashboard_file(request: Request) -> Response:
    return _files_of(request).answer(request, request.url.path.removeprefix("/"))


async def page_or_refusal(request: Request, error: Exception) -> Response:
    """The page, for an address of which only it can know what belongs there; else the answer to this 404."""
    path = request.url.path
    is_navigation = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
    is_page = not path.startswith(_NO_PAGES) and "." not in path.rpartition("/")[2]
    if is_navigation and is_page and _files_of(request).is_built:
        return await get_dashboard(request)
    return await refused(request, error)


def _files_of(request: Request) -> DashboardFiles:
    return cast("DashboardFiles", request.app.state.dashboard)
