"""Receives webhooks on this machine and checks their signatures."""

import hashlib
import hmac
import json
import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any

ACCEPT_SECONDS = 1.0
# Longer than a lease of a delivery (35 s): if the answer to a claim is lost, the attempt comes after the lease.
DELIVERED_SECONDS = 60.0


@dataclass(frozen=True)
class Delivery:
    """One received request, its body as it came."""

    body: bytes
    signature: str
    event: str
    uid: str
    headers: Mapping[str, str]

    def is_signed_with(self, secret: str) -> bool:
        """HMAC-SHA256 over the raw body, hex, key = the secret's UTF-8 bytes (contract, 9.3)."""
        expected = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, self.signature)

    def json(self) -> dict[str, Any]:
        """The body."""
        return dict(json.loads(self.body))

    @property
    def payload(self) -> dict[str, Any]:
        """The inner object of the event."""
        return dict(self.json()["payload"])


class Receiver:
    """An HTTP server on loopback that keeps what it is sent. `answers` are the statuses to give, then always 200."""

    def __init__(self, port: int = 0, answers: tuple[int, ...] = ()) -> None:
        self._deliveries: queue.Queue[Delivery] = queue.Queue()
        self._answers = list(answers)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        # A connection may be gone between its arrival and its acceptance: to wait for it would be for ever.
        self._server.socket.settimeout(ACCEPT_SECONDS)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The address to subscribe."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def next(self, seconds: float = DELIVERED_SECONDS) -> Delivery | None:
        """The next delivery, in the order they came; None if there was none in time."""
        try:
            return self._deliveries.get(timeout=seconds)
        except queue.Empty:
            return None

    def taken(self) -> list[Delivery]:
        """All that has come and was not asked for yet."""
        taken = []
        while delivery := self.next(0):
            taken.append(delivery)
        return taken

    def answer(self, *statuses: int) -> None:
        """What to answer from now on: these, then 200."""
        self._answers = list(statuses)

    def of_job(self, job: str, seconds: float = DELIVERED_SECONDS) -> Delivery | None:
        """The next delivery about this job."""
        deadline = time.monotonic() + seconds
        while delivery := self.next(max(0.0, deadline - time.monotonic())):
            if delivery.payload.get("job_uid") == job:
                return delivery
        return None

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(receiver) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                header = self.headers.get
                receiver._deliveries.put(
                    Delivery(
                        body,
                        header("X-Avala-Webhook-Signature", ""),
                        header("X-Avala-Webhook-Event", ""),
                        header("X-Avala-Webhook-Delivery", ""),
                        dict(self.headers.items()),
                    )
                )
                self.send_response(receiver._answers.pop(0) if receiver._answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:
                """Says nothing: the test that receives reports what came."""

        return Handler
