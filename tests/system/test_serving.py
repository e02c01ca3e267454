"""Which model a job runs on, and why a job had nothing to do (decision 0032)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import avala
import pytest

from local import settings
from local.aws import client
from local.up import Stack
from tests.system import uploads
from tests.system.conftest import NewTenant
from tests.system.model import Model
from tests.system.scenario import UNKNOWN
from tests.system.system import Json, System, assert_refused

PAUSE_SECONDS = 90.0
OWN_ENDPOINT = {"uid": None, "name": settings.SAGEMAKER_ENDPOINTS["yolo"], "type": "sagemaker"}
BOX = {
    "type": "bounding_box",
    "label": "car",
    "confidence": 0.9,
    "coordinates": {"x": 1, "y": 2, "width": 30, "height": 40},
}
DRAFT = (200, {"annotations": [BOX]})
NOTHING: tuple[int, Json] = (200, {"annotations": []})


def add(system: System, name: str, **fields: Any) -> str:
    """A provider of the whole organization, or of one project, at the endpoint's load mode."""
    config = {"endpoint_name": settings.LOAD_ENDPOINT, "region": settings.REGION}
    body = {"name": name, "provider_type": "sagemaker", "config": config, **fields}
    return str(system.ok("POST", "/inference-providers/", body, expect=201)["uid"])


def fix(system: System, project: str, provider: str | None) -> Json:
    """The project with this default provider."""
    return system.ok("PATCH", f"/projects/{project}/", {"default_provider": provider})


def remove(system: System, provider: str, how: str) -> str:
    """Takes a provider away; what an error then says of it."""
    if how == "deleted":
        assert system.api.delete(f"/inference-providers/{provider}/").status_code == 204
        return "was deleted"
    system.ok("PATCH", f"/inference-providers/{provider}/", {"is_active": False})
    return "is not active"


# What serves a job


def test_a_job_says_everywhere_what_serves_it(own: System) -> None:
    project = own.project()
    provider = add(own, "Street model", project=project)

    created = own.start(project)
    ended = own.finished(created["uid"])
    own.ok("PATCH", f"/inference-providers/{provider}/", {"name": "Renamed"})

    served_by = {"uid": provider, "name": "Street model", "type": "sagemaker"}
    (listed,) = own.rows(f"/auto-label-jobs/?project={project}")
    for job in (created, ended, own.job(created["uid"]), listed):
        assert (job["served_by"], job["provider"], job["model_type"]) == (served_by, provider, None)
    assert own.run(project, model_type="sam3")["model_type"] == "sam3", "as it was asked for"
    renamed = own.start(project)["served_by"]
    assert renamed == {**served_by, "name": "Renamed"}


def test_the_deployments_own_endpoint_is_named_and_has_a_model_type(system: System, official: avala.Client) -> None:
    project = system.project()

    job = system.run(project)

    assert (job["served_by"], job["provider"], job["model_type"]) == (OWN_ENDPOINT, None, "yolo")
    assert system.run(project, model_type="sam3")["served_by"]["name"] == settings.SAGEMAKER_ENDPOINTS["sam3"]
    read = official.auto_label_jobs.get(job["uid"])
    assert (read.uid, read.model_type, read.status) == (job["uid"], "yolo", "completed")


@pytest.mark.contract("D7")
def test_a_projects_default_provider_comes_before_newer_ones_and_after_the_request(own: System) -> None:
    default = add(own, "Default")
    project = own.ok("POST", "/projects/", {"name": "Fixed", "default_provider": default}, expect=201)
    scoped = add(own, "Newer, of the project", project=project["uid"])

    assert project["default_provider"] == default
    assert own.ok("GET", f"/projects/{project['uid']}/")["default_provider"] == default
    assert own.run(project["uid"])["provider"] == default
    assert own.run(project["uid"], provider_id=scoped)["provider"] == scoped
    own.ok("PATCH", f"/projects/{project['uid']}/", {"name": "Other"})
    assert own.run(project["uid"])["provider"] == default, "another change leaves it"
    assert fix(own, project["uid"], scoped)["default_provider"] == scoped
    assert own.run(project["uid"])["provider"] == scoped
    assert fix(own, project["uid"], None)["default_provider"] is None
    assert own.run(project["uid"])["provider"] == scoped, "the newest of the project"


def test_a_default_provider_must_serve_the_project(own: System, new_tenant: NewTenant) -> None:
    project, stranger = own.project(), new_tenant()
    elsewhere = add(own, "Elsewhere", project=own.project())
    inactive = add(own, "Inactive", is_active=False)
    foreign = add(stranger, "Foreign")

    for provider in (elsewhere, inactive, foreign, UNKNOWN, "mine"):
        for method, path, body in (("PATCH", f"/projects/{project}/", {}), ("POST", "/projects/", {"name": "New"})):
            answer = own.api.request(method, path, json={**body, "default_provider": provider})
            assert_refused(answer, 400, naming="default_provider: ", code="validation_error")
    assert own.ok("GET", f"/projects/{project}/")["default_provider"] is None


# A provider that is gone


@pytest.mark.parametrize("how", ["deleted", "deactivated"])
def test_a_default_provider_that_is_gone_is_named_and_no_other_model_runs(new_tenant: NewTenant, how: str) -> None:
    system = new_tenant()
    project, provider = system.project(), add(system, "Street model")
    fix(system, project, provider)
    add(system, "Newer")

    fate = remove(system, provider, how)
    refused = system.create(project)

    naming = f'The project\'s default provider is "Street model" ({provider}), which {fate}.'
    assert_refused(refused, 400, naming=naming, code="provider_gone")
    assert list(system.rows(f"/auto-label-jobs/?project={project}")) == []


@pytest.mark.parametrize("how", ["deleted", "deactivated"])
def test_the_provider_of_the_last_job_is_not_replaced_by_another_model(new_tenant: NewTenant, how: str) -> None:
    system = new_tenant()
    project = system.project()
    assert system.run(project)["served_by"] == OWN_ENDPOINT
    provider = add(system, "Street model")
    assert system.run(project, dry_run=True)["provider"] == provider
    remove(system, provider, "deactivated")
    assert system.run(project)["served_by"] == OWN_ENDPOINT, "no project relies on the provider of a dry run"
    system.ok("PATCH", f"/inference-providers/{provider}/", {"is_active": True})
    assert system.run(project)["provider"] == provider

    fate = remove(system, provider, how)
    refused = system.create(project)

    naming = f'The project\'s last job ran on the provider "Street model" ({provider}), which {fate}.'
    assert_refused(refused, 400, naming=naming, code="provider_gone")
    another = add(system, "Newer")
    assert_refused(system.create(project), 400, naming=naming, code="provider_gone")
    assert_refused(system.create(project, dry_run=True), 400, code="provider_gone")
    assert system.run(system.project())["provider"] == another, "a project that never relied on it"
    if how == "deactivated":
        system.ok("PATCH", f"/inference-providers/{provider}/", {"is_active": True})
        assert system.run(project)["provider"] == another, "a newer one may replace one that serves"
    else:
        fix(system, project, None)
        assert system.run(project)["provider"] == another


@pytest.mark.takes(60)
def test_uploads_wait_and_the_project_says_that_its_provider_is_gone(new_tenant: NewTenant) -> None:
    system = new_tenant()
    project = uploads.labeling(system)
    (provider,) = (row["uid"] for row in system.rows("/inference-providers/"))
    fix(system, project, provider)
    remove(system, provider, "deleted")

    uploads.put(system, project, {"a.png": uploads.a_picture()})
    deadline = time.monotonic() + PAUSE_SECONDS
    while (pause := system.ok("GET", f"/projects/{project}/")["auto_label_pause"]) is None:
        assert time.monotonic() < deadline, "no pause"
        time.sleep(uploads.POLL_SECONDS)

    assert "default provider" in pause["reason"]
    assert provider in pause["reason"]
    assert pause["job_uid"] is None
    assert uploads.jobs(system, project) == []


@contextmanager
def no_fallback(stack: Stack) -> Iterator[None]:
    """As with `endpointFallback: deny`: the function that creates jobs knows no endpoint of the deployment."""
    function, functions = stack.outputs["JobsFunctionName"], client("lambda")
    variables = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    without = {**variables, "SAGEMAKER_ENDPOINTS": "{}"}
    functions.update_function_configuration(FunctionName=function, Environment={"Variables": without})
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=function, Environment={"Variables": variables})


def test_a_deployment_without_a_fallback_refuses_a_job_without_a_provider(new_tenant: NewTenant) -> None:
    system = new_tenant()
    project = system.project()

    with no_fallback(system.stack):
        refused = system.create(project)

    naming = 'The deployment has no endpoint of its own that may serve jobs of the model type "yolo" instead.'
    assert_refused(refused, 400, naming=naming, code="no_inference_provider")
    assert system.run(project)["served_by"] == OWN_ENDPOINT


# A job with nothing to do


def noted(job: Json) -> str:
    """The note of a job, which its summary has as well."""
    assert job["note"] == job["summary"]["note"]
    return str(job["note"])


def test_a_job_of_an_empty_project_says_so(system: System) -> None:
    job = system.run(system.project(0))

    assert (job["status"], job["total_items"], job["progress_pct"]) == ("completed", 0, 100.0)
    assert noted(job) == "The project has no items. Add some: POST /projects/{uid}/items/."


def test_a_job_without_unlabeled_items_counts_the_results_and_its_advice_works(
    system: System, model: Model, official: avala.Client
) -> None:
    project = model.project(system, "car", items=4)
    model.says(DRAFT)
    first = system.run(project)
    assert (first["note"], "note" in first["summary"]) == (None, False)
    accepted = system.results(project, first["uid"])[0]
    system.ok("POST", f"/results/{accepted['uid']}/accept/")

    idle = system.run(project, confidence_threshold=0.3)

    advice = f"POST /auto-label-jobs/{first['uid']}/discard-drafts/"
    assert noted(idle) == (
        "All 4 items have results: 3 drafts, 1 accepted. To change the threshold, the labels or the model, "
        f"discard the drafts and start again: {advice}."
    )
    assert dict(official.auto_label_jobs.get(idle["uid"]).summary or {})["note"] == idle["note"]
    system.ok("POST", advice.removeprefix("POST "), {})
    again = system.run(project, confidence_threshold=0.3)
    assert (again["total_items"], again["note"]) == (3, None)
    assert noted(system.run(project, dry_run=True)).startswith("All 4 items have results: 3 drafts, 1 accepted.")


def test_a_retry_with_nothing_left_says_so(system: System, model: Model) -> None:
    project = model.project(system, "car", items=2)
    model.says((400, {}), DRAFT)
    failed = system.run(project)["uid"]
    model.says(DRAFT)
    system.run(project)

    again = system.finished(system.ok("POST", f"/auto-label-jobs/{failed}/retry/", expect=202)["uid"])

    assert (again["status"], again["total_items"]) == ("completed", 0)
    assert noted(again).startswith("Nothing is left to retry: ")


def test_a_job_that_leaves_no_draft_says_what_the_items_had(system: System, model: Model) -> None:
    project = model.project(system, "car", items=2)
    model.says(NOTHING)
    reasons = "has the reason of each."
    skipped = system.run(project)
    assert noted(skipped) == (
        f"No item has a prediction to keep: 2 skipped. GET /auto-label-jobs/{skipped['uid']}/items/ {reasons}"
    )

    model.says((200, {"annotations": [{**BOX, "label": "tram"}]}))
    unwanted = system.run(project, labels=["car"])
    assert "The model found labels that the job does not ask for: tram (2)." in noted(unwanted)
