"""What a caller sends is read, refused, or named in the answer: nothing is ignored in silence (contract, 1.3)."""

from typing import Any

import pytest

from tests.system.model import Model
from tests.system.system import Json, System, assert_refused

pytestmark = pytest.mark.takes(20)

NONE_KNOWN = "Unknown field. None is known here."


@pytest.fixture(scope="module")
def project(own: System) -> str:
    return str(own.ok("POST", "/projects/", {"name": "Cars", "labels": ["car", "bus"]}, expect=201)["uid"])


def test_a_job_with_a_mistyped_option_does_not_start(own: System, project: str) -> None:
    path = f"/projects/{project}/auto-label/"
    cases: list[tuple[Json, str]] = [
        ({"treshold": 0.3}, "treshold: Unknown field. Did you mean confidence_threshold?"),
        ({"dryRun": True}, "dryRun: Unknown field. Did you mean dry_run?"),
        (
            {"iou": 0.5},
            "iou: Unknown field. "
            "Known: model_type, confidence_threshold, label_thresholds, labels, dry_run, provider_id.",
        ),
    ]
    for body, detail in cases:
        refused = own.api.post(path, json=body)
        assert_refused(refused, 400, code="validation_error")
        assert refused.json()["detail"] == detail
        assert list(refused.json()["errors"]) == list(body)
    assert list(own.rows(f"/auto-label-jobs/?project={project}")) == []


SAGEMAKER: Json = {"endpoint_name": "e", "region": "us-east-1"}


@pytest.mark.parametrize(
    ("call", "body", "naming"),
    [
        ("POST /projects/", {"name": "x", "label": ["car"]}, "label: Unknown field. Did you mean labels?"),
        ("PATCH /projects/{project}/", {"item_count": 7}, "item_count: Unknown field."),
        (
            "PATCH /projects/{project}/",
            {"auto_label_on_upload": {"quiet": 20}},
            "auto_label_on_upload.quiet: Unknown field. Did you mean quiet_seconds?",
        ),
        ("POST /webhooks/", {"url": "https://a.example/", "events": ["task.completed"]}, "url: Unknown field."),
        (
            "POST /inference-providers/",
            {"name": "x", "provider_type": "sagemaker", "config": {**SAGEMAKER, "regoin": "x"}, "active": True},
            "config.regoin: Unknown field. Did you mean region?; active: Unknown field. Did you mean is_active?",
        ),
        (
            "POST /projects/{project}/results/accept/",
            {"labels": ["car"]},
            "labels: Unknown field. Did you mean label?",
        ),
        ("POST /projects/{project}/items/", {"itmes": []}, "itmes: Unknown field. Did you mean items?"),
    ],
)
def test_an_unknown_field_is_refused_with_its_path(
    own: System, project: str, call: str, body: Json, naming: str
) -> None:
    method, path = call.format(project=project).split()

    refused = own.api.request(method, path, json=body)

    assert_refused(refused, 400, code="validation_error")
    assert naming in refused.json()["detail"]


def test_a_line_with_an_unknown_field_is_a_bad_line(own: System) -> None:
    project = own.ok("POST", "/projects/", {"name": "Lines"}, expect=201)["uid"]
    lines = [{"key": "a.jpg"}, {"key": "b.jpg", "widht": 640}]

    added = own.ok("POST", f"/projects/{project}/items/", {"items": lines}, expect=201)

    assert [item["key"] for item in added["results"]] == ["a.jpg"]
    assert [error["detail"] for error in added["errors"]] == ["widht: Unknown field. Did you mean width?"]


def test_an_unknown_parameter_is_refused(own: System, project: str) -> None:
    for method, path, detail in [
        (
            "GET",
            f"/projects/{project}/results/?label=car",
            "label: Unknown parameter. Known: cursor, limit, ordering, status, item, job.",
        ),
        ("GET", "/auto-label-jobs/?projct=x", "projct: Unknown parameter. Did you mean project?"),
        ("GET", f"/projects/{project}/?fields=uid", "fields: Unknown parameter. None is known here."),
        ("POST", f"/projects/{project}/auto-label/?dry_run=1", "dry_run: Unknown parameter. None is known here."),
    ]:
        refused = own.api.request(method, path)
        assert_refused(refused, 400, code="validation_error")
        assert refused.json()["detail"] == detail
    assert list(own.rows(f"/auto-label-jobs/?project={project}")) == []


def test_what_a_client_may_send_is_named_in_the_page(own: System) -> None:
    for path, ignored in [
        ("/organizations/?page=1", ["page"]),
        ("/storage-configs/?organization=x&limit=2", ["organization"]),
        ("/exports/?organization=x", ["organization"]),
        ("/projects/?page=2&limit=none&ordering=name", ["limit", "ordering", "page"]),
    ]:
        assert own.ok("GET", path)["ignored_fields"] == ignored
    assert "ignored_fields" not in own.ok("GET", "/projects/?limit=2&ordering=created_at")


@pytest.mark.contract("D16")
def test_the_official_clients_send_nothing_unknown(client: Any) -> None:
    """Their parameters that we do not have are ignored, not refused."""
    assert client.organizations.list(limit=5).items
    assert client.storage_configs.list(limit=5, organization="x").items == []
    assert (
        client.datasets.list(data_type="image", name="x", status="created", visibility="private", limit=5).items == []
    )
    assert client.tasks.list(status="pending", limit=5) is not None


def test_a_call_without_fields_refuses_them_and_does_nothing(system: System, model: Model) -> None:
    model.says((500, {}))
    failed = system.run(model.project(system, "car", items=1))

    refused = system.api.post(f"/auto-label-jobs/{failed['uid']}/retry/", json={"confidence_threshold": 0.3})

    assert refused.status_code == 400
    assert refused.json()["detail"] == f"confidence_threshold: {NONE_KNOWN}"
    assert len(list(system.rows(f"/auto-label-jobs/?project={failed['project']}"))) == 1
    hook = {"target_url": "http://localhost:9/", "events": ["task.completed"]}
    webhook = system.ok("POST", "/webhooks/", hook, expect=201)["uid"]
    delivery = system.ok("POST", f"/webhooks/{webhook}/test/", {})["delivery"]
    provider = system.ok("GET", "/inference-providers/")["results"][0]["uid"]
    for path in (
        f"/webhooks/{webhook}/test/",
        f"/webhook-deliveries/{delivery}/redeliver/",
        f"/inference-providers/{provider}/test/",
    ):
        refused = system.api.post(path, json={"timeout": 1})
        assert (refused.status_code, refused.json()["detail"]) == (400, f"timeout: {NONE_KNOWN}"), path
    system.api.delete(f"/webhooks/{webhook}/")


WIDE: Json = {"type": "bounding_box", "label": "car", "coordinates": {"x": 1, "y": 1, "width": 5000, "height": 9}}


def test_a_correction_has_known_labels_and_says_what_was_cut(system: System, model: Model) -> None:
    model.says((200, {"annotations": [{"type": "classification", "label": "car", "confidence": 0.9}]}))
    project = model.project(system, "car", "bus")
    (draft,) = system.results(project, system.run(project)["uid"])
    path = f"/results/{draft['uid']}/"

    wrongs: list[tuple[Json, str]] = [
        ({"label": "dog"}, 'annotations[0].label: The project does not have "dog". Its labels: "car", "bus".'),
        ({"score": 1}, "annotations[0].score: Unknown field. Known: type, label, confidence, attributes, coordinates."),
    ]
    for wrong, detail in wrongs:
        refused = system.api.patch(path, json={"annotations": [{**WIDE, **wrong}]})
        assert (refused.status_code, refused.json()["detail"]) == (400, detail)
    refused = system.api.post(f"{path}accept/", json={"annotations": []})
    assert (refused.status_code, refused.json()["detail"]) == (400, f"annotations: {NONE_KNOWN}")
    assert system.ok("GET", path) == draft, "nothing was changed"

    corrected = system.ok("PATCH", path, {"annotations": [WIDE, {**WIDE, "label": "bus"}]})
    assert corrected["notes"] == [
        f"annotations[{n}].coordinates: Was cut to the picture, by more than a pixel." for n in (0, 1)
    ]
    # A label that the project has no more is still the result's.
    system.ok("PATCH", f"/projects/{project}/", {"labels": ["bus"]})
    small = {**WIDE, "coordinates": {"x": 1, "y": 1, "width": 5, "height": 9}}
    again = system.ok("PATCH", path, {"annotations": [small]})
    assert (again["annotations"][0]["label"], "notes" in again) == ("car", False)
