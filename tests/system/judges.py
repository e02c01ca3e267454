"""Independent readers of what an export writes. Each gives what it has read in one form: a picture's shapes, by name.

`panlabel` reads the boxes of many formats, `labelformat` those of some and their masks. Readers that do not go with the
packages of the tests are in an environment of their own, and run as programs: tests/judges.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as masks

from local.settings import ROOT

Json = dict[str, Any]

PANLABEL = str(Path(sys.executable).with_name("panlabel"))
HEAVY = ROOT / ".venv-judges" / "bin" / "python"
PROGRAMS = ROOT / "tests" / "judges"
# Formats write decimals, and some percents of a side: a thousandth of a pixel.
ROUNDING = 1e-3


@dataclass(frozen=True)
class Box:
    """An upright box, pixels. Two are equal if their edges differ by rounding alone."""

    label: str
    left: float
    top: float
    right: float
    bottom: float

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Box):
            return NotImplemented
        return self.label == other.label and bool(np.allclose(self.edges, other.edges, rtol=0, atol=ROUNDING))

    __hash__ = None  # type: ignore[assignment]  # what is equal by rounding has no hash

    @property
    def edges(self) -> tuple[float, float, float, float]:
        return self.left, self.top, self.right, self.bottom


Boxes = dict[str, list[Box]]


def box_of(annotation: Json) -> Box:
    """The least box around a shape of the API."""
    match annotation["type"]:
        case "bounding_box":
            at = annotation["coordinates"]
            left, top, width, height = at["x"], at["y"], at["width"], at["height"]
        case "segmentation_mask":
            left, top, width, height = map(float, masks.toBbox(runs_of(annotation)))
        case _:
            xs, ys = zip(*annotation["points"], strict=True)
            left, top, width, height = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    return Box(annotation["label"], left, top, left + width, top + height)


def runs_of(annotation: Json) -> Json:
    """A mask of the API as pycocotools takes it."""
    return {"size": annotation["mask"]["size"], "counts": annotation["mask"]["counts"].encode()}


def panlabel(path: Path, kind: str) -> Boxes:
    """The boxes that panlabel reads of a file, or of a folder, which it finds valid."""
    validated = _run(PANLABEL, "validate", "--format", kind, "--output", "json", str(path))
    report = json.loads(validated)
    assert (report["error_count"], report["warning_count"]) == (0, 0), report
    read = path.parent / f"{kind}.ir.json"
    _run(PANLABEL, "convert", "--from", kind, "--to", "ir-json", "--input", str(path), "--output", str(read))
    return _boxes_of(json.loads(read.read_text()))


def _boxes_of(read: Json) -> Boxes:
    names = {category["id"]: category["name"] for category in read["categories"]}
    images = {image["id"]: image["file_name"] for image in read["images"]}
    boxes: Boxes = {name: [] for name in images.values()}
    for annotation in read["annotations"]:
        at = annotation["bbox"]
        edges = at["xmin"], at["ymin"], at["xmax"], at["ymax"]
        boxes[images[annotation["image_id"]]].append(Box(names[annotation["category_id"]], *edges))
    return boxes


def labelformat_boxes(reader: Any) -> Boxes:
    """The boxes that a reader of labelformat gives."""
    return {
        labels.image.filename: [
            Box(one.category.name, one.box.xmin, one.box.ymin, one.box.xmax, one.box.ymax) for one in labels.objects
        ]
        for labels in reader.get_labels()
    }


def heavy(program: str, *arguments: str) -> Json:
    """What a program of tests/judges prints: JSON in its last line."""
    assert HEAVY.exists(), "The judges are not installed. Install them with: make .venv-judges/.installed"
    printed = _run(str(HEAVY), str(PROGRAMS / program), *arguments)
    return dict(json.loads(printed.splitlines()[-1]))


def _run(command: str, *arguments: str) -> str:
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} {arguments}: {done.stdout}\n{done.stderr}"
    return done.stdout


def same(expected: Boxes, read: Boxes, order: bool = True) -> None:
    """That a judge has read the boxes that the API shows, picture by picture."""
    assert sorted(read) == sorted(expected)
    for name, boxes in expected.items():
        found = read[name] if order else sorted(read[name], key=_position)
        assert found == (boxes if order else sorted(boxes, key=_position)), name


def _position(box: Box) -> tuple[str, float, float]:
    return box.label, round(box.left, 2), round(box.top, 2)


def boxes_of(annotations: dict[str, list[Json]], kinds: Iterable[str]) -> Boxes:
    """What a judge is to read that knows shapes of these kinds as boxes."""
    known = set(kinds)
    return {name: [box_of(one) for one in of if one["type"] in known] for name, of in annotations.items()}
