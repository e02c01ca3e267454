"""Lambda ends chains of messages from a function to the queue that invokes it after 16 rounds; ours are allowed.

The emulator counts rounds by the trace header as Lambda does (`local/emulator_patches.py`). A delivery that is due in
a moment, and a moment later in another one, is sent on by `deliver` each time.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from local import counts
from local.aws import client
from tests.system.conftest import Subscription
from tests.system.system import System
from tests.system.test_webhooks import wait_for_record

# More than Lambda allows, at a message a second. `deliver` reads the delivery once a round.
ROUNDS = 18
ROUNDS_SECONDS = 60.0
DELIVERED_SECONDS = 10.0
LOST_SECONDS = 3.0


@contextmanager
def recursive_loop(system: System, setting: str) -> Iterator[None]:
    lambdas, name = client("lambda"), system.stack.outputs["DeliverFunctionName"]
    before = lambdas.get_function_recursion_config(FunctionName=name)["RecursiveLoop"]
    lambdas.put_function_recursion_config(FunctionName=name, RecursiveLoop=setting)
    try:
        yield
    finally:
        lambdas.put_function_recursion_config(FunctionName=name, RecursiveLoop=before)


def test_the_template_allows_the_chains_of_four_functions(system: System) -> None:
    config = client("lambda").get_function_recursion_config
    outputs = system.stack.outputs
    loops = {name: config(FunctionName=outputs[f"{name}FunctionName"])["RecursiveLoop"] for name in counts.FUNCTIONS}
    assert {name for name, loop in loops.items() if loop == "Allow"} == {"Adopt", "Compose", "Deliver", "Ingest"}


@pytest.mark.parametrize(("setting", "arrives"), [("Allow", True), ("Terminate", False)])
@pytest.mark.takes(25)
def test_a_delivery_is_sent_on_more_often_than_lambda_would_let_it(
    system: System, subscription: Subscription, setting: str, arrives: bool
) -> None:
    subscription.receiver.answer(500)  # and then 200: the second attempt is the one that is put off
    with recursive_loop(system, setting):
        job = system.run(system.project())["uid"]
        assert subscription.receiver.of_job(job) is not None
        uid = wait_for_record(system, subscription, "pending")["uid"]
        since, deadline = counts.calls_so_far(), time.monotonic() + ROUNDS_SECONDS
        while not (has_gone_round(system, since) if arrives else uid in dead_letters(system)):
            assert time.monotonic() < deadline, "the chain neither went on nor ended"
            put_off(system, uid, timedelta(seconds=1))
            time.sleep(0.4)

        delivery = subscription.receiver.of_job(job, seconds=DELIVERED_SECONDS if arrives else LOST_SECONDS)

    assert (delivery is not None) == arrives
    if not arrives:
        # What the schedule makes up for, a minute or more later and with an alarm.
        system.age_in_outbox(uid)
        system.settle()
        assert subscription.receiver.of_job(job) is not None


def has_gone_round(system: System, since: int) -> bool:
    return counts.calls_of(system.stack, "Deliver", since)["GetItem"] >= ROUNDS


def put_off(system: System, delivery: str, by: timedelta) -> None:
    """As if the next attempt was due a moment later."""
    # As the functions write it, or a claim would find another time than the one it has read.
    due = (datetime.now(UTC) + by).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".") + "Z"
    client("dynamodb").update_item(
        TableName=system.stack.outputs["TableName"],
        Key={"pk": {"S": f"DELIVERY#{delivery}"}, "sk": {"S": "DELIVERY"}},
        UpdateExpression="SET next_retry_at = :due",
        ConditionExpression="#status = :pending",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":due": {"S": due}, ":pending": {"S": "pending"}},
    )


def dead_letters(system: System) -> str:
    """The bodies of all dead letters, which stay there."""
    sqs, url = client("sqs"), system.stack.outputs["DeadLetterQueueUrl"]
    bodies = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=5).get("Messages"):
        bodies += [message["Body"] for message in messages]
    return "".join(bodies)
