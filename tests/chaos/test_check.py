"""The checker can fail: each invariant is broken once, and found."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.check import violations
from tests.chaos.evidence import Cancelled, Evidence, ItemSeen, JobSeen, Look, Result, Reviewed, State, Told
from tests.chaos.schedule import schedule_of

ITEMS = ("a", "b", "c", "d", "e", "f")
JOB, OTHER, HOOK = "job-1", "job-2", "hook-1"
DRAFT = Result("draft", JOB, 0)
END = State("completed", total=5, successful=3, failed=1, skipped=1)
PAYLOAD = {"status": "completed", "total_items": 5, "successful": 3, "failed": 1, "skipped": 1}
BODY = json.dumps({"payload": PAYLOAD}).encode()


def healthy() -> Evidence:
    """A job over five items in two chunks: one failed, one a person labeled meanwhile. A sixth item came too late."""
    items = {uid: ItemSeen(uid, None) for uid in ITEMS}
    items["a"] = ItemSeen("a", Result("accepted", JOB, 1))
    items["b"] = ItemSeen("b", None, rejected=[Result("rejected", JOB, 1)])
    items["c"] = ItemSeen("c", DRAFT)
    items["e"] = ItemSeen("e", Result("accepted", None, 1, b"hers"))
    shown = {"total_items": 5, "successful_items": 3, "failed_items": 1, "skipped_items": 1, "processed_items": 5}
    job = JobSeen(
        JOB, END, shown, list("abcde"), {(0, 0): range(3), (0, 1): range(3, 5)}, {(0, 0): "sss", (0, 1): "fl"}
    )
    return Evidence(
        items=items,
        looks=[
            Look({JOB: State("pending", 0, 0, 0, 0)}, JOB),
            Look({JOB: State("running", 5, 3, 0, 0)}, JOB),
            Look({JOB: END}, None),
        ],
        jobs=[job],
        reviews=[Reviewed("a", "accept"), Reviewed("b", "reject"), Reviewed("e", "label", b"hers")],
        told=[Told("told-1", HOOK, JOB, "auto_label.completed", "delivered", BODY, [BODY, BODY], buried=False)],
        subscriptions=[HOOK],
        cancels=[],
        created=[JOB],
    )


def test_nothing_is_wrong_with_a_healthy_job() -> None:
    assert violations(healthy()) == []


def with_job(**changes: object) -> Callable[[Evidence], Evidence]:
    return lambda seen: replace(seen, jobs=[replace(seen.jobs[0], **changes)])  # type: ignore[arg-type]


def with_item(uid: str, *results: Result, rejected: tuple[Result, ...] = ()) -> Callable[[Evidence], Evidence]:
    item = ItemSeen(uid, results[0] if results else None, list(rejected))
    return lambda seen: replace(seen, items={**seen.items, uid: item})


def with_look(place: int, *states: State, holder: str | None = JOB) -> Callable[[Evidence], Evidence]:
    def changed(seen: Evidence) -> Evidence:
        looks = list(seen.looks)
        looks[place] = Look(dict(zip((JOB, OTHER), states, strict=False)), holder)
        return replace(seen, looks=looks)

    return changed


def with_told(**changes: object) -> Callable[[Evidence], Evidence]:
    return lambda seen: replace(seen, told=[replace(seen.told[0], **changes)])  # type: ignore[arg-type]


def cancelled(asked_after: list[str], status: str = "cancelled") -> Callable[[Evidence], Evidence]:
    """The job, cancelled; it tells nobody, and nothing but the model's log may speak against it."""

    def changed(seen: Evidence) -> Evidence:
        state = replace(END, status=status)
        jobs = [replace(seen.jobs[0], state=state)]
        looks = [*seen.looks[:-1], Look({JOB: state}, None)]
        told = [] if status == "cancelled" else seen.told
        return replace(seen, jobs=jobs, looks=looks, told=told, cancels=[Cancelled(JOB, asked_after)])

    return changed


def with_retry(planned: list[str]) -> Callable[[Evidence], Evidence]:
    """Another job, which retries the job."""
    state = State("failed", len(planned), 0, 0, 0)
    shown = dict.fromkeys(healthy().jobs[0].shown, 0) | {"total_items": len(planned)}
    retry = JobSeen(OTHER, state, shown, planned, {}, {}, retry_of=JOB)
    return lambda seen: replace(seen, jobs=[*seen.jobs, retry])


RUNNING = State("running", 5, 3, 0, 0)
BREAKAGES: dict[str, tuple[str, Callable[[Evidence], Evidence]]] = {
    "a draft is missing": ("I1", with_item("c")),
    "a draft without an outcome": ("I1", with_item("d", DRAFT)),
    "a draft of an item that was not planned": ("I1", with_item("f", DRAFT)),
    "two drafts of one job": ("I1", with_item("c", DRAFT, rejected=(Result("rejected", JOB, 1),))),
    "a draft that was rejected, and made again": (
        "I1",
        with_item("b", DRAFT, rejected=(Result("rejected", JOB, 1),)),
    ),
    "an undone job has a draft": ("I1", lambda seen: replace(seen, undone={JOB: True})),
    "a retry of what is done": ("I1", with_retry(planned=["a"])),
    "a retry of what was never planned": ("I1", with_retry(planned=["f"])),
    "an item is planned twice": ("I1", with_job(planned=list("abcda"))),
    "an item without an outcome": ("I1", with_job(receipts={(0, 0): "sss", (0, 1): "-l"})),
    "a receipt of another size": ("I1", with_job(receipts={(0, 0): "ssss", (0, 1): "fl"})),
    "a chunk that counted twice": ("I2", with_job(state=replace(END, total=8, successful=6))),
    "a chunk that did not count": ("I2", with_job(state=replace(END, successful=0))),
    "a counter that went down": ("I2", with_look(1, State("running", 5, 4, 0, 0))),
    "more outcomes than items": ("I2", with_look(1, State("running", 2, 3, 0, 0))),
    "the API shows other numbers": ("I2", with_job(shown={**healthy().jobs[0].shown, "failed_items": 0})),
    "completed before the end": ("I2", with_job(state=replace(END, total=6))),
    "a person's result is written over": ("I3", with_item("e", DRAFT)),
    "a person's result is changed": ("I3", with_item("e", Result("accepted", None, 1, b"other"))),
    "an accepted draft is a draft again": ("I3", with_item("a", DRAFT)),
    "a rejected draft is back": ("I3", with_item("b", DRAFT)),
    "nobody labeled it": ("I3", lambda seen: replace(seen, reviews=seen.reviews[:2])),
    "two jobs at once": ("I4", with_look(1, RUNNING, RUNNING)),
    "an active job without the project": ("I4", with_look(1, RUNNING, holder=None)),
    "a job that does not end": ("I5", with_look(-1, RUNNING)),
    "a project that is not freed": ("I5", with_look(-1, END)),
    "an end that changes": ("I5", with_look(1, State("failed", 5, 3, 0, 0), holder=None)),
    "a job that goes back": ("I5", lambda seen: replace(seen, looks=[seen.looks[1], *seen.looks])),
    "a job that is gone": ("I5", with_look(-1, holder=None)),
    "a job that was promised": ("I5", lambda seen: replace(seen, created=[JOB, OTHER])),
    "an event that is not told": ("I6", lambda seen: replace(seen, told=[])),
    "an event that is told twice": (
        "I6",
        lambda seen: replace(seen, told=[*seen.told, replace(seen.told[0], uid="x")]),
    ),
    "an event for somebody else": ("I6", with_told(subscription="hook-2")),
    "the wrong event": ("I6", with_told(event="auto_label.failed")),
    "other bytes the second time": ("I6", with_told(received=[BODY, b"{}"])),
    "delivered, and never received": ("I6", with_told(received=[])),
    "pending for ever": ("I6", with_told(status="pending")),
    "an event with other numbers": (
        "I6",
        with_told(body=json.dumps({"payload": {**PAYLOAD, "skipped": 0}}).encode(), received=[]),
    ),
    "failed, and not buried": ("I6", with_told(status="failed")),
    "asked after the cancel": ("I7", cancelled(asked_after=["d"])),
    "a cancel that did not hold": ("I7", cancelled(asked_after=[], status="completed")),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_what_is_broken_is_found(name: str) -> None:
    invariant, broken = BREAKAGES[name]

    found = violations(broken(healthy()))

    assert any(wrong.startswith(f"{invariant}: ") for wrong in found), found


def test_a_cancelled_job_that_stops_breaks_nothing() -> None:
    assert violations(cancelled(asked_after=[])(healthy())) == []


def test_a_seed_gives_one_schedule_and_another_seed_another() -> None:
    assert [schedule_of(seed) for seed in range(200)] == [schedule_of(seed) for seed in range(200)]
    assert len({str(schedule_of(seed)) for seed in range(200)}) == 200


def test_an_undone_job_may_have_lost_drafts_and_a_retry_takes_what_failed() -> None:
    undone = replace(with_item("c")(healthy()), undone={JOB: True})

    assert violations(undone) == []
    wrong = violations(with_retry(planned=["d"])(healthy()))
    assert [one for one in wrong if one.startswith("I1")] == []
