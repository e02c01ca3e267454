"""Independent readers read what an export writes: the shapes that the API shows, of names and labels of all kinds."""

import gzip
import json
from pathlib import Path
from typing import Any, Final

import duckdb
import httpx
import numpy as np
import pytest
from labelformat.formats import COCOObjectDetectionInput
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.system import judges
from tests.system.system import Json, System

pytestmark = pytest.mark.takes(40)

LABELS: Final = ['a, "b" 😀/..', "..", "ü/é", "<b>&'amp;", "0", "two words", "unused"]
WIDTH, HEIGHT = 64, 48
FLAT: Final = ("bounding_box", "polygon", "segmentation_mask")


def box(label: str, *edges: float, confidence: float = 1.0) -> Json:
    coordinates = dict(zip(("x", "y", "width", "height"), edges, strict=True))
    return {"type": "bounding_box", "label": label, "confidence": confidence, "coordinates": coordinates}


def polygon(label: str, *points: tuple[float, float]) -> Json:
    return {"type": "polygon", "label": label, "confidence": 0.5, "points": [list(point) for point in points]}


def mask(label: str, pixels: Any) -> Json:
    counts = masks.encode(np.asfortranarray(pixels.astype(np.uint8)))["counts"].decode()
    runs = {"format": "coco_rle", "size": [HEIGHT, WIDTH], "counts": counts}
    return {"type": "segmentation_mask", "label": label, "confidence": 0.75, "mask": runs}


def pixels(*rows_and_columns: slice) -> Any:
    marked = np.zeros((HEIGHT, WIDTH), bool)
    marked[rows_and_columns] = True
    return marked


def noise(seed: int) -> Any:
    return np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.4


def disc() -> Any:
    """With a hole."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distance = (x - 30) ** 2 + (y - 20) ** 2
    return (distance < 300) & (distance > 40)


def cuboid(label: str) -> Json:
    coordinates = {
        "center": {"x": 1.0, "y": 2.0, "z": 0.5},
        "dimensions": {"length": 4.0, "width": 2.0, "height": 1.5},
        "rotation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
    }
    return {"type": "bounding_box_3d", "label": label, "confidence": 0.9, "coordinates": coordinates}


LINE: Final = {"type": "polyline", "label": "..", "confidence": 0.4, "points": [[1.0, 1.0], [20.0, 30.0], [5.5, 7.0]]}
WHOLE: Final = {"type": "classification", "label": "ü/é", "confidence": 0.3}

# What each picture has. Same names in two folders, two extensions of one name, and names that no file system likes.
PICTURES: Final[dict[str, list[Json]]] = {
    "a/1.jpg": [box(LABELS[0], 1.25, 2.5, 10.0, 20.0, confidence=0.1), box("0", 0.0, 0.0, 64.0, 48.0)],
    "b/1.jpg": [polygon("two words", (1.0, 1.0), (20.5, 1.0), (20.5, 30.25)), LINE],
    "b/1.png": [mask("<b>&'amp;", disc()), mask(LABELS[0], pixels(slice(47, 48), slice(63, 64)))],
    "a..b/..c.jpg": [mask("..", pixels(slice(0, 48), slice(0, 64))), mask("..", pixels(slice(0, 1), slice(0, 1)))],
    "ü x/😀 <&>'\".jpg": [mask("ü/é", noise(1)), WHOLE, box("ü/é", 62.5, 46.5, 1.5, 1.5, confidence=1 / 3)],
    "C:\\con, 100%.jpg": [polygon(LABELS[0], (0.0, 0.0), (64.0, 0.0), (64.0, 48.0), (0.0, 48.0))],
    "%2e%2e/noextension": [mask("0", noise(2)), polygon("0", (3.1, 4.7), (9.9, 4.7), (9.9, 12.3), (6.0, 8.0))],
    "empty.jpg": [],
    "line.jpg": [LINE],
}
# What readers take that know boxes alone, and names without folders.
BOXES: Final[dict[str, list[Json]]] = {
    "a/1.jpg": [box(LABELS[0], 1.25, 2.5, 10.0, 20.0), box("0", 0.0, 0.0, 64.0, 48.0)],
    "a..b/..c.jpg": [box("<b>&'amp;", 30.1, 7.7, 12.3, 9.9)],
    "ü x/😀 <&>'\".jpg": [
        box("ü/é", 62.5, 46.5, 1.5, 1.5),
        box("..", 5.0, 5.0, 5.0, 5.0),
        box("..", 5.0, 5.0, 5.0, 5.0),
    ],
    "empty.jpg": [],
}
KINDS: Final = ("rectanglelabels", "polygonlabels", "brushlabels", "choices")
NO_SIZE: Final = "nosize.jpg"
CLOUD: Final = "cloud.pcd"
REJECTED: Final = "rejected.jpg"
WAITS: Final = "waits.jpg"


@pytest.fixture(scope="module")
def project(own: System) -> str:
    """Pictures of all kinds and a point cloud, labeled by hand."""
    uid = str(own.ok("POST", "/projects/", {"name": "Judged", "labels": LABELS}, expect=201)["uid"])
    size = {"width": WIDTH, "height": HEIGHT}
    items = [{"key": key, **size} for key in (*PICTURES, REJECTED, WAITS)]
    items += [{"key": NO_SIZE}, {"key": CLOUD, "asset_type": "point_cloud"}]
    added = own.ok("POST", f"/projects/{uid}/items/", {"items": items}, expect=201)["results"]
    of = {item["key"]: item["uid"] for item in added}
    results = {**PICTURES, REJECTED: [box("0", 1, 1, 1, 1)], NO_SIZE: [box("..", 1, 1, 5, 5)], CLOUD: [cuboid("0")]}
    for key, annotations in results.items():
        result = own.ok("POST", f"/items/{of[key]}/results/", {"annotations": annotations}, expect=201)
        if key == REJECTED:
            own.ok("POST", f"/results/{result['uid']}/reject/")
    return uid


@pytest.fixture(scope="module")
def shown(own: System, project: str) -> dict[str, list[Json]]:
    """The annotations of each accepted item, as the API shows them."""
    keys = {item["uid"]: item["key"] for item in own.items(project)}
    rows = own.rows(f"/projects/{project}/results/?status=accepted")
    return {keys[row["item"]]: row["annotations"] for row in rows}


@pytest.fixture(scope="module")
def pictures(shown: dict[str, list[Json]]) -> dict[str, list[Json]]:
    """Of these the pictures whose size is known."""
    return {key: shown[key] for key in PICTURES}


def exported(system: System, project: str, file: Path, **options: Any) -> Json:
    """The export, its file written."""
    created = system.ok("POST", "/exports/", {"project": project, **options}, expect=201)
    ended = system.exported(created["uid"])
    assert ended["status"] == "exported", ended
    file.write_bytes(httpx.get(ended["download_url"]).raise_for_status().content)
    return ended


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("judged")


@pytest.fixture(scope="module")
def instances(own: System, project: str, folder: Path) -> Path:
    """The export to COCO."""
    file = folder / "instances.json"
    exported(own, project, file, format="coco")
    return file


def test_the_api_shows_what_was_sent(shown: dict[str, list[Json]]) -> None:
    """So that nothing else is judged than what people have drawn."""
    assert sorted(shown) == sorted([*PICTURES, NO_SIZE, CLOUD])
    for key, annotations in PICTURES.items():
        assert [
            {name: value for name, value in one.items() if name != "attributes"} for one in shown[key]
        ] == annotations


def left_out(exported: Json) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in exported["left_out"]:
        assert entry["reason"].endswith(".")
        counts[entry["type"]] = counts.get(entry["type"], 0) + entry["count"]
    return counts


# jsonl


@pytest.fixture(scope="module")
def lines(own: System, project: str, folder: Path) -> Path:
    """The export to lines of everything."""
    file = folder / "annotations.jsonl.gz"
    ended = exported(own, project, file, statuses=["accepted", "rejected", "none"])
    assert ended["left_out"] == []
    return file


def test_gzip_and_json_read_the_lines(lines: Path, shown: dict[str, list[Json]]) -> None:
    with gzip.open(lines, "rt", encoding="utf-8", newline="\n") as opened:
        rows = {row["key"]: row for row in map(json.loads, opened)}

    assert sorted(rows) == sorted([*shown, REJECTED, WAITS])
    assert {key: rows[key]["annotations"] for key in shown} == shown
    assert (rows[REJECTED]["status"], rows[WAITS]["status"]) == ("rejected", "none")
    assert (rows[NO_SIZE]["width"], rows[CLOUD]["asset_type"]) == (None, "point_cloud")


def test_duckdb_reads_the_lines(lines: Path, shown: dict[str, list[Json]]) -> None:
    """A file of many gzip members, whose annotations have other members from row to row."""
    query = f"SELECT key, status, len(annotations) FROM read_json('{lines}', format = 'newline_delimited')"
    found = duckdb.execute(query).fetchall()

    expected = [(key, "accepted", len(annotations)) for key, annotations in shown.items()]
    assert sorted(found) == sorted([*expected, (REJECTED, "rejected", 1), (WAITS, "none", 0)])


# coco


def test_what_coco_leaves_out_is_counted(own: System, project: str, tmp_path: Path) -> None:
    ended = exported(own, project, tmp_path / "instances.json", format="coco")

    # The picture without a size and the cloud are left out with their shapes.
    expected = {"polyline": 2, "classification": 1, "item": 2, "bounding_box": 1, "bounding_box_3d": 1}
    assert left_out(ended) == expected
    assert (ended["total_task_count"], ended["exported_task_count"]) == (len(PICTURES) + 2,) * 2


def test_panlabel_reads_the_boxes_of_coco(instances: Path, pictures: dict[str, list[Json]]) -> None:
    judges.same(judges.boxes_of(pictures, FLAT), judges.panlabel(instances, "coco"))


def test_labelformat_reads_the_boxes_of_coco(instances: Path, pictures: dict[str, list[Json]]) -> None:
    read = judges.labelformat_boxes(COCOObjectDetectionInput(input_file=instances))

    judges.same(judges.boxes_of(pictures, FLAT), read)


def test_datumaro_reads_the_masks_of_coco(instances: Path, pictures: dict[str, list[Json]], tmp_path: Path) -> None:
    """By numbers: to it `b/1.jpg` and `b/1.png` are one picture, and `C:\\con` is no name."""
    coco = json.loads(instances.read_text())
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    numbered = [{**image, "file_name": f"{image['id']}.jpg"} for image in coco["images"]]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images" / "default").mkdir(parents=True)
    (tmp_path / "annotations" / "instances_default.json").write_text(json.dumps({**coco, "images": numbered}))

    read = judges.heavy("datumaro_shapes.py", "coco", str(tmp_path))

    assert len(read) == len(pictures)
    for number, shapes in read.items():
        annotations = pictures[names[int(number)]]
        drawn = [(one["label"], one["mask"]["counts"]) for one in annotations if one["type"] == "segmentation_mask"]
        # It has the largest first.
        assert sorted((one["label"], one["mask"]["counts"]) for one in shapes if "mask" in one) == sorted(drawn)


def test_pycocotools_decodes_every_mask_of_coco(instances: Path, pictures: dict[str, list[Json]]) -> None:
    coco = COCO(str(instances))

    for image in coco.dataset["images"]:
        flat = [one for one in pictures[image["file_name"]] if one["type"] in FLAT]
        rows = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        for annotation, row in zip(flat, rows, strict=True):
            decoded = coco.annToMask(row)
            assert decoded.shape == (HEIGHT, WIDTH)
            if annotation["type"] == "segmentation_mask":
                assert (decoded == masks.decode(judges.runs_of(annotation))).all()
                assert row["area"] == decoded.sum()


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_coco_judged_by_itself_is_perfect(instances: Path, kind: str) -> None:
    truth = COCO(str(instances))
    found = [
        {name: row[name] for name in ("image_id", "category_id", "score")}
        | ({"bbox": row["bbox"]} if kind == "bbox" else {"segmentation": truth.annToRLE(row)})
        for row in truth.dataset["annotations"]
    ]
    evaluation = COCOeval(truth, truth.loadRes(found), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()

    assert evaluation.stats[0] == pytest.approx(1.0)


def test_classes_and_names_are_the_same_in_every_export(own: System, project: str, tmp_path: Path) -> None:
    """Of other items, and with another filter, so that two of them can be joined."""
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    exported(own, project, first, format="coco", statuses=["none"])
    exported(own, project, second, format="coco", labels=["0"], min_confidence=1)

    read = [json.loads(file.read_text()) for file in (first, second)]

    assert [category["name"] for category in read[0]["categories"]] == LABELS
    assert read[1]["categories"] == read[0]["categories"]
    assert [image["file_name"] for image in read[0]["images"]] == [REJECTED, WAITS]
    assert len(read[1]["images"]) == len(PICTURES)
    assert sorted({row["category_id"] for row in read[1]["annotations"]}) == [LABELS.index("0") + 1]


# sagemaker_manifest and label_studio, of which panlabel reads boxes alone


@pytest.fixture(scope="module")
def boxes(own: System) -> str:
    """A project of boxes, whose pictures have each a file name of its own."""
    uid = str(own.ok("POST", "/projects/", {"name": "Boxes", "labels": LABELS}, expect=201)["uid"])
    items = [{"key": key, "width": WIDTH, "height": HEIGHT} for key in BOXES]
    added = own.ok("POST", f"/projects/{uid}/items/", {"items": items}, expect=201)["results"]
    for item, annotations in zip(added, BOXES.values(), strict=True):
        own.ok("POST", f"/items/{item['uid']}/results/", {"annotations": annotations}, expect=201)
    return uid


def test_panlabel_reads_a_manifest(own: System, boxes: str, tmp_path: Path) -> None:
    file = tmp_path / "output.manifest"
    exported(own, boxes, file, format="sagemaker_manifest")

    expected = judges.boxes_of({f"projects/{boxes}/{key}": of for key, of in BOXES.items()}, FLAT)
    judges.same(expected, judges.panlabel(file, "sagemaker"))


def test_panlabel_reads_label_studio(own: System, boxes: str, tmp_path: Path) -> None:
    file = tmp_path / "tasks.json"
    exported(own, boxes, file, format="label_studio")

    expected = judges.boxes_of({key.rpartition("/")[2]: of for key, of in BOXES.items()}, FLAT)
    judges.same(expected, judges.panlabel(file, "label-studio"))


def test_label_studio_decodes_every_mask(
    own: System, project: str, pictures: dict[str, list[Json]], tmp_path: Path
) -> None:
    file = tmp_path / "tasks.json"
    exported(own, project, file, format="label_studio")

    read = judges.heavy("label_studio_masks.py", str(file))

    found = sorted((mask["label"], mask["counts"]) for of in read.values() for mask in of)
    every = [one for of in pictures.values() for one in of if one["type"] == "segmentation_mask"]
    assert found == sorted((one["label"], one["mask"]["counts"]) for one in every)


def test_the_tasks_of_label_studio_have_the_shapes_of_the_api(
    own: System, project: str, pictures: dict[str, list[Json]], tmp_path: Path
) -> None:
    file = tmp_path / "tasks.json"
    ended = exported(own, project, file, format="label_studio")
    tasks = json.loads(file.read_text())

    assert left_out(ended) == {"polyline": 2, "item": 2, "bounding_box": 1, "bounding_box_3d": 1}
    assert [task["data"]["key"] for task in tasks] == list(pictures)
    for task in tasks:
        (answer,) = task["annotations"]
        annotations = pictures[task["data"]["key"]]
        found = {kind: [one["value"] for one in answer["result"] if one["type"] == kind] for kind in KINDS}
        drawn = [one["points"] for one in annotations if one["type"] == "polygon"]
        for points, value in zip(drawn, found["polygonlabels"], strict=True):
            assert np.allclose(value["points"], [[x / WIDTH * 100, y / HEIGHT * 100] for x, y in points])
        whole = [one["label"] for one in annotations if one["type"] == "classification"]
        assert [value["choices"] for value in found["choices"]] == ([whole] if whole else [])


def test_a_manifest_has_the_classifications_of_the_api(own: System, project: str, tmp_path: Path) -> None:
    file = tmp_path / "output.manifest"
    ended = exported(own, project, file, format="sagemaker_manifest")
    lines = {line["source-ref"]: line for line in map(json.loads, file.read_text().splitlines())}

    expected = {"polygon": 3, "segmentation_mask": 6, "polyline": 2, "item": 2, "bounding_box": 1, "bounding_box_3d": 1}
    assert left_out(ended) == expected
    assert len(lines) == len(PICTURES)
    for reference, line in lines.items():
        key = reference.partition(f"/projects/{project}/")[2]
        names = line.get("classification-metadata", {}).get("class-map", {})
        found = [names[str(number)] for number in line.get("classification", [])]
        assert found == [one["label"] for one in PICTURES[key] if one["type"] == "classification"]
