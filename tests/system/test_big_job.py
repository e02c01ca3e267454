"""500 items against the endpoint's load mode: counts, budgets, batches that run twice (I1, I2; design.md, 4 and 9)."""

import json
from dataclasses import dataclass
from threading import Thread

import pytest

from local import settings
from local.receiver import Delivery, Receiver
from tests.system import conftest
from tests.system.system import Json, System

ITEMS = 500
STEPS = ("Plan", "Infer", "Finalize", "Deliver")


@dataclass(frozen=True)
class BigJob:
    """A finished job and what came of it."""

    project: str
    job: Json
    deliveries: list[Delivery]
    calls: list[Json]


@pytest.fixture(scope="module")
def big(system: System) -> BigJob:
    project = system.load_project(ITEMS)
    seen = len(calls_of_the_table())
    with Receiver() as receiver:
        for _ in conftest.subscribed(system, receiver):
            job = system.run(project)
            first = receiver.of_job(job["uid"])
            second = receiver.of_job(job["uid"], seconds=3)
    return BigJob(project, job, [d for d in (first, second) if d], calls_of_the_table()[seen:])


def test_the_counters_add_up(big: BigJob) -> None:
    job = big.job

    assert (job["status"], job["total_items"], job["processed_items"]) == ("completed", ITEMS, ITEMS)
    assert job["progress_pct"] == 100.0
    assert job["failed_items"] == 0


def test_there_is_one_draft_per_successful_item(system: System, big: BigJob) -> None:
    drafts = system.results(big.project, big.job["uid"])

    assert len(drafts) == len({draft["item"] for draft in drafts}) == big.job["successful_items"]
    assert {draft["item"] for draft in drafts} <= {item["uid"] for item in system.items(big.project)}


def test_there_is_exactly_one_webhook(big: BigJob) -> None:
    assert [d.event for d in big.deliveries] == ["auto_label.completed"]
    assert big.deliveries[0].payload["total_items"] == ITEMS


def test_running_every_batch_again_changes_nothing(system: System, big: BigJob) -> None:
    before = everything_of(system, big)

    for batch in system.batches(big.job["uid"]):
        system.invoke_infer(batch)

    assert everything_of(system, big) == before


def test_batches_that_run_twice_at_once_count_once(system: System) -> None:
    project = system.load_project(ITEMS)
    job = system.start(project)["uid"]
    system.wait_for(job, processed=1)

    doubles = [Thread(target=system.invoke_infer, args=(batch,)) for batch in system.batches(job)]
    for double in doubles:
        double.start()
    finished = system.finished(job)
    for double in doubles:
        double.join()

    assert (finished["status"], finished["processed_items"]) == ("completed", ITEMS)
    assert len(system.results(project, job)) == finished["successful_items"]
    assert system.job(job) == finished


def test_an_item_costs_at_most_four_write_units(system: System, big: BigJob) -> None:
    units = sum(call["write_units"] for call in calls_by(system, big, (*STEPS, "Jobs")))

    print(f"\n{units / ITEMS:.2f} write units per item")
    assert units / ITEMS <= 4


def test_a_thousand_items_cost_at_most_150_calls_of_the_table(system: System, big: BigJob) -> None:
    calls = calls_by(system, big, STEPS)

    print(f"\n{1_000 * len(calls) / ITEMS:.0f} DynamoDB calls per 1,000 items")
    assert 1_000 * len(calls) / ITEMS <= 150


def test_a_thousand_items_cost_at_most_15_state_transitions(system: System, big: BigJob) -> None:
    """AWS counts each step that is carried out, a retry as one more; with the start and the end of the execution."""
    events = [event["type"] for event in system.history(big.job["uid"])]
    steps = events.count("TaskScheduled") + events.count("MapStateEntered") + 2

    print(f"\n{1_000 * steps / ITEMS:.0f} state transitions per 1,000 items")
    assert 1_000 * steps / ITEMS <= 15


def everything_of(system: System, big: BigJob) -> list[object]:
    """All that a repeated batch could have changed."""
    job = big.job["uid"]
    told = [d for d in system.rows("/webhook-deliveries/") if d["payload"].get("job_uid") == job]
    results = sorted(system.results(big.project, job), key=lambda result: str(result["uid"]))
    return [system.job(job), results, system.objects(job), told]


def calls_of_the_table() -> list[Json]:
    """What the emulator's meter has written so far (local/meter.py)."""
    return [json.loads(line) for line in settings.DYNAMODB_CALLS_FILE.read_text().splitlines()]


def calls_by(system: System, big: BigJob, functions: tuple[str, ...]) -> list[Json]:
    names = {system.stack.outputs[f"{function}FunctionName"] for function in functions}
    return [call for call in big.calls if call["caller"] in names]
