"""Masks that a model gives as pictures: what becomes of them (contract, 10.3)."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from tests.system.model import Model
from tests.system.server import Answer, Request, Server
from tests.system.system import Json, System

Pixels = NDArray[np.bool_]

WIDTH, HEIGHT = 640, 480


class Pages(Server):
    """A server on this machine with a few pages; everything else is 404."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._pages: dict[str, tuple[int, bytes]] = {}
        super().__init__()

    def add(self, name: str, content: bytes, status: int = 200) -> str:
        """The URL of a new page."""
        self._pages[f"/{name}"] = (status, content)
        return f"{self.url}/{name}"

    def answer(self, request: Request) -> Answer:
        self.asked.append(request.path)
        status, content = self._pages.get(request.path, (404, b""))
        return Answer(status, content, {"Location": f"{self.url}/mask.png"})


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as pages:
        yield pages


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def pictured(url: str, label: str = "road", confidence: float = 0.9) -> Json:
    mask = {"format": "png_url", "url": url}
    return {"type": "segmentation_mask", "label": label, "confidence": confidence, "mask": mask}


def some_pixels(seed: int) -> Pixels:
    """Blocks here and there."""
    blocks = np.random.default_rng(seed).random((HEIGHT // 20, WIDTH // 20)) < 0.3
    return np.kron(blocks, np.ones((20, 20), dtype=bool)).astype(bool)


def pixels_of(annotation: Json) -> Pixels:
    """What the mask of a result marks, as COCO's own tools read it."""
    assert annotation["mask"]["format"] == "coco_rle"
    return np.asarray(coco.decode(annotation["mask"])).astype(bool)


@pytest.mark.contract("D29")
def test_masks_that_are_pictures_are_kept_as_the_runs_of_their_pixels(
    system: System, model: Model, pages: Pages
) -> None:
    first, second, third = some_pixels(1), some_pixels(2), some_pixels(3)
    deep = Image.fromarray(third.astype(np.uint16) * 256)
    urls = [
        pages.add("one_bit.png", png(Image.fromarray(first))),
        pages.add("gray.png", png(Image.fromarray(second.astype(np.uint8)))),
        pages.add("sixteen_bits.png", png(deep)),
    ]
    model.says((200, {"annotations": [pictured(url) for url in urls]}))

    project = model.project(system, "road")
    job = system.run(project)

    assert (job["status"], job["successful_items"], job["summary"]["errors"]) == ("completed", 1, [])
    (draft,) = system.results(project, job["uid"])
    for annotation, pixels in zip(draft["annotations"], (first, second, third), strict=True):
        assert np.array_equal(pixels_of(annotation), pixels)


@pytest.mark.contract("D29")
def test_only_masks_that_the_job_keeps_are_fetched(system: System, model: Model, pages: Pages) -> None:
    url = pages.add("mask.png", png(Image.fromarray(some_pixels(4))))
    unlikely, unasked = pictured(f"{pages.url}/unlikely", confidence=0.2), pictured(f"{pages.url}/unasked", "sky")
    model.says((200, {"annotations": [unlikely, unasked, pictured(url)]}))

    job = system.run(model.project(system, "road"))

    assert (job["summary"]["predictions"], job["summary"]["errors"]) == (1, [])
    assert pages.asked == ["/mask.png"]


@pytest.mark.contract("D28", "D29")
def test_a_mask_that_cannot_be_had_is_dropped_and_noted(system: System, model: Model, pages: Pages) -> None:
    good = Image.fromarray(some_pixels(5))
    kept = pages.add("mask.png", png(good))
    bad = {
        f"{pages.url}/nothing": "status 404",
        pages.add("redirect", b"", 302): "status 302",
        pages.add("page.html", b"<html></html>"): "not a PNG",
        pages.add("half.png", png(good)[:200]): "not a PNG",
        pages.add("small.png", png(good.resize((64, 48)))): "64 x 48 pixels",
        pages.add("colors.png", png(good.convert("RGB"))): "single channel",
        pages.add("empty.png", png(Image.new("L", (WIDTH, HEIGHT)))): "no pixel",
        pages.add("large.png", bytes(20 * 1024 * 1024 + 1)): "20 MB",
        "http://10.0.0.1/mask.png": "HTTPS",
        "https://169.254.169.254/latest/meta-data/": "public address",
    }
    for url, reason in bad.items():
        model.says((200, {"annotations": [pictured(url), pictured(kept)]}))
        project = model.project(system, "road")

        job = system.run(project)

        assert (job["status"], job["summary"]["predictions"]) == ("completed", 1), url
        (note,) = job["summary"]["errors"]
        assert note["message"].startswith("annotations[0].mask: ")
        assert reason in note["message"]
        assert url not in note["message"]
        (draft,) = system.results(project, job["uid"])
        (annotation,) = draft["annotations"]
        assert np.array_equal(pixels_of(annotation), np.asarray(good))


@pytest.mark.contract("D28", "D29")
def test_an_item_none_of_whose_masks_can_be_had_fails(system: System, model: Model, pages: Pages) -> None:
    model.says((200, {"annotations": [pictured(f"{pages.url}/nothing")]}))

    job = system.run(model.project(system, "road"))

    assert (job["status"], job["failed_items"]) == ("failed", 1)


@pytest.mark.contract("D29")
def test_a_mask_is_asked_for_once_more_if_its_server_is_busy(system: System, model: Model, pages: Pages) -> None:
    model.says((200, {"annotations": [pictured(pages.add("busy.png", b"", 503))]}))

    system.run(model.project(system, "road"))

    assert pages.asked == ["/busy.png"] * 2
