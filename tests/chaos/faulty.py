"""Puts the fault proxies between a running stack and AWS, and takes them away again.

The stack stays as it is. What changes is the configuration of its functions: an endpoint for each service
(`AWS_ENDPOINT_URL_…` beats the emulator's own `AWS_ENDPOINT_URL`), and a name in the user agent, so that a rule can be
about one function.
"""

import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from local import counts, processes, settings
from local.aws import client
from local.processes import Service
from local.up import Stack
from tests.chaos.schedule import REFUSED

Json = dict[str, Any]

READY_SECONDS = 15.0
SERVICES = ("DYNAMODB", "S3", "SFN", "SQS", "KMS")
MODEL = "SAGEMAKER_RUNTIME"
NAME = "AWS_SDK_UA_APP_ID"
# So that what waits for these in production waits for seconds here.
STALE_SECONDS = 15
VISIBILITY_SECONDS = 5
TICK_SECONDS = 4.0


class Concurrency:
    """The reserved concurrency of functions: none of it refuses every invocation, as `TooManyRequestsException`."""

    def __init__(self, stack: Stack) -> None:
        self._names = {function: stack.outputs[f"{function}FunctionName"] for function in REFUSED}
        self._functions = client("lambda")
        self._before = {function: self._reserved(name) for function, name in self._names.items()}
        self._refusing: Counter[str] = Counter()
        self._lock = threading.Lock()

    def refuse(self, function: str, seconds: float) -> None:
        """Lambda refuses to invoke the function for so long. Those of several callers add up to the last of them."""
        with self._lock:
            self._refusing[function] += 1
            self._functions.put_function_concurrency(FunctionName=self._names[function], ReservedConcurrentExecutions=0)
        time.sleep(seconds)
        with self._lock:
            self._refusing[function] -= 1
            if not self._refusing[function]:
                self._restore(function)

    def restore(self) -> None:
        """As it was."""
        with self._lock:
            for function in self._names:
                self._restore(function)

    def _restore(self, function: str) -> None:
        name, before = self._names[function], self._before[function]
        if before is None:
            self._functions.delete_function_concurrency(FunctionName=name)
        else:
            self._functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=before)

    def _reserved(self, name: str) -> int | None:
        answer = self._functions.get_function_concurrency(FunctionName=name)
        reserved = answer.get("ReservedConcurrentExecutions")
        return None if reserved is None else int(reserved)


@dataclass(frozen=True)
class Faults:
    """The two proxies, and Lambda's room."""

    aws: httpx.Client
    model: httpx.Client
    concurrency: Concurrency

    def begin(self, scope: str, names: list[str], of_aws: list[Json], of_model: list[Json]) -> None:
        """From now on the calls about these uids meet the rules."""
        for proxy, rules in ((self.aws, of_aws), (self.model, of_model)):
            proxy.post(f"/_chaos/{scope}", json={"names": names, "rules": rules}).raise_for_status()

    def forbid(self, scope: str, path: str, is_forbidden: bool) -> None:
        """From now on ingest may not read an object, or may again."""
        body = {"path": path, "is_forbidden": is_forbidden}
        self.aws.put(f"/_chaos/{scope}/forbidden", json=body).raise_for_status()

    def has_fired(self, scope: str) -> bool:
        """Whether a rule about AWS has fired since the begin."""
        return bool(self.aws.get(f"/_chaos/{scope}").raise_for_status().json())

    def end(self, scope: str) -> list[Json]:
        """From now on they do not. Gives what fired: `name` and `at`, in order."""
        fired = [event for proxy in (self.aws, self.model) for event in proxy.delete(f"/_chaos/{scope}").json()]
        return sorted(fired, key=lambda event: float(event["at"]))


@contextmanager
def faulty(stack: Stack) -> Iterator[Faults]:
    """The stack with the proxies in the way of its functions."""
    with ExitStack() as undone:
        aws_url = _start("faults", settings.EMULATOR_URL, undone)
        model_url = _start("model-faults", settings.ENDPOINT_URL, undone)
        urls = {f"AWS_ENDPOINT_URL_{service}": aws_url for service in SERVICES}
        urls[f"AWS_ENDPOINT_URL_{MODEL}"] = model_url
        for function in counts.FUNCTIONS:
            undone.enter_context(_redirected(stack, function, urls))
        for name, url in stack.outputs.items():
            if name.endswith("QueueUrl") and "DeadLetter" not in name:
                undone.enter_context(_impatient_queue(url))
        undone.enter_context(_ticking(stack))
        concurrency = Concurrency(stack)
        undone.callback(concurrency.restore)
        aws = undone.enter_context(httpx.Client(base_url=aws_url, timeout=30))
        yield Faults(aws, undone.enter_context(httpx.Client(base_url=model_url, timeout=30)), concurrency)


def _start(name: str, upstream: str, undone: ExitStack) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*(sys.executable, "-m", "tests.chaos.proxy", "--port", str(port), "--upstream", upstream)]
    service = Service(name, port, [*command, "--parent", str(processes.pid("emulator"))], settings.aws_environment())
    processes.start(service)
    undone.callback(processes.stop, name)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/_chaos").is_success
        except httpx.TransportError:
            return False

    processes.wait_until_ready(service, answers, READY_SECONDS)
    return url


@contextmanager
def _redirected(stack: Stack, function: str, urls: dict[str, str]) -> Iterator[None]:
    functions, name = client("lambda"), stack.outputs[f"{function}FunctionName"]
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    changed = {**variables, **urls, NAME: function.lower()}
    if function == "Settle":
        changed["STALE_JOB_SECONDS"] = str(STALE_SECONDS)
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


@contextmanager
def _impatient_queue(url: str) -> Iterator[None]:
    """A message whose worker was killed comes again within seconds."""
    queues = client("sqs")
    before = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    queues.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)})
    try:
        yield
    finally:
        queues.set_queue_attributes(QueueUrl=url, Attributes=before)


@contextmanager
def _ticking(stack: Stack) -> Iterator[None]:
    """The schedules of settle and ingest, every few seconds."""
    done = threading.Event()
    event = json.dumps({"detail-type": "Scheduled Event", "detail": {}})

    def tick() -> None:
        lambdas, queues = client("lambda"), client("sqs")
        while not done.wait(TICK_SECONDS):
            # A round may fail: settle meets faults, too, and the next one makes up for it.
            with suppress(lambdas.exceptions.TooManyRequestsException):
                lambdas.invoke(FunctionName=stack.outputs["SettleFunctionName"], Payload=event)
            now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            body = {"source": "aws.events", "detail-type": "Scheduled Event", "time": now, "detail": {}}
            queues.send_message(QueueUrl=stack.outputs["UploadQueueUrl"], MessageBody=json.dumps(body))

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
