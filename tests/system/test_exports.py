"""Exports: the labels of a project as a file, judged by others (contract, 11.5; decision 0043)."""

import gzip
import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from avala import errors
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from local.receiver import Receiver
from tests.system import official
from tests.system.conftest import NewTenant, Subscription, subscribed
from tests.system.system import Json, System, assert_refused

pytestmark = pytest.mark.takes(60)

LABELS = ["dog", "unused", 'a, "b" 😀/..']
KEYS = ["a/1.jpg", "b/1.jpg", "ü x.jpg", "empty.jpg"]
WIDTH, HEIGHT = 64, 48


def box(label: str, x: float, confidence: float = 1.0) -> Json:
    coordinates = {"x": x, "y": 2.5, "width": 10.0, "height": 20.0}
    return {"type": "bounding_box", "label": label, "confidence": confidence, "coordinates": coordinates}


def disc() -> Json:
    """A mask with a hole, whose runs cross columns."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distance = (x - 30) ** 2 + (y - 20) ** 2
    pixels = (distance < 300) & (distance > 40)
    counts = masks.encode(np.asfortranarray(pixels.astype(np.uint8)))["counts"].decode()
    mask = {"format": "coco_rle", "size": [HEIGHT, WIDTH], "counts": counts}
    return {"type": "segmentation_mask", "label": LABELS[2], "confidence": 0.75, "mask": mask}


def polygon() -> Json:
    points = [[1.0, 1.0], [20.5, 1.0], [20.5, 30.25]]
    return {"type": "polygon", "label": "dog", "confidence": 0.5, "points": points}


ANNOTATIONS: list[list[Json]] = [
    [box("dog", 1.25), box(LABELS[2], 30.0, confidence=0.25)],
    [polygon(), disc()],
    [box("dog", 5.0), {"type": "classification", "label": "dog", "confidence": 1.0}],
    [],
]


@pytest.fixture(scope="module")
def project(own: System) -> str:
    """Four pictures labeled by hand, and one that waits."""
    uid = str(own.ok("POST", "/projects/", {"name": "Exports", "labels": LABELS}, expect=201)["uid"])
    items = [{"key": key, "width": WIDTH, "height": HEIGHT} for key in (*KEYS, "waits.jpg")]
    added = own.ok("POST", f"/projects/{uid}/items/", {"items": items}, expect=201)["results"]
    for item, annotations in zip(added, ANNOTATIONS, strict=False):
        own.ok("POST", f"/items/{item['uid']}/results/", {"annotations": annotations}, expect=201)
    return uid


def export(system: System, project: str, **options: Any) -> Json:
    created = system.ok("POST", "/exports/", {"project": project, **options}, expect=201)
    assert (created["status"], created["download_url"], created["files"]) == ("pending", None, [])
    exported = system.exported(created["uid"])
    assert exported["status"] == "exported", exported
    return exported


def content(exported: Json) -> bytes:
    """The file, which is what the export says of it."""
    response = httpx.get(exported["download_url"]).raise_for_status()
    assert response.headers["content-disposition"] == "attachment"
    (file,) = exported["files"]
    assert (file["bytes"], file["sha256"]) == (len(response.content), hashlib.sha256(response.content).hexdigest())
    assert file["url"].partition("?")[0] == exported["download_url"].partition("?")[0]
    return response.content


def lines(exported: Json) -> list[Json]:
    return [json.loads(line) for line in gzip.decompress(content(exported)).decode().splitlines()]


def loaded(exported: Json, folder: Path) -> COCO:
    file = folder / "instances.json"
    file.write_bytes(content(exported))
    return COCO(str(file))


@pytest.fixture(scope="module")
def coco(own: System, project: str, tmp_path_factory: pytest.TempPathFactory) -> COCO:
    return loaded(export(own, project, format="coco"), tmp_path_factory.mktemp("coco"))


def test_the_official_client_waits_for_an_export(client: Any, project: str) -> None:
    created = client.exports.create(project=project)
    exported = client.exports.wait(created.uid, interval=0.5, timeout=60)

    assert (exported.uid, exported.status) == (created.uid, "exported")
    assert httpx.get(exported.download_url).status_code == 200
    assert client.exports.get(created.uid).status == "exported"
    assert created.uid in [row.uid for row in client.exports.list().items]
    of_dataset = client.exports.wait(client.exports.create(dataset=project).uid, interval=0.5, timeout=60)
    assert of_dataset.status == "exported"
    with pytest.raises(errors.ValidationError, match="No project"):
        client.exports.create(project=str(uuid.uuid4()))


def test_the_command_line_creates_and_waits(own: System, project: str) -> None:
    created = official.command(own.stack, "exports", "create", "--project", project)
    assert created.exit_code == 0, created.output
    uid = created.output.split("Export created: ")[1].split()[0]

    waited = official.command(own.stack, "exports", "wait", uid, "--interval", "0.5")
    assert waited.exit_code == 0, waited.output
    assert "exported" in official.command(own.stack, "exports", "get", uid).output


def test_a_line_has_what_the_api_says(own: System, project: str) -> None:
    results = {row["item"]: row for row in own.rows(f"/projects/{project}/results/")}
    exported = export(own, project)

    rows = lines(exported)

    assert [row["key"] for row in rows] == KEYS
    assert (exported["total_task_count"], exported["exported_task_count"], exported["left_out"]) == (4, 4, [])
    for row in rows:
        result = results[row["item"]]
        same = ("status", "annotations", "source", "created_by", "reviewed_by", "created_at", "updated_at")
        assert {name: row[name] for name in same} == {name: result[name] for name in same}
        assert (row["result"], row["project"], row["width"], row["height"]) == (result["uid"], project, WIDTH, HEIGHT)


def test_pycocotools_loads_it_with_the_geometry_of_the_api(coco: COCO) -> None:
    assert [image["file_name"] for image in coco.loadImgs(sorted(coco.imgs))] == KEYS
    assert [(c["id"], c["name"]) for c in coco.loadCats(coco.getCatIds())] == list(enumerate(LABELS, 1))
    shown = [[a for a in annotations if a["type"] != "classification"] for annotations in ANNOTATIONS]
    for image, annotations in zip(sorted(coco.imgs), shown, strict=True):
        rows = coco.loadAnns(coco.getAnnIds(imgIds=image))
        assert len(rows) == len(annotations)
        for row, annotation in zip(rows, annotations, strict=True):
            assert LABELS[row["category_id"] - 1] == annotation["label"]
            assert (row["score"], row["iscrowd"]) == (annotation["confidence"], 0)
            assert coco.annToMask(row).any()
            assert_same_shape(coco, row, annotation)


def assert_same_shape(coco: COCO, row: Json, annotation: Json) -> None:
    match annotation["type"]:
        case "bounding_box":
            box = annotation["coordinates"]
            assert row["bbox"] == [box["x"], box["y"], box["width"], box["height"]]
            left, top, right, bottom = box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]
            assert row["segmentation"] == [[left, top, left, bottom, right, bottom, right, top]]
            assert row["area"] == box["width"] * box["height"]
        case "polygon":
            assert row["segmentation"] == [[number for point in annotation["points"] for number in point]]
            assert (row["bbox"], row["area"]) == ([1.0, 1.0, 19.5, 29.25], 19.5 * 29.25 / 2)
        case _:
            runs = {"size": annotation["mask"]["size"], "counts": annotation["mask"]["counts"].encode()}
            assert (coco.annToMask(row) == masks.decode(runs)).all()
            assert row["bbox"] == list(masks.toBbox(runs))
            assert row["area"] == masks.area(runs)


def shape_of(coco: COCO, row: Json, kind: str) -> Json:
    """What is judged: a mask as run lengths, a polygon's too."""
    return {"bbox": row["bbox"]} if kind == "bbox" else {"segmentation": coco.annToRLE(row)}


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_the_set_judged_by_itself_is_perfect(coco: COCO, kind: str) -> None:
    shapes = coco.dataset["annotations"]
    found = [
        {name: row[name] for name in ("image_id", "category_id", "score")} | shape_of(coco, row, kind) for row in shapes
    ]
    truth = COCO()
    truth.dataset = {**coco.dataset, "annotations": shapes}
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(found), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()

    assert evaluation.stats[0] == pytest.approx(1.0)


def test_what_coco_cannot_hold_is_counted(own: System, project: str) -> None:
    exported = export(own, project, format="coco")

    (left_out,) = exported["left_out"]
    assert (left_out["type"], left_out["count"]) == ("classification", 1)
    assert (exported["total_task_count"], exported["exported_task_count"]) == (4, 4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"statuses": ["none"]}, {"waits.jpg": 0}),
        ({"statuses": ["draft"]}, {}),
        ({"labels": ["dog"]}, dict(zip(KEYS, [1, 1, 2, 0], strict=True))),
        ({"min_confidence": 0.5}, dict(zip(KEYS, [1, 2, 2, 0], strict=True))),
        ({"job": str(uuid.uuid4())}, {}),
    ],
)
def test_filters_narrow_an_export(own: System, project: str, options: Json, expected: dict[str, int]) -> None:
    rows = lines(export(own, project, **options))

    assert {row["key"]: len(row["annotations"]) for row in rows} == expected


def test_a_draft_and_a_rejected_result_are_exported_when_asked_for(own: System) -> None:
    project = own.load_project(8)
    job = own.run(project, confidence_threshold=0.0)["uid"]
    drafts = [row for row in own.results(project, job) if row["annotations"]]
    own.ok("POST", f"/results/{drafts[0]['uid']}/reject/")

    def row_of(item: str, **options: Any) -> Json:
        (row,) = (row for row in lines(export(own, project, **options)) if row["item"] == item)
        return row

    drafted = row_of(drafts[1]["item"], statuses=["draft"], job=job)
    assert (drafted["annotations"], drafted["job"]) == (drafts[1]["annotations"], job)
    rejected = row_of(drafts[0]["item"], statuses=["rejected"])
    assert (rejected["status"], rejected["annotations"]) == ("rejected", drafts[0]["annotations"])
    unlabeled = row_of(drafts[0]["item"], statuses=["none"])
    assert (unlabeled["status"], unlabeled["annotations"]) == ("rejected", [])


def test_a_split_gives_an_item_the_same_part_each_time(own: System, project: str) -> None:
    split = {"train": 0.5, "val": 0.25, "test": 0.25}
    other = str(own.ok("POST", "/projects/", {"name": "Empty"}, expect=201)["uid"])
    first, second = (lines(export(own, project, split=split)) for _ in range(2))
    joined = own.ok("POST", "/exports/", {"projects": [project, other], "split": split}, expect=201)

    parts = [row["split"] for row in first]
    assert [row["split"] for row in second] == parts
    assert [row["split"] for row in lines(own.exported(joined["uid"]))] == parts
    assert {row["split"] for row in lines(export(own, project, split={"test": 1}))} == {"test"}


def test_several_projects_are_joined_under_their_names(own: System, project: str) -> None:
    other = str(own.ok("POST", "/projects/", {"name": "Other"}, expect=201)["uid"])
    item = own.ok("POST", f"/projects/{other}/items/", {"key": KEYS[0]}, expect=201)["uid"]
    own.ok("POST", f"/items/{item}/results/", {"annotations": [box("zebra", 1.0)]}, expect=201)
    created = own.ok("POST", "/exports/", {"projects": [project, other]}, expect=201)

    rows = lines(own.exported(created["uid"]))

    assert [row["key"] for row in rows] == [*(f"Exports/{key}" for key in KEYS), f"Other/{KEYS[0]}"]


def test_a_name_that_is_no_folder_is_replaced_by_the_projects_uid(own: System, project: str) -> None:
    names = ["..", "a/b", project]
    others = [str(own.ok("POST", "/projects/", {"name": name}, expect=201)["uid"]) for name in names]
    for other in others:
        item = own.ok("POST", f"/projects/{other}/items/", {"key": KEYS[0]}, expect=201)["uid"]
        own.ok("POST", f"/items/{item}/results/", {"annotations": []}, expect=201)
    created = own.ok("POST", "/exports/", {"projects": [project, *others]}, expect=201)

    rows = lines(own.exported(created["uid"]))

    expected = [f"Exports/{key}" for key in KEYS] + [f"{other}/{KEYS[0]}" for other in others]
    assert [row["key"] for row in rows] == expected


def test_a_correction_has_its_draft_beside_it(own: System) -> None:
    project = own.load_project(8)
    job = own.run(project, confidence_threshold=0.0)["uid"]
    drafted = next(row for row in own.results(project, job) if row["annotations"])
    first, *others = drafted["annotations"]
    body = {"annotations": [*others, box(first["label"], 1.0)]}
    corrected = own.ok("PATCH", f"/results/{drafted['uid']}/", body)

    (row,) = lines(export(own, project))

    assert row["draft"] == drafted["annotations"]
    assert (row["origins"], row["draft_indexes"]) == (corrected["origins"], corrected["draft_indexes"])


def test_pages_of_items_are_joined_to_one_file(own: System, tmp_path: Path) -> None:
    """More items than one read has, in both formats."""
    project = own.project(items=900)
    statuses = {"statuses": ["none"]}

    rows = lines(export(own, project, **statuses))
    coco = loaded(export(own, project, format="coco", **statuses), tmp_path)

    keys = [f"{n:05}.jpg" for n in range(900)]
    assert [row["key"] for row in rows] == keys
    assert [coco.imgs[n]["file_name"] for n in range(1, 901)] == keys


@pytest.mark.parametrize(
    ("body", "naming"),
    [
        ({}, "project: Give a project or a dataset."),
        ({"format": "voc"}, 'format: Must be one of "jsonl", "coco", "sagemaker_manifest", "cvat", "label_studio"'),
        ({"statuses": ["done"]}, "statuses: Must be a list of"),
        ({"split": {"train": 0.5}}, "split: Its shares must add up to 1."),
        ({"slices": ["x"]}, "slices: Must be empty"),
        ({"min_confidence": "high"}, "min_confidence: Must be a number"),
        ({"formt": "coco"}, "formt: Unknown field. Did you mean format?"),
    ],
)
def test_a_bad_request_is_refused_in_its_own_words(own: System, project: str, body: Json, naming: str) -> None:
    named = {"project": project, **body} if body else body
    assert_refused(own.api.post("/exports/", json=named), 400, naming=naming)


def test_a_deleted_export_is_gone_with_its_file(own: System, project: str) -> None:
    exported = export(own, project)
    path = f"/exports/{exported['uid']}/"

    assert own.api.delete(path).status_code == 204

    assert_refused(own.api.get(path), 404)
    assert_refused(own.api.delete(path), 404)
    assert exported["uid"] not in [row["uid"] for row in own.rows("/exports/")]
    assert httpx.get(exported["download_url"]).status_code == 404
    running = own.ok("POST", "/exports/", {"project": project}, expect=201)
    assert own.api.delete(f"/exports/{running['uid']}/").status_code == 204
    assert_refused(own.api.get(f"/exports/{running['uid']}/"), 404)


def test_another_tenants_project_and_export_are_missing(own: System, new_tenant: NewTenant, project: str) -> None:
    other, exported = new_tenant(), export(own, project)

    assert_refused(other.api.post("/exports/", json={"project": project}), 400, naming=f'No project "{project}"')
    for method in ("GET", "DELETE"):
        assert_refused(other.api.request(method, f"/exports/{exported['uid']}/"), 404)
    assert list(other.rows("/exports/")) == []


@pytest.fixture
def export_subscription(own: System) -> Iterator[Subscription]:
    with Receiver() as receiver:
        yield from subscribed(own, receiver, events=["export.completed", "export.failed"])


def test_the_end_of_an_export_is_an_event(own: System, project: str, export_subscription: Subscription) -> None:
    exported = export(own, project, format="coco")

    delivery = export_subscription.receiver.next()
    assert delivery is not None
    body = json.loads(delivery.body)
    assert body["event"] == "export.completed"
    assert body["payload"] == {
        "export_uid": exported["uid"],
        "project_uid": project,
        "project_uids": [project],
        "status": "exported",
        "format": "coco",
        "total_task_count": 4,
        "exported_task_count": 4,
    }


def test_lists_are_filtered_by_status_and_project(own: System, project: str) -> None:
    uid = export(own, project)["uid"]

    def listed(query: str) -> list[str]:
        return [row["uid"] for row in own.rows(f"/exports/?{query}")]

    assert listed("limit=2")[0] == uid
    assert uid in listed(f"project={project}&status=exported")
    assert uid not in listed("status=failed")
    assert listed(f"project={uuid.uuid4()}") == []
    assert_refused(own.api.get("/exports/?status=completed"), 400, naming="status")
