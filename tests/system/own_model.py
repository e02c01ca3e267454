"""The model server of examples/models as a user starts it, and what SageMaker puts in front of its container."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import nudenet

from local import settings
from tests.system.interceptor import configured
from tests.system.model import REDIRECTED, model_error
from tests.system.server import JSON, Answer, Request, Server
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


class Runtime(Server):
    """SageMaker's InvokeEndpoint before a container: passes bodies on, and wraps errors."""

    def __init__(self, container: str) -> None:
        self._container = container
        super().__init__()

    def answer(self, request: Request) -> Answer:
        kind = {"Content-Type": request.headers["Content-Type"]}
        answer = httpx.post(f"{self._container}/invocations", content=request.body, headers=kind, timeout=60)
        if answer.is_success:
            return Answer(200, answer.content, JSON)
        return model_error(answer.status_code, answer.text)


@contextmanager
def behind_sagemaker(system: System, container: str) -> Iterator[None]:
    """Every SageMaker endpoint is this container meanwhile."""
    with Runtime(container) as runtime:
        variables = {REDIRECTED: runtime.url}
        with configured(system, {"Infer": variables, "Providers": variables}):
            yield
