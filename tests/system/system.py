"""The deployed system as a test sees it: the API by plain HTTP, and AWS's own calls for what no client can see."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import httpx

from local import project, settings
from local.project import Project
from local.up import Stack

Json = dict[str, Any]

ACTIVE = ("pending", "running")
JOB_SECONDS = 120.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class System:
    """Calls that many tests make, and the waiting that goes with them."""

    stack: Stack
    api: httpx.Client

    # Projects, items, providers

    def project(self, items: int = 0, labels: tuple[str, ...] = project.LABELS) -> str:
        """A project whose items have no bytes behind them: enough for a model that does not look."""
        uid = str(self.ok("POST", "/projects/", {"name": "System test", "labels": labels})["uid"])
        for start in range(0, items, project.ITEMS_PER_CALL):
            numbers = range(start, min(start + project.ITEMS_PER_CALL, items))
            entries = [{"key": f"{n:05}.jpg", "asset_type": "image", "width": 640, "height": 480} for n in numbers]
            self.ok("POST", f"/projects/{uid}/items/", {"items": entries})
        return uid

    def load_project(self, items: int) -> str:
        """A project that the endpoint's load mode serves: a fixed latency, and predictions without a model."""
        uid = self.project(items)
        self.provider(uid, settings.LOAD_ENDPOINT)
        return uid

    def pictures(self, items: int | None = None) -> Project:
        """A project with the sample pictures, uploaded; with `items` so many, the pictures repeated."""
        return project.create(self.api, items, name="System test: pictures")

    def provider(self, project_uid: str, endpoint_name: str) -> str:
        """A SageMaker provider for this project alone."""
        config = {"endpoint_name": endpoint_name, "region": settings.REGION}
        body = {"name": endpoint_name, "provider_type": "sagemaker", "config": config, "project": project_uid}
        return str(self.ok("POST", "/inference-providers/", body)["uid"])

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
        """The job at its end; its counters are checked at every look (I2)."""
        before = self.job(uid)
        deadline = time.monotonic() + seconds
        while (now := self.job(uid))["status"] in ACTIVE:
            assert_counters_tell_the_truth(before, now)
            assert time.monotonic() < deadline, f"job {uid} is still {now['status']} after {seconds:.0f} s: {now}"
            before = now
            time.sleep(POLL_SECONDS)
        assert_counters_tell_the_truth(before, now)
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
        return dict(client("stepfunctions").describe_execution(executionArn=self.execution_arn(job)))

    def history(self, job: str) -> list[Json]:
        """Every event of the job's execution."""
        pages = client("stepfunctions").get_paginator("get_execution_history")
        return [event for page in pages.paginate(executionArn=self.execution_arn(job)) for event in page["events"]]

    def execution_arn(self, job: str) -> str:
        """The execution's name is the job's uid."""
        return self.stack.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:") + f":{job}"

    def batches(self, job: str) -> list[Json]:
        """The descriptors that the Map handed to its iterations."""
        entered = next(e for e in self.history(job) if e["type"] == "MapStateEntered")
        return list(json.loads(entered["stateEnteredEventDetails"]["input"])["batches"])

    def invoke_infer(self, batch: Json) -> Json:
        """Runs one batch by hand, beside or after the Map."""
        name = self.stack.outputs["InferFunctionName"]
        return dict(client("lambda").invoke(FunctionName=name, Payload=json.dumps(batch)))

    def objects(self, job: str, folder: str = "raw") -> dict[str, bytes]:
        """The objects that the job left in the bucket, by key."""
        s3, bucket = client("s3"), self.stack.outputs["BucketName"]
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"jobs/{job}/{folder}/").get("Contents", [])
        return {o["Key"]: s3.get_object(Bucket=bucket, Key=o["Key"])["Body"].read() for o in listed}


def client(service: str) -> Any:
    """A boto3 client of the emulator, as the account's own root."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=settings.EMULATOR_URL,
        region_name=settings.REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def assert_counters_tell_the_truth(before: Json, now: Json) -> None:
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
