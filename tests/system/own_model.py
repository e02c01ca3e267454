"""The model server of examples/models as a user starts it, and what SageMaker puts in front of its container."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import nudenet

from local import settings
from tests.system.interceptor import configured
from tests.system.model import REDIRECTED
from tests.system.system import System

SERVER = settings.ROOT / "examples" / "models" / "server.py"
# A YOLOv8 nano as Ultralytics exports it. It knows parts of bodies; the tests ask it for faces alone.
MODEL = Path(nudenet.__file__).parent / "320n.onnx"
FACES = {"FACE_FEMALE": "face", "FACE_MALE": "face"}
READY_SECONDS = 60.0


@contextmanager
def started(*arguments: str, token: str = "") -> Iterator[str]:
    """The origin of a running server."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, str(SERVER), *arguments, "--model", str(MODEL), "--host", "127.0.0.1"]
    environment = {**os.environ, "MODEL_TOKEN": token}
    server = subprocess.Popen([*command, "--port", str(port), "--threads", "1"], env=environment)
    try:
        origin = f"http://127.0.0.1:{port}"
        wait_until_it_answers(origin, server)
        yield origin
    finally:
        server.terminate()
        server.wait(30)


def wait_until_it_answers(origin: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        assert server.poll() is None, "the server ended before it was ready"
        assert time.monotonic() < deadline, f"the server was not ready after {READY_SECONDS:.0f} s"
        try:
            if httpx.get(f"{origin}/ping").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)


@contextmanager
def behind_sagemaker(system: System, container: str) -> Iterator[None]:
    """Every SageMaker endpoint is this container meanwhile: InvokeEndpoint passes bodies on, and wraps errors."""

    class Runtime(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kind = self.headers["Content-Type"]
            answer = httpx.post(f"{container}/invocations", content=body, headers={"Content-Type": kind}, timeout=60)
            if answer.is_success:
                self.send(200, answer.content)
            else:
                wrapped = {"OriginalStatusCode": answer.status_code, "OriginalMessage": answer.text}
                self.send(424, json.dumps(wrapped).encode(), {"X-Amzn-ErrorType": "ModelError"})

        def send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            sent = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
            for name, value in sent.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Says nothing: the tests do."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Runtime) as runtime:
        Thread(target=runtime.serve_forever, daemon=True).start()
        variables = {REDIRECTED: f"http://127.0.0.1:{runtime.server_port}"}
        try:
            with configured(system, {"Infer": variables, "Providers": variables}):
                yield
        finally:
            runtime.shutdown()
