"""Cancelling a job (I7; contract, 6.6)."""

import time

import pytest

from tests.system.conftest import Subscription
from tests.system.system import Json, System, assert_refused

ITEMS = 1_500
SETTLED_SECONDS = 3.0


def test_a_cancel_in_the_middle_keeps_what_was_processed_and_counts_it(
    system: System, subscription: Subscription
) -> None:
    project = system.load_project(ITEMS)
    job = system.start(project)["uid"]
    system.wait_for(job, processed=100)

    cancelled = system.api.delete(f"/auto-label-jobs/{job}/")
    shown = system.job(job)
    next_job = system.create(project, dry_run=True)

    assert (cancelled.status_code, cancelled.content) == (204, b"")
    assert shown["status"] == "cancelled"
    assert shown["completed_at"]
    assert next_job.status_code == 202, "a new job starts at once"
    assert system.execution(job)["status"] == "ABORTED"

    settled = settled_counters(system, job)
    assert settled["processed_items"] < ITEMS
    assert len(system.results(project, job)) == settled["successful_items"]
    assert settled["status"] == "cancelled"
    # Only two events exist, and this end is neither.
    assert subscription.receiver.of_job(job, seconds=2) is None
    system.api.delete(f"/auto-label-jobs/{next_job.json()['uid']}/")


@pytest.mark.contract("D13")
def test_cancelling_twice_is_no_error_and_a_finished_job_cannot_be_cancelled(system: System) -> None:
    project = system.load_project(items=500)
    job = system.start(project)["uid"]

    assert [system.api.delete(f"/auto-label-jobs/{job}/").status_code for _ in range(2)] == [204, 204]

    finished = system.run(system.project())["uid"]
    refused = system.api.delete(f"/auto-label-jobs/{finished}/")
    assert_refused(refused, 409, naming="Job is already completed.", code="job_finished")


def settled_counters(system: System, job: str) -> Json:
    """The job once nothing has moved for a while: items that were in flight may still be stored (contract, 6.6)."""
    before, since = system.job(job), time.monotonic()
    while time.monotonic() - since < SETTLED_SECONDS:
        time.sleep(0.2)
        now = system.job(job)
        if now != before:
            before, since = now, time.monotonic()
    return before
