"""A proxy between functions and one service of AWS: it does to calls what networks, crashes and throttling do."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psutil

from local import processes, settings
from local.aws import client
from tests.system.system import System

Harm = Callable[["Call"], bool]


class Call:
    """A call on its way to AWS."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.operation = handler.headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.body = body
        self._handler = handler

    def kill(self) -> bool:
        """The process that makes the call dies of it (SIGKILL); the call never arrives."""
        emulator = psutil.Process(processes.pid("emulator"))
        for process in emulator.children(recursive=True):
            if any(c.laddr == self._handler.client_address for c in process.net_connections(kind="tcp")):
                process.kill()
                return True
        raise AssertionError(f"no process makes the call {self.operation}")

    def throttle(self) -> bool:
        """The service is asked for too much."""
        self.answer(400, {"__type": "ProvisionedThroughputExceededException", "message": "Rate exceeded."})
        return True

    def answer(self, status: int, body: Any) -> None:
        """What the caller gets."""
        self.send(status, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode())

    def forward(self) -> None:
        """As if there was no proxy. The headers stay as they are, since they are signed."""
        upstream = http.client.HTTPConnection("127.0.0.1", settings.EMULATOR_PORT)
        upstream.request(self._handler.command, self._handler.path, self.body, dict(self._handler.headers.items()))
        response = upstream.getresponse()
        kept = ("content-type", "x-amzn-errortype")
        headers = {name: value for name, value in response.getheaders() if name.lower() in kept}
        self.send(response.status, headers, response.read())
        upstream.close()

    def send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        """An answer as it is."""
        self._handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        self._handler.wfile.write(content)


class Interceptor:
    """Passes calls on, unless `harm` has handled one and returns true."""

    def __init__(self, harm: Harm) -> None:
        self.harmed: list[str] = []  # the operations
        self._harm = harm
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(interceptor) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                call = Call(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))
                try:
                    if interceptor._harm(call):
                        interceptor.harmed.append(call.operation)
                    else:
                        call.forward()
                except ConnectionError:
                    self.close_connection = True  # the caller is gone

            def log_message(self, format: str, *arguments: Any) -> None:
                """Says nothing: the tests do."""

        return Handler


@contextmanager
def intercepted(system: System, service: str, functions: tuple[str, ...], harm: Harm) -> Iterator[Interceptor]:
    """What these functions ask of a service, such as `DYNAMODB`, goes through an interceptor meanwhile."""
    interceptor = Interceptor(harm)
    variables = {f"AWS_ENDPOINT_URL_{service}": interceptor.url}
    try:
        with configured(system, {function: variables for function in functions}):
            yield interceptor
    finally:
        interceptor.close()


@contextmanager
def configured(system: System, changes: dict[str, dict[str, str]]) -> Iterator[None]:
    """Functions have further variables in their environment meanwhile."""
    lambdas = client("lambda")
    before = {}
    for function, variables in changes.items():
        name = system.stack.outputs[f"{function}FunctionName"]
        before[name] = lambdas.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        lambdas.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**before[name], **variables}}
        )
    try:
        yield
    finally:
        for name, variables in before.items():
            lambdas.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
