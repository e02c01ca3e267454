"""Files that are put into the bucket past the API, and the events of S3 about them."""

import io
import json
import random
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from local import settings
from local.aws import client
from tests.system.system import Json, System

UPLOADED_SECONDS = 60.0
POLL_SECONDS = 0.3
AT_ONCE = 10  # connections that a client keeps


def a_picture(number: int = 0) -> bytes:
    """A small PNG, 16 pixels high, unlike that of any other number."""
    content = io.BytesIO()
    Image.new("RGB", (8 + number % 100, 16), (number % 256, number // 256 % 256, 7)).save(content, "png")
    return content.getvalue()


def put(system: System, project: str, files: dict[str, bytes]) -> None:
    """Puts files below the project's prefix, by calls of S3 alone."""
    s3, bucket = client("s3"), system.stack.outputs["BucketName"]

    def upload(entry: tuple[str, bytes]) -> None:
        s3.put_object(Bucket=bucket, Key=f"projects/{project}/{entry[0]}", Body=entry[1])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(upload, files.items()))


def delete(system: System, project: str, key: str) -> None:
    """Deletes a file."""
    client("s3").delete_object(Bucket=system.stack.outputs["BucketName"], Key=f"projects/{project}/{key}")


def labeling(system: System, **setting: Any) -> str:
    """A project that labels what is uploaded, by the endpoint's load mode."""
    project = system.load_project(0)
    system.ok("PATCH", f"/projects/{project}/", {"auto_label_on_upload": {"quiet_seconds": 3, **setting}})
    return project


def items(system: System, project: str, count: int, seconds: float = UPLOADED_SECONDS) -> dict[str, Json]:
    """The project's items by their keys, as soon as there are so many."""
    deadline = time.monotonic() + seconds
    while (counted := system.ok("GET", f"/projects/{project}/")["item_count"]) < count:
        assert time.monotonic() < deadline, f"only {counted} items after {seconds:.0f} s"
        time.sleep(POLL_SECONDS)
    found = system.items(project)
    assert len(found) == count
    return {item["key"]: item for item in found}


def jobs(system: System, project: str) -> list[Json]:
    """The project's jobs that uploads have caused, the oldest first."""
    found = system.rows(f"/auto-label-jobs/?project={project}&ordering=created_at")
    return [job for job in found if job["trigger"] == "upload"]


def finished_jobs(system: System, project: str, taking: int, seconds: float = UPLOADED_SECONDS) -> list[Json]:
    """Those jobs, as soon as they have taken so many items and ended."""
    deadline = time.monotonic() + seconds
    while True:
        found = jobs(system, project)
        if sum(job["processed_items"] for job in found) >= taking and all(job["completed_at"] for job in found):
            return found
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: {found}"
        time.sleep(POLL_SECONDS)


def event(system: System, key: str, *, kind: str = "Object Created", **described: Any) -> str:
    """An event of S3 about an object, as EventBridge brings it."""
    about = {"key": key, "size": 100, "etag": uuid.uuid4().hex, "sequencer": "1", **described}
    detail = {"bucket": {"name": system.stack.outputs["BucketName"]}, "object": about}
    return json.dumps({"source": "aws.s3", "detail-type": kind, "time": "2026-11-22T10:00:00Z", "detail": detail})


def send(system: System, bodies: list[str]) -> None:
    """Sends messages to the queue of uploads."""
    sqs, url = client("sqs"), system.stack.outputs["UploadQueueUrl"]
    for start in range(0, len(bodies), 10):
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)


def wait_until_heard(system: System, seconds: float = UPLOADED_SECONDS) -> None:
    """Waits until the queue of uploads is empty. Its own delayed requests for a check count as messages."""
    deadline = time.monotonic() + seconds
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    while True:
        asked = client("sqs").get_queue_attributes(
            QueueUrl=system.stack.outputs["UploadQueueUrl"], AttributeNames=names
        )["Attributes"]
        if not any(int(count) for count in asked.values()):
            return
        assert time.monotonic() < deadline, f"still there: {asked}"
        time.sleep(POLL_SECONDS)


def empty_queue(system: System) -> None:
    """Removes what tests before have left in the queue of uploads: a failed message is unseen for six minutes."""
    client("sqs").purge_queue(QueueUrl=system.stack.outputs["UploadQueueUrl"])


@dataclass
class Events:
    """The events of S3, as they came."""

    bodies: list[str] = field(default_factory=list)

    def twice_and_shuffled(self, seed: int) -> list[str]:
        """Every event two times more, in no order."""
        bodies = self.bodies * 2
        random.Random(seed).shuffle(bodies)
        return bodies


@contextmanager
def overheard(system: System, project: str, at_least: int = 0) -> Iterator[Events]:
    """Keeps the events of the project's objects while the block runs; at its end all are there, at least so many."""
    sqs, events, name = client("sqs"), client("events"), f"overheard-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {
        "source": ["aws.s3"],
        "detail": {
            "bucket": {"name": [system.stack.outputs["BucketName"]]},
            "object": {"key": [{"prefix": f"projects/{project}/"}]},
        },
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])
    kept = Events()
    try:
        yield kept
        deadline = time.monotonic() + UPLOADED_SECONDS
        while (
            got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        ) or len(kept.bodies) < at_least:
            assert time.monotonic() < deadline, f"only {len(kept.bodies)} events"
            if not got:
                continue
            kept.bodies += [message["Body"] for message in got]
            entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(got)]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    finally:
        events.remove_targets(Rule=name, Ids=["1"])
        events.delete_rule(Name=name)
        sqs.delete_queue(QueueUrl=url)


@contextmanager
def unheard(system: System) -> Iterator[None]:
    """No event of S3 reaches the queue of uploads meanwhile."""
    events = client("events")
    bucket = system.stack.outputs["BucketName"]
    (name,) = (
        rule["Name"]
        for rule in events.list_rules()["Rules"]
        if "Object Deleted" in rule.get("EventPattern", "") and bucket in rule["EventPattern"]
    )
    events.disable_rule(Name=name)
    try:
        yield
    finally:
        events.enable_rule(Name=name)


def aws_environment() -> dict[str, str]:
    """For the AWS command line: the emulator, and nothing of the caller's own."""
    return settings.aws_environment()
