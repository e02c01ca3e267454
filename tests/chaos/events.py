"""The events of S3 while schedules are played, kept to be sent again; and the dead letters of ingest."""

import json
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.aws import client
from local.up import Stack

Json = dict[str, Any]


class Events:
    """The events of each project's objects, as they came."""

    def __init__(self) -> None:
        self._bodies: dict[str, list[str]] = defaultdict(list)
        self._lock = threading.Lock()

    def of(self, project: str) -> list[str]:
        with self._lock:
            return list(self._bodies[project])

    def keep(self, body: str) -> None:
        with self._lock:
            self._bodies[_object_of(body)[0]].append(body)


class UploadDeadLetters:
    """The messages that ingest gave up."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._objects: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def keys(self, project: str) -> set[str]:
        """The keys of the project's items of whose files an event was given up."""
        with self._lock:
            for body in _taken(self._url, wait_seconds=0):
                self._objects.add(_object_of(body))
            return {key for of, key in self._objects if of == project}


@contextmanager
def overheard(stack: Stack) -> Iterator[Events]:
    """Keeps the events of all projects' objects while the block runs."""
    sqs, events, name = client("sqs"), client("events"), f"chaos-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    about = {"bucket": {"name": [stack.outputs["BucketName"]]}, "object": {"key": [{"prefix": "projects/"}]}}
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.s3"], "detail": about}))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])
    heard, done = Events(), threading.Event()

    def listen() -> None:
        while not done.is_set():
            for body in _taken(url, wait_seconds=1):
                heard.keep(body)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield heard
    finally:
        done.set()
        thread.join()
        events.remove_targets(Rule=name, Ids=["1"])
        events.delete_rule(Name=name)
        sqs.delete_queue(QueueUrl=url)


def _taken(url: str, wait_seconds: int) -> Iterator[str]:
    """The messages of a queue, taken off it, until there are none."""
    sqs = client("sqs")
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds).get(
        "Messages"
    ):
        for message in got:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            yield message["Body"]


def _object_of(body: str) -> tuple[str, str]:
    """The project and the item's key that an event is about; both empty if it is about no project's object."""
    try:
        event = json.loads(body)
        _, project, key = event["detail"]["object"]["key"].split("/", 2)
    except (ValueError, KeyError, TypeError):
        return "", ""
    return str(project), str(key)
