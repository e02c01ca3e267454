"""Imports: labels that exist already become results (contract, 11.6; decision 0046)."""

import gzip
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.receiver import Receiver
from tests.system.conftest import Subscription, subscribed
from tests.system.system import Json, System, assert_refused
from tests.system.test_exports import ANNOTATIONS, HEIGHT, KEYS, LABELS, WIDTH, box, content, export, polygon
from tests.system.test_review_queue import claim

pytestmark = pytest.mark.takes(60)


def project_of(system: System, keys: list[str], labels: list[str] = LABELS) -> str:
    uid = str(system.ok("POST", "/projects/", {"name": "Imports", "labels": labels}, expect=201)["uid"])
    items = [{"key": key, "width": WIDTH, "height": HEIGHT} for key in keys]
    if items:
        system.ok("POST", f"/projects/{uid}/items/", {"items": items}, expect=201)
    return uid


def labeled(system: System) -> str:
    """Four pictures labeled by hand, and one that waits."""
    uid = project_of(system, [*KEYS, "waits.jpg"])
    items = {item["key"]: item["uid"] for item in system.items(uid)}
    for key, annotations in zip(KEYS, ANNOTATIONS, strict=True):
        system.ok("POST", f"/items/{items[key]}/results/", {"annotations": annotations}, expect=201)
    return uid


def import_file(system: System, project: str, file: bytes, **options: Any) -> Json:
    """The import at its end; the upload alone begins it."""
    body = {"as": "accepted", **options}
    created = system.ok("POST", f"/projects/{project}/imports/", body, expect=201)
    assert (created["status"], created["reasons"], created["report_url"]) == ("pending", [], None)
    httpx.put(created["upload_url"], content=file).raise_for_status()
    ended = system.imported(project, created["uid"])
    counts = ended["counts"]
    assert counts["items"] == counts["results"] + counts["skipped"] + counts["refused"]
    assert (ended["upload_url"], ended["upload_expires_at"]) == (None, None)
    return ended


def report(ended: Json) -> list[Json]:
    response = httpx.get(ended["report_url"]).raise_for_status()
    return [json.loads(line) for line in response.text.splitlines()]


def results(system: System, project: str) -> dict[str, Json]:
    """What each item is labeled with."""
    keys = {item["uid"]: item["key"] for item in system.items(project)}
    return {keys[row["item"]]: row for row in system.rows(f"/projects/{project}/results/")}


def without_names(document: bytes) -> Any:
    """A file of labels without what is of its project alone."""
    own = ("item", "project", "result", "created_at", "updated_at", "date_created")
    if document.startswith(b"\x1f\x8b"):
        rows = [json.loads(line) for line in gzip.decompress(document).splitlines()]
        return [{name: value for name, value in row.items() if name not in own} for row in rows]
    coco = json.loads(document)
    del coco["info"]
    return coco


@pytest.mark.parametrize("format", ["jsonl", "coco"])
def test_what_is_exported_imported_and_exported_again_is_equal(own: System, format: str) -> None:
    first = content(export(own, labeled(own), format=format))
    project = project_of(own, [*KEYS, "waits.jpg"])

    ended = import_file(own, project, first, format=format)

    assert (ended["status"], ended["counts"]["results"], ended["reasons"]) == ("imported", len(KEYS), [])
    assert without_names(content(export(own, project, format=format))) == without_names(first)
    again = import_file(own, project, first, format=format)
    assert again["counts"] == {"items": len(KEYS), "results": 0, "skipped": len(KEYS), "refused": 0}
    assert {reason["code"] for reason in again["reasons"]} == {"already_labeled"}


@pytest.fixture
def import_subscription(own: System) -> Iterator[Subscription]:
    with Receiver() as receiver:
        yield from subscribed(own, receiver, events=["import.completed", "import.failed"])


def test_the_end_of_an_import_is_an_event(own: System, import_subscription: Subscription) -> None:
    project = project_of(own, ["a.jpg"])
    ended = import_file(own, project, b'{"key": "a.jpg", "annotations": []}', format="jsonl")

    delivery = import_subscription.receiver.next()
    assert delivery is not None
    body = json.loads(delivery.body)
    assert (body["event"], body["payload"]["counts"]) == ("import.completed", ended["counts"])
    assert body["payload"]["import_uid"] == ended["uid"] and body["payload"]["project_uid"] == project


def test_good_lines_are_taken_and_every_other_one_has_a_reason(own: System) -> None:
    project = project_of(own, ["a.jpg", "x/b.jpg", "x/c.jpg", "y/c.jpg"])
    rows: list[Any] = [
        {"key": "a.jpg", "annotations": [box("dog", 1.0)]},
        {"key": "b.jpg", "annotations": [polygon()]},
        {"key": "c.jpg", "annotations": []},
        {"key": "gone.jpg", "annotations": []},
        {"key": "y/c.jpg", "annotations": [box("cow", 1.0)]},
        {"key": "y/c.jpg", "annotations": [box("dog", 1.0), box("dog", 1_000.0)]},
        {"key": "new.jpg", "annotations": [], "url": "https://pictures.example.com/new.jpg", "width": 9, "height": 9},
        {"key": "own.jpg", "annotations": [], "url": "s3://autolabel/projects/x"},
    ]
    file = "\n".join([*map(json.dumps, rows), '{"key": "a.jp', '{"key": "a.jpg", "annotations": [NaN]}'])

    ended = import_file(own, project, gzip.compress(file.encode()), format="jsonl")

    assert ended["counts"] == {"items": 10, "results": 3, "skipped": 0, "refused": 7}
    codes = [(reason["line"], reason["code"]) for reason in ended["reasons"]]
    assert codes == [
        (3, "ambiguous_name"),
        (4, "unknown_item"),
        (5, "unknown_label"),
        (6, "malformed"),
        (8, "refused_url"),
        (9, "malformed"),
        (10, "malformed"),
    ]
    assert report(ended) == ended["reasons"]
    written = results(own, project)
    assert sorted(written) == ["a.jpg", "new.jpg", "x/b.jpg"]
    assert {(row["status"], row["source"]) for row in written.values()} == {("accepted", "human")}
    assert written["x/b.jpg"]["annotations"] == [polygon()]


def test_drafts_are_reviewed_like_those_of_a_model(own: System) -> None:
    project = project_of(own, ["a.jpg", "b.jpg"], labels=["cat"])
    rows = [{"key": key, "annotations": [box("dog", 1.0, confidence=0.5)]} for key in ("a.jpg", "b.jpg")]
    file = "\n".join(map(json.dumps, rows)).encode()

    ended = import_file(own, project, file, format="jsonl", add_labels=True, **{"as": "draft"})

    assert (ended["counts"]["results"], ended["as"]) == (2, "draft")
    assert own.ok("GET", f"/projects/{project}/")["labels"] == ["cat", "dog"]
    drafts = results(own, project)
    assert {(row["status"], row["source"]) for row in drafts.values()} == {("draft", "import")}
    claimed = claim(own, project, count=2)
    assert {row["item"] for row in claimed} == {row["item"] for row in drafts.values()}
    accepted = own.ok("POST", f"/results/{drafts['a.jpg']['uid']}/accept/")
    corrected = own.ok("PATCH", f"/results/{drafts['b.jpg']['uid']}/", {"annotations": [box("cat", 2.0)]})
    assert (accepted["status"], accepted["source"]) == ("accepted", "import")
    assert (corrected["status"], corrected["source"]) == ("accepted", "human")


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (
            b'{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [',
            "The file is no JSON object of this format",
        ),
        (b'{"images": [{"id": 1, "file_name": "a.jpg", "width": NaN}]}', "The file is no JSON object of this format"),
        ('{"images": []}'.encode("utf-16"), "The file must be UTF-8, and looks like UTF-16."),
        (b"PK\x03\x04", "The file is no JSON object of this format"),
        (b"", "The file is no JSON object of this format"),
        (b'{"images": [' + b"[" * 1_000_000, "The file is no JSON object of this format"),
    ],
    ids=["half", "nan", "utf16", "zip", "empty", "deep"],
)
def test_a_file_that_cannot_be_read_fails_whole(own: System, file: bytes, sentence: str) -> None:
    project = project_of(own, ["a.jpg"])

    ended = import_file(own, project, file, format="coco")

    assert ended["status"] == "failed" and ended["error_message"].startswith(sentence), ended
    assert report(ended) == [] and results(own, project) == {}


def test_a_tenant_sees_its_own_imports_and_names_its_own_files(own: System, system: System) -> None:
    project = project_of(own, [])
    created = own.ok("POST", f"/projects/{project}/imports/", {"format": "coco", "as": "draft"}, expect=201)
    path = f"/projects/{project}/imports/"

    assert [row["uid"] for row in own.rows(path)] == [created["uid"]]
    assert_refused(system.api.get(path), 404)
    assert_refused(system.api.get(f"{path}{created['uid']}/"), 404)
    assert_refused(system.api.post(path, json={"format": "coco", "as": "draft"}), 404)
    assert_refused(own.api.get(f"{path}{uuid.uuid4()}/"), 404)
    for body, naming in [
        ({"format": "coco"}, "as"),
        ({"as": "draft", "format": "voc"}, "format"),
        ({"format": "coco", "as": "draft", "source": "s3://others/x"}, "source"),
        ({"format": "coco", "as": "draft", "source": "https://a.example/x"}, "source"),
        ({"format": "coco", "as": "draft", "add_labels": "yes"}, "add_labels"),
    ]:
        assert_refused(own.api.post(path, json=body), 400, naming=naming)


def test_the_reasons_of_the_guide_are_those_of_the_api() -> None:
    root = Path(__file__).parents[2]
    schemas = json.loads((root / "docs" / "openapi.json").read_text())["components"]["schemas"]
    guide = (root / "docs" / "guide" / "imports.md").read_text().partition("## Reasons")[2].partition("## ")[0]

    assert [line.split("`")[1] for line in guide.splitlines() if line.startswith("| `") and "code" not in line] == (
        schemas["ImportReasonCode"]["enum"]
    )
