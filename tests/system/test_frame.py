"""One frame (I13): drafts of pictures in all eight EXIF orientations, by a real decoder that applies EXIF or not.

The scene is one picture upright, stored in each orientation. The model is Pillow: it finds the bright thing in what it
decodes, and says where it is in each type of prediction. The drafts lie on the thing in the picture upright.
"""

import io
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pycocotools import mask as coco

from tests.system import uploads
from tests.system.server import Answer, Request, Server, json_answer
from tests.system.system import Json, System

Pixels = NDArray[np.bool_]
Transpose = Image.Transpose

# Blocks of 16 pixels, so that JPEG keeps the edges where they are.
WIDTH, HEIGHT = 160, 96
LEFT, TOP, RIGHT, BOTTOM = 16, 32, 80, 48

# What is done to the upright picture so that the orientation's turn makes it upright again.
STORED = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}
ORIENTATION = 0x0112


def the_thing() -> Pixels:
    """Where the bright thing is in the picture upright: longer than high, with a corner missing, and in no middle."""
    pixels = np.zeros((HEIGHT, WIDTH), dtype=bool)
    pixels[TOP:BOTTOM, LEFT:RIGHT] = True
    pixels[TOP : TOP + 16, RIGHT - 16 : RIGHT] = False
    pixels[BOTTOM : BOTTOM + 16, LEFT : LEFT + 32] = True
    return pixels


def a_photo(orientation: int) -> bytes:
    picture = Image.fromarray(the_thing().astype(np.uint8) * 255).convert("RGB")
    turn = STORED[orientation]
    picture = picture.transpose(turn) if turn is not None else picture
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


class Pillow(Server):
    """A model server that finds what is bright, and a web server of the masks that it has found and of pictures."""

    def __init__(self, *, applies_exif: bool) -> None:
        super().__init__()
        self.applies_exif = applies_exif
        self.requests: list[Json] = []
        self.decoded: list[tuple[int, int]] = []
        self.pages: dict[str, bytes] = {}

    def answer(self, request: Request) -> Answer:
        if request.method == "POST":
            return json_answer({"annotations": self.predictions(request.json())})
        page = self.pages.get(request.path)
        return Answer(404) if page is None else Answer(200, page)

    def predictions(self, request: Json) -> list[Json]:
        picture: Image.Image = Image.open(io.BytesIO(httpx.get(request["asset_url"]).raise_for_status().content))
        picture = ImageOps.exif_transpose(picture) if self.applies_exif else picture
        self.requests.append(request)
        self.decoded.append(picture.size)
        bright = np.asarray(picture.convert("L")) > 127
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        left, top, right, bottom = (int(n) for n in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
        compressed = coco.encode(np.asfortranarray(bright.astype(np.uint8)))["counts"].decode()
        page = io.BytesIO()
        Image.fromarray(bright).save(page, "PNG")
        self.pages[f"/{request['asset_id']}.png"] = page.getvalue()
        masks: list[Any] = [
            {"format": "coco_rle", "size": list(bright.shape), "counts": compressed},
            {"format": "coco_rle", "size": list(bright.shape), "counts": runs_of(bright)},
            compressed,
            {"format": "png_url", "url": f"{self.url}/{request['asset_id']}.png"},
        ]
        shapes: list[Json] = [
            {"type": "bounding_box", "coordinates": dict(x=left, y=top, width=right - left, height=bottom - top)},
            {"type": "polygon", "points": corners},
            {"type": "polyline", "points": corners[:2]},
            {"type": "classification"},
            *({"type": "segmentation_mask", "mask": mask} for mask in masks),
        ]
        return [{"label": "thing", "confidence": 0.9, **shape} for shape in shapes]


def runs_of(pixels: Pixels) -> list[int]:
    """Column by column, background first."""
    column_by_column = pixels.T.ravel()
    edges = np.flatnonzero(np.diff(column_by_column)) + 1
    runs = np.diff([0, *edges, column_by_column.size]).tolist()
    return [0, *runs] if column_by_column[0] else runs


@pytest.fixture(params=["applied", "ignored"])
def pillow(request: pytest.FixtureRequest) -> Iterator[Pillow]:
    with Pillow(applies_exif=request.param == "applied") as pillow:
        yield pillow


def ask(system: System, project: str, pillow: Pillow) -> Json:
    config = {"endpoint_url": f"{pillow.url}/predict", "exif": "applied" if pillow.applies_exif else "ignored"}
    body = {"name": "Pillow", "provider_type": "http", "project": project, "config": config}
    provider = system.ok("POST", "/inference-providers/", body, expect=201)
    assert provider["config"]["exif"] == config["exif"]
    job = system.run(project)
    assert (job["status"], job["successful_items"], job["summary"]["errors"]) == ("completed", len(STORED), [])
    return job


def test_drafts_lie_on_the_thing_whatever_the_orientation_and_whatever_the_server_makes_of_it(
    system: System, pillow: Pillow
) -> None:
    project = system.project(0, ("thing",))
    uploads.put(system, project, {f"{orientation}.jpg": a_photo(orientation) for orientation in STORED})
    items = uploads.items(system, project, len(STORED))
    assert {(item["width"], item["height"]) for item in items.values()} == {(WIDTH, HEIGHT)}

    job = ask(system, project, pillow)

    assert_the_requests_are_of_what_was_decoded(pillow)
    drafts = {draft["item"]: draft["annotations"] for draft in system.results(project, job["uid"])}
    for orientation in STORED:
        assert_on_the_thing(drafts[items[f"{orientation}.jpg"]["uid"]], orientation)


def test_the_orientation_of_a_picture_whose_size_was_given_is_read_from_its_file(
    system: System, pillow: Pillow
) -> None:
    project = system.project(0, ("thing",))
    lines = []
    for orientation in STORED:
        pillow.pages[f"/{orientation}.jpg"] = a_photo(orientation)
        url = f"{pillow.url}/{orientation}.jpg"
        lines.append({"key": f"{orientation}.jpg", "url": url, "width": WIDTH, "height": HEIGHT})
    added = system.ok("POST", f"/projects/{project}/items/", {"items": lines}, expect=201)

    job = ask(system, project, pillow)

    assert_the_requests_are_of_what_was_decoded(pillow)
    drafts = {draft["item"]: draft["annotations"] for draft in system.results(project, job["uid"])}
    for orientation, item in zip(STORED, added["results"], strict=True):
        assert_on_the_thing(drafts[item["uid"]], orientation)


def assert_the_requests_are_of_what_was_decoded(pillow: Pillow) -> None:
    frame = "upright" if pillow.applies_exif else "stored"
    for request, decoded in zip(pillow.requests, pillow.decoded, strict=True):
        assert (request["frame"], (request["width"], request["height"])) == (frame, decoded)
    assert len({*pillow.decoded}) == (1 if pillow.applies_exif else 2)


def assert_on_the_thing(annotations: list[Json], orientation: int) -> None:
    rows, columns = np.flatnonzero(the_thing().any(axis=1)), np.flatnonzero(the_thing().any(axis=0))
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    box, polygon, polyline, classification, *masks = annotations
    assert box["coordinates"] == {"x": left, "y": top, "width": right - left, "height": bottom - top}, orientation
    corners = {(left, top), (right, top), (right, bottom), (left, bottom)}
    assert {tuple(point) for point in polygon["points"]} == corners, orientation
    assert {tuple(point) for point in polyline["points"]} < corners, orientation
    assert classification["type"] == "classification"
    assert len(masks) == 4
    for mask in masks:
        assert mask["mask"]["size"] == [HEIGHT, WIDTH]
        assert np.array_equal(coco.decode(mask["mask"]).astype(bool), the_thing()), orientation
