"""A model of the tests' own: the jobs that meet it are answered by script (contract, 10)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from local.aws import client
from local.up import Stack
from tests.system.system import Json, System

REDIRECTED = "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"


class Model:
    """A SageMaker runtime whose endpoint answers by script: statuses and bodies in turn, then always the last one."""

    def __init__(self) -> None:
        self.requests: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self._script: list[tuple[int, Any]] = []
        self._lock = Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def says(self, *script: tuple[int, Any]) -> None:
        """Forgets what was asked, and answers like this from now on."""
        with self._lock:
            self.requests, self.headers, self._script = [], [], list(script)

    def project(self, system: System, *labels: str, items: int = 1) -> str:
        """A project whose jobs ask this model."""
        project = system.project(items, labels)
        system.provider(project, "own-model")
        return project

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        with self._lock:
            self.requests.append(json.loads(body))
            self.headers.append(headers)
            status, answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if status == 200:
            return status, answer
        # As the service passes on what a model's container refused.
        return 424, {"Message": "The model refused.", "OriginalStatusCode": status, "OriginalMessage": "no"}

    def _handler(model) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()} | {":path": self.path}
                status, answer = model._answer(body, headers)
                content = json.dumps(answer).encode()
                self.send_response(status)
                if status == 424:
                    self.send_header("X-Amzn-ErrorType", "ModelError")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Says nothing: the tests do."""

        return Handler


@contextmanager
def asked_instead(stack: Stack) -> Iterator[Model]:
    """The model that every job meets meanwhile."""
    function, functions = stack.outputs["InferFunctionName"], client("lambda")
    variables = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    model = Model()
    functions.update_function_configuration(
        FunctionName=function, Environment={"Variables": {**variables, REDIRECTED: model.url}}
    )
    yield model
    functions.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
    model.close()
