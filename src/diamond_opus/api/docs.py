"""The API's own description, for machines and for people: nothing of it comes from another server."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import swagger_ui_bundle
from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from starlette.responses import RedirectResponse, Response

from diamond_opus.api.errors import ApiError, ErrorCode

# Swagger UI's own index.html opens somebody else's API from its init script; these two replace both.
_PAGE = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Diamond Opus API</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="icon" type="image/png" href="api-docs/favicon-32x32.png">
    <link rel="stylesheet" href="api-docs/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <noscript>This page needs JavaScript; the description itself is at openapi.json.</noscript>
    <script src="api-docs/swagger-ui-bundle.js"></script>
    <script src="api-docs/init.js"></script>
  </body>
</html>
"""
_INIT = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  presets: [SwaggerUIBundle.presets.apis],
});
"""
_MEDIA_TYPES: Mapping[str, str] = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
# Swagger UI draws its icons as inline styles and data: images; it may speak to this server only.
_POLICY = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Cache-Control": "no-cache",
}

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def get_openapi_document(request: Request) -> Response:
    return Response(
        request.app.state.openapi_json, headers={"Cache-Control": "no-cache"}, media_type="application/json"
    )


@router.get("/api-docs")
async def get_docs_page() -> Response:
    return Response(_PAGE, headers=_POLICY, media_type="text/html")


@router.get("/api-docs/")
async def get_docs_page_with_slash() -> Response:
    return RedirectResponse("../api-docs")


@router.get("/api-docs/init.js")
async def get_docs_script() -> Response:
    return Response(_INIT, headers=_POLICY, media_type="text/javascript")


@router.get("/api-docs/{asset}")
async def get_docs_asset(asset: str = PathParameter()) -> Response:
    if asset not in _MEDIA_TYPES:
        raise ApiError(404, ErrorCode.NOT_FOUND, "there is no such file")
    headers = _POLICY | {"Cache-Control": "public, max-age=86400"}
    return Response(_read_asset(asset), headers=headers, media_type=_MEDIA_TYPES[asset])


@cache
def _read_asset(name: str) -> bytes:
    folder: Path = swagger_ui_bundle.swagger_ui_path
    return (folder / name).read_bytes()
