"""The deployed system as a test sees it: the API by plain HTTP, and AWS's own calls for what no client can see."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from local import aws, project
from local.aws import client
from local.project import Project
from local.up import Stack

Json = dict[str, Any]

ACTIVE = ("pending", "running")
JOB_SECONDS = 120.0
POLL_SECONDS = 0.1
# Polls take processor time from the job: they become rarer.
MOST_POLL_SECONDS = 0.4
# A poll of a queue that the emulator has begun ends in less.
POLLED_SECONDS = 3.0


@dataclass(frozen=True)
class System:
    """Calls that many tests make, and the waiting that goes with them."""

    stack: Stack
    api: httpx.Client

    # Projects, items, providers

    def project(self, items: int = 0, labels: tuple[str, ...] = project.LABELS) -> str:
        """A project whose items have no bytes behind them: enough for a model that reads no file."""
        return project.create_bare(self.api, items, "System test", labels)

    def load_project(self, items: int) -> str:
        """A project that the endpoint's load mode serves: a fixed latency, and predictions without a model."""
        return project.create_load(self.api, items, "System test: load")

    def pictures(self, items: int | None = None) -> Project:
        """A project with the sample pictures, uploaded; with `items` so many, the pictures repeated."""
        return project.create(self.api, items, name="System test: pictures")

    def provider(self, project_uid: str, endpoint_name: str, **config: Any) -> str:
        """A SageMaker provider for this project alone."""
        return project.add_provider(self.api, project_uid, endpoint_name, **config)

    # Jobs

    def create(self, project_uid: str, **options: Any) -> httpx.Response:
        """The bare answer to a create call."""
        return self.api.post(f"/projects/{project_uid}/auto-label/", json=options)

    def start(self, project_uid: str, **options: Any) -> Json:
        """A new job; anything but 202 fails the test."""
        return self.ok("POST", f"/projects/{project_uid}/auto-label/", options, expect=202)

    def job(self, uid: str) -> Json:
        """The job now."""
        return self.ok("GET", f"/auto-label-jobs/{uid}/")

    def finished(self, uid: str, seconds: float = JOB_SECONDS) -> Json:
        """The job at its end; its counters are checked at every poll (I2)."""
        before = self.job(uid)
        deadline, pause = time.monotonic() + seconds, POLL_SECONDS
        while (now := self.job(uid))["status"] in ACTIVE:
            assert_counters_are_exact(before, now)
            assert time.monotonic() < deadline, f"job {uid} is still {now['status']} after {seconds:.0f} s: {now}"
            before = now
            time.sleep(pause)
            pause = min(1.2 * pause, MOST_POLL_SECONDS)
        assert_counters_are_exact(before, now)
        return now

    def run(self, project_uid: str, **options: Any) -> Json:
        """Starts a job and gives it at its end."""
        return self.finished(self.start(project_uid, **options)["uid"])

    def wait_for(self, uid: str, processed: int, seconds: float = JOB_SECONDS) -> Json:
        """The running job as soon as it has so many outcomes."""
        deadline = time.monotonic() + seconds
        while (now := self.job(uid))["processed_items"] < processed:
            assert now["status"] in ACTIVE, f"job {uid} ended first: {now}"
            assert time.monotonic() < deadline, f"job {uid} has only {now['processed_items']} outcomes"
            time.sleep(POLL_SECONDS)
        return now

    def exported(self, uid: str, seconds: float = JOB_SECONDS) -> Json:
        """The export at its end."""
        deadline = time.monotonic() + seconds
        while (now := self.ok("GET", f"/exports/{uid}/"))["status"] in ("pending", "processing"):
            assert time.monotonic() < deadline, f"export {uid} is still {now['status']}: {now}"
            time.sleep(POLL_SECONDS)
        return now

    def imported(self, project_uid: str, uid: str, seconds: float = JOB_SECONDS) -> Json:
        """The import at its end."""
        deadline = time.monotonic() + seconds
        while (now := self.ok("GET", f"/projects/{project_uid}/imports/{uid}/"))["status"] in ("pending", "processing"):
            assert time.monotonic() < deadline, f"import {uid} is still {now['status']}: {now}"
            time.sleep(POLL_SECONDS)
        return now

    def results(self, project_uid: str, job: str) -> list[Json]:
        """Every result that the job left."""
        return list(self.rows(f"/projects/{project_uid}/results/?job={job}"))

    def items(self, project_uid: str) -> list[Json]:
        """Every item of the project."""
        return list(self.rows(f"/projects/{project_uid}/items/"))

    def rows(self, path: str) -> Iterator[Json]:
        """Every row of a paged list, by its own `next` links."""
        page = self.ok("GET", path)
        yield from page["results"]
        while page["next"]:
            page = self.ok("GET", page["next"])
            yield from page["results"]

    def ok(self, method: str, path: str, body: Json | None = None, expect: int | None = None) -> Json:
        """The body of a successful answer; anything else fails the test."""
        response = self.api.request(method, path, json=body)
        wanted = response.is_success if expect is None else response.status_code == expect
        assert wanted, f"{method} {path}: {response.status_code} {response.text}"
        return dict(response.json())

    # What only AWS's own calls show

    def execution(self, job: str) -> Json:
        """The execution that carries the job."""
        arn = aws.execution_arn(self.stack.outputs["StateMachineArn"], job)
        return dict(client("stepfunctions").describe_execution(executionArn=arn))

    def batches(self, job: str) -> list[Json]:
        """The descriptors that the Map handed to its iterations."""
        return aws.batches(aws.history(self.stack.outputs["StateMachineArn"], job))

    def invoke_infer(self, batch: Json) -> Json:
        """Runs one batch by hand, beside or after the Map."""
        name = self.stack.outputs["InferFunctionName"]
        return dict(client("lambda").invoke(FunctionName=name, Payload=json.dumps(batch)))

    @contextmanager
    def no_deliveries(self) -> Iterator[None]:
        """No message is taken from the webhook queue meanwhile."""
        lambdas, name = client("lambda"), self.stack.outputs["DeliverFunctionName"]
        mappings = lambdas.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        for mapping in mappings:
            lambdas.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        time.sleep(POLLED_SECONDS)
        try:
            yield
        finally:
            for mapping in mappings:
                lambdas.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    @contextmanager
    def refused_invocations(self, *functions: str) -> Iterator[None]:
        """These functions, as `Infer`, have no concurrency meanwhile: every invocation is throttled."""
        lambdas, names = client("lambda"), [self.stack.outputs[f"{name}FunctionName"] for name in functions]
        for name in names:
            lambdas.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        try:
            yield
        finally:
            for name in names:
                lambdas.delete_function_concurrency(FunctionName=name)

    def age_in_outbox(self, delivery: str) -> None:
        """Makes the delivery due, as if no worker had claimed it for long."""
        key = {"pk": {"S": f"DELIVERY#{delivery}"}, "sk": {"S": "DELIVERY"}}
        due = {":due": {"S": f"{0:016}#{delivery}"}}
        table = self.stack.outputs["TableName"]
        client("dynamodb").update_item(
            TableName=table, Key=key, UpdateExpression="SET active_sk = :due", ExpressionAttributeValues=due
        )

    def settle(self) -> None:
        """A round of settle, as the schedule makes it."""
        name, tick = self.stack.outputs["SettleFunctionName"], {"detail-type": "Scheduled Event", "detail": {}}
        answer = client("lambda").invoke(FunctionName=name, Payload=json.dumps(tick))
        assert "FunctionError" not in answer, answer["Payload"].read()

    def objects(self, job: str, folder: str = "raw") -> dict[str, bytes]:
        """The objects that the job left in the bucket, by key."""
        s3, bucket = client("s3"), self.stack.outputs["BucketName"]
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"jobs/{job}/{folder}/").get("Contents", [])
        return {o["Key"]: s3.get_object(Bucket=bucket, Key=o["Key"])["Body"].read() for o in listed}


def assert_counters_are_exact(before: Json, now: Json) -> None:
    """I2, as far as a client can see it."""
    parts = ("successful_items", "failed_items", "skipped_items")
    assert now["processed_items"] == sum(now[part] for part in parts)
    assert now["processed_items"] <= now["total_items"]
    for counter in (*parts, "processed_items"):
        assert now[counter] >= before[counter], f"{counter} went down: {before[counter]} -> {now[counter]}"


def assert_refused(response: httpx.Response, status: int, *, naming: str = "", code: str | None = None) -> Json:
    """An error in the contract's form: JSON, a `detail` sentence that every client shows, no internals."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/json")
    body: Json = response.json()
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert naming in body["detail"]
    assert code is None or body["code"] == code
    return body
