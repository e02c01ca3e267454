"""Creating a job (contract, 6.1 and 6.2)."""

import httpx
import pytest

from local import settings
from local.up import Stack
from tests.system.system import System, assert_refused

# The whole object, with what a new job must show.
NEW_JOB = {
    "status": "pending",
    "total_items": 0,
    "processed_items": 0,
    "successful_items": 0,
    "failed_items": 0,
    "skipped_items": 0,
    "progress_pct": 0.0,
    "error_message": None,
    "summary": None,
    "note": None,
    "started_at": None,
    "completed_at": None,
}


def test_a_new_job_is_answered_with_202_and_the_full_object_in_pending(system: System) -> None:
    project = system.project()

    response = system.create(project, model_type="sam3", confidence_threshold=0.7, labels=["car"], dry_run=True)

    assert response.status_code == 202
    job = response.json()
    asked = {"model_type": "sam3", "confidence_threshold": 0.7, "labels": ["car"], "dry_run": True, "project": project}
    assert {**job, **NEW_JOB, **asked} == job
    assert job["created_at"].endswith("Z")
    assert job["provider"] is None
    assert job["served_by"] == {"uid": None, "name": settings.SAGEMAKER_ENDPOINTS["sam3"], "type": "sagemaker"}


def test_an_empty_body_means_the_defaults(system: System) -> None:
    job = system.start(system.project())

    assert (job["model_type"], job["confidence_threshold"]) == ("yolo", 0.5)
    assert (job["labels"], job["dry_run"]) == ([], False)


def test_null_in_an_optional_field_means_not_sent(system: System) -> None:
    job = system.start(system.project(), model_type=None, labels=None, dry_run=None, confidence_threshold=None)

    assert (job["model_type"], job["labels"], job["dry_run"]) == ("yolo", [], False)


@pytest.mark.parametrize("slash", ["", "/"])
def test_both_forms_of_the_path_give_the_answer_directly(system: System, slash: str) -> None:
    project = system.project()

    created = system.api.post(f"/projects/{project}/auto-label{slash}", json={})
    shown = system.api.get(f"/auto-label-jobs/{created.json()['uid']}{slash}")
    listed = system.api.get(f"/auto-label-jobs{slash}?project={project}")

    assert (created.status_code, shown.status_code, listed.status_code) == (202, 200, 200)


def test_the_body_is_json_whatever_the_content_type_says(system: System) -> None:
    """`curl -d` sends no JSON content type (contract, 1.3)."""
    response = system.api.post(
        f"/projects/{system.project()}/auto-label/",
        content=b'{"model_type": "yolo", "confidence_threshold": 0.25, "dry_run": true}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert response.status_code == 202
    assert response.json()["confidence_threshold"] == 0.25


def test_a_job_without_unlabeled_items_completes_at_once(system: System) -> None:
    job = system.run(system.project())

    assert (job["status"], job["total_items"], job["progress_pct"]) == ("completed", 0, 100.0)
    assert job["started_at"] and job["completed_at"]


@pytest.mark.parametrize("threshold", [1.5, -0.1, "high", True])
def test_a_bad_threshold_is_refused_by_name(system: System, threshold: object) -> None:
    response = system.create(system.project(), confidence_threshold=threshold)

    body = assert_refused(response, 400, naming="confidence_threshold", code="validation_error")
    assert body["errors"]["confidence_threshold"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_type", "gpt"),
        ("model_type", 5),
        ("labels", "car"),
        ("labels", [1]),
        ("labels", ["no such label"]),
        ("dry_run", "yes"),
        ("provider_id", "00000000-0000-4000-8000-000000000000"),
    ],
)
def test_a_bad_field_is_refused_by_name(system: System, field: str, value: object) -> None:
    assert_refused(system.create(system.project(), **{field: value}), 400, naming=field)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe", b'{"dry_run": tru}'])
def test_a_body_that_is_no_json_object_is_refused(system: System, body: bytes) -> None:
    assert_refused(system.api.post(f"/projects/{system.project()}/auto-label/", content=body), 400)


def test_a_body_over_256_kib_is_refused(system: System) -> None:
    body = b'{"labels": ["' + b"x" * (256 * 1024) + b'"]}'

    assert_refused(system.api.post(f"/projects/{system.project()}/auto-label/", content=body), 413)


@pytest.mark.parametrize("project", ["00000000-0000-4000-8000-000000000000", "proj_abc123", "%20", "a%2Fb"])
def test_an_unknown_project_is_not_found(system: System, project: str) -> None:
    assert_refused(system.create(project), 404, naming="Not found.")


def test_no_key_and_a_wrong_key_get_different_details(stack: Stack) -> None:
    for path in ("/auto-label-jobs/", "/no/such/path/", "/projects/", "/webhooks/", "/inference-providers/"):
        url = stack.base_url + path
        assert_refused(httpx.get(url), 401, naming="Authentication credentials were not provided.")
        assert_refused(httpx.get(url, headers={"X-Avala-Api-Key": "avk_wrong"}), 401, naming="Invalid API key.")


def test_unknown_paths_and_methods_have_the_contracts_form(system: System) -> None:
    assert_refused(system.api.get("/no/such/path/"), 404, naming="Not found.")
    assert_refused(system.api.put("/auto-label-jobs/"), 405, naming='Method "PUT" not allowed.')
