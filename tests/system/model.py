"""A model of the tests' own: the jobs that meet it are answered by script (contract, 10)."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from local.aws import client
from local.up import Stack
from tests.system.server import Answer, Request, Server, json_answer
from tests.system.system import Json, System

REDIRECTED = "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"


class Model(Server):
    """A SageMaker runtime whose endpoint answers by script: statuses and bodies in turn, then always the last one."""

    def __init__(self) -> None:
        self.requests: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self._script: list[tuple[int, Any]] = []
        self._lock = Lock()
        super().__init__()

    def says(self, *script: tuple[int, Any]) -> None:
        """Forgets what was asked, and answers like this from now on."""
        with self._lock:
            self.requests, self.headers, self._script = [], [], list(script)

    def project(self, system: System, *labels: str, items: int = 1) -> str:
        """A project whose jobs ask this model."""
        project = system.project(items, labels)
        system.provider(project, "own-model")
        return project

    def answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request.json())
            self.headers.append(
                {name.lower(): value for name, value in request.headers.items()} | {":path": request.path}
            )
            status, body = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if status == 200:
            return json_answer(body)
        return model_error(status, "no")


def model_error(status: int, message: str) -> Answer:
    """As the service passes on what a model's container refused."""
    refusal = {"Message": "The model refused.", "OriginalStatusCode": status, "OriginalMessage": message}
    return json_answer(refusal, 424, X_Amzn_ErrorType="ModelError")


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
