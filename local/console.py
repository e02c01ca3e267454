"""Mission Control on this machine: the built page with the headers that it has on AWS (decision 0037)."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from aiohttp import web

FOLDER: Final = Path(__file__).resolve().parent.parent / "console"
BUILT: Final = FOLDER / "dist"
HEADERS_FILE: Final = FOLDER / "headers.json"


def headers(picture_origins: Iterable[str]) -> dict[str, str]:
    """The headers of every file of the page; `picture_origins` are where the files of items are read."""
    origins = " ".join(picture_origins)
    return {name: value.replace("{pictures}", origins) for name, value in json.loads(HEADERS_FILE.read_text()).items()}


def add_to(app: web.Application, picture_origins: Iterable[str]) -> None:
    """Serves the page at every address that is not below `/api/`. Nothing is served if the page was not built."""
    if not (BUILT / "index.html").exists():
        return
    fixed = headers(picture_origins)

    async def serve(request: web.Request) -> web.FileResponse:
        file = (BUILT / request.match_info["file"]).resolve()
        is_asset = file.is_file() and file.is_relative_to(BUILT)
        # An address of a screen is the page's own; names of assets change with their content.
        is_hashed = is_asset and file.parent.name == "assets"
        cache = "public, max-age=31536000, immutable" if is_hashed else "no-cache"
        return web.FileResponse(file if is_asset else BUILT / "index.html", headers=fixed | {"Cache-Control": cache})

    app.router.add_get("/{file:(?!api/).*}", serve)
