"""What a reviewed result says: the origin of each annotation, the draft beside it, and its task (decision 0040)."""

from typing import Any

import avala
import httpx
import pytest

from local import counts
from tests.system.conftest import NewTenant, Subscription
from tests.system.model import Model
from tests.system.system import Json, System, assert_refused
from tests.system.test_clients import UNKNOWN

pytestmark = pytest.mark.takes(40)


def box(label: str, x: float, y: float = 0, confidence: float = 0.9) -> Json:
    coordinates = {"x": float(x), "y": float(y), "width": 20.0, "height": 20.0}
    return {"type": "bounding_box", "label": label, "confidence": confidence, "coordinates": coordinates}


DRAFT = [box("car", 0), box("bus", 50, confidence=0.6), box("car", 90), box("dog", 0, 60, confidence=0.4)]


@pytest.fixture
def draft(system: System, model: Model) -> Json:
    """A draft of four boxes."""
    model.says((200, {"annotations": DRAFT}))
    project = model.project(system, "car", "bus", "van", "dog")
    job = system.run(project, confidence_threshold=0.0)
    (draft,) = system.results(project, job["uid"])
    assert draft["annotations"] == DRAFT
    assert draft["origins"] is draft["draft_indexes"] is None
    return draft


def correct(system: System, result: Json, annotations: Any, indexes: Any = None) -> httpx.Response:
    body = {"annotations": annotations} | ({} if indexes is None else {"draft_indexes": indexes})
    return system.api.patch(f"/results/{result['uid']}/", json=body)


def became(system: System, result: Json) -> list[tuple[str | None, bool]]:
    """What became of each annotation of the draft."""
    beside = system.ok("GET", f"/results/{result['uid']}/draft/")
    added = ("became", "is_moved")
    drafted = [{key: value for key, value in one.items() if key not in added} for one in beside["annotations"]]
    assert (beside["result"], beside["job"], drafted) == (result["uid"], result["job"], DRAFT)
    return [(one["became"], one["is_moved"]) for one in beside["annotations"]]


def test_a_correction_says_what_each_annotation_was(system: System, draft: Json) -> None:
    now = [box("car", 93, 1), box("van", 50), box("car", 150, 100), box("car", 0)]
    assert became(system, draft) == [(None, False)] * 4

    corrected = correct(system, draft, now).json()

    assert corrected["origins"] == ["moved", "relabeled", "added", "kept"]
    assert corrected["draft_indexes"] == [2, 1, None, 0]
    assert became(system, draft) == [("kept", False), ("relabeled", False), ("moved", True), ("deleted", False)]
    (row,) = system.rows(f"/projects/{draft['project']}/results/")
    assert row == system.ok("GET", f"/results/{draft['uid']}/") == corrected
    dataset = system.ok("GET", f"/datasets/{draft['project']}/")
    (item,) = system.rows(f"/datasets/demo/{dataset['slug']}/items/")
    (shown,) = item["annotations"]["results"]
    assert shown == {key: corrected[key] for key in shown}
    assert {"revision", "min_confidence", "max_confidence", "origins", "draft_indexes"} <= shown.keys()


def test_a_client_that_knows_the_draft_says_what_was_what(system: System, draft: Json) -> None:
    far = [box("dog", 170, 170), box("car", 0)]

    corrected = correct(system, draft, far, [2, None]).json()

    assert (corrected["origins"], corrected["draft_indexes"]) == (["relabeled", "added"], [2, None])
    assert became(system, draft)[2] == ("relabeled", True)
    # What GET shows is a body for PATCH.
    same = correct(system, draft, corrected["annotations"], corrected["draft_indexes"])
    assert same.json() == corrected
    assert correct(system, draft, corrected["annotations"]).json() == corrected
    # It is corrected again, and compared with the same draft.
    again = correct(system, draft, [*DRAFT, box("van", 100, 100)]).json()
    assert again["origins"] == ["kept"] * 4 + ["added"]
    reopened = system.ok("POST", f"/results/{draft['uid']}/reopen/")
    assert (reopened["status"], reopened["origins"]) == ("draft", again["origins"])


@pytest.mark.parametrize("verdict", ["accept", "correct"])
def test_a_draft_that_is_right_is_all_kept(system: System, draft: Json, verdict: str) -> None:
    if verdict == "accept":
        result = system.ok("POST", f"/results/{draft['uid']}/accept/")
    else:
        result = correct(system, draft, draft["annotations"]).json()

    assert (result["origins"], result["draft_indexes"]) == (["kept"] * 4, [0, 1, 2, 3])
    assert became(system, draft) == [("kept", False)] * 4
    rejected = system.ok("POST", f"/results/{draft['uid']}/reject/")
    assert rejected["origins"] == (None if verdict == "accept" else ["kept"] * 4)


def test_indexes_that_are_none_are_refused_and_change_nothing(system: System, draft: Json) -> None:
    two = DRAFT[:2]
    for indexes, sentence in (
        ([0], "draft_indexes: Must have one entry for each of the 2 annotations, not 1."),
        ([1, 1], "draft_indexes[1]: Another annotation has the index 1."),
        ([0, 4], "draft_indexes[1]: The draft has 4 annotations, and none at 4, counted from 0."),
        ([0, 2**40], "draft_indexes[1]: Must be a whole number from 0, or null, not 1099511627776."),
        ([0, -1], "draft_indexes[1]: Must be a whole number from 0, or null, not -1."),
        ([0, "1"], 'draft_indexes[1]: Must be a whole number from 0, or null, not "1".'),
        ("all", "draft_indexes: Must be a list, not a string."),
    ):
        body = assert_refused(correct(system, draft, two, indexes), 400, naming=sentence, code="validation_error")
        assert body["detail"] == sentence
    assert system.ok("GET", f"/results/{draft['uid']}/") == draft


def test_a_result_without_a_draft_says_so(system: System) -> None:
    project = system.load_project(items=1)
    item = system.items(project)[0]["uid"]
    annotations = {"annotations": [box("cup", 0)]}

    made = system.ok("POST", f"/items/{item}/results/", annotations, expect=201)

    assert (made["origins"], made["draft_indexes"]) == (["added"], [None])
    for uid in (made["uid"], UNKNOWN):
        assert_refused(system.api.get(f"/results/{uid}/draft/"), 404, naming=uid)


def test_a_large_draft_is_shown_beside_its_correction(system: System, model: Model) -> None:
    many = [box("car", n % 170 + n / 1e4, n // 170) for n in range(2_000)]
    model.says((200, {"annotations": many}))
    project = model.project(system, "car")
    job = system.run(project, confidence_threshold=0.0)
    (draft,) = system.results(project, job["uid"])
    assert len(draft["annotations"]) == 2_000

    corrected = correct(system, draft, draft["annotations"][1:]).json()

    assert corrected["origins"] == ["kept"] * 1_999
    assert corrected["draft_indexes"] == list(range(1, 2_000))
    beside = system.ok("GET", f"/results/{draft['uid']}/draft/")["annotations"]
    assert [one["became"] for one in beside] == ["deleted"] + ["kept"] * 1_999
    assert [{**one, "became": None} for one in beside] == [
        {**one, "became": None, "is_moved": False} for one in draft["annotations"]
    ]


def test_a_completed_task_names_its_reviewer_and_is_an_event(
    system: System, draft: Json, official: avala.Client, task_subscription: Subscription
) -> None:
    def task() -> tuple[str, str | None]:
        shown = system.ok("GET", f"/tasks/{draft['task']}/")
        assert official.tasks.get(draft["task"]).status == shown["status"]
        return shown["status"], shown["reviewed_by"]

    receiver = task_subscription.receiver
    for verdict, state, is_event in (
        ("accept", ("completed", "demo"), True),
        ("accept", ("completed", "demo"), False),
        ("correct", ("completed", "demo"), False),
        ("reopen", ("pending", None), False),
        ("accept", ("completed", "demo"), True),
        ("reject", ("pending", None), False),
    ):
        if verdict == "correct":
            assert correct(system, draft, []).status_code == 200
        else:
            system.ok("POST", f"/results/{draft['uid']}/{verdict}/")
        assert task() == state
        delivery = receiver.next(seconds=10 if is_event else 1)
        assert (delivery is not None) == is_event, verdict
        if delivery:
            assert delivery.json() == {
                "event": "task.completed",
                "payload": {
                    "task_uid": draft["task"],
                    "item_uid": draft["item"],
                    "project_uid": draft["project"],
                    "result_uid": draft["uid"],
                    "status": "completed",
                    "reviewed_by": "demo",
                },
            }


def test_an_event_without_a_subscription_costs_nothing(new_tenant: NewTenant, model: Model) -> None:
    """Write units of a verdict, with and without a subscription to what it sends."""
    own = new_tenant()
    model.says((200, {"annotations": DRAFT}))
    project = model.project(own, "car", "bus", "van", "dog")

    def units(*events: str) -> float:
        (draft,) = own.results(project, own.run(project, confidence_threshold=0.0)["uid"])
        bodies = [{"target_url": "http://localhost:9/", "events": [event]} for event in events]
        hooks = [own.ok("POST", "/webhooks/", body) for body in bodies]
        since = counts.calls_so_far()
        own.ok("POST", f"/results/{draft['uid']}/accept/")
        written = counts.units_of(own.stack, "Catalog", since)
        own.ok("POST", f"/results/{draft['uid']}/reject/")
        for hook in hooks:
            own.api.delete(f"/webhooks/{hook['uid']}/")
        return written

    none, accepted, both = units(), units("result.accepted"), units("result.accepted", "task.completed")
    print(f"write units of an acceptance: {none}; with result.accepted {accepted}; with task.completed too {both}")
    assert none == units("export.completed") <= 4
    assert none < accepted < both
