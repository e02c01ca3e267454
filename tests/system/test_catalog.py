"""The organization, tasks, the lists that stay empty (contract, 11), and the keys that open them (contract, 2)."""

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import avala
import pytest

from local import admin, project, settings
from local.up import Stack
from tests.system.system import Json, System, assert_refused
from tests.system.test_clients import UNKNOWN, command_line

NewTenant = Callable[[str], System]
EMPTY: Json = {"next": None, "previous": None, "results": []}


@pytest.fixture
def tenant(stack: Stack) -> Iterator[NewTenant]:
    """Makes organizations: each the system as its own new key sees it."""
    with ExitStack() as clients:

        def new(slug: str) -> System:
            own = replace(stack, key=keys(stack, "create", slug, "--name", "test").strip())
            return System(own, clients.enter_context(project.client_of(own)))

        yield new


def a_slug() -> str:
    return f"test-{uuid.uuid4()}"


def keys(stack: Stack, action: str, organization: str, *options: str) -> str:
    return admin.run(stack.outputs["TableName"], "keys", action, "--organization", organization, *options)


# The organization


def test_the_client_finds_its_own_organization(tenant: NewTenant, official: avala.Client) -> None:
    del official  # only for the environment that it sets
    slug = a_slug()
    system = tenant(slug)

    with avala.Client(api_key=system.stack.key, base_url=system.stack.base_url) as client:
        (organization,) = client.organizations.list().items

    assert (organization.name, organization.slug) == (slug, slug)
    assert (organization.is_verified, organization.is_active) == (True, True)


def test_the_command_line_configures_and_shows_its_status(tenant: NewTenant) -> None:
    slug = a_slug()
    stack = tenant(slug).stack

    configured = command_line(stack, "configure", typed=f"{stack.key}\n{stack.base_url}\n")
    shown = command_line(stack, "status", "--org", slug)

    assert configured.returncode == 0, configured.stdout + configured.stderr
    assert f"Organization: {slug}" in configured.stdout
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert slug in shown.stdout


@pytest.mark.parametrize("path", ["/agents/", "/storage-configs/"])
def test_lists_of_what_is_not_here_are_empty(system: System, path: str) -> None:
    assert system.ok("GET", path) == EMPTY


# Projects


@pytest.mark.parametrize("path", ["/projects/", "/users/me/projects/"])
@pytest.mark.contract("D31")
def test_a_project_is_changed_field_by_field(system: System, path: str) -> None:
    uid = system.project(items=1)
    before = system.ok("GET", f"{path}{uid}/")

    renamed = system.ok("PATCH", f"{path}{uid}/", {"name": "  Renamed ", "labels": None}, expect=200)
    paused = system.ok("PATCH", f"{path}{uid}/", {"status": "paused", "labels": ["cat", "cat", ""]}, expect=200)

    changed = {"name": "Renamed", "status": "paused", "is_active": False, "labels": ["cat"]}
    assert renamed == before | {"name": "Renamed", "updated_at": renamed["updated_at"]}
    assert paused == before | changed | {"updated_at": paused["updated_at"]}
    assert before["updated_at"] < renamed["updated_at"] < paused["updated_at"]
    assert system.ok("GET", f"/projects/{uid}/") == system.ok("GET", f"/users/me/projects/{uid}/") == paused


def test_a_change_that_breaks_the_contract_changes_nothing(system: System) -> None:
    uid = system.project()
    before = system.ok("GET", f"/projects/{uid}/")

    for body, naming in [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"labels": "car"}, "labels"),
        ({"status": "cancelled"}, "status"),
    ]:
        assert_refused(system.api.patch(f"/projects/{uid}/", json={"status": "paused"} | body), 400, naming=naming)
    assert_refused(system.api.patch(f"/projects/{uid}/", content="{"), 400, code="parse_error")
    assert_refused(system.api.patch(f"/projects/{UNKNOWN}/", json={"name": "x"}), 404, naming="Not found.")
    assert system.ok("GET", f"/projects/{uid}/") == before


def test_a_closed_project_takes_no_job(system: System) -> None:
    uid = system.project(items=1)
    system.ok("PATCH", f"/projects/{uid}/", {"status": "archived"})

    assert_refused(system.create(uid), 409, code="project_not_active")


def test_projects_items_and_datasets_are_their_tenants_own(system: System, tenant: NewTenant) -> None:
    """I10: nothing of another organization's can be read, changed or distinguished from what is not there."""
    uid = system.project(items=1)
    dataset = system.ok("GET", f"/datasets/{uid}/")
    item = system.items(uid)[0]["uid"]
    slug = a_slug()
    stranger = tenant(slug)

    assert_refused(stranger.api.patch(f"/projects/{uid}/", json={"name": "Mine"}), 404, naming="Not found.")
    assert_refused(stranger.api.post(f"/projects/{uid}/items/", json={"key": "a"}), 404, naming="Not found.")
    assert stranger.ok("GET", "/datasets/") == EMPTY
    for owner in (dataset["owner_name"], slug):
        base = f"/datasets/{owner}/{dataset['slug']}/"
        for path in (f"/datasets/{uid}/", base, f"{base}items/", f"{base}items/{item}/", f"/projects/{uid}/items/"):
            assert_refused(stranger.api.get(path), 404, naming="Not found.")
    assert system.ok("GET", f"/projects/{uid}/")["name"] != "Mine"


# Tasks


def test_the_client_reads_a_task_per_item(system: System, official: avala.Client) -> None:
    uid = system.project(items=2)
    items = system.items(uid)

    page = official.tasks.list(project=uid, status="pending")
    task = official.tasks.get(items[0]["uid"])

    assert [(t.uid, t.name, t.status) for t in page.items] == [(i["uid"], i["key"], "pending") for i in items]
    assert (task.type, task.project, task.name) == ("image-annotation", uid, items[0]["key"])
    assert task.created_at == task.updated_at
    assert official.tasks.list(project=uid, status="completed").items == []


def test_a_task_has_the_type_of_its_item(system: System) -> None:
    uid = system.project()
    items = [
        {"key": "a", "asset_type": "point_cloud"},
        {"key": "b", "asset_type": "video_frame", "width": 1, "height": 1},
    ]
    system.ok("POST", f"/projects/{uid}/items/", {"items": items})

    types = {task["name"]: task["type"] for task in system.rows(f"/tasks/?project={uid}")}

    assert types == {"a": "point-cloud-annotation", "b": "video-annotation"}


def test_a_draft_leaves_its_task_to_do(system: System) -> None:
    uid = system.load_project(items=10)
    system.run(uid, model_type="yolo")
    drafts = [item["uid"] for item in system.items(uid) if item["status"] == "draft"]
    assert drafts

    tasks = {task["uid"]: task for task in system.rows(f"/tasks/?project={uid}&status=pending")}

    assert len(tasks) == 10
    assert all(tasks[draft]["updated_at"] > tasks[draft]["created_at"] for draft in drafts)


def test_tasks_of_all_projects_come_project_by_project(tenant: NewTenant) -> None:
    system = tenant(a_slug())
    projects = [system.project(items=count) for count in (1, 3, 0, 4, 2)]
    newest_first = [item["uid"] for uid in reversed(projects) for item in system.items(uid)]

    for limit in (1, 2, 3, 100):
        tasks = [task["uid"] for task in system.rows(f"/tasks/?limit={limit}")]
        assert tasks == newest_first, f"in pages of {limit}"
    oldest_first = [task["uid"] for task in system.rows("/tasks/?limit=3&ordering=created_at")]
    assert oldest_first == newest_first[::-1]


def test_an_unknown_status_is_refused_and_an_unknown_project_has_no_tasks(system: System) -> None:
    assert_refused(system.api.get("/tasks/?status=done"), 400, naming="status")
    for unknown in (UNKNOWN, "proj_abc123"):
        assert system.ok("GET", f"/tasks/?project={unknown}") == EMPTY
        assert_refused(system.api.get(f"/tasks/{unknown}/"), 404, naming="Not found.")


def test_tasks_are_their_tenants_own(system: System, tenant: NewTenant) -> None:
    """I10, also against a cursor that points into a foreign project."""
    uid = system.project(items=3)
    task = next(system.rows(f"/tasks/?project={uid}"))["uid"]
    stranger = tenant(a_slug())

    assert stranger.ok("GET", f"/tasks/?project={uid}") == EMPTY
    assert stranger.ok("GET", "/tasks/") == EMPTY
    assert_refused(stranger.api.get(f"/tasks/{task}/"), 404, naming="Not found.")
    foreign = str(system.ok("GET", "/tasks/?limit=1")["next"]).partition("?")[2]
    shown = stranger.ok("GET", f"/tasks/?{foreign}")
    assert (shown["results"], shown["next"]) == ([], None)
    before = str(shown["previous"]).partition("?")[2]
    assert stranger.ok("GET", f"/tasks/?{before}") == EMPTY, "nor is there anything on the way back"
    for position in ("!", "~", f"~{uid}"):
        forged = base64.urlsafe_b64encode(json.dumps({"a": position, "l": 2}).encode()).decode().rstrip("=")
        assert_refused(stranger.api.get(f"/tasks/?cursor={forged}"), 404, naming="Invalid cursor")


# Keys


def test_a_key_does_no_more_than_its_scopes_say(stack: Stack) -> None:
    slug = a_slug()
    key = keys(stack, "create", slug, "--name", "reader", "--scope", "tasks.read", "--scope", "webhooks.read").strip()

    with project.client_of(replace(stack, key=key)) as api:
        for allowed in ("/tasks/", "/webhooks/", "/organizations/"):
            assert api.get(allowed).status_code == 200, allowed
        for method, path in [("GET", "/projects/"), ("POST", "/webhooks/"), ("GET", "/inference-providers/")]:
            assert_refused(api.request(method, path, json={}), 403, naming="You do not have permission")


def test_a_revoked_key_stops_working_within_the_caches_time(stack: Stack) -> None:
    slug = a_slug()
    key = keys(stack, "create", slug, "--name", "leaked").strip()
    kept = keys(stack, "create", slug, "--name", "kept").strip()

    with project.client_of(replace(stack, key=key)) as api, project.client_of(replace(stack, key=kept)) as other:
        assert api.get("/tasks/").status_code == 200
        keys(stack, "revoke", slug, "--id", id_of(stack, slug, "leaked"))
        time.sleep(float(settings.CONTEXT["keyCacheSeconds"]))

        for path in ("/tasks/", "/auto-label-jobs/", "/webhooks/", "/inference-providers/"):
            assert_refused(api.get(path), 401, naming="Invalid API key.")
        assert other.get("/tasks/").status_code == 200


def test_a_key_ends_on_its_date(stack: Stack) -> None:
    slug = a_slug()
    over = keys(stack, "create", slug, "--name", "over", "--expires", "2020-01-01T00:00:00Z").strip()

    with project.client_of(replace(stack, key=over)) as api:
        assert_refused(api.get("/tasks/"), 401, naming="API key has expired.")
        keys(stack, "expire", slug, "--id", id_of(stack, slug, "over"), "--at", "2999-01-01T00:00:00Z")
        time.sleep(float(settings.CONTEXT["keyCacheSeconds"]))
        assert api.get("/tasks/").status_code == 200


def test_the_list_of_keys_shows_none(stack: Stack) -> None:
    slug = a_slug()
    first = keys(stack, "create", slug, "--name", "first").strip()
    second = keys(stack, "create", slug, "--name", "second", "--scope", "projects.read").strip()

    listed = keys(stack, "list", slug)

    assert first not in listed
    assert second not in listed
    rows = [line.split("\t") for line in listed.splitlines()]
    assert [(name, scopes) for _, name, scopes, *_ in rows] == [("second", "projects.read"), ("first", "everything")]
    assert all(len(row[0]) == 8 for row in rows)
    assert keys(stack, "list", a_slug()) == ""


def id_of(stack: Stack, organization: str, name: str) -> str:
    rows = (line.split("\t") for line in keys(stack, "list", organization).splitlines())
    return next(row[0] for row in rows if row[1] == name)
