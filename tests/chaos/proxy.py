"""The fault proxy between the functions and AWS, or the model: `microburst`, and what it lacks.

Whose call it is. Many schedules run on one stack at once, so each call is traced to the project that it is about, by
the uids in its path and body; the uids of jobs and deliveries are learned from the transactions that write them. Rules
name the project as their `resource`.

Files that may not be read. A file is forbidden by its path, and from then on until it is allowed again.

Faults that need the caller. A call can be lost after it had its effect, whatever its answer; and the process that makes
it can be killed (SIGKILL) right before, or right after the effect and before the answer.
"""

import argparse
import asyncio
import re
from collections.abc import AsyncIterable, Callable, Mapping
from typing import Any

import psutil
from aiohttp import web
from microburst import detection, effects, forward
from microburst.core import pipeline
from microburst.core.context import RequestContext
from microburst.core.pipeline import Microburst
from microburst.rules import Decision

from tests.chaos.schedule import FORBIDDEN, NO_PROCESS

Json = dict[str, Any]

UID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NAMES = re.compile(rf"{UID}|[0-9a-f]{{64}}")  # uids, and the hashes of API keys
LEARNED = re.compile(rf"(?:JOB|DELIVERY|ITEM|EXPORT)#({UID})")
WRITES = ("TransactWriteItems", "PutItem")
MOST_BYTES = 16 * 1024 * 1024  # a transaction has 4 MB at most, a manifest a few


class Scopes:
    """Which uid belongs to which project."""

    def __init__(self) -> None:
        self._scopes: dict[str, str] = {}

    def know(self, scope: str, names: list[str]) -> None:
        self._scopes.update(dict.fromkeys([scope, *names], scope))

    def forget(self, scope: str) -> None:
        self._scopes = {name: of for name, of in self._scopes.items() if of != scope}

    def of(self, operation: str | None, path: str, body: str) -> str | None:
        """The project of the first name that is known. What is written with it belongs to it, too."""
        known = (self._scopes.get(name) for name in NAMES.findall(path + body))
        scope = next((scope for scope in known if scope), None)
        if scope and operation in WRITES:
            self.know(scope, LEARNED.findall(body))
        return scope


class Proxy(Microburst):  # type: ignore[misc] # without types
    """The proxy, with rules of its own for each project. `parent` is the process whose children may be killed."""

    def __init__(self, upstream: str, parent: int) -> None:
        super().__init__(upstream, fired_capacity=100_000)
        self.upstream = Upstream(upstream)
        self._parent = psutil.Process(parent)
        self._scopes = Scopes()
        self._effects: dict[int, str] = {}  # what microburst does not know, by rule
        self._names: dict[int, str] = {}  # what is counted, by rule
        self._forbidden: set[str] = set()  # paths
        pipeline.detect, pipeline.apply_decision = self._detect, self._apply
        # A body that is passed on piece by piece loses its length, which S3's callers sign.
        pipeline.should_buffer = lambda *_: True
        # Every call comes to this machine's own address. To find no service in that takes 5 s, for 400 models are read.
        detection.parse_host = lambda _: (None, None, None)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=MOST_BYTES)
        app.on_startup.append(self.start)
        app.on_cleanup.append(self.stop)
        app.router.add_post("/_chaos/{scope}", self._begin)
        app.router.add_get("/_chaos/{scope}", self._so_far)
        app.router.add_delete("/_chaos/{scope}", self._end)
        app.router.add_put("/_chaos/{scope}/forbidden", self._forbid)
        app.router.add_get("/_chaos", self._ready)
        app.router.add_route("*", "/{tail:.*}", self.handle_proxy)
        return app

    async def _ready(self, _: web.Request) -> web.Response:
        return web.json_response({"seen": self.requests_seen})

    async def _begin(self, request: web.Request) -> web.Response:
        """Body: `names`, the uids of the scope, and `rules`: microburst's, with `name` and `effect` of ours."""
        scope, body = request.match_info["scope"], await request.json()
        self._scopes.know(scope, body["names"])
        added = self.engine.add_rules([{**rule, "resource": scope} for rule in body["rules"]])
        for rule, given in zip(added, body["rules"], strict=True):
            if effect := given.get("effect"):
                self._effects[rule.id] = effect
            if name := given.get("name"):
                self._names[rule.id] = name
        return web.json_response({})

    async def _forbid(self, request: web.Request) -> web.Response:
        """Body: `path` of an object, and whether it `is_forbidden` from now on."""
        body = await request.json()
        (self._forbidden.add if body["is_forbidden"] else self._forbidden.discard)(body["path"])
        return web.json_response({})

    async def _end(self, request: web.Request) -> web.Response:
        """Takes the scope's rules away. The answer says which fired, and when (seconds since 1970)."""
        scope = request.match_info["scope"]
        self.engine.delete_matching([{"resource": scope}])
        self._scopes.forget(scope)
        self._forbidden = {path for path in self._forbidden if scope not in path}
        return self._fired(scope)

    async def _so_far(self, request: web.Request) -> web.Response:
        """Which of the scope's rules have fired."""
        return self._fired(request.match_info["scope"])

    def _fired(self, scope: str) -> web.Response:
        fired = [event for event in self.fired if event.resource == scope and event.rule_id in self._names]
        return web.json_response(
            [{"name": event.note or self._names[event.rule_id], "at": event.ts} for event in fired]
        )

    def _detect(
        self, headers: Mapping[str, str], method: str, path: str, query: Mapping[str, str], body: bytes | None
    ) -> RequestContext:
        context = detection.detect(headers, method, path, query, body)
        if context.service == "sagemaker":  # the name in the signature is that of two services
            context.service, context.operation, context.protocol = "sagemaker-runtime", "InvokeEndpoint", "rest-json"
        if path in self._forbidden:
            context.payload = FORBIDDEN
        context.resource = self._scopes.of(context.operation, path, (body or b"").decode("latin-1"))
        return context

    async def _apply(
        self, request: web.Request, context: RequestContext, decision: Decision
    ) -> web.StreamResponse | None:
        effect = self._effects.get(decision.rule.id)
        if effect is None:
            answer: web.StreamResponse | None = await effects.apply_decision(request, context, decision)
            return answer
        if effect == "lost":
            request["after"] = lambda: None
            return None
        event = self.fired[-1]
        victim = await asyncio.to_thread(self._caller, request)
        if victim is None:
            event.note = NO_PROCESS
        if effect == "kill after":
            # Frozen meanwhile: nothing of it runs between the effect and its end.
            if victim:
                victim.suspend()
            request["after"] = victim.kill if victim else lambda: None
            return None
        if victim:
            victim.kill()
        return hung_up(request)

    def _caller(self, request: web.Request) -> psutil.Process | None:
        """The process at the other end of the connection, if it is a child of the emulator."""
        _, port = request.get_extra_info("peername")
        # One list of all connections: a list for each child takes longer than callers wait for an answer.
        there = (of.pid for of in psutil.net_connections("tcp4") if of.laddr[1:] == (port,))
        pid = next((pid for pid in there if pid), None)
        return next((child for child in self._parent.children() if child.pid == pid), None)


class Upstream(forward.Upstream):  # type: ignore[misc] # without types
    """AWS, or the model. The answer to a call that is marked with `after` is lost."""

    def _outbound_headers(self, request: web.Request) -> dict[str, str]:
        """With the host that the caller named: it is part of what the caller signed."""
        return {**super()._outbound_headers(request), "host": request.headers["Host"]}

    async def relay(
        self,
        request: web.Request,
        body: bytes | None,
        mutator: forward.ResponseFault | None = None,
        data: bytes | AsyncIterable[bytes] | None = None,
    ) -> web.StreamResponse:
        after: Callable[[], None] | None = request.get("after")
        if after is None:
            relayed: web.StreamResponse = await super().relay(request, body, mutator, data)
            return relayed
        assert self.session is not None
        call = self.session.request(
            request.method,
            self.base_url + request.rel_url.raw_path_qs,
            headers=self._outbound_headers(request),
            data=body,
        )
        async with call as answer:
            await answer.read()
        after()
        return hung_up(request)


def hung_up(request: web.Request) -> web.Response:
    """Ends the connection without an answer; what is returned goes nowhere."""
    if request.transport:
        request.transport.abort()
    return web.Response()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.proxy", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    app = Proxy(arguments.upstream, arguments.parent).app()
    web.run_app(app, host="127.0.0.1", port=arguments.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
