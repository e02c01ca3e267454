"""500 items against the endpoint's load mode: counts, budgets, batches that run twice (I1, I2)."""

from dataclasses import dataclass
from threading import Thread

import pytest

from local import aws, counts
from local.counts import Costs
from local.receiver import Delivery, Receiver
from tests.system import conftest
from tests.system.system import Json, System

ITEMS = 500


@dataclass(frozen=True)
class BigJob:
    """A finished job and what came of it."""

    project: str
    job: Json
    deliveries: list[Delivery]
    costs: Costs


@pytest.fixture(scope="module")
def big(system: System) -> BigJob:
    project = system.load_project(ITEMS)
    before = counts.calls_so_far()
    with Receiver() as receiver:
        for _ in conftest.subscribed(system, receiver):
            job = system.run(project)
            first = receiver.of_job(job["uid"])
            second = receiver.of_job(job["uid"], seconds=3)
    return BigJob(project, job, [d for d in (first, second) if d], counts.costs(system.stack, job["uid"], before))


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


def test_a_draft_costs_hardly_more_than_three_write_units_and_all_else_nothing(big: BigJob) -> None:
    units, drafts = big.costs.write_units, big.job["successful_items"]

    print(f"\n{units / ITEMS:.2f} write units per item, {units / drafts:.2f} per draft")
    # Two for the row in a transaction and one for leaving an index (decision 0002). The budget is 4 an item.
    assert units <= 3.25 * drafts


def test_a_thousand_items_cost_at_most_150_calls_of_the_table(big: BigJob) -> None:
    calls = 1_000 * big.costs.calls.total() / ITEMS

    print(f"\n{calls:.0f} DynamoDB calls per 1,000 items")
    assert calls <= 150


def test_a_job_of_one_batch_makes_seven_transitions(big: BigJob) -> None:
    """The start, Plan, ChooseMap, Label, Infer, Finalize and the end, of 5,000 items as well, which are one batch too
    (domain/plan.rs): 1.4 for 1,000 items, where 5 are the budget."""
    assert big.costs.transitions == 7


def test_the_history_of_an_execution_is_short(system: System, big: BigJob) -> None:
    """5,000 items are one batch as well, and have the same history: 25 events on AWS, some less here."""
    events = aws.history(system.stack.outputs["StateMachineArn"], big.job["uid"])

    print(f"\n{len(events)} events")
    assert len(system.batches(big.job["uid"])) == 1
    assert len(events) <= 20


def everything_of(system: System, big: BigJob) -> list[object]:
    """All that a repeated batch could have changed."""
    job = big.job["uid"]
    deliveries = [d for d in system.rows("/webhook-deliveries/") if d["payload"].get("job_uid") == job]
    results = sorted(system.results(big.project, job), key=lambda result: str(result["uid"]))
    return [system.job(job), results, system.objects(job), deliveries]
