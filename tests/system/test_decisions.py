"""Decisions of the contract (its section 14) that a client can see and that no other test is about."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from local import settings
from local.receiver import Receiver
from tests.system.conftest import NewTenant
from tests.system.system import Json, System, assert_refused
from tests.system.test_clients import UNKNOWN

HOOK = {"target_url": "https://receiver.example/hook", "events": ["task.completed"]}


def objects_of(system: System) -> dict[str, str]:
    """One of each object, as the path that shows it."""
    project = system.load_project(items=6)
    job = system.run(project, confidence_threshold=0.0)["uid"]
    result = system.results(project, job)[0]
    webhook = system.ok("POST", "/webhooks/", HOOK, expect=201)["uid"]
    delivery = system.ok("POST", f"/webhooks/{webhook}/test/")["delivery"]
    provider = system.ok("GET", "/inference-providers/")["results"][0]["uid"]
    export = system.ok("POST", "/exports/", {"project": project}, expect=201)["uid"]
    return {
        "project": f"/projects/{project}/",
        "dataset": f"/datasets/{project}/",
        "job": f"/auto-label-jobs/{job}/",
        "provider": f"/inference-providers/{provider}/",
        "webhook": f"/webhooks/{webhook}/",
        "delivery": f"/webhook-deliveries/{delivery}/",
        "result": f"/results/{result['uid']}/",
        "item": f"/items/{result['item']}/",
        "task": f"/tasks/{result['task']}/",
        "export": f"/exports/{export}/",
    }


@pytest.fixture(scope="module")
def objects(own: System) -> dict[str, str]:
    return objects_of(own)


@dataclass(frozen=True)
class Hopeless:
    """An organization whose one subscription always fails, and the one job whose event it gets."""

    system: System
    receiver: Receiver
    job: str


@pytest.fixture(scope="module", autouse=True)
def hopeless(new_tenant: NewTenant) -> Iterator[Hopeless]:
    """Begun first and read last: its attempts take a while."""
    system = new_tenant()
    with Receiver(answers=(500,) * 9) as receiver:
        hook = {"target_url": receiver.url, "events": ["auto_label.completed"]}
        system.ok("POST", "/webhooks/", hook, expect=201)
        yield Hopeless(system, receiver, system.run(system.project())["uid"])


# Who may do what (2)

READ_PROJECTS = ["GET /projects/", "GET {project}", "GET /users/me/projects/", "GET /auto-label-jobs/", "GET {job}"]
READ_RESULTS = [
    *("GET {project}results/", "GET {project}items/", "GET {result}", "GET {result}draft/"),
    *("GET /exports/", "GET {export}"),
]
WRITE_RESULTS = [
    *("PATCH {result}", "POST {result}accept/", "POST {result}reject/", "POST {result}reopen/", "POST {item}results/"),
    *("POST {project}results/accept/", "POST {project}results/reject/", "POST {project}results/undo/"),
]
WRITE_PROJECTS = [
    *("POST /projects/", "POST {project}items/", "POST {project}auto-label/", "DELETE {job}", "PATCH {project}"),
    *WRITE_RESULTS,
]
TASKS = ["GET /tasks/", "GET {task}"]
WRITE_PROVIDERS = [
    *("POST /inference-providers/", "PATCH {provider}", "DELETE {provider}", "POST {provider}test/"),
]
READ_WEBHOOKS = ["GET /webhooks/", "GET {webhook}", "GET /webhook-deliveries/", "GET {delivery}"]
WRITE_WEBHOOKS = [
    *("POST /webhooks/", "PATCH {webhook}", "DELETE {webhook}", "POST {webhook}test/", "POST {delivery}redeliver/"),
]
ALLOWED = {
    "projects.read": [*READ_PROJECTS, *READ_RESULTS, *TASKS],
    "projects.write": WRITE_PROJECTS,
    "results.write": WRITE_RESULTS,
    "exports.create": ["POST /exports/", "DELETE {export}"],
    "tasks.read": TASKS,
    "datasets.read": ["GET /datasets/", "GET {dataset}"],
    "inference.read": ["GET /inference-providers/", "GET {provider}"],
    "inference.write": WRITE_PROVIDERS,
    "webhooks.read": READ_WEBHOOKS,
    "webhooks.write": WRITE_WEBHOOKS,
}
CALLS = sorted({call for calls in ALLOWED.values() for call in calls})
# A body that no call takes: what is allowed is refused for it, and nothing changes. (Accept takes none.)
BAD_BODY = b"["


@pytest.mark.contract("D3")
@pytest.mark.parametrize("scope", ALLOWED)
def test_a_scope_allows_its_calls_and_no_other(
    new_tenant: NewTenant, own: System, objects: dict[str, str], scope: str
) -> None:
    slug = own.ok("GET", "/organizations/")["results"][0]["slug"]
    limited = new_tenant("--scope", scope, slug=slug)

    for call in CALLS:
        method, _, path = call.format(**objects).partition(" ")
        if call in ALLOWED[scope]:
            # Deleting, accepting and testing would happen: another tenant's object is refused after the scope is held.
            acts = method == "DELETE" or path.endswith(
                ("accept/", "reject/", "reopen/", "undo/", "test/", "redeliver/")
            )
            answer = limited.api.request(method, unknown(path) if acts else path, content=BAD_BODY)
            assert answer.status_code in (200, 400, 404), f"{call}: {answer.text}"
        else:
            refused = limited.api.request(method, path, content=BAD_BODY)
            assert_refused(refused, 403, naming="You do not have permission to perform this action.")


def unknown(path: str) -> str:
    """The same path of an object that is not there."""
    collection, _, rest = path.removeprefix("/").partition("/")
    return f"/{collection}/{UNKNOWN}/{rest.partition('/')[2]}"


@pytest.mark.contract("D3")
def test_a_key_without_scopes_may_everything_and_any_key_its_organization(own: System, new_tenant: NewTenant) -> None:
    assert own.api.get("/webhooks/").status_code == 200
    assert new_tenant("--scope", "datasets.read").api.get("/organizations/").status_code == 200


@pytest.mark.contract("D3")
def test_a_key_says_what_it_may_do(own: System, new_tenant: NewTenant) -> None:
    (organization,) = own.ok("GET", "/organizations/")["results"]
    options = ("--scope", "projects.read", "--scope", "results.write", "--requests-per-minute", "600")
    limited = new_tenant(*options, "--expires", "2099-01-01T00:00:00Z", slug=organization["slug"])

    everything, reviewer = own.ok("GET", "/keys/me/"), limited.ok("GET", "/keys/me/")

    assert (everything["is_unrestricted"], everything["expires_at"]) == (True, None)
    assert {*ALLOWED, "datasets.write"} == {*everything["scopes"]}
    assert reviewer == {
        "name": "test",
        "scopes": ["projects.read", "results.write"],
        "is_unrestricted": False,
        "organization": organization,
        "requests_per_minute": 600,
        "created_at": reviewer["created_at"],
        "expires_at": "2099-01-01T00:00:00Z",
    }
    assert_refused(own.api.get("/keys/me/", headers={"X-Avala-Api-Key": "avk_unknown"}), 401)
    assert_refused(own.api.get("/keys/you/"), 404)


@pytest.mark.contract("D4")
def test_a_foreign_object_is_answered_like_a_missing_one(
    own: System, new_tenant: NewTenant, objects: dict[str, str]
) -> None:
    """I10: byte by byte but for the uid that was asked for, so that no caller learns what exists."""
    stranger = new_tenant()

    for call in CALLS:
        if "{" not in call:
            continue
        method, _, path = call.format(**objects).partition(" ")
        body: Json | None = {} if method in ("POST", "PATCH") else None
        if path.endswith("/items/") and body is not None:
            body = {"items": []}
        foreign = stranger.api.request(method, path, json=body)
        missing = stranger.api.request(method, unknown(path), json=body)
        assert foreign.status_code == missing.status_code == 404, f"{call}: {foreign.text}"
        named = path.split("/")[2]
        assert foreign.text.replace(named, UNKNOWN) == missing.text, call
    for path in objects.values():
        if path.startswith("/items/"):
            continue  # it is shown in lists
        assert own.api.get(path).status_code == 200, "it is all still there"


@pytest.mark.contract("D4")
@pytest.mark.parametrize(
    "path", ["/projects/", "/auto-label-jobs/", "/inference-providers/", "/webhooks/", "/tasks/", "/datasets/"]
)
def test_lists_leave_out_what_is_foreign_also_for_a_foreign_cursor(
    own: System, new_tenant: NewTenant, objects: dict[str, str], path: str
) -> None:
    own.project()
    stranger = new_tenant()
    ours = {row["uid"] for row in own.rows(path)}
    assert ours

    assert stranger.ok("GET", path)["results"] == []
    project = objects["project"].split("/")[2]
    assert stranger.ok("GET", f"{path}?limit=1&ordering=created_at")["results"] == []
    if path in ("/auto-label-jobs/", "/tasks/"):
        assert stranger.ok("GET", f"{path}?project={project}")["results"] == []
    cursor = own.ok("GET", f"{path}?limit=1")["next"]
    if cursor:
        answer = stranger.api.get(cursor)
        assert answer.status_code == 404 or not {row["uid"] for row in answer.json()["results"]} & ours


# Which provider (6.2)


@pytest.mark.contract("D7")
def test_the_newest_active_provider_serves_and_the_projects_own_before_the_organizations(
    new_tenant: NewTenant,
) -> None:
    system = new_tenant()
    project = system.project()
    config = {"endpoint_name": settings.LOAD_ENDPOINT, "region": settings.REGION}

    def add(name: str, **fields: Any) -> str:
        body = {"name": name, "provider_type": "sagemaker", "config": config, **fields}
        return str(system.ok("POST", "/inference-providers/", body, expect=201)["uid"])

    def chosen(**options: Any) -> Json:
        return system.run(project, **options)

    assert chosen()["provider"] is None, "none is there: the deployment's own endpoint serves"
    wide = add("for all")
    assert chosen()["provider"] == wide
    newer = add("for all, newer")
    assert chosen()["provider"] == newer
    scoped = add("for this project", project=project)
    add("for another project", project=system.project())
    add("for all, newest")
    add("inactive", project=project, is_active=False)
    assert chosen()["provider"] == scoped, "a project's own comes before any of the organization"
    system.ok("PATCH", f"/inference-providers/{scoped}/", {"is_active": False})
    assert_refused(system.create(project), 400, naming='"for this project"', code="provider_gone")
    system.ok("PATCH", f"/projects/{project}/", {"default_provider": None})
    assert chosen()["provider"] not in (scoped, wide, newer), "the newest active one of the organization"

    named = chosen(provider_id=wide)
    hinted = chosen(provider_id=wide, model_type="sam3")

    assert (named["provider"], named["model_type"]) == (wide, None)
    assert (hinted["provider"], hinted["model_type"]) == (wide, "sam3")
    system.ok("PATCH", f"/projects/{project}/", {"default_provider": newer})
    fixed = chosen()
    assert (fixed["provider"], fixed["model_type"]) == (newer, None), "the project's default comes before the newest"


@pytest.mark.contract("D7")
def test_a_provider_that_cannot_serve_the_project_is_refused_by_name(own: System, new_tenant: NewTenant) -> None:
    project, stranger = own.project(), new_tenant()
    foreign = stranger.provider(stranger.project(), "foreign")
    elsewhere = own.provider(own.project(), "elsewhere")
    inactive = own.provider(project, "inactive")
    own.ok("PATCH", f"/inference-providers/{inactive}/", {"is_active": False})

    for uid in (foreign, elsewhere, inactive, UNKNOWN, "inf_abc123"):
        assert_refused(own.create(project, provider_id=uid), 400, naming="provider_id", code="validation_error")


@pytest.mark.parametrize("status", ["canceled", "archived", "completed"])
def test_a_project_that_is_over_takes_no_jobs(own: System, status: str) -> None:
    project = own.project()
    own.ok("PATCH", f"/projects/{project}/", {"status": status})

    assert_refused(own.create(project), 409, code="project_not_active")


# Labels and what counts as done (6.2, 6.3)


@pytest.mark.contract("D8")
def test_a_label_that_the_project_does_not_have_is_refused_if_it_has_any(own: System) -> None:
    refused = own.create(own.project(labels=("car", "bus")), labels=["car", "tram"])
    free = own.start(own.project(labels=()), labels=["tram"])

    assert_refused(refused, 400, naming="labels", code="validation_error")
    assert "tram" in refused.json()["detail"]
    assert free["labels"] == ["tram"]


@pytest.mark.contract("D10")
def test_a_draft_counts_as_a_result_so_that_running_twice_makes_no_second_one(own: System) -> None:
    project = own.load_project(items=6)
    first = own.run(project, confidence_threshold=0.0)
    drafts = own.results(project, first["uid"])

    second = own.run(project, confidence_threshold=0.0)

    assert first["successful_items"] == len(drafts) > 0
    assert second["total_items"] == 6 - len(drafts), "only what has no draft yet"
    assert own.results(project, first["uid"]) == drafts


@pytest.mark.contract("D10")
def test_a_discarded_draft_makes_its_item_unlabeled_again(own: System) -> None:
    project = own.load_project(items=6)
    draft = own.results(project, own.run(project, confidence_threshold=0.0)["uid"])[0]
    left = own.run(project, dry_run=True)["total_items"]

    own.ok("POST", f"/results/{draft['uid']}/reject/")

    assert own.run(project, dry_run=True)["total_items"] == left + 1


# Webhooks (9)


@pytest.mark.contract("D20", "D21")
def test_the_signature_is_over_the_bytes_that_come_and_the_envelope_has_two_members(own: System) -> None:
    secret = "Grüße, sixteen at least"
    with Receiver() as receiver:
        hook = {"target_url": receiver.url, "events": ["auto_label.completed"], "secret": secret}
        uid = own.ok("POST", "/webhooks/", hook, expect=201)["uid"]
        job = own.run(own.project())
        sent = receiver.of_job(job["uid"])
        own.api.delete(f"/webhooks/{uid}/")

    assert sent is not None
    assert sent.is_signed_with(secret)
    assert sent.signature == sent.signature.lower()
    assert len(sent.signature) == 64
    assert list(sent.json()) == ["event", "payload"]
    record = own.ok("GET", f"/webhook-deliveries/{sent.uid}/")
    assert (record["event_type"], record["payload"]) == (sent.event, sent.payload)


@pytest.mark.contract("D22")
def test_a_record_says_what_the_receiver_answered_in_four_fields(own: System) -> None:
    uid = own.ok("POST", "/webhooks/", {**HOOK, "target_url": f"{settings.ENDPOINT_URL}/no-such-path"}, expect=201)[
        "uid"
    ]

    tested = own.ok("POST", f"/webhooks/{uid}/test/")
    record = own.ok("GET", f"/webhook-deliveries/{tested['delivery']}/")

    assert (record["response_status"], record["response_body"]) == (404, '{"message":"Not found."}')
    assert record["response_preview"] == record["response_body"]
    assert (record["response_body_size"], len(record["response_body_sha256"])) == (24, 64)


@pytest.mark.contract("D18")
@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://127.0.0.2/",
            "https://10.1.2.3/",
            "https://169.254.169.254/",
            "https://[::1]/",
        ),
        *("https://192.168.0.1/", "https://2130706433/", "https://0x7f.1/", "https://[::ffff:10.0.0.1]/"),
        *("http://receiver.example/", "http://127.0.0.2/", "http://[::1]/", "http://localhost.evil.example/"),
        "ftp://receiver.example/",
    ],
)
def test_a_webhook_leads_to_a_public_address_by_https(own: System, url: str) -> None:
    """But for the development switch, which is on here: it opens localhost and 127.0.0.1 alone."""
    assert_refused(own.api.post("/webhooks/", json={**HOOK, "target_url": url}), 400, naming="target_url")


# How things get in, and how drafts are reviewed (11)


@pytest.mark.contract("D32")
def test_projects_and_items_get_in_by_the_extension_and_files_by_a_signed_upload(own: System) -> None:
    project = own.ok("POST", "/projects/", {"name": "Ours", "labels": ["car"]}, expect=201)
    picture = {"key": "a/1.jpg", "asset_type": "image", "width": 4, "height": 3}
    elsewhere = {**picture, "key": "a/2.jpg", "url": "https://pictures.example/2.jpg"}
    path = f"/projects/{project['uid']}/items/"

    added = own.ok("POST", path, {"items": [picture, elsewhere]}, expect=201)["results"]
    again = own.ok("POST", path, {"items": [picture]}, expect=201)["results"]

    shown = own.ok("GET", f"/projects/{project['uid']}/")
    assert (shown["name"], shown["labels"]) == ("Ours", ["car"])
    assert [(item["key"], item["status"], "upload_url" in item) for item in added] == [
        ("a/1.jpg", "none", True),
        ("a/2.jpg", "none", False),
    ]
    assert again[0]["uid"] == added[0]["uid"], "its key is its identity"
    assert len(own.items(project["uid"])) == 2
    assert httpx.put(added[0]["upload_url"], content=b"bytes").status_code == 200


@pytest.mark.contract("D33")
def test_a_draft_is_read_corrected_accepted_and_rejected_by_the_extension(own: System) -> None:
    project = own.load_project(items=12)
    job = own.run(project, confidence_threshold=0.0)["uid"]
    drafts = own.results(project, job)
    first, second, third, *rest = (draft["uid"] for draft in drafts)

    assert {"uid", "project", "item", "task", "job", "status", "source", "created_by", "annotations"} <= drafts[
        0
    ].keys()
    assert {(draft["status"], draft["source"], draft["job"]) for draft in drafts} == {("draft", "auto_label", job)}
    annotations = [{**drafts[0]["annotations"][0], "label": "cat"}]
    assert own.ok("PATCH", f"/results/{first}/", {"annotations": annotations})["annotations"] == annotations
    assert own.ok("POST", f"/results/{second}/accept/")["status"] == "accepted"
    assert own.ok("POST", f"/results/{third}/reject/")["status"] == "rejected"

    def listed(query: str) -> list[str]:
        return [row["uid"] for row in own.rows(f"/projects/{project}/results/?{query}")]

    assert sorted(listed("status=draft")) == sorted(rest)
    assert sorted(listed("status=accepted")) == sorted([first, second])
    assert listed(f"item={drafts[1]['item']}") == [second]
    assert own.ok("GET", f"/results/{third}/")["status"] == "rejected"


# What takes its time


@pytest.mark.contract("D23")
def test_after_six_attempts_on_schedule_a_delivery_has_failed(hopeless: Hopeless) -> None:
    attempts = [hopeless.receiver.of_job(hopeless.job) for _ in range(6)]
    record = failed(hopeless.system)

    assert len({(attempt.uid, attempt.body) for attempt in attempts if attempt}) == 1
    assert None not in attempts
    assert (record["attempts"], record["next_retry_at"], record["response_status"]) == (6, None, 500)
    assert hopeless.receiver.of_job(hopeless.job, seconds=1) is None


def failed(system: System) -> Json:
    """The one record of the organization, once it has failed."""
    deadline = time.monotonic() + 10
    while True:
        (record,) = system.ok("GET", "/webhook-deliveries/")["results"]
        if record["status"] == "failed":
            return dict(record)
        assert time.monotonic() < deadline, record
        time.sleep(0.1)
