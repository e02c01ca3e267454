"""Review: a person accepts, corrects or rejects what a job suggests (contract, 11.4)."""

import uuid
from dataclasses import replace
from typing import Any

import httpx
import pytest

from local import admin, project
from local.up import Stack
from tests.system.conftest import Subscription
from tests.system.system import Json, System, assert_refused

pytestmark = pytest.mark.takes(40)

BOX = {
    "type": "bounding_box",
    "label": "cup",
    "confidence": 0.75,
    "coordinates": {"x": 10.0, "y": 20.0, "width": 30.0, "height": 40.0},
}


@pytest.fixture
def drafts(system: System) -> list[Json]:
    """The drafts of a job of this test's own: of items that the load model finds something on."""
    project_uid = system.load_project(items=8)
    job = system.run(project_uid, confidence_threshold=0.0)
    drafts = system.results(project_uid, job["uid"])
    assert drafts
    return drafts


@pytest.fixture
def draft(drafts: list[Json]) -> Json:
    return drafts[0]


@pytest.fixture(scope="module")
def untouched(system: System) -> Json:
    """One draft for all the requests that must not change it."""
    project_uid = system.load_project(items=8)
    return system.results(project_uid, system.run(project_uid, confidence_threshold=0.0)["uid"])[0]


def say(system: System, result: Json, verdict: str, if_match: str | None = None) -> httpx.Response:
    """The bare answer to `accept` or `reject`."""
    headers = {} if if_match is None else {"If-Match": if_match}
    return system.api.post(f"/results/{result['uid']}/{verdict}/", headers=headers)


def correct(system: System, result: Json, annotations: Any, if_match: str | None = None) -> httpx.Response:
    """The bare answer to a correction."""
    headers = {} if if_match is None else {"If-Match": if_match}
    return system.api.patch(f"/results/{result['uid']}/", json={"annotations": annotations}, headers=headers)


def shown(system: System, result: Json) -> httpx.Response:
    response = system.api.get(f"/results/{result['uid']}/")
    assert response.status_code == 200, response.text
    return response


def item_status(system: System, result: Json) -> str:
    items = {item["uid"]: item["status"] for item in system.items(result["project"])}
    return str(items[result["item"]])


def test_an_accepted_draft_says_who_and_when(system: System, draft: Json) -> None:
    assert (draft["status"], draft["reviewed_by"]) == ("draft", None)

    response = say(system, draft, "accept")

    accepted = response.json()
    assert response.status_code == 200
    assert accepted == {
        **draft,
        "status": "accepted",
        "reviewed_by": "demo",
        "revision": 1,
        "origins": ["kept"] * draft["annotation_count"],
        "draft_indexes": list(range(draft["annotation_count"])),
        "updated_at": accepted["updated_at"],
    }
    assert accepted["updated_at"] > draft["updated_at"]
    assert shown(system, draft).json() == accepted
    assert item_status(system, draft) == "accepted"


def test_accepting_and_rejecting_again_changes_nothing(system: System, draft: Json) -> None:
    for verdict in ("accept", "reject"):
        first, second = say(system, draft, verdict), say(system, draft, verdict)

        assert (first.status_code, second.status_code) == (200, 200)
        assert second.json() == first.json()
        assert second.headers["etag"] == first.headers["etag"]


@pytest.mark.contract("D33")
def test_a_correction_is_a_persons_work_and_accepted(system: System, draft: Json) -> None:
    sure = {key: value for key, value in BOX.items() if key != "confidence"}

    response = correct(system, draft, [BOX, sure])

    corrected = response.json()
    assert response.status_code == 200
    assert corrected["annotations"] == [BOX, {**BOX, "confidence": 1.0}]
    assert (corrected["status"], corrected["source"]) == ("accepted", "human")
    assert (corrected["created_by"], corrected["reviewed_by"]) == (draft["created_by"], "demo")
    assert (corrected["job"], corrected["created_at"]) == (draft["job"], draft["created_at"])
    assert shown(system, draft).json() == corrected


def test_a_picture_with_nothing_on_it_is_an_answer(system: System, draft: Json) -> None:
    corrected = correct(system, draft, []).json()

    assert (corrected["status"], corrected["annotations"]) == ("accepted", [])


def test_a_correction_may_be_as_large_as_a_draft(system: System, draft: Json) -> None:
    def boxes(count: int) -> list[Json]:
        return [
            {**BOX, "coordinates": {"x": n % 600 + 0.5, "y": 1.25, "width": 30.0, "height": 40.0}} for n in range(count)
        ]

    for count in (1_000, 10_000, 2):
        corrected = correct(system, draft, boxes(count))
        assert corrected.status_code == 200, corrected.text
        assert corrected.json()["annotations"] == boxes(count)
        again = shown(system, draft)
        assert again.json() == corrected.json()
        assert again.json() in list(system.rows(f"/projects/{draft['project']}/results/"))
        # What was shown is a body that changes nothing.
        same = correct(system, draft, again.json()["annotations"])
        assert (same.status_code, same.json()) == (200, again.json())

    long = {"type": "polyline", "label": "cup", "points": [[n % 600 + 0.125, n % 400 + 0.375] for n in range(220_000)]}
    refused = correct(system, draft, [long])
    assert_refused(refused, 400, naming="annotations: Are too large to be stored", code="validation_error")
    assert_refused(correct(system, draft, boxes(45_000)), 413, naming="at most 4096 KiB", code="body_too_large")
    assert shown(system, draft).json()["annotations"] == boxes(2)


@pytest.mark.parametrize(
    ("annotations", "complaint"),
    [
        (None, "annotations: This field is required."),
        ("all", "annotations: Must be a list, not a string."),
        ([7], "annotations[0]: Must be an object, not a number."),
        (
            [{**BOX, "confidence": 2}],
            "annotations[0].confidence: Must be a number from 0.0 to 1.0. 2 looks like percent: divide by 100.",
        ),
        ([{**BOX, "label": None}], "annotations[0].label: This field is required."),
        ([{**BOX, "type": "circle"}], "annotations[0].type: Must be one of the six prediction types."),
        ([{**BOX, "attributes": "red"}], "annotations[0].attributes: Must be an object."),
        (
            [BOX, BOX, {**BOX, "coordinates": {"x": 1, "y": 1, "width": 0, "height": 1}}],
            "annotations[2].coordinates.width: Must be greater than 0.",
        ),
        ([{}] * 10_001, "annotations: Must have at most 10000 entries, and has 10001."),
    ],
)
def test_a_bad_correction_names_its_field_and_changes_nothing(
    system: System, annotations: Any, complaint: str, untouched: Json
) -> None:
    body = assert_refused(correct(system, untouched, annotations), 400, naming=complaint, code="validation_error")

    assert body["detail"] == complaint
    assert shown(system, untouched).json() == untouched


def test_all_bad_annotations_are_named_at_once(system: System, untouched: Json) -> None:
    body = correct(system, untouched, [{**BOX, "label": ""}, BOX, {**BOX, "type": None}]).json()

    assert body["errors"] == {
        "annotations[0].label": ["May not be blank."],
        "annotations[2].type": ["This field is required."],
    }


@pytest.mark.contract("D10", "D33")
def test_a_rejected_result_is_history_and_its_item_unlabeled(system: System, draft: Json) -> None:
    response = say(system, draft, "reject")

    rejected = response.json()
    assert response.status_code == 200
    assert rejected == {
        **draft,
        "status": "rejected",
        "reviewed_by": "demo",
        "revision": 1,
        "updated_at": rejected["updated_at"],
    }
    assert shown(system, draft).json() == rejected
    assert item_status(system, draft) == "none"
    assert draft["uid"] not in [result["uid"] for result in system.rows(f"/projects/{draft['project']}/results/")]
    assert_refused(say(system, draft, "accept"), 409, naming="already rejected", code="result_rejected")
    assert_refused(correct(system, draft, [BOX]), 409, naming="already rejected", code="result_rejected")


def test_a_person_may_change_her_mind_about_an_accepted_result(system: System, draft: Json) -> None:
    correct(system, draft, [BOX])

    rejected = say(system, draft, "reject").json()

    assert (rejected["status"], rejected["annotations"]) == ("rejected", [BOX])
    assert item_status(system, draft) == "none"


@pytest.mark.contract("D10")
def test_the_next_job_drafts_a_rejected_item_again_and_leaves_the_others_alone(
    system: System, drafts: list[Json]
) -> None:
    """I3, and D10: discarding the draft makes the item unlabeled again."""
    rejected, *rest = drafts
    assert rest, "the load model found something on one item only"
    say(system, rejected, "reject")
    for result in rest:
        say(system, result, "accept")
    kept = [shown(system, result).json() for result in rest]

    job = system.run(rejected["project"], confidence_threshold=0.0)

    (again,) = system.results(rejected["project"], job["uid"])
    assert (again["item"], again["status"]) == (rejected["item"], "draft")
    assert again["uid"] != rejected["uid"]
    assert shown(system, rejected).json()["status"] == "rejected"
    assert [shown(system, result).json() for result in rest] == kept


def test_a_lost_update_is_refused(system: System, draft: Json) -> None:
    seen = shown(system, draft).headers["etag"]
    corrected = correct(system, draft, [BOX], if_match=seen)
    assert corrected.status_code == 200

    assert corrected.headers["etag"] == shown(system, draft).headers["etag"] != seen
    for late in (
        correct(system, draft, [], if_match=seen),
        say(system, draft, "accept", if_match=seen),
        say(system, draft, "reject", if_match=seen),
    ):
        assert_refused(late, 412, naming="Read it again", code="precondition_failed")
    assert shown(system, draft).json() == corrected.json()
    assert say(system, draft, "reject", if_match=corrected.headers["etag"]).status_code == 200


# Reopen


def test_an_accepted_result_is_a_draft_again_and_its_task_pending(system: System, draft: Json) -> None:
    accepted = correct(system, draft, [BOX]).json()

    response = say(system, draft, "reopen", if_match=f'"{accepted["revision"]}"')

    reopened = response.json()
    assert response.status_code == 200
    changed = {"status": "draft", "revision": 2, "updated_at": reopened["updated_at"]}
    assert reopened == {**accepted, **changed}
    assert shown(system, draft).json() == reopened
    assert say(system, draft, "reopen").json() == reopened, "a repeated call changes nothing"
    assert system.ok("GET", f"/tasks/{draft['task']}/")["status"] == "pending"
    assert item_status(system, draft) == "draft"
    # I12: it was a person's work, and is still.
    undone = system.ok("POST", f"/auto-label-jobs/{draft['job']}/discard-drafts/", {})
    assert undone["kept"] == [{"reason": "corrected", "count": 1}]
    assert shown(system, draft).json() == reopened
    assert say(system, draft, "accept").json()["source"] == "human"


def test_a_rejected_result_comes_back_and_no_job_takes_its_item(system: System, drafts: list[Json]) -> None:
    draft = drafts[0]
    waiting = len(system.items(draft["project"])) - len(drafts)
    say(system, draft, "reject")

    reopened = say(system, draft, "reopen").json()

    assert (reopened["uid"], reopened["status"], reopened["revision"]) == (draft["uid"], "draft", 2)
    assert reopened["annotations"] == draft["annotations"]
    assert reopened in list(system.rows(f"/projects/{draft['project']}/results/"))
    assert item_status(system, draft) == "draft"
    assert system.run(draft["project"])["total_items"] == waiting
    late = say(system, draft, "reopen", if_match='"1"')
    assert_refused(late, 412, code="precondition_failed")


def test_a_rejected_result_stays_so_once_its_item_has_another(system: System, draft: Json) -> None:
    rejected = say(system, draft, "reject").json()
    again = system.run(draft["project"], confidence_threshold=0.0)["uid"]
    (newer,) = (row for row in system.results(draft["project"], again) if row["item"] == draft["item"])

    for _ in range(2):
        refused = assert_refused(say(system, draft, "reopen"), 409, naming=newer["uid"], code="result_superseded")
        assert refused["result_uid"] == newer["uid"]
        say(system, newer, "reject")
    assert shown(system, draft).json() == rejected


# Events


def test_each_decision_of_a_person_is_one_event(
    system: System, drafts: list[Json], review_subscription: Subscription
) -> None:
    draft, job = drafts[0], drafts[0]["job"]
    facts = {
        "result_uid": draft["uid"],
        "item_uid": draft["item"],
        "project_uid": draft["project"],
        "task_uid": draft["task"],
        "job_uid": job,
        "reviewed_by": "demo",
    }
    accepted = {"status": "accepted", "source": "auto_label", "corrected": False}
    corrected = {"status": "accepted", "source": "human", "corrected": True}
    rejected = {**corrected, "status": "rejected"}
    for verdict, event, wanted in (
        ("accept", "result.accepted", accepted),
        ("accept", None, None),
        ("correct", "result.accepted", corrected),
        ("reject", "result.rejected", rejected),
        ("reject", None, None),
        ("reopen", None, None),
    ):
        answer = correct(system, draft, [BOX]) if verdict == "correct" else say(system, draft, verdict)
        assert answer.status_code == 200
        if wanted is None:
            assert review_subscription.receiver.next(seconds=1) is None
            continue
        delivery = review_subscription.receiver.of_job(job)
        assert delivery is not None
        assert delivery.event == event
        assert delivery.payload == {**facts, **wanted}
        assert delivery.is_signed_with(review_subscription.secret)


# Many drafts at once


def sweep(system: System, project_uid: str, verdict: str, **options: Any) -> Json:
    """Calls until the project is walked through; the counts of all calls together."""
    total = {f"{verdict}ed": 0, "examined": 0}
    body = options
    while True:
        answer = system.ok("POST", f"/projects/{project_uid}/results/{verdict}/", body, expect=200)
        assert answer["done"] == (answer["cursor"] is None)
        total = {name: count + answer[name] for name, count in total.items()}
        if answer["done"]:
            return total
        body = {"cursor": answer["cursor"]}


def sure_of(result: Json, label: str, confidence: float) -> bool:
    confidences = [a["confidence"] for a in result["annotations"] if a["label"] == label]
    return bool(confidences) and min(confidences) >= confidence


@pytest.mark.contract("D33")
def test_drafts_are_accepted_by_job_label_and_confidence_and_the_rest_rejected(
    system: System, review_subscription: Subscription
) -> None:
    project_uid = system.load_project(items=250)
    job = system.run(project_uid, confidence_threshold=0.0, labels=["car", "person"])["uid"]
    drafts = system.results(project_uid, job)
    matching = {result["uid"] for result in drafts if sure_of(result, "car", 0.5)}
    assert 0 < len(matching) < len(drafts)
    asked: Json = {"job": job, "label": "car", "min_confidence": 0.5}

    unmatched = sweep(system, project_uid, "accept", **{**asked, "job": str(uuid.uuid4())})
    accepted = sweep(system, project_uid, "accept", **asked)
    again = sweep(system, project_uid, "accept", **asked)

    assert unmatched == {"accepted": 0, "examined": len(drafts)}
    assert accepted == {"accepted": len(matching), "examined": len(drafts)}
    assert again == {"accepted": 0, "examined": len(drafts)}
    shown = {result["uid"]: result for result in system.results(project_uid, job)}
    assert {uid for uid, result in shown.items() if result["status"] == "accepted"} == matching
    assert {shown[uid]["reviewed_by"] for uid in matching} == {"demo"}
    assert {uid for uid, result in shown.items() if result["status"] == "draft"} == {
        d["uid"] for d in drafts
    } - matching
    deliveries = [review_subscription.receiver.of_job(job) for _ in matching]
    assert {delivery.payload["result_uid"] for delivery in deliveries if delivery} == matching

    rejected = sweep(system, project_uid, "reject")

    assert rejected["rejected"] == len(drafts) - len(matching)
    left = {result["uid"] for result in system.results(project_uid, job)}
    assert left == matching
    done = list(system.rows(f"/tasks/?project={project_uid}&status=completed"))
    assert {task["uid"] for task in done} == {shown[uid]["task"] for uid in matching}


def test_a_sweep_is_counted_first_and_undone_afterwards(
    system: System, drafts: list[Json], review_subscription: Subscription
) -> None:
    project_uid = drafts[0]["project"]
    path = f"/projects/{project_uid}/results"
    most = max(draft["max_confidence"] for draft in drafts)
    some = {draft["uid"] for draft in drafts if draft["max_confidence"] < most}
    asked = {"max_confidence": most - 0.0001}

    counted = system.ok("POST", f"{path}/reject/", {**asked, "count_only": True})
    rejected = system.ok("POST", f"{path}/reject/", asked)
    accepted = system.ok("POST", f"{path}/accept/", {})

    assert (counted["rejected"], counted["matching"]) == (0, len(some))
    assert (rejected["rejected"], accepted["accepted"]) == (len(some), len(drafts) - len(some))
    assert "matching" not in rejected
    events = [review_subscription.receiver.of_job(drafts[0]["job"]) for _ in drafts]
    assert all(events)
    for sweep, number in ((accepted, accepted["accepted"]), (rejected, len(some)), (rejected, 0)):
        undone = system.ok("POST", f"{path}/undo/", {"sweep": sweep["sweep"]})
        assert (undone["reopened"], undone["done"]) == (number, True)
    now = {row["uid"]: row for row in system.rows(f"{path}/?status=draft")}
    assert now.keys() == {draft["uid"] for draft in drafts}
    assert all(now[draft["uid"]]["annotations"] == draft["annotations"] for draft in drafts)
    assert review_subscription.receiver.next(seconds=1) is None
    for body, complaint in (
        ({}, "sweep: This field is required."),
        ({"sweep": "x"}, "sweep: Must be the uid of a sweep."),
    ):
        assert_refused(system.api.post(f"{path}/undo/", json=body), 400, naming=complaint)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"max_confidence": -1}, "max_confidence: Must be a number from 0.0 to 1.0, not -1."),
        ({"count_only": 1}, "count_only: Must be true or false, not 1."),
        ({"job": "mine"}, 'job: Must be the uid of a job, not "mine".'),
        ({"label": 7}, "label: Must be a string, not a number."),
        ({"label": ""}, "label: May not be blank."),
        ({"min_confidence": "high"}, "min_confidence: Must be a number from 0.0 to 1.0, not a string."),
        ({"min_confidence": 1.01}, "min_confidence: Must be a number from 0.0 to 1.0, not 1.01."),
        ({"cursor": 1}, "cursor: Must be a string, not a number."),
    ],
)
@pytest.mark.parametrize("verdict", ["accept", "reject"])
def test_a_bad_request_for_many_drafts_names_its_field_and_changes_nothing(
    system: System, verdict: str, body: Json, complaint: str, untouched: Json
) -> None:
    response = system.api.post(f"/projects/{untouched['project']}/results/{verdict}/", json=body)

    assert_refused(response, 400, naming=complaint, code="validation_error")
    assert shown(system, untouched).json() == untouched


def test_a_forged_cursor_changes_nothing(system: System, untouched: Json) -> None:
    for cursor in ("nonsense", "e30", "x" * 9_000):
        response = system.api.post(f"/projects/{untouched['project']}/results/reject/", json={"cursor": cursor})
        assert response.status_code in (400, 404), response.text
    assert shown(system, untouched).json() == untouched


# Where a draft came from, and what follows from its review


def test_a_draft_says_where_it_came_from(system: System, untouched: Json) -> None:
    job = system.job(untouched["job"])

    for fact in ("provider", "model_type", "confidence_threshold"):
        assert untouched[fact] == job[fact]
    assert untouched["provider"]
    assert (untouched["source"], untouched["status"]) == ("auto_label", "draft")
    assert untouched["annotations"]
    for annotation in untouched["annotations"]:
        assert 0.0 <= annotation["confidence"] <= 1.0


def test_each_row_of_a_list_says_what_a_queue_needs(system: System, drafts: list[Json]) -> None:
    correct(system, drafts[0], [BOX, {**BOX, "confidence": 0.25}])

    rows = {row["uid"]: row for row in system.rows(f"/projects/{drafts[0]['project']}/results/")}

    corrected = rows[drafts[0]["uid"]]
    assert (corrected["revision"], corrected["source"], corrected["annotation_count"]) == (1, "human", 2)
    assert (corrected["min_confidence"], corrected["max_confidence"]) == (0.25, 0.75)
    for row in rows.values():
        assert shown(system, row).headers["etag"] == f'"{row["revision"]}"'
        confidences = [annotation["confidence"] for annotation in row["annotations"]]
        assert (row["min_confidence"], row["max_confidence"]) == (min(confidences), max(confidences))
    # So a row of a list is enough to review it, without a lost update.
    assert say(system, corrected, "accept", if_match=f'"{corrected["revision"]}"').status_code == 200
    assert_refused(say(system, rows[drafts[0]["uid"]], "reject", if_match='"0"'), 412)


def test_the_task_follows_the_review(system: System, draft: Json) -> None:
    def status() -> str:
        return str(system.ok("GET", f"/tasks/{draft['task']}/")["status"])

    assert status() == "pending"
    say(system, draft, "accept")
    assert status() == "completed"
    correct(system, draft, [BOX])
    assert status() == "completed"
    say(system, draft, "reject")
    assert status() == "pending"


def test_lists_are_narrowed_by_status_item_and_job(system: System, drafts: list[Json]) -> None:
    project_uid, job = drafts[0]["project"], drafts[0]["job"]
    say(system, drafts[0], "accept")

    def listed(query: str) -> list[str]:
        return sorted(result["uid"] for result in system.rows(f"/projects/{project_uid}/results/?{query}"))

    everything = sorted(result["uid"] for result in drafts)
    assert listed(f"job={job}") == everything
    assert listed("status=accepted") == [drafts[0]["uid"]]
    assert listed("status=draft") == sorted(set(everything) - {drafts[0]["uid"]})
    assert listed(f"item={drafts[0]['item']}&status=accepted") == [drafts[0]["uid"]]
    assert listed("status=rejected") == listed("job=unknown") == listed("item=unknown") == []
    odd = system.api.get(f"/projects/{project_uid}/results/?status=odd")
    assert_refused(odd, 400, naming='status: Must be one of "draft", "accepted", "rejected", not ')


# Who may


@pytest.mark.contract("D3")
def test_review_needs_the_right_to_write(stack: Stack, untouched: Json) -> None:
    with project.client_of(replace(stack, key=a_key(stack, "demo", "--scope", "projects.read"))) as reader:
        assert reader.get(f"/results/{untouched['uid']}/").status_code == 200
        for response in (*all_writes(reader, untouched), *all_sweeps(reader, untouched)):
            assert_refused(response, 403, code="permission_denied")


@pytest.mark.contract("D4")
def test_another_tenant_finds_no_result(system: System, stack: Stack, untouched: Json) -> None:
    """I10."""
    with project.client_of(replace(stack, key=a_key(stack, f"test-{uuid.uuid4()}"))) as client:
        shown_to_it = client.get(f"/results/{untouched['uid']}/")
        for response in (shown_to_it, *all_writes(client, untouched), *all_sweeps(client, untouched)):
            assert_refused(response, 404, naming="Not found.")
    assert shown(system, untouched).json() == untouched


@pytest.mark.parametrize("unknown", ["00000000-0000-8000-8000-000000000000", "result", "x" * 300])
def test_an_unknown_result_is_not_found(system: System, unknown: str) -> None:
    for response in all_writes(system.api, {"uid": unknown}):
        assert_refused(response, 404, naming="Not found.")


def all_writes(client: httpx.Client, result: Json) -> tuple[httpx.Response, ...]:
    path = f"/results/{result['uid']}/"
    verdicts = (client.post(f"{path}{verdict}/") for verdict in ("accept", "reject", "reopen"))
    return client.patch(path, json={"annotations": []}), *verdicts


def all_sweeps(client: httpx.Client, result: Json) -> tuple[httpx.Response, ...]:
    path = f"/projects/{result['project']}/results/"
    undo = client.post(f"{path}undo/", json={"sweep": str(uuid.uuid4())})
    return client.post(f"{path}accept/", json={}), client.post(f"{path}reject/", json={}), undo


def a_key(stack: Stack, organization: str, *options: str) -> str:
    table = stack.outputs["TableName"]
    return admin.run(table, "keys", "create", "--organization", organization, "--name", "test", *options).strip()


@pytest.mark.takes(10)
def test_a_job_at_work_skips_what_a_person_labels_meanwhile_and_counts_it_once(system: System) -> None:
    """I2 and I3: whichever comes first."""
    project = system.load_project(items=400)
    items = [item["uid"] for item in system.items(project)]  # the newest first, so the last in the job's order
    job = system.start(project, confidence_threshold=0.0)["uid"]
    system.wait_for(job, 1)

    by_hand: Json = {"annotations": []}
    answers = {item: system.api.post(f"/items/{item}/results/", json=by_hand) for item in items[:40]}

    ended = system.finished(job)
    assert (ended["status"], ended["processed_items"], ended["total_items"]) == ("completed", 400, 400)
    mine = {item for item, answer in answers.items() if answer.status_code == 201}
    assert mine
    assert {answer.status_code for answer in answers.values()} <= {201, 409}
    shown = {result["item"]: result for result in system.rows(f"/projects/{project}/results/")}
    assert [shown[item] for item in mine] == [answers[item].json() for item in mine]
    lines = {line["item"]: line for line in system.rows(f"/auto-label-jobs/{job}/items/")}
    # Of an item without a draft the person may come after its outcome.
    assert {(lines[item]["outcome"], lines[item]["code"]) for item in mine} <= {
        ("skipped", "already_labeled"),
        ("skipped", "below_threshold"),
    }
    assert ended["successful_items"] == len(system.results(project, job))
