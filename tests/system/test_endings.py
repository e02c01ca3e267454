"""No job stays stuck (I5), and every end of one is notified (I6), whatever becomes of its execution.

The watchdog's limit is seconds here, and its rounds come one after the other: each is the schedule's own event.
"""

import json
import os
import time
from collections.abc import Iterator

import pytest

from local import aws
from local.aws import client
from local.load import LoadEndpoint
from tests.system.conftest import Subscription
from tests.system.interceptor import Call, configured, intercepted
from tests.system.system import ACTIVE, Json, System

pytestmark = pytest.mark.takes(80)

STALE_SECONDS = 3
# Two rounds, and the job's own time before it gets stuck.
FREE_SECONDS = 20.0
THROTTLED_SECONDS = float(os.environ.get("AUTOLABEL_THROTTLED_SECONDS", "8"))
# Twice as long as a transaction is tried again while a client waits.
REFUSED_SECONDS = 6.0
TABLE_USERS = ("Plan", "Infer", "Finalize", "Settle")


def killed(call: Call) -> bool:
    return call.kill()


@pytest.fixture
def hasty(system: System) -> Iterator[None]:
    """A watchdog that is patient for seconds."""
    with configured(system, {"Settle": {"STALE_JOB_SECONDS": str(STALE_SECONDS)}}):
        yield


@pytest.mark.usefixtures("hasty")
def test_a_job_whose_creator_dies_before_its_execution_starts_is_ended(
    system: System, subscription: Subscription
) -> None:
    project = system.project(items=2)
    with intercepted(system, "SFN", ("Jobs",), killed) as calls:
        assert system.create(project).status_code >= 500
        assert calls.harmed[:1] == ["StartExecution"]
    (job,) = system.rows(f"/auto-label-jobs/?project={project}")
    assert job["status"] == "pending"

    ended = ended_by_the_watchdog(system, job["uid"])

    assert (ended["status"], ended["started_at"]) == ("failed", None)
    assert "execution ended" in ended["error_message"]
    assert_notified_once(subscription, ended)
    assert_free(system, project)


@pytest.mark.usefixtures("hasty")
def test_a_job_whose_plan_crashes_each_time_is_stopped_and_ended(system: System, subscription: Subscription) -> None:
    project = system.project(items=2)
    with intercepted(system, "DYNAMODB", ("Plan",), killed) as calls:
        job = system.start(project)["uid"]
        ended = ended_by_the_watchdog(system, job)
        assert calls.harmed

    assert (ended["status"], ended["processed_items"]) == ("failed", 0)
    assert "no progress" in ended["error_message"]
    assert system.execution(job)["status"] == "ABORTED"
    assert_notified_once(subscription, ended)
    assert_free(system, project)


def test_a_plan_that_crashes_once_is_made_again(system: System, subscription: Subscription) -> None:
    project = system.load_project(items=20)
    crashes = iter([True])
    with intercepted(system, "DYNAMODB", ("Plan",), lambda call: next(crashes, False) and call.kill()) as calls:
        job = system.run(project)

    assert calls.harmed
    assert (job["status"], job["processed_items"]) == ("completed", 20)
    assert_notified_once(subscription, job)


def test_a_job_whose_execution_is_stopped_from_the_console_is_ended_at_once(
    system: System, subscription: Subscription
) -> None:
    """By the rule on executions: the schedule is not needed."""
    project = system.load_project(items=1_500)
    job = system.start(project)["uid"]
    system.wait_for(job, processed=50)

    arn = aws.execution_arn(system.stack.outputs["StateMachineArn"], job)
    client("stepfunctions").stop_execution(executionArn=arn, cause="by hand")
    ended = system.finished(job, seconds=10)

    assert ended["status"] == "failed"
    assert "ABORTED" in ended["error_message"]
    assert 0 < ended["processed_items"] < ended["total_items"]
    assert_notified_once(subscription, ended)
    assert_free(system, project)


def test_a_job_whose_execution_timed_out_is_ended(system: System, subscription: Subscription) -> None:
    """The emulator lets no execution run out of its time, so the event that AWS sends then comes by hand."""
    project = system.load_project(items=1_500)
    job = system.start(project)["uid"]
    system.wait_for(job, processed=50)
    detail = {
        "executionArn": aws.execution_arn(system.stack.outputs["StateMachineArn"], job),
        "stateMachineArn": system.stack.outputs["StateMachineArn"],
        "name": job,
        "status": "TIMED_OUT",
        "input": json.dumps({"job": job}),
    }
    event = {"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": detail}

    name = system.stack.outputs["SettleFunctionName"]
    client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    ended = system.job(job)

    assert ended["status"] == "failed"
    assert "TIMED_OUT" in ended["error_message"]
    assert_notified_once(subscription, ended)
    assert_free(system, project)


@pytest.mark.usefixtures("hasty")
def test_a_job_whose_finalize_crashes_each_time_has_completed_all_the_same(
    system: System, subscription: Subscription
) -> None:
    project = system.load_project(items=20)
    with intercepted(system, "DYNAMODB", ("Finalize",), killed) as calls:
        job = system.start(project)["uid"]
        system.wait_for(job, processed=20)
        ended = ended_by_the_watchdog(system, job)
        assert calls.harmed

    assert (ended["status"], ended["error_message"], ended["processed_items"]) == ("completed", None, 20)
    assert ended["summary"]["predictions"] > 0
    assert_notified_once(subscription, ended)
    assert_free(system, project)


def test_a_table_that_is_throttled_for_a_while_costs_a_job_nothing_but_time(
    system: System, subscription: Subscription
) -> None:
    """8 seconds; `make faults` throttles it for a minute."""
    project = system.load_project(items=500)
    throttled_until = time.monotonic() + 3_600

    def throttled(call: Call) -> bool:
        return began and time.monotonic() < throttled_until and call.throttle()

    began = False
    with intercepted(system, "DYNAMODB", TABLE_USERS, throttled) as calls:
        job = system.start(project)["uid"]
        system.wait_for(job, processed=20)
        began, throttled_until = True, time.monotonic() + THROTTLED_SECONDS
        ended = system.finished(job, seconds=THROTTLED_SECONDS + 240)
        assert calls.harmed

    assert (ended["status"], ended["processed_items"]) == ("completed", 500)
    outcomes = [line["item"] for line in system.rows(f"/auto-label-jobs/{job}/items/")]
    assert len(set(outcomes)) == len(outcomes) == 500, "I1"
    assert len(system.results(project, job)) == ended["successful_items"]
    assert_notified_once(subscription, ended)
    assert_free(system, project)


def test_a_chunk_that_a_throttled_table_refuses_is_asked_about_once_and_costs_no_attempt(system: System) -> None:
    """DynamoDB refuses a transaction if it has no room for one of its rows."""
    endpoint = LoadEndpoint().change(latency=20, slots=16)
    project = system.project(items=500)
    system.provider(project, endpoint.name, max_concurrency=16)
    commits: list[float] = []

    def refused(call: Call) -> bool:
        if call.operation != "TransactWriteItems":
            return False
        commits.append(time.monotonic())
        if commits[-1] > commits[0] + REFUSED_SECONDS:
            return False
        kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
        call.answer(400, {"__type": kind, "CancellationReasons": [{"Code": "None"}, {"Code": "ThrottlingError"}]})
        return True

    with intercepted(system, "DYNAMODB", ("Infer",), refused):
        job = system.run(project)

    assert commits[-1] > commits[0] + REFUSED_SECONDS
    assert (job["status"], job["processed_items"]) == ("completed", 500)
    assert len(endpoint.calls()) == 500
    history = aws.history(system.stack.outputs["StateMachineArn"], job["uid"])
    assert not [event for event in history if event["type"] == "TaskFailed"]


def ended_by_the_watchdog(system: System, job: str) -> Json:
    """The job after the round that ends it."""
    deadline = time.monotonic() + STALE_SECONDS + FREE_SECONDS
    while (now := system.job(job))["status"] in ACTIVE:
        assert time.monotonic() < deadline, f"job {job} is stuck: {now}"
        time.sleep(0.5)
        system.settle()
    return now


def assert_notified_once(subscription: Subscription, job: Json) -> None:
    """I6."""
    delivery = subscription.receiver.of_job(job["uid"])
    assert delivery is not None
    assert delivery.event == f"auto_label.{job['status']}"
    payload = delivery.payload
    assert (payload["successful"], payload["failed"], payload["skipped"]) == (
        job["successful_items"],
        job["failed_items"],
        job["skipped_items"],
    )
    assert subscription.receiver.of_job(job["uid"], seconds=1) is None


def assert_free(system: System, project: str) -> None:
    created = system.create(project, dry_run=True)
    assert created.status_code == 202
    system.api.delete(f"/auto-label-jobs/{created.json()['uid']}/")
