"""A reverse proxy that gives the deployed HTTP API the short address `http://localhost:8080/api/v1`.

The emulator serves an HTTP API below a long path with the API's id in it. The proxy passes any request on below that
path and touches neither the path's encoding, the query, the body nor the answer. Beside the API it serves the
page, Mission Control, and below `/reference/` the API reference.
"""

import aiohttp
import uvloop
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from local import console, settings

HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "host"}
)
UPSTREAM = web.AppKey("upstream", str)
SESSION = web.AppKey("session", aiohttp.ClientSession)


def run(upstream: str) -> None:
    """Serves on loopback; `upstream` is the address that stands for `/`."""
    app = web.Application()
    app[UPSTREAM] = upstream.rstrip("/")
    app.cleanup_ctx.append(_session)
    console.add_to(app, [settings.EMULATOR_URL])
    app.router.add_route("*", "/{path:(?s:.*)}", _pass_on)
    loop = uvloop.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=settings.PROXY_PORT, access_log=None, print=None, loop=loop)


async def _session(app: web.Application):  # type: ignore[no-untyped-def]
    # The client's own limits are the real ones; compressed answers pass through as they are.
    async with aiohttp.ClientSession(
        auto_decompress=False,
        connector=aiohttp.TCPConnector(limit=0),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    ) as session:
        app[SESSION] = session
        yield


async def _pass_on(request: web.Request) -> web.StreamResponse:
    target = URL(request.app[UPSTREAM] + request.raw_path, encoded=True)
    try:
        async with request.app[SESSION].request(
            request.method,
            target,
            headers=_end_to_end(request.headers),
            data=request.content if request.body_exists else None,
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(
                status=answer.status, reason=answer.reason, headers=_end_to_end(answer.headers)
            )
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response
    except (TimeoutError, aiohttp.ClientConnectionError):
        return web.json_response({"detail": "The local stack does not answer."}, status=502)


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP)
