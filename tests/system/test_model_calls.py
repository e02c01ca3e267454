"""What a model is asked, and what becomes of its answers: the jobs of these tests meet a model of the test's own
(contract, 10)."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import pytest

from local.aws import client
from local.up import Stack
from tests.system.system import Json, System

REDIRECTED = "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"
BOX = {
    "type": "bounding_box",
    "label": "car",
    "confidence": 0.9,
    "coordinates": {"x": 1, "y": 2, "width": 30, "height": 40},
}
CIRCLE = {**BOX, "type": "circle"}


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


@pytest.fixture(scope="module")
def model(stack: Stack) -> Iterator[Model]:
    """The model that every job meets until the tests of this module are over."""
    function, functions = stack.outputs["InferFunctionName"], client("lambda")
    variables = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    model = Model()
    functions.update_function_configuration(
        FunctionName=function, Environment={"Variables": {**variables, REDIRECTED: model.url}}
    )
    yield model
    functions.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
    model.close()


def a_project(system: System, *labels: str, items: int = 1) -> str:
    project = system.project(items, labels)
    system.provider(project, "own-model")
    return project


@pytest.mark.contract("D27")
def test_sagemaker_is_sent_the_documented_request(system: System, model: Model) -> None:
    model.says((200, {"annotations": [BOX]}))
    project = a_project(system, "car", "bus")
    (item,) = system.items(project)

    job = system.run(project, model_type="sam3")

    (request,) = model.requests
    (headers,) = model.headers
    assert job["status"] == "completed"
    assert headers[":path"] == "/endpoints/own-model/invocations"
    assert headers["content-type"] == "application/json"
    assert request.pop("asset_url").startswith("http")
    assert request.pop("model_type") == "sam3"
    assert request == {
        "asset_id": item["uid"],
        "asset_type": "image",
        "width": 640,
        "height": 480,
        "labels": ["car", "bus"],
    }


@pytest.mark.contract("D25")
@pytest.mark.parametrize(
    ("of_project", "of_job", "sent"),
    [(("car", "bus"), [], ["car", "bus"]), (("car", "bus"), ["bus"], ["bus"]), ((), ["tram"], ["tram"]), ((), [], [])],
)
def test_a_model_is_sent_the_labels_of_the_job_or_else_of_the_project(
    system: System, model: Model, of_project: tuple[str, ...], of_job: list[str], sent: list[str]
) -> None:
    model.says((200, {"annotations": []}))

    system.run(a_project(system, *of_project), labels=of_job)

    assert [request["labels"] for request in model.requests] == [sent]


@pytest.mark.contract("D26")
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_model_that_is_busy_is_asked_again(system: System, model: Model, status: int) -> None:
    model.says((status, {}), (status, {}), (200, {"annotations": [BOX]}))

    job = system.run(a_project(system, "car"))

    assert (job["successful_items"], len(model.requests)) == (1, 3)


@pytest.mark.contract("D26")
def test_a_model_that_stays_busy_is_asked_three_times(system: System, model: Model) -> None:
    model.says((503, {}))

    job = system.run(a_project(system, "car"))

    assert (job["failed_items"], len(model.requests)) == (1, 3)


@pytest.mark.contract("D26")
@pytest.mark.parametrize("status", [400, 500])
def test_a_model_that_refuses_is_asked_once(system: System, model: Model, status: int) -> None:
    model.says((status, {}))

    job = system.run(a_project(system, "car"))

    assert (job["failed_items"], len(model.requests)) == (1, 1)


@pytest.mark.contract("D28")
def test_a_malformed_prediction_is_dropped_and_noted(system: System, model: Model) -> None:
    model.says((200, {"annotations": [CIRCLE, BOX, {**BOX, "confidence": "high"}]}))

    job = system.run(project := a_project(system, "car"))

    assert (job["status"], job["successful_items"], job["summary"]["predictions"]) == ("completed", 1, 1)
    (draft,) = system.results(project, job["uid"])
    assert [annotation["confidence"] for annotation in draft["annotations"]] == [0.9]
    (note,) = job["summary"]["errors"]
    assert (note["item"], "annotations[0].type" in note["message"]) == (draft["item"], True)


@pytest.mark.contract("D28", "D12")
def test_an_answer_with_nothing_well_formed_fails_its_item_and_an_empty_one_skips_it(
    system: System, model: Model
) -> None:
    answers: list[Any] = [{"annotations": [CIRCLE]}, {"annotations": []}, {}, {"annotations": None}, []]
    outcomes = []
    for answer in answers:
        model.says((200, answer))
        job = system.run(a_project(system, "car"))
        outcomes.append((job["status"], job["failed_items"], job["skipped_items"]))

    failed, skipped = ("failed", 1, 0), ("completed", 0, 1)
    assert outcomes == [failed, skipped, failed, failed, failed]
