"""I11: a secret that is given to the system, or made by it, is nowhere to be found in the clear.

Searched are all answers, logs, rows, objects, messages and executions.
"""

import base64
import gzip
import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from local import aws
from local.aws import client
from tests.system.conftest import NewTenant
from tests.system.scenario import Walk, walked

Stores = dict[str, list[bytes]]


@pytest.fixture(scope="module")
def walk(new_tenant: NewTenant) -> Iterator[Walk]:
    began_ms = int(time.time() * 1_000)
    with walked(new_tenant()) as walk:
        # The emulator logs a function's last line with its next invocation.
        for path in ("/projects/", "/auto-label-jobs/", "/inference-providers/", "/webhooks/"):
            walk.ok("GET", path)
        walk.stores = stores(walk, began_ms)
        yield walk


def stores(walk: Walk, began_ms: int) -> Stores:
    """All that is kept, by where it is kept."""
    return {
        "answers": [raw(answer.headers.raw, answer.content) for answer in walk.answers],
        "webhooks": [delivery.body for delivery in walk.received],
        "logs": logs(began_ms),
        "rows": [raw(item) for item in rows(walk.system.stack.outputs["TableName"])],
        "executions": executions(walk),
        "messages": messages(),
        "objects": objects(walk),
    }


def raw(*values: Any) -> bytes:
    """Bytes to search; bytes inside, such as binary attributes, are kept as they are."""
    found = bytearray()
    for value in values:
        match value:
            case bytes():
                found += value
            case dict():
                found += b"\n".join(raw(key, inner) for key, inner in value.items())
            case list() | tuple() | set():
                found += b"\n".join(raw(inner) for inner in value)
            case _:
                found += (bytes(value.value) if hasattr(value, "value") else str(value).encode()) + b"\n"
    return bytes(found)


def logs(began_ms: int) -> list[bytes]:
    """Every line that was logged since, by whatever function, the gateway and the state machine too."""
    logs = client("logs")
    groups = [g["logGroupName"] for p in logs.get_paginator("describe_log_groups").paginate() for g in p["logGroups"]]
    pages = logs.get_paginator("filter_log_events")
    return [
        event["message"].encode()
        for group in groups
        for page in pages.paginate(logGroupName=group, startTime=began_ms)
        for event in page["events"]
    ]


def rows(table: str) -> Iterator[dict[str, Any]]:
    """Every row. The product never scans; a search for what must not be there has to."""
    for page in client("dynamodb").get_paginator("scan").paginate(TableName=table):
        yield from page["Items"]


def executions(walk: Walk) -> list[bytes]:
    machine = walk.system.stack.outputs["StateMachineArn"]
    return [
        json.dumps([walk.system.execution(job), aws.history(machine, job)], default=str).encode() for job in walk.jobs
    ]


def messages() -> list[bytes]:
    """What lies on any queue, dead letters too. It is read and left there."""
    sqs = client("sqs")
    found = []
    for url in sqs.list_queues().get("QueueUrls", []):
        for _ in range(500):
            received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=30)
            if not received.get("Messages"):
                break
            found += [json.dumps(message).encode() for message in received["Messages"]]
    return found


def objects(walk: Walk) -> list[bytes]:
    s3, bucket = client("s3"), walk.system.stack.outputs["BucketName"]
    found = []
    for prefix in (f"projects/{walk.project}/", *(f"jobs/{job}/" for job in walk.jobs)):
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
            content = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            found.append(entry["Key"].encode() + b"\n" + unpacked(content))
    return found


def unpacked(content: bytes) -> bytes:
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def spellings(secret: str) -> set[bytes]:
    """A secret as it is, and as it may appear inside JSON, a URL, or base64 at any of its three offsets."""
    text = secret.encode()
    inside_base64 = {base64.b64encode(b"\0" * offset + text)[4:-4] for offset in range(3)}
    return {text, text.hex().encode(), json.dumps(secret)[1:-1].encode(), *inside_base64}


def is_in(secret: str, kept: list[bytes]) -> bool:
    return any(spelling in content for content in kept for spelling in spellings(secret))


STORES = ("answers", "webhooks", "logs", "rows", "executions", "messages", "objects")


@pytest.mark.parametrize("store", STORES)
def test_no_secret_is_kept_in_the_clear(walk: Walk, store: str) -> None:
    found = [secret[:12] for secret in walk.all_secrets if is_in(secret, walk.stores[store])]

    assert not found, f"beginning with {found}"


@pytest.mark.parametrize("store", STORES)
def test_what_is_no_secret_is_found_there(walk: Walk, store: str) -> None:
    """The search does search: each store has something of this very walk."""
    finished = walk.jobs[0]
    canary = {
        "answers": walk.project,
        "webhooks": finished,
        "logs": finished,
        "rows": walk.project,
        "executions": finished,
        "messages": walk.dead_letter,
        "objects": walk.item,
    }[store]

    assert is_in(canary, walk.stores[store]), f"{canary} is nowhere in {len(walk.stores[store])} {store}"


def test_the_search_finds_a_secret_in_any_spelling() -> None:
    secret = 'sesame "open", ünïcode'

    for hidden in (
        secret.encode(),
        json.dumps({"a": [secret]}).encode(),
        b"Authorization: Basic " + base64.b64encode(b"user:" + secret.encode()),
        base64.b64encode(secret.encode() + b"!"),
        secret.encode().hex().encode(),
    ):
        assert is_in(secret, [b"nothing", hidden]), hidden
    assert not is_in(secret, [b"sesame"])


@pytest.mark.contract("D2")
def test_a_key_is_long_and_unlike_any_other_and_only_its_hash_is_a_row(walk: Walk, new_tenant: NewTenant) -> None:
    key, other = walk.system.stack.key, new_tenant().stack.key

    assert key.startswith("avk_") and len(key) >= len("avk_") + 32
    assert key.replace("-", "").replace("_", "").isalnum()
    assert key != other
    assert is_in(hashlib.sha256(key.encode()).hexdigest(), walk.stores["rows"])
