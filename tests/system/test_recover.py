"""What to do about a job that went wrong: what became of each item, retry, discard its drafts (issue 5)."""

import uuid
from collections import Counter

import pytest

from tests.system.conftest import NewTenant
from tests.system.model import Model
from tests.system.system import Json, System, assert_refused

Answer = tuple[int, Json]

BOX = {
    "type": "bounding_box",
    "label": "car",
    "confidence": 0.9,
    "coordinates": {"x": 1, "y": 2, "width": 30, "height": 40},
}
DRAFT: Answer = (200, {"annotations": [BOX]})
NOTHING: Answer = (200, {"annotations": []})
REFUSED: Answer = (400, {})


@pytest.fixture
def mixed(system: System, model: Model) -> Json:
    """A finished job with two drafts, one skipped item and two failed ones."""
    project = model.project(system, "car", items=5)
    model.says(DRAFT, NOTHING, REFUSED, DRAFT, REFUSED)
    job = system.run(project, confidence_threshold=0.6, labels=["car"], model_type="sam3")
    assert (job["successful_items"], job["skipped_items"], job["failed_items"]) == (2, 1, 2)
    return job


def report(system: System, job: str, query: str = "") -> list[Json]:
    return list(system.rows(f"/auto-label-jobs/{job}/items/{query}"))


def failed_items(system: System, job: str) -> set[str]:
    return {line["item"] for line in report(system, job, "?outcome=failed")}


def retry(system: System, job: str, **options: str) -> Json:
    """The retrying job at its end."""
    headers = {name.replace("_", "-"): value for name, value in options.items()}
    answer = system.api.post(f"/auto-label-jobs/{job}/retry/", headers=headers)
    assert answer.status_code == 202, answer.text
    return system.finished(answer.json()["uid"])


def test_a_job_says_what_became_of_each_item_and_why(system: System, mixed: Json) -> None:
    lines = report(system, mixed["uid"])

    assert [line["item"] for line in lines] == [item["uid"] for item in system.items(mixed["project"])]
    assert Counter((line["outcome"], line["code"]) for line in lines) == {
        ("successful", None): 2,
        ("skipped", "below_threshold"): 1,
        ("failed", "model_error"): 2,
    }
    for line in lines:
        assert bool(line["message"]) == (line["outcome"] != "successful")
    drafted = {result["item"] for result in system.results(mixed["project"], mixed["uid"])}
    assert drafted == {line["item"] for line in lines if line["outcome"] == "successful"}


@pytest.mark.contract("D6")
@pytest.mark.parametrize("ordering", ["created_at", "-created_at"])
def test_the_report_is_read_in_pages_and_by_outcome(system: System, mixed: Json, ordering: str) -> None:
    everything = report(system, mixed["uid"], f"?ordering={ordering}")
    assert report(system, mixed["uid"], f"?ordering={ordering}&limit=2") == everything
    for outcome in ("successful", "skipped", "failed"):
        of_it = [line for line in everything if line["outcome"] == outcome]
        assert report(system, mixed["uid"], f"?outcome={outcome}&limit=1&ordering={ordering}") == of_it

    refused = system.api.get(f"/auto-label-jobs/{mixed['uid']}/items/?outcome=done")
    assert_refused(refused, 400, naming='outcome: Must be one of "successful", "skipped", "failed", not ')
    forged = system.api.get(f"/auto-label-jobs/{mixed['uid']}/items/?cursor=abc")
    assert_refused(forged, 404, naming="Invalid cursor")


def test_a_retry_asks_about_the_failed_items_alone_and_in_the_same_way(
    system: System, model: Model, mixed: Json
) -> None:
    failed = failed_items(system, mixed["uid"])
    model.says(DRAFT)

    again = retry(system, mixed["uid"])

    assert {request["asset_id"] for request in model.requests} == failed
    assert again["retry_of"] == mixed["uid"]
    assert mixed["retry_of"] is None
    assert (again["status"], again["total_items"], again["successful_items"]) == ("completed", 2, 2)
    for option in ("project", "provider", "model_type", "confidence_threshold", "labels", "dry_run"):
        assert again[option] == mixed[option]
    assert {result["item"] for result in system.results(again["project"], again["uid"])} == failed
    assert system.job(mixed["uid"]) == mixed, "what is over does not change"


def test_a_retry_leaves_out_what_was_labeled_meanwhile(system: System, model: Model, mixed: Json) -> None:
    model.says(DRAFT)
    assert system.run(mixed["project"])["successful_items"] == 3

    again = retry(system, mixed["uid"])

    assert (again["status"], again["total_items"]) == ("completed", 0)


def test_a_retry_that_is_sent_twice_is_one_job(system: System, model: Model, mixed: Json) -> None:
    model.says(REFUSED)
    key = str(uuid.uuid4())

    first = retry(system, mixed["uid"], Idempotency_Key=key)
    second = retry(system, mixed["uid"], Idempotency_Key=key)

    assert first["uid"] == second["uid"]
    assert (first["status"], first["failed_items"]) == ("failed", 2)
    assert retry(system, first["uid"])["retry_of"] == first["uid"], "a retry can be retried"


def test_a_job_that_leaves_nothing_or_is_not_over_or_has_no_model_is_not_retried(system: System, mixed: Json) -> None:
    nothing_left = system.run(system.project())["uid"]
    running = system.start(system.load_project(items=1_000))["uid"]
    system.api.delete(f"/inference-providers/{mixed['provider']}/")

    for job, code, sentence in (
        (nothing_left, "not_retryable", "no failed and no unprocessed items"),
        (running, "job_not_finished", "Job is still "),
        (mixed["uid"], "not_retryable", "model is not available any more"),
    ):
        assert_refused(system.api.post(f"/auto-label-jobs/{job}/retry/"), 409, naming=sentence, code=code)
    system.api.delete(f"/auto-label-jobs/{running}/")


def discard(system: System, job: str) -> Json:
    return system.ok("POST", f"/auto-label-jobs/{job}/discard-drafts/", {}, expect=200)


def test_discarding_takes_the_drafts_that_no_person_has_touched(system: System, model: Model) -> None:
    project = model.project(system, "car", items=5)
    model.says(DRAFT)
    job = system.run(project)["uid"]
    accepted, corrected, rejected, *untouched = system.results(project, job)
    kept = [
        system.ok("POST", f"/results/{accepted['uid']}/accept/"),
        system.ok("PATCH", f"/results/{corrected['uid']}/", {"annotations": []}),
    ]
    system.ok("POST", f"/results/{rejected['uid']}/reject/")

    first = discard(system, job)
    second = discard(system, job)

    reasons = [{"reason": "accepted", "count": 1}, {"reason": "corrected", "count": 1}]
    assert first == {"discarded": 2, "kept": reasons, "examined": 5, "done": True, "cursor": None}
    assert second == {**first, "discarded": 0}
    assert sorted(system.rows(f"/projects/{project}/results/"), key=lambda r: r["uid"]) == sorted(
        kept, key=lambda r: r["uid"]
    )
    for result in untouched:
        assert_refused(system.api.get(f"/results/{result['uid']}/"), 404)
    again = system.run(project)
    assert (again["total_items"], again["successful_items"]) == (3, 3), "their items are unlabeled again"
    assert {r["item"] for r in system.results(project, again["uid"])} == {
        result["item"] for result in (rejected, *untouched)
    }
    assert discard(system, job)["discarded"] == 0, "the next job's drafts are not this one's"


@pytest.mark.contract("D3", "D4")
def test_recovering_takes_the_right_key(new_tenant: NewTenant, mixed: Json) -> None:
    reader = new_tenant("--scope", "projects.read", slug="demo")
    foreign = new_tenant()
    path = f"/auto-label-jobs/{mixed['uid']}"

    assert len(report(reader, mixed["uid"])) == 5
    assert_refused(foreign.api.get(f"{path}/items/"), 404)
    for call in ("retry", "discard-drafts"):
        assert_refused(reader.api.post(f"{path}/{call}/"), 403)
        assert_refused(foreign.api.post(f"{path}/{call}/"), 404)
