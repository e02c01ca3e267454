"""Nothing lost, nothing twice, nothing stuck, whatever fails (I1 to I7, I12). `make chaos` runs it long."""

import time

import psutil
import pytest

from local import aws, processes
from local.up import Stack
from tests.chaos import run
from tests.chaos.play import asked_since
from tests.chaos.schedule import KILLED, NO_PROCESS, Deed, Kind
from tests.system.system import Json, System

SCHEDULES = 25
SEED = 20_262_564
ITEMS = 500
# The state machine repeats a task five times, so a sixth kill might end the job.
# Each time after so many calls of the model, so that workers are at work; more than 100 of them commit something.
KILLED_AFTER = (110, 60, 110, 60, 110)
RETRIED_SECONDS = 120.0


@pytest.mark.takes(65)
def test_no_schedule_of_faults_breaks_an_invariant(stack: Stack) -> None:
    report = run.run(stack, SCHEDULES, SEED)

    print(f"\n{report}")
    assert not report.broken, "replay one with: make chaos SCHEDULES=1 SEED=…"
    struck = {kind for kind in Kind if report.fired[kind]}
    assert Kind.FORBIDDEN in struck
    # These seeds have nine, each at least four times.
    assert len(struck) >= 8, "most kinds of faults must have struck for the rest to mean something"
    assert struck.issuperset(KILLED)
    assert report.fired[NO_PROCESS] < sum(report.fired[kind] for kind in KILLED), "most kills must find their process"
    assert report.fired.total() >= SCHEDULES
    assert {"completed", "failed", "cancelled"} <= set(report.statuses)
    assert set(Deed) == set(report.deeds)
    assert min(report.files[kind] for kind in ("changed", "unreadable", "jobs by uploads")) >= 1


@pytest.mark.takes(30)
def test_a_job_whose_workers_are_all_killed_five_times_completes_with_exact_counts(system: System) -> None:
    project = system.load_project(ITEMS)
    job = system.start(project)["uid"]

    for calls in KILLED_AFTER:
        wait_for_calls(calls)
        wait_for_an_outcome(system, job)  # the first chunk is asked about, and perhaps not committed yet
        died_before = len(exits(system, job))
        killed = kill_workers(system)
        wait_for_exits(system, job, died_before + 1)
        now = system.job(job)
        print(f"\n{killed} processes killed in the middle: {now['processed_items']} of {ITEMS} items had an outcome")
        assert killed >= 1
        assert 0 < now["processed_items"] < ITEMS
    finished = system.finished(job, RETRIED_SECONDS)

    counters = [finished[f"{name}_items"] for name in ("total", "processed", "failed")]
    assert (finished["status"], counters) == ("completed", [ITEMS, ITEMS, 0])
    drafts = system.results(project, job)
    assert len(drafts) == len({draft["item"] for draft in drafts}) == finished["successful_items"]
    assert len(exits(system, job)) >= len(KILLED_AFTER)


def wait_for_calls(number: int) -> None:
    """Until the model has been asked so often from now on."""
    deadline, before = time.monotonic() + RETRIED_SECONDS, asked_since(0)[1]
    while asked_since(0)[1] < before + number:
        assert time.monotonic() < deadline, "the workers did not begin again"
        time.sleep(0.02)


def wait_for_an_outcome(system: System, job: str) -> None:
    deadline = time.monotonic() + RETRIED_SECONDS
    while not system.job(job)["processed_items"]:
        assert time.monotonic() < deadline, "nothing is committed"
        time.sleep(0.02)


def kill_workers(system: System) -> int:
    """Kills every process that runs `infer`: those of this stack's emulator, and no others. Gives how many."""
    emulator = processes.pid("emulator")
    assert emulator is not None
    name, killed = system.stack.outputs["InferFunctionName"], 0
    for child in psutil.Process(emulator).children():
        try:
            if child.environ().get("AWS_LAMBDA_FUNCTION_NAME") == name:
                child.kill()
                killed += 1
        except psutil.Error:
            continue  # it has ended by itself
    return killed


def wait_for_exits(system: System, job: str, number: int) -> None:
    deadline = time.monotonic() + 10
    while len(exits(system, job)) < number:
        assert time.monotonic() < deadline, "no worker was at work when all of them were killed"
        time.sleep(0.1)


def exits(system: System, job: str) -> list[Json]:
    """The tasks of the job's execution that failed because their process was gone."""
    history = aws.history(system.stack.outputs["StateMachineArn"], job)
    failed = [event["taskFailedEventDetails"] for event in history if event["type"] == "TaskFailed"]
    return [details for details in failed if details["error"] == "Runtime.ExitError"]
