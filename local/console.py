"""Mission Control on this machine: what CloudFront does on AWS (decision 0042), which the emulator does not serve.

The files are read from the folders in which they are built, with the headers that they have on AWS.
`console/addresses.json` says which file answers which address; so it does for the functions of the edge
(`infra/lib/edge`).
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from aiohttp import web

from local import settings

HEADERS_FILE: Final = settings.CONSOLE.parent / "headers.json"
CONTENT_POLICY: Final = "Content-Security-Policy"
KEPT: Final = "public, max-age=31536000, immutable"
ASKED_FOR: Final = "no-cache"


def headers(picture_origins: Iterable[str]) -> dict[str, str]:
    """The headers of every file of the page; `picture_origins` are where the files of items are read."""
    origins = " ".join(picture_origins)
    return {name: value.replace("{pictures}", origins) for name, value in json.loads(HEADERS_FILE.read_text()).items()}


def reference_headers() -> dict[str, str]:
    """The headers of the API reference, whose page has a content policy of its own in it.

    There `frame-ancestors` would have no effect.
    """
    return headers([]) | {CONTENT_POLICY: "frame-ancestors 'none'"}


def add_to(app: web.Application, picture_origins: Iterable[str]) -> None:
    """Serves the page at every address that is not below `/api/` or `/reference/`."""
    page, reference = headers(picture_origins), reference_headers()

    async def serve_reference(request: web.Request) -> web.FileResponse:
        return _answer(settings.REFERENCE, request.match_info["file"] or "index.html", reference)

    async def serve_page(request: web.Request) -> web.FileResponse:
        name = request.match_info["file"]
        # A name with a dot is a file; any other address is a screen of the page.
        return _answer(settings.CONSOLE, name if "." in name.rpartition("/")[2] else "index.html", page)

    app.router.add_get("/reference/{file:.*}", serve_reference)
    app.router.add_get("/{file:(?!api/).*}", serve_page)


def _answer(folder: Path, name: str, headers: dict[str, str]) -> web.FileResponse:
    file = (folder / name).resolve()
    if not (file.is_file() and file.is_relative_to(folder)):
        raise web.HTTPNotFound(headers=headers)
    # Names of assets change with their content.
    cache = KEPT if file.parent == folder / "assets" else ASKED_FOR
    return web.FileResponse(file, headers=headers | {"Cache-Control": cache})
