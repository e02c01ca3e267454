"""Datasets, read-only: a project's items as the official client finds them (contract, 11.3)."""

import uuid

import avala
import httpx
import pytest

from tests.system.system import System, assert_refused
from tests.system.test_clients import UNKNOWN, command_line


def a_project(system: System, name: str, *items: dict[str, object]) -> str:
    uid = str(system.ok("POST", "/projects/", {"name": name, "labels": ["car", "traffic_light"]})["uid"])
    if items:
        system.ok("POST", f"/projects/{uid}/items/", {"items": list(items)}, expect=201)
    return uid


@pytest.mark.contract("D31")
def test_the_client_finds_a_project_as_a_dataset(system: System, official: avala.Client) -> None:
    uid = a_project(
        system, "Night & Day", {"key": "a", "width": 1, "height": 1}, {"key": "b", "asset_type": "point_cloud"}
    )

    dataset = official.datasets.get(uid)
    by_slug = official.datasets.get_by_slug(dataset.owner_name or "", dataset.slug)
    listed = official.datasets.list(name="night & d").items

    assert dataset == by_slug
    assert dataset in listed
    assert (dataset.uid, dataset.name, dataset.item_count) == (uid, "Night & Day", 2)
    assert dataset.slug == f"night-day-{uuid.UUID(uid).hex}"
    assert (dataset.owner_name, dataset.status, dataset.data_type, dataset.is_sequence) == (
        "demo",
        "created",
        "image",
        False,
    )
    assert dataset.predefined_labels == [{"name": "car"}, {"name": "traffic_light"}]


def test_a_list_of_datasets_is_narrowed(system: System) -> None:
    name = f"Clouds {uuid.uuid4()}"
    uid = a_project(system, name, {"key": "a", "asset_type": "point_cloud"})

    def found(**filters: str) -> list[str]:
        page = system.ok("GET", f"/datasets/?{httpx.QueryParams({'name': name} | filters)}")
        return [dataset["uid"] for dataset in page["results"]]

    assert found() == found(data_type="lidar") == found(status="created", visibility="private") == [uid]
    assert found(data_type="image") == found(status="creating") == found(visibility="public") == []


def test_the_command_line_shows_datasets(system: System, official: avala.Client) -> None:
    del official  # only for the environment that it sets
    uid = a_project(system, "Shown", {"key": "a", "width": 1, "height": 1})

    listed = command_line(system.stack, "datasets", "list", "--limit", "1")
    shown = command_line(system.stack, "datasets", "get", uid)

    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "Shown" in listed.stdout
    assert "Shown" in shown.stdout


def test_the_client_reads_the_items_of_a_dataset(system: System, official: avala.Client) -> None:
    project = system.pictures(items=2)
    dataset = official.datasets.get(project.uid)
    owner = dataset.owner_name or ""

    items = official.datasets.list_items(owner, dataset.slug).items

    assert {item.uid for item in items} == set(project.pictures)
    for item in items:
        assert official.datasets.get_item(owner, dataset.slug, item.uid).model_dump(exclude={"url"}) == item.model_dump(
            exclude={"url"}
        )
        assert (item.dataset, item.dataset_owner_name, item.dataset_slug) == (dataset.uid, owner, dataset.slug)
        assert item.annotations == {"status": "none", "results": []}
        assert item.metadata is not None
        assert item.metadata["format"] == "jpg"
        assert item.url is not None
        assert httpx.get(item.url).content == project.pictures[item.uid].read_bytes()


def test_an_item_shows_what_labels_it_has(system: System) -> None:
    uid = system.load_project(items=10)
    job = system.run(uid, model_type="yolo")
    drafts = {result["item"]: result for result in system.results(uid, job["uid"])}
    assert drafts
    dataset = system.ok("GET", f"/datasets/{uid}/")
    items = {item["uid"]: item for item in system.rows(f"/datasets/demo/{dataset['slug']}/items/?limit=3")}

    assert len(items) == dataset["item_count"] == 10
    for item in items.values():
        draft = drafts.get(item["uid"])
        of_review = ("revision", "min_confidence", "max_confidence", "reviewed_by")
        parts = ("uid", "project", "status", "source", *of_review, "annotations", "origins", "draft_indexes")
        results = [{part: draft[part] for part in parts}] if draft else []
        assert item["annotations"] == {"status": "draft" if draft else "none", "results": results}
        assert item["annotations_count"] == (len(draft["annotations"]) if draft else 0)
        assert item["is_hidden"] is False


def test_items_are_listed_by_the_state_of_their_labels(system: System) -> None:
    uid = system.load_project(items=8)
    drafts = system.results(uid, system.run(uid, confidence_threshold=0.0)["uid"])
    assert len(drafts) >= 2
    system.ok("POST", f"/results/{drafts[0]['uid']}/accept/")
    system.ok("POST", f"/results/{drafts[1]['uid']}/reject/")
    dataset = system.ok("GET", f"/datasets/{uid}/")

    for path in (f"/datasets/demo/{dataset['slug']}/items/", f"/projects/{uid}/items/"):
        found = {
            status: {item["uid"] for item in system.rows(f"{path}?status={status}&limit=3")}
            for status in ("none", "draft", "accepted")
        }
        assert found["accepted"] == {drafts[0]["item"]}
        assert found["draft"] == {draft["item"] for draft in drafts[2:]}
        assert drafts[1]["item"] in found["none"]
        assert sum(map(len, found.values())) == len(set.union(*found.values())) == 8
        refused = system.api.get(f"{path}?status=rejected")
        assert_refused(refused, 400, naming='status: Must be one of "none", "draft", "accepted", not "rejected".')


def test_a_page_of_items_is_all_that_a_review_of_them_reads(system: System) -> None:
    """At most 0.05 reads an item reviewed: the rows have what a verdict with `If-Match` needs."""
    uid = system.load_project(items=20)
    system.run(uid, confidence_threshold=0.0)
    dataset = system.ok("GET", f"/datasets/{uid}/")
    page = system.ok("GET", f"/datasets/demo/{dataset['slug']}/items/?status=draft")["results"]
    results = [item["annotations"]["results"][0] for item in page]
    assert len(results) >= 10

    for result in results:
        headers = {"If-Match": f'"{result["revision"]}"'}
        accepted = system.api.post(f"/results/{result['uid']}/accept/", headers=headers)
        assert accepted.status_code == 200, accepted.text


def test_a_dataset_goes_by_its_older_names(system: System) -> None:
    uid = a_project(system, "Before")
    before = system.ok("GET", f"/datasets/{uid}/")["slug"]
    system.ok("PATCH", f"/projects/{uid}/", {"name": "After"})

    found = system.ok("GET", f"/datasets/demo/{before}/")

    assert (found["uid"], found["slug"]) == (uid, before.replace("before", "after"))


def test_what_is_no_dataset_is_not_found(system: System) -> None:
    uid = a_project(system, "Here", {"key": "a", "width": 1, "height": 1})
    slug = system.ok("GET", f"/datasets/{uid}/")["slug"]
    item = system.items(uid)[0]["uid"]
    other = a_project(system, "There", {"key": "a", "width": 1, "height": 1})
    elsewhere = system.items(other)[0]["uid"]

    for path in (
        f"/datasets/{UNKNOWN}/",
        "/datasets/x/",
        f"/datasets/stranger/{slug}/",
        f"/datasets/demo/{slug}x/",
        f"/datasets/demo/here-{uid}/",
        f"/datasets/demo/{slug}/items/{elsewhere}/",
        f"/datasets/demo/{slug}/items/{UNKNOWN}/",
        f"/datasets/stranger/{slug}/items/{item}/",
        f"/datasets/demo/here-{uuid.UUID(UNKNOWN).hex}/items/",
        f"/datasets/demo/{slug}/sequences/",
    ):
        assert_refused(system.api.get(path), 404, naming="Not found.")
    assert_refused(system.api.put("/datasets/", json={"name": "x"}), 405)
