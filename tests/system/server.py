"""The HTTP server behind the tests' own models, masks and pictures: a subclass gives the answers."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

Json = dict[str, Any]

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Request:
    """A GET or a POST. `headers` takes names in any case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Json:
        """The body."""
        return dict(json.loads(self.body))


@dataclass(frozen=True)
class Answer:
    """The answer to one request; its length is sent beside `headers`."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(body: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON body; further headers as `retry_after="1"`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(body).encode(), {**JSON, **named})


class Server(ABC):
    """Serves on a free port of loopback, one thread a connection, from its making until it is closed."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        Thread(target=self._server.serve_forever, daemon=True).start()

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """Called by several threads at once."""

    @property
    def url(self) -> str:
        """The origin."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = server.answer(Request(self.command, self.path, self.headers, body))  # type: ignore[arg-type]
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            do_POST = do_GET

            def log_message(self, format: str, *arguments: Any) -> None:
                """The tests' output has no access log."""

        return Handler
