"""The checker can fail: each invariant is broken once, and found."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos import check
from tests.chaos.evidence import (
    Cancelled,
    DeliverySeen,
    Evidence,
    FileSeen,
    ItemSeen,
    JobSeen,
    Line,
    Result,
    Reviewed,
    Snapshot,
    State,
)
from tests.chaos.schedule import schedule_of

ITEMS = ("a", "b", "c", "d", "e", "f")
# Each letter that a receipt may have, as Rust reads it, and the counter of its outcome.
LETTERS = re.compile(r"'(.)' => Some\(\(OutcomeKind::(\w+)")
OUTCOMES = Path(__file__).parents[2] / "shared/src/domain/job/outcome.rs"
JOB, OTHER, HOOK = "job-1", "job-2", "hook-1"
DRAFT = Result("draft", JOB, 0)
END = State("completed", total=5, successful=3, failed=1, skipped=1)
PAYLOAD = {"status": "completed", "total_items": 5, "successful": 3, "failed": 1, "skipped": 1}
BODY = json.dumps({"payload": PAYLOAD}).encode()
DELIVERY = DeliverySeen(
    "delivery-1", HOOK, JOB, "auto_label.completed", "delivered", BODY, [BODY, BODY], is_dead_letter=False
)


def healthy() -> Evidence:
    """A job over five items in two chunks: one failed, one a person labeled meanwhile. A sixth item came too late.
    Items c, d and f are files: d was written over before the job, f by what cannot be read."""
    items = {uid: ItemSeen(uid, None, key=uid) for uid in ITEMS}
    items["a"] = ItemSeen("a", Result("accepted", JOB, 1), key="a")
    items["b"] = ItemSeen("b", None, rejected=[Result("rejected", JOB, 1)], key="b")
    items["c"] = ItemSeen("c", DRAFT, key="c", etag="c1")
    items["d"] = ItemSeen("d", None, key="d", etag="d2", changes=1)
    items["e"] = ItemSeen("e", Result("accepted", None, 1, b"hers"), key="e")
    items["f"] = ItemSeen("f", None, key="f", etag="f1")
    files = {
        "c": FileSeen("c1", is_readable=True, has_changed=False, is_new=False),
        "d": FileSeen("d2", is_readable=True, has_changed=True, is_new=False),
        "f": FileSeen("f2", is_readable=False, has_changed=False, is_new=False),
    }
    shown = {"total_items": 5, "successful_items": 3, "failed_items": 1, "skipped_items": 1, "processed_items": 5}
    job = JobSeen(
        JOB, END, shown, lines_of("abcde"), {(0, 0): range(3), (0, 1): range(3, 5)}, {(0, 0): "sss", (0, 1): "fl"}
    )
    return Evidence(
        items=items,
        snapshots=[
            Snapshot({JOB: State("pending", 0, 0, 0, 0)}, JOB),
            Snapshot({JOB: State("running", 5, 3, 0, 0)}, JOB),
            Snapshot({JOB: END}, None),
        ],
        jobs=[job],
        reviews=[Reviewed("a", "accept"), Reviewed("b", "reject"), Reviewed("e", "label", b"hers")],
        deliveries=[DELIVERY],
        subscriptions=[HOOK],
        cancels=[],
        created=[JOB],
        files=files,
        labels_uploads=True,
    )


def lines_of(items: str) -> list[Line]:
    return [Line(item, int(item == "d")) for item in items]


def test_nothing_is_wrong_with_a_healthy_job() -> None:
    assert check.violations(healthy()) == []


def with_job(**changes: object) -> Callable[[Evidence], Evidence]:
    return lambda seen: replace(seen, jobs=[replace(seen.jobs[0], **changes)])  # type: ignore[arg-type]


def with_item(uid: str, *results: Result, rejected: tuple[Result, ...] = ()) -> Callable[[Evidence], Evidence]:
    return with_items(uid, result=results[0] if results else None, rejected=list(rejected))


def with_items(uid: str, **changes: object) -> Callable[[Evidence], Evidence]:
    return lambda seen: replace(seen, items={**seen.items, uid: replace(seen.items[uid], **changes)})  # type: ignore[arg-type]


def with_file(key: str, **changes: object) -> Callable[[Evidence], Evidence]:
    return lambda seen: replace(seen, files={**seen.files, key: replace(seen.files[key], **changes)})  # type: ignore[arg-type]


def with_new_file(is_dead_letter: bool = False, **changes: object) -> Callable[[Evidence], Evidence]:
    """A seventh item, which came by upload and was labeled by no job."""

    def changed(seen: Evidence) -> Evidence:
        item = replace(ItemSeen("g", None, key="g", etag="g1"), **changes)  # type: ignore[arg-type]
        file = FileSeen("g1", is_readable=True, has_changed=False, is_new=True, is_dead_letter=is_dead_letter)
        return replace(seen, items={**seen.items, "g": item}, files={**seen.files, "g": file})

    return changed


def with_snapshot(index: int, *states: State, holder: str | None = JOB) -> Callable[[Evidence], Evidence]:
    def changed(seen: Evidence) -> Evidence:
        snapshots = list(seen.snapshots)
        snapshots[index] = Snapshot(dict(zip((JOB, OTHER), states, strict=False)), holder)
        return replace(seen, snapshots=snapshots)

    return changed


def with_delivery(**changes: object) -> Callable[[Evidence], Evidence]:
    return lambda seen: replace(seen, deliveries=[replace(seen.deliveries[0], **changes)])  # type: ignore[arg-type]


def cancelled(asked_after: list[str], status: str = "cancelled") -> Callable[[Evidence], Evidence]:
    """The job, cancelled; it has no delivery, and only the model's log can contradict it."""

    def changed(seen: Evidence) -> Evidence:
        state = replace(END, status=status)
        jobs = [replace(seen.jobs[0], state=state)]
        snapshots = [*seen.snapshots[:-1], Snapshot({JOB: state}, None)]
        deliveries = [] if status == "cancelled" else seen.deliveries
        return replace(
            seen, jobs=jobs, snapshots=snapshots, deliveries=deliveries, cancels=[Cancelled(JOB, asked_after)]
        )

    return changed


def with_retry(planned: list[str]) -> Callable[[Evidence], Evidence]:
    """Another job, which retries the job."""
    state = State("failed", len(planned), 0, 0, 0)
    shown = dict.fromkeys(healthy().jobs[0].shown, 0) | {"total_items": len(planned)}
    retry = JobSeen(OTHER, state, shown, [Line(item) for item in planned], {}, {}, retry_of=JOB)
    return lambda seen: replace(seen, jobs=[*seen.jobs, retry])


def reopened(item: str, result: bytes | None = b"") -> Callable[[Evidence], Evidence]:
    """A person has reopened the item's result; `None`: she got no answer."""
    return lambda seen: replace(seen, reviews=[*seen.reviews, Reviewed(item, "reopen", result)])


RUNNING = State("running", 5, 3, 0, 0)
BREAKAGES: dict[str, tuple[str, Callable[[Evidence], Evidence]]] = {
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
    "an item is planned twice": ("I1", with_job(lines=lines_of("abcda"))),
    "an item without an outcome": ("I1", with_job(receipts={(0, 0): "sss", (0, 1): "-l"})),
    "a receipt of another size": ("I1", with_job(receipts={(0, 0): "ssss", (0, 1): "fl"})),
    "a chunk that counted twice": ("I2", with_job(state=replace(END, total=8, successful=6))),
    "a chunk that did not count": ("I2", with_job(state=replace(END, successful=0))),
    "a counter that went down": ("I2", with_snapshot(1, State("running", 5, 4, 0, 0))),
    "more outcomes than items": ("I2", with_snapshot(1, State("running", 2, 3, 0, 0))),
    "the API shows other numbers": ("I2", with_job(shown={**healthy().jobs[0].shown, "failed_items": 0})),
    "completed before the end": ("I2", with_job(state=replace(END, total=6))),
    "a person's result is written over": ("I3", with_item("e", DRAFT)),
    "a person's result is changed": ("I3", with_item("e", Result("accepted", None, 1, b"other"))),
    "an accepted draft is a draft again": ("I3", with_item("a", DRAFT)),
    "a rejected draft is back": ("I3", with_item("b", DRAFT)),
    "no one labeled it": ("I3", lambda seen: replace(seen, reviews=seen.reviews[:2])),
    "a reopened result is as it was before": ("I3", reopened("b")),
    "a reopened result is gone": ("I3", lambda seen: reopened("b")(with_item("b")(seen))),
    "a sweep that was undone still counts": (
        "R1",
        lambda seen: with_item("a", replace(DRAFT, status="accepted", revision=1, sweep="s"))(
            replace(seen, undone_sweeps=["s"], is_swept=True)
        ),
    ),
    "two jobs at once": ("I4", with_snapshot(1, RUNNING, RUNNING)),
    "an active job without the project": ("I4", with_snapshot(1, RUNNING, holder=None)),
    "a job that does not end": ("I5", with_snapshot(-1, RUNNING)),
    "a project that is not freed": ("I5", with_snapshot(-1, END)),
    "an end that changes": ("I5", with_snapshot(1, State("failed", 5, 3, 0, 0), holder=None)),
    "a job that goes back": ("I5", lambda seen: replace(seen, snapshots=[seen.snapshots[1], *seen.snapshots])),
    "a job that is gone": ("I5", with_snapshot(-1, holder=None)),
    "a job that was promised": ("I5", lambda seen: replace(seen, created=[JOB, OTHER])),
    "an event without a delivery": ("I6", lambda seen: replace(seen, deliveries=[])),
    "an event with two deliveries": (
        "I6",
        lambda seen: replace(seen, deliveries=[*seen.deliveries, replace(seen.deliveries[0], uid="x")]),
    ),
    "an event for another subscription": ("I6", with_delivery(subscription="hook-2")),
    "the wrong event": ("I6", with_delivery(event="auto_label.failed")),
    "other bytes the second time": ("I6", with_delivery(received=[BODY, b"{}"])),
    "delivered, and never received": ("I6", with_delivery(received=[])),
    "pending for ever": ("I6", with_delivery(status="pending")),
    "an event with other numbers": (
        "I6",
        with_delivery(body=json.dumps({"payload": {**PAYLOAD, "skipped": 0}}).encode(), received=[]),
    ),
    "failed, and no dead letter": ("I6", with_delivery(status="failed")),
    "asked after the cancel": ("I7", cancelled(asked_after=["d"])),
    "a draft is missing": ("I12", with_item("c")),
    "a draft went with a file that cannot be read": (
        "I12",
        lambda seen: with_file("c", etag="c2", is_readable=False)(with_item("c")(seen)),
    ),
    "the same bytes count as changed": ("I12", with_items("c", changes=1)),
    "a file that cannot be read counts as deleted": ("I12", with_items("f", is_deleted=True)),
    "an item is skipped for a file that has not changed": (
        "I12",
        with_job(receipts={(0, 0): "sss", (0, 1): "fc"}),
    ),
    "an upload is no item": ("U1", lambda seen: replace(seen, files={**seen.files, "h": seen.files["d"]})),
    "an item with the bytes before": ("U1", with_items("d", etag="d1")),
    "an item that counts as deleted": ("U1", with_items("d", is_deleted=True)),
    "a deletion that is not known": ("U1", with_file("d", etag=None)),
    "an upload that no job took": ("U1", with_new_file()),
    "an upload whose outcome is of the bytes before": ("U1", with_items("d", changes=2)),
    "a cancel that did not hold": ("I7", cancelled(asked_after=[], status="completed")),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_what_is_broken_is_found(name: str) -> None:
    invariant, broken = BREAKAGES[name]

    found = check.violations(broken(healthy()))

    assert any(wrong.startswith(f"{invariant}: ") for wrong in found), found


def test_a_cancelled_job_that_stops_breaks_nothing() -> None:
    assert check.violations(cancelled(asked_after=[])(healthy())) == []


def test_a_person_may_take_back_what_she_said() -> None:
    back = reopened("b")(with_item("b", Result("draft", JOB, 2))(healthy()))

    assert check.violations(back) == []
    assert check.violations(reopened("b", result=None)(healthy())) == [], "it may not have been done"
    corrected = with_item("b", Result("draft", JOB, 2, is_persons=True))(reopened("b")(healthy()))
    assert of("I1", replace(with_item("c")(corrected), undone={JOB: True})) == [], "it is hers, and stays"
    swept = replace(with_item("a", Result("draft", JOB, 2))(healthy()), undone_sweeps=["s"], is_swept=True)
    assert check.violations(swept) == []


def test_a_seed_gives_one_schedule_and_another_seed_another() -> None:
    assert [schedule_of(seed) for seed in range(200)] == [schedule_of(seed) for seed in range(200)]
    assert len({str(schedule_of(seed)) for seed in range(200)}) == 200


def test_a_draft_may_go_with_its_bytes_and_an_upload_may_be_a_dead_letter() -> None:
    withdrawn = with_file("c", etag="c2", has_changed=True)(
        with_items("c", etag="c2", changes=1, result=None)(healthy())
    )
    taken = JobSeen(OTHER, END, healthy().jobs[0].shown, [Line("c", 1)], {}, {}, is_by_upload=True)

    assert of("I12", withdrawn) == []
    assert of("U1", replace(withdrawn, jobs=[*withdrawn.jobs, taken])) == []
    assert of("U1", withdrawn) != []
    assert check.violations(with_new_file(is_dead_letter=True)(healthy())) == []


def of(invariant: str, evidence: Evidence) -> list[str]:
    return [wrong for wrong in check.violations(evidence) if wrong.startswith(f"{invariant}: ")]


def test_the_checker_reads_each_letter_that_a_receipt_may_have() -> None:
    read = {letter: kind.lower() for letter, kind in LETTERS.findall(OUTCOMES.read_text())}

    assert len(read) >= 5
    assert {letter: counter for counter, letters in check.COUNTED.items() for letter in letters} == read


def test_an_undone_job_may_have_lost_drafts_and_a_retry_takes_what_failed() -> None:
    undone = replace(with_item("c")(healthy()), undone={JOB: True})

    assert check.violations(undone) == []
    wrong = check.violations(with_retry(planned=["d"])(healthy()))
    assert [one for one in wrong if one.startswith("I1")] == []
