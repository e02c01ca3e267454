"""Exports for Ultralytics, read by the rules of its own loader (decision 0045)."""

import io
import json
import subprocess
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
import pytest

from tests.system.system import Json, System, assert_refused

pytestmark = pytest.mark.takes(60)

LABELS = ["unused", 'a: "b" 😀', "dog"]
KEYS = ["a/1.png", "b/1.png", "b/1.jpg", "images/ü 2.png", "x\\y.png", "none.png"]
WIDTH, HEIGHT = 64, 48


def box(label: str, x: float) -> Json:
    coordinates = {"x": x, "y": 2.5, "width": 10.0, "height": 20.0}
    return {"type": "bounding_box", "label": label, "confidence": 1.0, "coordinates": coordinates}


def triangle() -> Json:
    return {"type": "polygon", "label": "dog", "confidence": 1.0, "points": [[1.0, 1.0], [20.5, 1.0], [20.5, 30.25]]}


@pytest.fixture(scope="module")
def project(own: System) -> str:
    """Five pictures labeled by hand, of which the first was uploaded, and one on which nothing was found."""
    uid = str(own.ok("POST", "/projects/", {"name": "YOLO", "labels": LABELS}, expect=201)["uid"])
    items = [{"key": key, "width": WIDTH, "height": HEIGHT} for key in KEYS]
    added = own.ok("POST", f"/projects/{uid}/items/", {"items": items}, expect=201)["results"]
    for item in added:
        annotations = [] if item["key"] == "none.png" else [box("dog", 1.25), triangle(), box(LABELS[1], 30.0)]
        own.ok("POST", f"/items/{item['uid']}/results/", {"annotations": annotations}, expect=201)
    return uid


def export(system: System, project: str, **options: Any) -> tuple[Json, bytes]:
    created = system.ok("POST", "/exports/", {"project": project, **options}, expect=201)
    exported = system.exported(created["uid"])
    assert exported["status"] == "exported", exported
    return exported, httpx.get(exported["download_url"]).raise_for_status().content


def labels_of(image: str) -> str:
    """The file of labels, as Ultralytics derives it from the path of a picture."""
    return "/labels/".join(f"/{image}".rsplit("/images/", 1)).rsplit(".", 1)[0][1:] + ".txt"


def test_a_data_set_is_one_that_ultralytics_finds_its_labels_in(own: System, project: str, tmp_path: Path) -> None:
    exported, content = export(own, project, format="yolo")
    assert (exported["task"], exported["include_images"], exported["left_out"]) == ("detect", False, [])
    (tmp_path / "dataset.zip").write_bytes(content)
    subprocess.run(["unzip", "-tq", str(tmp_path / "dataset.zip")], check=True, capture_output=True)

    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    names = archive.namelist()
    assert len(names) == len(set(names)) == len(KEYS) + 2
    assert all(".." not in PurePosixPath(name).parts and not name.startswith("/") for name in names)
    images = [json.loads(line) for line in archive.read("images.jsonl").decode().splitlines()]
    assert [image["key"] for image in images] == KEYS
    assert [image["image"] for image in images][:2] == ["images/train/a/1.png", "images/train/b/1.png"]
    for image in images:
        rows = [[float(value) for value in row.split()] for row in archive.read(labels_of(image["image"])).splitlines()]
        assert len(rows) == (0 if image["key"] == "none.png" else 3)
        assert all(len(row) == 5 and 0 <= min(row[1:]) and max(row[1:]) <= 1 for row in rows)
        if rows:
            assert [row[0] for row in rows] == [2, 2, 1]
            assert rows[0][1:] == pytest.approx([6.25 / WIDTH, 12.5 / HEIGHT, 10 / WIDTH, 20 / HEIGHT])
    data = archive.read("data.yaml").decode()
    assert data.startswith("train: images/train\nval: images/train\n\nnc: 3\nnames:\n")


def test_segments_and_lines_have_the_same_rows(own: System, project: str) -> None:
    _, content = export(own, project, format="yolo", task="segment")
    archive = zipfile.ZipFile(io.BytesIO(content))
    rows = [[float(value) for value in row.split()] for row in archive.read("labels/train/a/1.txt").splitlines()]
    assert [len(row) for row in rows] == [9, 7, 9]
    assert rows[1] == pytest.approx([2, 1 / 64, 1 / 48, 20.5 / 64, 1 / 48, 20.5 / 64, 30.25 / 48])

    _, content = export(own, project, format="ultralytics_ndjson", task="segment")
    first, *lines = [json.loads(line) for line in content.decode().splitlines()]
    assert (first["type"], first["task"]) == ("dataset", "segment")
    assert first["class_names"] == {str(number): name for number, name in enumerate(LABELS)}
    assert len({Path(line["file"]).stem for line in lines}) == len(KEYS)
    assert all("/" not in line["file"] and line["split"] == "train" for line in lines)
    assert lines[0]["annotations"]["segments"] == [[int(row[0]), *row[1:]] for row in rows]


def test_a_picture_that_is_there_is_copied_and_others_are_left_out_with_the_reason(own: System) -> None:
    project = str(own.ok("POST", "/projects/", {"name": "Copied", "labels": ["dog"]}, expect=201)["uid"])
    picture = bytes(range(256)) * 9_000  # longer than a piece
    for key in ("there.jpg", "missing.jpg"):
        item = own.ok("POST", f"/projects/{project}/items/", {"key": key, "width": WIDTH, "height": HEIGHT}, expect=201)
        own.ok("POST", f"/items/{item['uid']}/results/", {"annotations": [box("dog", 1.0)]}, expect=201)
        if key == "there.jpg":
            httpx.put(item["upload_url"], content=picture).raise_for_status()

    exported, content = export(own, project, format="yolo", include_images=True)

    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    assert archive.read("images/train/there.jpg") == picture
    assert "labels/train/missing.txt" not in archive.namelist()
    why = "The file was not uploaded yet."
    assert [(entry["type"], entry["count"], entry["reason"]) for entry in exported["left_out"]] == [
        ("item", 1, why),
        ("bounding_box", 1, why),
    ]


def test_options_of_ultralytics_are_refused_with_another_format(own: System, project: str) -> None:
    for options in (
        {"task": "segment"},
        {"format": "coco", "include_images": True},
        {"format": "yolo", "task": "pose"},
    ):
        assert_refused(own.api.post("/exports/", json={"project": project, **options}), 400)
