"""Model servers behind an address of the user's own: a good one over TLS, and all the ways to be a bad one."""

import asyncio
import gzip
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
from hypercorn.asyncio import serve
from hypercorn.config import Config

from local import settings

Serve = Callable[[socket.socket], None]


@dataclass
class Gateway:
    """What people put in front of a model server: TLS, HTTP/2, credentials, packed answers.

    It passes requests on to the stack's own detector, and keeps what it saw.
    """

    port: int
    wanted: dict[str, str]
    versions: set[str] = field(default_factory=set)
    connections: set[Any] = field(default_factory=set)
    refused: int = 0
    packed: int = 0

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/invocations"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.versions.add(scope["http_version"])
        self.connections.add(scope["client"])
        body = b""
        while (event := await receive())["type"] == "http.request":
            body += event["body"]
            if not event["more_body"]:
                break
        status, answer = 401, b"{}"
        if all(headers.get(name) == value for name, value in self.wanted.items()):
            async with httpx.AsyncClient(timeout=60) as detector:
                found = await detector.post(f"{settings.ENDPOINT_URL}/invocations", content=body)
                status, answer = found.status_code, found.content
        self.refused += status == 401
        sent = [(b"content-type", b"application/json")]
        if "gzip" in headers.get("accept-encoding", ""):
            answer = gzip.compress(answer)
            sent.append((b"content-encoding", b"gzip"))
            self.packed += 1
        sent.append((b"content-length", str(len(answer)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": answer})


@contextmanager
def gateway(certificate: tuple[Path, Path], **wanted: str) -> Iterator[Gateway]:
    """Serves with this certificate and its key; a request without these headers is refused."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = Gateway(listener.getsockname()[1], {name.replace("_", "-"): value for name, value in wanted.items()})
    config = Config()
    config.certfile, config.keyfile = map(str, certificate)
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "ERROR"
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve(found, config, shutdown_trigger=over.wait))

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)


@contextmanager
def listening(
    serve: Serve, certificate: tuple[Path, Path] | None = None, listener: socket.socket | None = None
) -> Iterator[str]:
    """The origin of a server that does as it likes with each connection."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    listener = listener or socket.create_server(("127.0.0.1", 0), backlog=64)

    def serve_one(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) if context else connection as stream:
                serve(stream)
        except OSError:
            pass  # the other side has had enough

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            Thread(target=serve_one, args=(connection,), daemon=True).start()

    Thread(target=accept, daemon=True).start()
    scheme = "http" if context is None else "https"
    try:
        yield f"{scheme}://localhost:{listener.getsockname()[1]}"
    finally:
        listener.close()


def request_of(stream: socket.socket) -> bytes:
    """One whole request: its head, and as much of a body as it announces."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += _more(stream)
    head, _, body = request.partition(b"\r\n\r\n")
    announced = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    while len(body) < int(announced.partition(b":")[2]):
        body += _more(stream)
    return head + b"\r\n\r\n" + body


def _more(stream: socket.socket) -> bytes:
    part = stream.recv(65_536)
    if not part:
        raise ConnectionResetError
    return part


def answering(status: int, body: bytes = b"{}", **headers: str) -> Serve:
    """Answers every request like this; only the first, if it says `connection="close"`."""
    named = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *(f"{name}: {named[name]}" for name in named)]
    head = "\r\n".join([*lines, "", ""]).encode()

    def serve(stream: socket.socket) -> None:
        while True:
            request_of(stream)
            stream.sendall(head + body)
            if named.get("connection") == "close":
                return

    return serve


def plain(stream: socket.socket) -> None:
    """Answers whatever comes by HTTP without TLS."""
    _more(stream)
    stream.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


def silent(stream: socket.socket) -> None:
    """Takes the request and never says a word."""
    request_of(stream)
    time.sleep(60)


def dripping(stream: socket.socket) -> None:
    """Answers a byte a second, so that no pause is ever long."""
    request_of(stream)
    stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(60):
        stream.sendall(b" ")
        time.sleep(1)


def endless(stream: socket.socket) -> None:
    """Answers for ever, as fast as it is read."""
    request_of(stream)
    stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    part = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    while True:
        stream.sendall(part)


def breaking(stream: socket.socket) -> None:
    """Promises more than it sends."""
    request_of(stream)
    stream.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"annotations": [')
