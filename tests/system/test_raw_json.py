"""What the TypeScript client needs of the bytes themselves (contract, 1.2 to 1.4, 3, 4).

It renames every JSON key of an answer, takes URLs as they are, and shows a `detail` only if it is text.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from local import settings
from tests.system.conftest import NewTenant
from tests.system.scenario import LABELS, UNKNOWN, Walk, bodies, walked
from tests.system.system import System, assert_refused

OPENAPI = settings.ROOT / "docs" / "openapi.json"
# Objects whose keys are the user's own by the contract: header names (8.3), and attributes of an annotation (10.3).
USERS_OWN = {"headers", "attributes"}
# Of a delivery's payload (contract, 9.3 and 9.5), which the description leaves open.
OF_EVENTS = {"project_uid", "webhook_uid", "successful", "failed", "skipped"}


@pytest.fixture(scope="module")
def walk(new_tenant: NewTenant) -> Iterator[Walk]:
    with walked(new_tenant()) as walk:
        yield walk


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object inside, at any depth."""
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            if key not in USERS_OWN:
                yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)


def documented() -> set[str]:
    """Every key that the API's description names for an answer or a request."""
    description = json.loads(OPENAPI.read_text())
    named = [found["properties"] for found in objects(description) if isinstance(found.get("properties"), dict)]
    return {key for properties in named for key in properties}


def test_every_key_of_every_answer_is_a_documented_one(walk: Walk) -> None:
    keys = {key for body in bodies(walk) for found in objects(body) for key in found if "errors" not in body}

    assert len(keys) > 50
    assert sorted(keys - documented() - OF_EVENTS) == []


def test_no_label_is_a_key_of_any_answer(walk: Walk) -> None:
    """`traffic_light` would become `trafficLight`."""
    shown = json.dumps(bodies(walk), ensure_ascii=False)
    keys = {key for body in bodies(walk) for found in objects(body) for key in found}

    assert all(f'"{label}"' in shown for label in LABELS), "the walk shows each label somewhere"
    assert not keys & set(LABELS)
    assert not keys & {walk.project, *walk.jobs}


def test_every_answer_but_204_is_json_and_204_is_empty(walk: Walk) -> None:
    assert {answer.status_code for answer in walk.answers} >= {200, 201, 202, 400, 401, 404, 405, 409, 413}
    for answer in walk.answers:
        if answer.status_code == 204:
            assert answer.content == b""
        else:
            assert answer.headers["content-type"].startswith("application/json"), answer.request.url
            assert isinstance(answer.json(), dict), answer.request.url


@pytest.mark.contract("D5")
def test_every_refusal_has_a_sentence_for_people_and_a_word_for_programs(walk: Walk) -> None:
    refusals = [answer.json() for answer in walk.answers if answer.is_error]

    assert len(refusals) >= 12
    for body in refusals:
        assert isinstance(body["detail"], str) and body["detail"]
        assert body["code"].replace("_", "").isalpha()
        assert not body.keys() & {"limit", "used"}
        for field, complaints in body.get("errors", {}).items():
            assert all(f"{field}: {complaint}" in body["detail"] for complaint in complaints)


def test_every_page_has_its_links_absolute_or_null(walk: Walk) -> None:
    pages = [body for body in bodies(walk) if "results" in body and "next" in body]

    assert {type(page["next"]) for page in pages} == {str, type(None)}
    for page in pages:
        # Only a review queue counts what is left of it.
        assert page.keys() - {"remaining"} == {"next", "previous", "results"}
        for link in (page["next"], page["previous"]):
            assert link is None or link.startswith(walk.system.stack.base_url + "/")


def test_what_clients_take_for_granted_is_never_null(walk: Walk) -> None:
    """Each of these is a crash of one client or the other (contract, 6.1, 8.1, 9.1, 9.4, 11.1)."""
    never_null = {
        "uid", "status", "name", "slug", "labels", "dry_run", "total_items", "processed_items", "successful_items",
        "failed_items", "skipped_items", "progress_pct", "config", "is_active", "is_verified", "target_url", "events",
        "subscription", "event_type", "payload", "attempts", "annotations", "created_at", "updated_at", "item_count",
        "is_hidden",
    }  # fmt: skip
    seen = set()
    for body in bodies(walk):
        for found in objects(body):
            for key in never_null & found.keys():
                seen.add(key)
                assert found[key] is not None, f"{key} of {found}"
    assert seen == never_null


def test_an_optional_field_without_value_is_there_and_null(walk: Walk) -> None:
    shown = {key for body in bodies(walk) for found in objects(body) for key, value in found.items() if value is None}

    assert {
        *("error_message", "summary", "started_at", "completed_at", "description", "last_test_at"),
        *("last_test_success", "next_retry_at", "reviewed_by"),
    } <= shown


def test_times_are_utc(walk: Walk) -> None:
    times = [
        value
        for body in bodies(walk)
        for found in objects(body)
        for key, value in found.items()
        if key.endswith("_at") and value is not None
    ]

    assert times
    for time in times:
        assert time.endswith("Z")
        assert datetime.fromisoformat(time).utcoffset() is not None


# Both forms of each path, never a redirect


@pytest.mark.parametrize("slash", ["", "/"])
def test_both_forms_of_every_path_answer_directly(walk: Walk, slash: str) -> None:
    project, job = walk.project, walk.jobs[0]
    provider, webhook, delivery, result = (
        walk.system.ok("GET", path)["results"][0]["uid"]
        for path in ("/inference-providers/", "/webhooks/", "/webhook-deliveries/", f"/projects/{project}/results/")
    )
    expected = {
        **dict.fromkeys(
            [
                *("organizations", "projects", "users/me/projects", "tasks", "exports", "agents", "storage-configs"),
                *("auto-label-jobs", "inference-providers", "webhooks", "webhook-deliveries", "keys/me"),
                *(f"projects/{project}", f"users/me/projects/{project}"),
                *(f"projects/{project}/items", f"projects/{project}/results", f"auto-label-jobs/{job}"),
                *(f"inference-providers/{provider}", f"webhooks/{webhook}", f"webhook-deliveries/{delivery}"),
                *(f"results/{result}", f"results/{result}/draft", "datasets", f"datasets/{project}"),
            ],
            200,
        ),
        "no/such/path": 404,
        f"webhooks/{UNKNOWN}": 404,
    }
    for path, status in expected.items():
        assert walk.system.api.get(f"/{path}{slash}").status_code == status, path
        is_object = path.endswith((project, job, provider, webhook, delivery, result, UNKNOWN, "keys/me", "/draft"))
        assert walk.system.api.get(f"/{path}{slash}?limit=1").status_code == (400 if is_object else status), path
    for path, status in {
        f"projects/{UNKNOWN}/auto-label": 404,
        f"webhooks/{webhook}/test": 200,
        f"results/{UNKNOWN}/accept": 404,
        f"results/{UNKNOWN}/reopen": 404,
        "webhooks": 400,
        "projects": 400,
    }.items():
        assert walk.system.api.post(f"/{path}{slash}", json={}).status_code == status, path
    assert walk.system.api.put(f"/webhooks{slash}").status_code == 405


# What a body may be


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", None]
)
def test_a_body_is_json_whatever_its_content_type_says(own: System, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}

    for path, body, status in (
        ("/projects/", {"name": "Any"}, 201),
        ("/webhooks/", {"target_url": "https://a.example/", "events": ["task.completed"]}, 201),
        (
            "/inference-providers/",
            {"name": "x", "provider_type": "sagemaker", "config": {"endpoint": "e", "region": "us-east-1"}},
            201,
        ),
    ):
        answer = own.api.post(path, content=json.dumps(body), headers=headers)
        assert answer.status_code == status, answer.text


def test_null_is_not_sent_whatever_its_name(own: System) -> None:
    """TypeScript users can cause a null; Python leaves the field out."""
    config = {"endpoint_name": "e", "region": "us-east-1", "role_arn": None}
    sent = {"name": "x", "provider_type": "sagemaker", "config": config}
    nulls = dict.fromkeys(("description", "is_active", "project"))

    provider = own.ok("POST", "/inference-providers/", {**sent, **nulls, "color": None}, expect=201)
    hook = {"target_url": "https://a.example/", "events": ["task.completed"], "secret": None, "is_active": None}
    webhook = own.ok("POST", "/webhooks/", {**hook, "color": None}, expect=201)
    changed = own.ok("PATCH", f"/inference-providers/{provider['uid']}/", {"name": None, "config": None, "color": None})

    assert (provider["description"], provider["is_active"], provider["project"]) == (None, True, None)
    assert (webhook["is_active"], len(webhook["secret"]) >= 43) == (True, True)
    assert (changed["name"], changed["config"]) == (provider["name"], provider["config"])


def test_a_test_is_asked_for_with_an_empty_body_or_none(own: System) -> None:
    """Python sends none, TypeScript `{}`."""
    hook = {"target_url": "http://localhost:9/", "events": ["task.completed"]}
    uid = own.ok("POST", "/webhooks/", hook, expect=201)["uid"]

    assert own.api.post(f"/webhooks/{uid}/test/").status_code == 200
    assert own.api.post(f"/webhooks/{uid}/test/", json={}).status_code == 200


WRONG_BODIES = {
    "not JSON": b"{",
    "not text": b"\xff\xfe\x00",
    "a list": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "nested too deep": b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no number": b'{"name": NaN}',
    "a lone surrogate": rb'{"name": "\ud800"}',
}


@pytest.mark.parametrize("body", WRONG_BODIES.values(), ids=WRONG_BODIES.keys())
@pytest.mark.parametrize("path", ["/projects/", "/webhooks/", "/inference-providers/"])
def test_a_body_that_is_no_object_is_refused_with_a_sentence(own: System, path: str, body: bytes) -> None:
    assert_refused(own.api.post(path, content=body), 400)


@pytest.mark.parametrize("path", ["/projects/", "/webhooks/", "/inference-providers/"])
def test_a_string_of_a_megabyte_is_refused_with_a_sentence(own: System, path: str) -> None:
    assert_refused(own.api.post(path, json={"name": "x" * 1_000_000}), 413)
