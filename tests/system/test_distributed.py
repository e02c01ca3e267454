"""Batches that a Distributed Map works, each in an execution of its own (docs/decisions/0020)."""

import time
from collections.abc import Iterator

import pytest

from local import aws
from local.aws import client
from local.load import LoadEndpoint
from tests.system.conftest import Subscription
from tests.system.interceptor import configured
from tests.system.system import Json, System
from tests.system.test_cancel import settled_counters

BATCHES = 3
ITEMS = 250 * BATCHES  # no batch is smaller
CONCURRENCY = 64 * BATCHES  # a worker for each 64
LATENCY_MS = 2_000


@pytest.fixture(autouse=True)
def distributed(system: System) -> Iterator[None]:
    """A deployment that trusts an inline Map with no batch."""
    with configured(system, {"Plan": {"INLINE_BATCHES": "0"}}):
        yield


def project_of(system: System, endpoint: str = "autolabel-load") -> str:
    """A project whose jobs have several batches."""
    project = system.project(ITEMS)
    system.provider(project, endpoint, max_concurrency=CONCURRENCY)
    return project


def map_run(system: System, job: str) -> Json:
    """How Step Functions counts the batches of the job."""
    states = client("stepfunctions")
    execution = aws.execution_arn(system.stack.outputs["StateMachineArn"], job)
    (run,) = states.list_map_runs(executionArn=execution)["mapRuns"]
    return dict(states.describe_map_run(mapRunArn=run["mapRunArn"]))


def test_a_job_with_distributed_batches_is_a_job_like_any_other(system: System, subscription: Subscription) -> None:
    project = project_of(system)

    job = system.run(project)

    assert (job["status"], job["processed_items"], job["failed_items"]) == ("completed", ITEMS, 0)
    assert len(system.results(project, job["uid"])) == job["successful_items"] > 0
    run = map_run(system, job["uid"])
    assert (run["itemCounts"]["total"], run["itemCounts"]["succeeded"]) == (BATCHES, BATCHES)
    assert run["maxConcurrency"] == BATCHES
    # What is left of it is known from its plan, wherever its batches ran.
    assert system.execution(job["uid"])["status"] == "SUCCEEDED"
    delivery = subscription.receiver.of_job(job["uid"])
    assert delivery is not None
    assert delivery.event == "auto_label.completed"


def test_a_distributed_batch_that_is_refused_ends_the_job_and_says_why(
    system: System, subscription: Subscription
) -> None:
    project = project_of(system, "no-such-endpoint")

    job = system.run(project)

    assert job["status"] == "failed"
    assert "no-such-endpoint" in job["error_message"]
    assert system.create(project, dry_run=True).status_code == 202, "the project is free again"
    delivery = subscription.receiver.of_job(job["uid"])
    assert delivery is not None
    assert (delivery.event, delivery.payload["status"]) == ("auto_label.failed", "failed")
    assert subscription.receiver.of_job(job["uid"], seconds=2) is None, "one delivery"


def test_a_cancel_reaches_distributed_batches(system: System) -> None:
    """I7. What was asked until then is answered, and counted."""
    endpoint = LoadEndpoint().change(latency=LATENCY_MS, slots=CONCURRENCY)
    job = system.start(project_of(system, endpoint.name))["uid"]
    system.wait_for(job, processed=1)

    assert system.api.delete(f"/auto-label-jobs/{job}/").status_code == 204
    cancelled_at = 1_000 * time.time()

    assert system.execution(job)["status"] == "ABORTED"
    settled = settled_counters(system, job)
    began = [call["began_at"] for call in endpoint.calls()]
    late = max(began) - cancelled_at
    print(f"\n{len(began)} of {ITEMS} items asked about, the last one {late:.0f} ms after the answer to the cancel")
    assert late <= LATENCY_MS + 1_000
    assert settled["processed_items"] == len(began)
