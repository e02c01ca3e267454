"""Results by hand: people label what no job has labeled (contract, 11.4; decision 0033)."""

import uuid
from typing import Any

import httpx
import pytest

from tests.system.conftest import NewTenant, Subscription
from tests.system.model import Model
from tests.system.system import Json, System, assert_refused

pytestmark = pytest.mark.takes(40)

BOX = {
    "type": "bounding_box",
    "label": "car",
    "confidence": 0.9,
    "coordinates": {"x": 1.0, "y": 2.0, "width": 30.0, "height": 40.0},
}
DRAFT = (200, {"annotations": [BOX]})
NOTHING: tuple[int, Json] = (200, {"annotations": []})
REFUSED: tuple[int, Json] = (400, {})


@pytest.fixture
def job(system: System, model: Model) -> Json:
    """A finished job with a draft, a skipped item and two failed ones, in this order."""
    project = model.project(system, "car", items=4)
    model.says(DRAFT, NOTHING, REFUSED, REFUSED)
    job = system.run(project, confidence_threshold=0.6)
    assert (job["successful_items"], job["skipped_items"], job["failed_items"]) == (1, 1, 2)
    return job


def items_of(system: System, job: Json, outcome: str) -> list[str]:
    return [line["item"] for line in system.rows(f"/auto-label-jobs/{job['uid']}/items/?outcome={outcome}")]


def label(system: System, item: str, annotations: Any = (BOX,), **headers: str) -> httpx.Response:
    """The bare answer to a result by hand."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return system.api.post(f"/items/{item}/results/", json={"annotations": annotations}, headers=named)


def labeled(system: System, item: str, annotations: Any = (BOX,)) -> Json:
    response = label(system, item, annotations)
    assert response.status_code == 201, response.text
    assert response.headers["etag"] == system.api.get(f"/results/{response.json()['uid']}/").headers["etag"]
    return dict(response.json())


def statuses(system: System, project: str) -> dict[str, str]:
    return {item["uid"]: item["status"] for item in system.items(project)}


@pytest.mark.contract("D33")
def test_a_skipped_item_is_labeled_by_a_person_and_its_task_follows(system: System, job: Json) -> None:
    (item,) = items_of(system, job, "skipped")
    assert system.ok("GET", f"/tasks/{item}/")["status"] == "pending"

    result = labeled(system, item)

    assert (result["item"], result["task"], result["project"]) == (item, item, job["project"])
    assert (result["status"], result["source"], result["annotations"]) == ("accepted", "human", [BOX])
    assert (result["created_by"], result["reviewed_by"]) == ("demo", "demo")
    assert (result["job"], result["provider"], result["confidence_threshold"]) == (None, None, None)
    assert system.ok("GET", f"/results/{result['uid']}/") == result
    assert result in list(system.rows(f"/projects/{job['project']}/results/?status=accepted"))
    assert statuses(system, job["project"])[item] == "accepted"
    task = system.ok("GET", f"/tasks/{item}/")
    assert (task["status"], task["updated_at"]) == ("completed", result["updated_at"])
    assert system.job(job["uid"]) == job, "what is over does not change"


def test_neither_a_retry_nor_a_job_takes_what_a_person_has_labeled(system: System, model: Model, job: Json) -> None:
    """I3."""
    labeled_one, left = items_of(system, job, "failed")
    made = [labeled(system, item, []) for item in (labeled_one, *items_of(system, job, "skipped"))]
    model.says(NOTHING)

    retry = system.finished(system.ok("POST", f"/auto-label-jobs/{job['uid']}/retry/", expect=202)["uid"])
    again = system.run(job["project"])

    assert {request["asset_id"] for request in model.requests} == {left}
    assert (retry["total_items"], again["total_items"]) == (1, 1)
    assert [system.ok("GET", f"/results/{result['uid']}/") for result in made] == made


def test_an_item_that_has_a_result_says_what_to_call_instead(system: System, job: Json) -> None:
    (item,) = items_of(system, job, "successful")
    (draft,) = system.results(job["project"], job["uid"])
    path = f"/results/{draft['uid']}/"

    for status, sentence in (
        (
            "draft",
            f"Item already has a draft. Accept it by POST {path}accept/, correct it by PATCH {path}, or reject it",
        ),
        (
            "accepted",
            f"Item already has an accepted result. Correct it by PATCH {path}, or reject it by POST {path}reject/.",
        ),
    ):
        refused = assert_refused(label(system, item), 409, naming=sentence, code="item_labeled")
        assert refused["result_uid"] == draft["uid"]
        assert system.ok("GET", path)["status"] == status
        system.ok("POST", f"{path}accept/")

    rejected = system.ok("POST", f"{path}reject/")
    by_hand = labeled(system, item)
    assert by_hand["uid"] != rejected["uid"]
    assert system.ok("GET", path) == rejected, "it is history still"


def test_a_result_by_hand_is_reviewed_like_any_other(system: System, model: Model, job: Json) -> None:
    (item,) = items_of(system, job, "skipped")
    first = labeled(system, item, [])
    etag = system.api.get(f"/results/{first['uid']}/").headers["etag"]
    path = f"/results/{first['uid']}/"

    corrected = system.api.patch(path, json={"annotations": [BOX]}, headers={"If-Match": etag})
    late = system.api.post(f"{path}reject/", headers={"If-Match": etag})
    undone = system.ok("POST", f"/auto-label-jobs/{job['uid']}/discard-drafts/", {})

    assert (corrected.status_code, corrected.json()["status"]) == (200, "accepted")
    assert_refused(late, 412)
    assert (undone["discarded"], undone["kept"]) == (1, []), "it is no draft of the job"
    assert system.ok("GET", path) == corrected.json()
    system.ok("POST", f"{path}reject/")
    assert statuses(system, job["project"])[item] == "none"
    assert system.ok("GET", f"/tasks/{item}/")["status"] == "pending"
    model.says(DRAFT)
    assert system.run(job["project"])["successful_items"] == 4, "the next job takes all of them"


def test_a_repeated_call_has_the_same_result_and_one_event(
    system: System, job: Json, review_subscription: Subscription
) -> None:
    (item,) = items_of(system, job, "skipped")
    key = str(uuid.uuid4())

    result = label(system, item, Idempotency_Key=key, If_None_Match="*")
    for again in (label(system, item), label(system, item, Idempotency_Key=key, If_None_Match="*")):
        assert (again.status_code, again.json()) == (201, result.json())
    assert_refused(label(system, item, []), 409, code="item_labeled")

    receiver = review_subscription.receiver
    events = [event for event in (receiver.next(), receiver.next(seconds=1)) if event]
    assert [(event.event, event.payload["result_uid"]) for event in events] == [
        ("result.accepted", result.json()["uid"])
    ]
    facts = {name: events[0].payload[name] for name in ("job_uid", "status", "source", "reviewed_by", "corrected")}
    assert facts == {
        "job_uid": None,
        "status": "accepted",
        "source": "human",
        "reviewed_by": "demo",
        "corrected": False,
    }


def test_what_is_wrong_is_refused_and_changes_nothing(system: System, job: Json) -> None:
    (item,) = items_of(system, job, "skipped")

    bad = label(system, item, [{**BOX, "confidence": 2}])
    assert_refused(bad, 400, naming="annotations[0].confidence: Must be a number", code="validation_error")
    assert_refused(label(system, item, None), 400, naming="annotations: This field is required.")
    assert_refused(label(system, item, If_Match='"0"'), 412, code="precondition_failed")
    assert_refused(system.api.get(f"/items/{item}/results/"), 405)
    for unknown in ("item", str(uuid.uuid4())):
        assert_refused(label(system, unknown), 404)

    assert statuses(system, job["project"])[item] == "none"


@pytest.mark.contract("D3", "D4")
def test_labeling_takes_the_right_key(new_tenant: NewTenant, system: System, job: Json) -> None:
    """I10."""
    (item,) = items_of(system, job, "skipped")

    assert_refused(label(new_tenant("--scope", "projects.read", slug="demo"), item), 403)
    assert_refused(label(new_tenant(), item), 404)
    assert statuses(system, job["project"])[item] == "none"
