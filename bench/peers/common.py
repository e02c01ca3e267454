"""What the three scripts share: the items, the clients, the call of the model, and the form of a draft.

One process each: a Lambda of the size of `infer` has one processor. Clients are made once and
have a connection for each thread. The pictures are in a private bucket, so a model needs a signed URL to read one.
"""

import json
import os
from threading import BoundedSemaphore
from typing import Any

import boto3
from botocore.config import Config

SLOTS = int(os.environ["SLOTS"])
TABLE = os.environ["TABLE_NAME"]
BUCKET = os.environ["BUCKET_NAME"]
ENDPOINT = os.environ["MODEL_ENDPOINT"]
JOB = {"pk": {"S": "PEER"}, "sk": {"S": "JOB"}}
THRESHOLD = 0.5
# No more calls in flight than the endpoint has slots, as a job with that `max_concurrency`.
CALLS = BoundedSemaphore(SLOTS)

# Without the checks of parameters, which take a part of each call's time, and with a connection for each thread.
CONFIG = Config(max_pool_connections=SLOTS + 2, parameter_validation=False, tcp_keepalive=True)
SESSION = boto3.session.Session()
MODEL = SESSION.client("sagemaker-runtime", config=CONFIG)
DYNAMODB = SESSION.client("dynamodb", config=CONFIG)
S3 = SESSION.client("s3", config=CONFIG)

Item = dict[str, Any]


def items() -> list[Item]:
    """The lines of the job's manifest."""
    manifest = S3.get_object(Bucket=BUCKET, Key=os.environ["MANIFEST"])["Body"].read()
    return [json.loads(line) for line in manifest.splitlines()]


def predictions(item: Item) -> list[dict[str, Any]]:
    """What the model says about an item, from the threshold on."""
    request = {
        "asset_id": item["uid"],
        "asset_url": S3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": item["bucket"]}),
        "asset_type": item["type"],
        "width": item["width"],
        "height": item["height"],
        "labels": ["car", "person"],
        "model_type": "yolo",
    }
    body = json.dumps(request)
    with CALLS:
        answer = MODEL.invoke_endpoint(
            EndpointName=ENDPOINT, ContentType="application/json", Accept="application/json", Body=body
        )
        answered = answer["Body"].read()
    return [p for p in json.loads(answered)["annotations"] if p["confidence"] >= THRESHOLD]


def outcome(item: Item, annotations: list[dict[str, Any]]) -> Item:
    """A row: the draft of an item, or that there is none, so that it is known what became of each."""
    return {
        "pk": {"S": f"DRAFT#{item['uid']}"},
        "sk": {"S": "DRAFT"},
        "status": {"S": "draft" if annotations else "skipped"},
        "annotations": {"S": json.dumps(annotations)},
    }


def label(item: Item) -> None:
    """One item, from the question to the counter."""
    annotations = predictions(item)
    DYNAMODB.put_item(TableName=TABLE, Item=outcome(item, annotations))
    count(successful=int(bool(annotations)), skipped=int(not annotations))


def count(successful: int, skipped: int) -> None:
    """Adds to the job's counters."""
    DYNAMODB.update_item(
        TableName=TABLE,
        Key=JOB,
        UpdateExpression="ADD successful :successful, skipped :skipped",
        ExpressionAttributeValues={":successful": {"N": str(successful)}, ":skipped": {"N": str(skipped)}},
    )
