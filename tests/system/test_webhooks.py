"""Telling of a job's end (I6; contract, 9)."""

import time

import pytest

from tests.system.conftest import Subscription
from tests.system.system import Json, System


@pytest.mark.contract("D20", "D21")
def test_a_completed_job_is_told_once_and_signed(system: System, subscription: Subscription) -> None:
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


def test_a_refused_delivery_is_repeated_byte_by_byte(system: System, failing_subscription: Subscription) -> None:
    job = system.run(system.project())
    receiver = failing_subscription.receiver

    attempts = [receiver.of_job(job["uid"]) for _ in range(3)]

    assert len({(a.uid, a.body, a.signature) for a in attempts if a}) == 1
    assert None not in attempts
    record = wait_for_record(system, failing_subscription, "delivered")
    assert record["attempts"] == 3


def test_the_secret_is_shown_once(system: System, subscription: Subscription) -> None:
    shown = system.ok("GET", f"/webhooks/{subscription.uid}/")
    listed = [w for w in system.rows("/webhooks/") if w["uid"] == subscription.uid]

    assert "secret" not in shown
    assert listed == [shown]


def wait_for_record(system: System, subscription: Subscription, status: str) -> Json:
    """The one delivery record of this subscription, once it has this status."""
    deadline = time.monotonic() + 20
    while True:
        records = [r for r in system.rows("/webhook-deliveries/") if r["subscription"] == subscription.uid]
        if [r["status"] for r in records] == [status]:
            return records[0]
        assert time.monotonic() < deadline, records
        time.sleep(0.2)
