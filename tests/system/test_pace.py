"""How a job meets its endpoint: as much of it as there is, never more than was allowed (issue 4; decision 0013)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local import aws
from local.aws import client
from local.load import LoadEndpoint
from tests.system.system import Json, System

pytestmark = pytest.mark.alone

LIMIT = 10
LATENCY_MS = 50


@contextmanager
def reconfigured(system: System, function: str, timeout: int | None = None, **variables: str) -> Iterator[None]:
    """A function of another deployment: with another timeout, or other settings."""
    functions, name = client("lambda"), system.stack.outputs[f"{function}FunctionName"]
    before = functions.get_function_configuration(FunctionName=name)
    environment = before["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name, Timeout=timeout or before["Timeout"], Environment={"Variables": environment | variables}
    )
    yield
    functions.update_function_configuration(
        FunctionName=name, Timeout=before["Timeout"], Environment={"Variables": environment}
    )


def project_of(system: System, endpoint: LoadEndpoint, items: int, **config: Any) -> str:
    """A project whose jobs ask this endpoint."""
    project = system.project(items)
    system.provider(project, endpoint.name, **config)
    return project


def after_the_first(seconds: float, calls: list[Json]) -> list[Json]:
    """The calls that began later."""
    begin = calls[0]["began_at"] + 1_000 * seconds
    return [call for call in calls if call["began_at"] >= begin]


def refused(calls: list[Json]) -> float:
    """The share of them that the endpoint had no room for."""
    return sum(int(call["status"] == 429) for call in calls) / len(calls)


@pytest.mark.contract("D26")
def test_an_endpoint_with_less_room_than_configured_is_filled_and_not_flooded_and_loses_no_item(system: System) -> None:
    endpoint = LoadEndpoint().change(latency=LATENCY_MS, slots=64, capacity=4)

    job = system.run(project_of(system, endpoint, items=500))

    assert (job["status"], job["processed_items"], job["failed_items"]) == ("completed", 500, 0)
    calls = endpoint.calls()
    later = after_the_first(1, calls)
    print(f"\nrefused: {refused(calls):.1%} of {len(calls)} calls, {refused(later):.1%} after the first second")
    assert len({call["asset_id"] for call in calls}) == 500
    assert any(call["status"] == 429 for call in calls), "it did find out where the end is"
    assert refused(later) < 0.05


def test_room_that_comes_and_goes_is_followed(system: System) -> None:
    endpoint = LoadEndpoint().change(latency=LATENCY_MS, slots=64, capacity=12)
    job = system.start(project_of(system, endpoint, items=900))["uid"]
    for processed, capacity in ((300, 4), (500, 12)):
        system.wait_for(job, processed=processed)
        endpoint.change(capacity=capacity)

    finished = system.finished(job)

    assert (finished["status"], finished["processed_items"], finished["failed_items"]) == ("completed", 900, 0)
    later = after_the_first(1, endpoint.calls())
    print(f"\nrefused: {refused(later):.1%} of {len(later)} calls after the first second")
    assert refused(later) < 0.05


@pytest.mark.parametrize(("workers", "slots_each", "items"), [(1, 64, 250), (3, 4, 750), (10, 1, 2_500)])
def test_no_more_calls_are_at_the_endpoint_than_its_provider_allows_whatever_the_workers(
    system: System, workers: int, slots_each: int, items: int
) -> None:
    endpoint = LoadEndpoint().change(latency=LATENCY_MS, slots=64)
    project = project_of(system, endpoint, items, max_concurrency=LIMIT)

    with reconfigured(system, "Plan", WORKERS="10", SLOTS_PER_WORKER=str(slots_each)):
        job = system.run(project)

    batches = system.batches(job["uid"])
    assert (job["status"], job["processed_items"]) == ("completed", items)
    assert (len(batches), sum(batch["slots"] for batch in batches)) == (workers, LIMIT)
    load = endpoint.load()
    assert load["calls"] == items
    assert load["max_in_flight"] == LIMIT, "all that is allowed, and not one more at any instant"


def test_a_batch_longer_than_a_lambda_is_continued_and_asks_nothing_twice(system: System) -> None:
    endpoint = LoadEndpoint().change(latency=LATENCY_MS, slots=64)
    project = project_of(system, endpoint, items=400, max_concurrency=2)

    # Of 145 seconds the last 140 are kept for calls that take their time: this one has five.
    with reconfigured(system, "Infer", timeout=145):
        job = system.run(project)

    assert (job["status"], job["processed_items"], job["failed_items"]) == ("completed", 400, 0)
    events = aws.history(system.stack.outputs["StateMachineArn"], job["uid"])
    tasks = [event["type"] for event in events].count("TaskScheduled")
    assert tasks >= 4, "Plan, Finalize, and Infer at least twice"
    load = endpoint.load()
    assert (load["calls"], load["max_in_flight"]) == (400, 2), "no round's calls come on top of the one before"


def test_a_job_whose_first_items_all_fail_alike_is_ended_and_says_why(system: System) -> None:
    endpoint = LoadEndpoint().change(latency=LATENCY_MS, slots=64, failEvery=1)

    job = system.run(project_of(system, endpoint, items=500))

    assert job["status"] == "failed"
    assert job["error_message"].startswith("The first 20 items all failed alike, so the others were not tried.")
    assert job["error_message"].endswith(
        'The model answered status 400. The model\'s words: "The picture cannot be decoded".'
    )
    # What was asked is kept and counted.
    assert 20 <= job["failed_items"] == job["processed_items"] == endpoint.load()["calls"] < 60
    assert len(job["summary"]["errors"]) == 20


def test_fewer_items_than_twenty_are_all_tried(system: System) -> None:
    endpoint = LoadEndpoint().change(latency=LATENCY_MS, slots=64, failEvery=1)

    job = system.run(project_of(system, endpoint, items=19))

    assert (job["status"], job["failed_items"]) == ("failed", 19)
    assert job["error_message"].startswith("Every item failed.")
