"""The sentences of errors, as a newcomer meets them: which object, which value, what would be right."""

import base64
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from local import settings
from local.up import Stack
from tests.system.conftest import NewTenant
from tests.system.official import command
from tests.system.server import Answer, Request, Server, json_answer
from tests.system.system import Json, System, assert_refused
from tests.system.test_clients import UNKNOWN

pytestmark = pytest.mark.takes(30)

SAGEMAKER = {"endpoint_name": settings.LOAD_ENDPOINT, "region": settings.REGION}
TOKEN = "tok-5f1d2c3b-and-more"


def provider(system: System, name: str, config: Json, **fields: Any) -> str:
    kind = "http" if "endpoint_url" in config else "sagemaker"
    body = {"name": name, "provider_type": kind, "config": config, **fields}
    return str(system.ok("POST", "/inference-providers/", body, expect=201)["uid"])


def printed(stack: Stack, *arguments: str) -> str:
    """What the official command prints, in one line."""
    return " ".join(command(stack, *arguments).output.split())


def test_a_provider_that_cannot_serve_is_refused_with_its_own_reason(own: System) -> None:
    project, other = own.load_project(items=1), own.load_project(items=1)
    inactive = provider(own, "Night", SAGEMAKER, is_active=False)
    foreign = provider(own, "Day", SAGEMAKER, project=other)
    for named, sentence in [
        ("my model", 'Must be the uid of an inference provider, not "my model".'),
        (UNKNOWN, f'No inference provider "{UNKNOWN}" in this organization.'),
        (inactive, 'The inference provider "Night" is not active. Activate it, or choose another one.'),
        (foreign, f'The inference provider "Day" serves another project alone: {other}.'),
    ]:
        refused = assert_refused(own.create(project, provider_id=named), 400, code="validation_error")

        assert refused["errors"] == {"provider_id": [sentence]}


def test_what_is_missing_is_named_and_another_tenants_is_no_different(own: System, new_tenant: NewTenant) -> None:
    stranger = new_tenant()
    project = own.load_project(items=1)
    job = own.run(project)["uid"]
    item = own.items(project)[0]["uid"]
    for path, noun, uid in [
        ("/auto-label-jobs/{}/", "job", job),
        ("/projects/{}/", "project", project),
        ("/tasks/{}/", "task", item),
    ]:
        for name in (UNKNOWN, uid, "my \u202e\x1b[31m own" + "x" * 100):
            refused = assert_refused(stranger.api.get(path.format(name.replace("\x1b", "%1B"))), 404, code="not_found")
            shown = f"my [31m own{'x' * 49}…" if name.startswith("my") else name
            assert refused["detail"] == f'Not found. No {noun} "{shown}" in this organization.'
    assert printed(stranger.stack, "auto-label", "get", job) == (
        f'Error: API error (404): Not found. No job "{job}" in this organization.'
    )
    refused = assert_refused(own.api.get("/nothing/here/"), 404)
    assert refused["detail"].startswith('Not found. No path "')


def test_labels_and_their_thresholds_are_named(own: System) -> None:
    labels = [f"label {n}" for n in range(12)]
    project = own.ok("POST", "/projects/", {"name": "Labels", "labels": labels}, expect=201)["uid"]

    refused = assert_refused(own.create(project, labels=["dog", "label 3"], label_thresholds={"label 1": 2}), 400)
    assert refused["detail"] == 'label_thresholds: Of "label 1": Must be a number from 0.0 to 1.0, not 2.'
    refused = assert_refused(own.create(project, labels=["dog", "label 3"]), 400)
    listed = ", ".join(f'"{label}"' for label in labels[:10])
    assert refused["detail"] == f'labels: The project does not have "dog". Its labels: {listed} and 2 more.'
    own.ok("PATCH", f"/projects/{project}/", {"status": "archived"})
    refused = assert_refused(own.create(project), 409, code="project_not_active")
    assert refused["detail"] == 'Project "Labels" is not active: its status is "archived". Set it to "active" first.'


class Failing(Server):
    """Fails in words for all pictures but the first, and says more than it should."""

    def __init__(self) -> None:
        self.good: set[str] = set()
        self.lock = threading.Lock()
        super().__init__()

    def is_first(self, asset: str) -> bool:
        """Whether it is the picture that was asked about first."""
        with self.lock:
            self.good = self.good or {asset}
        return asset in self.good

    def answer(self, request: Request) -> Answer:
        asked = request.json()
        if self.is_first(asked["asset_id"]):
            return json_answer({"annotations": []})
        encoded = base64.b64encode(TOKEN.encode()).decode()
        words = (
            f"CUDA out of memory at 10.0.0.5 for {asked['asset_url']} of {request.headers['Authorization']} {encoded}"
        )
        return json_answer({"detail": words}, 500)


def test_failed_items_are_easy_to_find_and_quote_the_model(own: System) -> None:
    with Failing() as failing:
        project = own.project(items=4)
        config = {"endpoint_url": failing.url, "auth_type": "bearer", "auth_header": TOKEN}
        uid = provider(own, "Failing", config, project=project)
        job = own.run(project)
        again = own.ok("POST", f"/inference-providers/{uid}/test/", expect=200)

    words = "CUDA out of memory at [address] for [address] of *** ***"
    said = f"The model answered status 500. The model's words: \"{words}"
    assert (job["status"], job["failed_items"]) == ("completed", 3)
    assert len(job["summary"]["errors"]) == 3
    items = {item["uid"]: item["key"] for item in own.items(project)}
    for error in job["summary"]["errors"]:
        assert error["key"] == items[error["item"]]
        assert error["message"].startswith(said), error
    first = job["summary"]["errors"][0]
    assert job["error_message"] == f'3 of 4 items failed. The first one, "{first["key"]}": {first["message"]}'
    assert again["message"].startswith(said)
    assert TOKEN not in str((job, again)) and base64.b64encode(TOKEN.encode()).decode() not in str((job, again))
    shown = printed(own.stack, "auto-label", "get", job["uid"])
    assert "3 of 4 items failed." in shown and "CUDA" in shown
    report = own.ok("GET", f"/auto-label-jobs/{job['uid']}/items/")["results"]
    assert [line["key"] for line in report] == [items[line["item"]] for line in report]
    upward = own.ok("GET", f"/auto-label-jobs/{job['uid']}/items/?ordering=created_at")["results"]
    assert upward == report[::-1]
    assert len(report) == 4


class Hanging(Failing):
    """Answers at once about all pictures but the first one, and never about that."""

    def answer(self, request: Request) -> Answer:
        time.sleep(3 if self.is_first(request.json()["asset_id"]) else 0.3)
        return json_answer({"annotations": []})


def test_an_item_without_an_answer_has_the_seconds_and_the_calls(own: System) -> None:
    with Hanging() as hanging:
        project = own.project(items=40)
        config = {"endpoint_url": hanging.url, "timeout": 1, "max_concurrency": 2}
        provider(own, "Hanging", config, project=project)
        job = own.run(project)

    (error,) = job["summary"]["errors"]
    assert (job["failed_items"], error["code"], error["item"]) == (1, "model_unavailable", hanging.good.pop())
    assert error["message"].startswith("No complete answer came within 1 second. Tried "), error


def test_the_description_cites_no_document_that_its_reader_has_not(own: System) -> None:
    kept = (Path(settings.ROOT) / "docs" / "openapi.json").read_text()
    assert not [sign for sign in ("(contract, ", "(I1", "docs/decisions", "the mission") if sign in kept]
    assert own.api.get("/openapi.json").text == kept
