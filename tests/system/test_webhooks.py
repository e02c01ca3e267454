"""Webhooks: every event is delivered (I6; contract, 9)."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
import standardwebhooks.webhooks

from local.aws import client
from local.receiver import DELIVERED_SECONDS, Delivery, Receiver
from tests.system.conftest import Subscription, subscribed
from tests.system.interceptor import configured
from tests.system.system import Json, System, assert_refused

pytestmark = pytest.mark.takes(60)

# What a receiver has for its answer (contract, 9.4).
ANSWER_SECONDS = 10.0


@pytest.mark.contract("D20", "D21")
def test_a_completed_job_is_delivered_once_and_signed(system: System, subscription: Subscription) -> None:
    project = system.project()
    job = system.run(project)

    delivery = subscription.receiver.of_job(job["uid"])

    assert delivery is not None
    assert delivery.event == "auto_label.completed"
    assert delivery.is_signed_with(subscription.secret)
    assert not delivery.is_signed_with("another secret")
    assert delivery.payload == {
        "job_uid": job["uid"],
        "project_uid": project,
        "status": "completed",
        "total_items": 0,
        "successful": 0,
        "failed": 0,
        "skipped": 0,
        "dry_run": False,
    }
    assert subscription.receiver.next(seconds=2) is None


def test_the_delivery_is_on_record(system: System, subscription: Subscription) -> None:
    job = system.run(system.project())
    delivery = subscription.receiver.of_job(job["uid"])
    assert delivery is not None

    record = wait_for_record(system, subscription, "delivered")

    assert record["uid"] == delivery.uid
    assert (record["event_type"], record["payload"]) == ("auto_label.completed", delivery.payload)
    assert (record["attempts"], record["response_status"], record["next_retry_at"]) == (1, 200, None)


@pytest.mark.contract("D23")
def test_a_refused_delivery_is_repeated_byte_by_byte(system: System, failing_subscription: Subscription) -> None:
    job = system.run(system.project())
    receiver = failing_subscription.receiver

    attempts = [receiver.of_job(job["uid"]) for _ in range(3)]

    assert len({(a.uid, a.body, a.signature) for a in attempts if a}) == 1
    assert None not in attempts
    record = wait_for_record(system, failing_subscription, "delivered")
    assert record["attempts"] == 3


@pytest.mark.contract("D23")
def test_a_receiver_that_is_down_for_three_attempts_gets_its_event_on_the_fourth(system: System) -> None:
    with listening(system, answers=(503, 503, 503)) as subscription:
        job = system.run(system.project())

        attempts = [subscription.receiver.of_job(job["uid"]) for _ in range(4)]

        assert None not in attempts
        assert len({(a.uid, a.body) for a in attempts if a}) == 1
        record = wait_for_record(system, subscription, "delivered")
        assert record["attempts"] == 4
        assert subscription.receiver.next(seconds=1) is None


@pytest.mark.contract("D23")
@pytest.mark.takes(25)
def test_a_receiver_that_never_answers_holds_up_no_other_and_its_event_is_a_dead_letter_until_redelivered(
    system: System, subscription: Subscription
) -> None:
    """Two attempts, each of which is waited for as long as the contract says."""
    twice = {"Deliver": {"WEBHOOK_RETRY_SECONDS": "1"}}
    with configured(system, twice), socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        body = {"target_url": f"http://127.0.0.1:{port}/hook", "events": ["auto_label.completed"]}
        silent = system.ok("POST", "/webhooks/", body, expect=201)["uid"]
        began = time.monotonic()
        job = system.run(system.project())["uid"]

        assert subscription.receiver.of_job(job) is not None
        assert time.monotonic() - began < ANSWER_SECONDS, "one that does not answer delays no other"
        (record,) = wait_for_records(system, silent, "failed", seconds=60)

    assert (record["attempts"], record["response_status"], record["next_retry_at"]) == (2, None, None)
    assert {"V1": {"delivery": record["uid"]}} in dead_letters(system)
    with Receiver(port) as receiver:
        system.ok("POST", f"/webhook-deliveries/{record['uid']}/redeliver/", expect=202)
        received = receiver.of_job(job)
        assert received is not None
        assert received.uid == record["uid"]
        wait_for_records(system, silent, "delivered")
    system.api.delete(f"/webhooks/{silent}/")


def test_the_published_library_verifies_a_delivery(system: System, subscription: Subscription) -> None:
    delivery = delivery_of_a_job(system, subscription)

    verified = standardwebhooks.Webhook(subscription.secret).verify(delivery.body, dict(delivery.headers))

    assert verified["payload"] == delivery.payload
    assert delivery.headers["webhook-id"] == delivery.uid
    another = standardwebhooks.Webhook("whsec_" + "A" * 44)
    with pytest.raises(standardwebhooks.WebhookVerificationError, match="No matching signature"):
        another.verify(delivery.body, dict(delivery.headers))


@pytest.mark.parametrize("secret", ["a secret of the client's own", "whsec_c2l4dGVlbiBhdCBsZWFzdA=="])
def test_the_published_library_verifies_with_a_secret_of_the_clients_own(system: System, secret: str) -> None:
    with listening(system, secret=secret) as subscription:
        delivery = delivery_of_a_job(system, subscription)

    key: Any = secret if secret.startswith("whsec_") else secret.encode()
    assert standardwebhooks.Webhook(key).verify(delivery.body, dict(delivery.headers))
    assert delivery.is_signed_with(secret)


def test_the_published_library_refuses_a_replay(
    system: System, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = delivery_of_a_job(system, subscription)
    headers, library = dict(delivery.headers), standardwebhooks.Webhook(subscription.secret)

    fresh = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}
    with pytest.raises(standardwebhooks.WebhookVerificationError, match="No matching signature"):
        library.verify(delivery.body, fresh)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Later":
            return super().now(tz) + timedelta(minutes=10)

    monkeypatch.setattr(standardwebhooks.webhooks, "datetime", Later)
    with pytest.raises(standardwebhooks.WebhookVerificationError, match="too old"):
        library.verify(delivery.body, headers)


def test_a_delivery_is_repeated_on_request(system: System, subscription: Subscription) -> None:
    first = delivery_of_a_job(system, subscription)
    wait_for_record(system, subscription, "delivered")

    asked = system.ok("POST", f"/webhook-deliveries/{first.uid}/redeliver/", expect=202)
    second = subscription.receiver.next()

    assert second is not None
    assert (asked["uid"], asked["status"], asked["attempts"]) == (first.uid, "pending", 0)
    assert (second.uid, second.body, second.signature) == (first.uid, first.body, first.signature)
    assert wait_for_record(system, subscription, "delivered")["attempts"] == 1


def test_a_delivery_that_is_gone_is_not_repeated(system: System, subscription: Subscription) -> None:
    uid = delivery_of_a_job(system, subscription).uid
    wait_for_record(system, subscription, "delivered")
    system.ok("PATCH", f"/webhooks/{subscription.uid}/", {"is_active": False})

    for _ in range(2):
        refused = system.api.post(f"/webhook-deliveries/{uid}/redeliver/")
        assert_refused(refused, 409, naming="deleted or deactivated", code="not_redeliverable")
        system.api.delete(f"/webhooks/{subscription.uid}/")
    assert_refused(system.api.post("/webhook-deliveries/nothing/redeliver/"), 404)


def test_a_cancelled_job_is_delivered_to_its_subscribers(system: System, subscription: Subscription) -> None:
    with listening(system, events=["auto_label.cancelled"]) as asking:
        job = system.start(system.load_project(items=1_500))
        for _ in range(2):
            assert system.api.delete(f"/auto-label-jobs/{job['uid']}/").status_code == 204

        received = asking.receiver.of_job(job["uid"])

        assert received is not None
        assert received.event == "auto_label.cancelled"
        assert (received.payload["status"], received.payload["project_uid"]) == ("cancelled", job["project"])
        assert asking.receiver.next(seconds=2) is None
    assert subscription.receiver.of_job(job["uid"], seconds=1) is None


@pytest.mark.contract("D19")
def test_other_events_are_refused(system: System) -> None:
    body = {"target_url": "https://receiver.example/hook", "events": ["auto_label.started"]}

    complaint = assert_refused(system.api.post("/webhooks/", json=body), 400, naming="auto_label.started")

    assert "auto_label.cancelled" in complaint["errors"]["events"][0]


def test_a_delivery_whose_message_is_lost_is_sent_by_the_next_sweep(system: System, subscription: Subscription) -> None:
    """I6."""
    with system.no_deliveries():
        job = system.run(system.project())["uid"]
        (record,) = records_of(system, subscription.uid)
        client("sqs").purge_queue(QueueUrl=system.stack.outputs["WebhookQueueUrl"])
    assert subscription.receiver.of_job(job, seconds=3) is None

    system.age_in_outbox(record["uid"])
    system.settle()

    delivery = subscription.receiver.of_job(job)
    assert delivery is not None
    assert delivery.uid == record["uid"]
    wait_for_record(system, subscription, "delivered")
    system.settle()
    assert subscription.receiver.next(seconds=2) is None


def test_the_secret_is_shown_once(system: System, subscription: Subscription) -> None:
    shown = system.ok("GET", f"/webhooks/{subscription.uid}/")
    listed = [w for w in system.rows("/webhooks/") if w["uid"] == subscription.uid]

    assert "secret" not in shown
    assert listed == [shown]


@contextmanager
def listening(system: System, answers: tuple[int, ...] = (), **options: Any) -> Iterator[Subscription]:
    """A webhook with these options, whose server gives these answers first."""
    with Receiver(answers=answers) as receiver:
        yield from subscribed(system, receiver, **options)


def delivery_of_a_job(system: System, subscription: Subscription) -> Delivery:
    """The delivery of the end of a new job."""
    delivery = subscription.receiver.of_job(system.run(system.project())["uid"])
    assert delivery is not None
    return delivery


def dead_letters(system: System) -> list[Json]:
    """What lies in the dead-letter queue. It stays there."""
    queue, url = client("sqs"), system.stack.outputs["DeadLetterQueueUrl"]
    letters: list[Json] = []
    while received := queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=5).get("Messages"):
        letters += [json.loads(message["Body"]) for message in received]
    return letters


def records_of(system: System, subscription: str) -> list[Json]:
    """The delivery records of this subscription."""
    return list(system.rows(f"/webhook-deliveries/?subscription={subscription}"))


def wait_for_record(system: System, subscription: Subscription, status: str) -> Json:
    """The one delivery record of this subscription, once it has this status."""
    (record,) = wait_for_records(system, subscription.uid, status)
    return record


def wait_for_records(system: System, subscription: str, status: str, seconds: float = DELIVERED_SECONDS) -> list[Json]:
    """The delivery records of this subscription, once there is one and it has this status."""
    deadline = time.monotonic() + seconds
    while True:
        records = records_of(system, subscription)
        if [r["status"] for r in records] == [status]:
            return records
        assert time.monotonic() < deadline, records
        time.sleep(0.2)
