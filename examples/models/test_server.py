"""The example server without the system: its reading of a model's output, and a real model on real pictures."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import nudenet
import numpy as np
import pytest
import uvicorn
from PIL import Image, ImageOps

from examples.models import server as example
from local import settings

# A YOLOv8 nano as Ultralytics exports it. It knows parts of bodies; faces are all that is asked of it here.
MODEL = Path(nudenet.__file__).parent / "320n.onnx"
FACES = ["FACE_FEMALE", "FACE_MALE"]
TOKEN = "a token"


@pytest.fixture(scope="module")
def detector() -> example.Detector:
    return example.Detector(MODEL)


def overlap(one: example.Box, other: example.Box) -> float:
    """Intersection over union."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (one.width * one.height + other.width * other.height - shared)


@pytest.mark.parametrize("name", ["astronaut", "camera", "hopper"])
def test_the_faces_are_where_the_models_own_package_finds_them(detector: example.Detector, name: str) -> None:
    file = settings.PICTURES / f"{name}.jpg"

    (face, *_) = detector.detect(Image.open(file).convert("RGB"), FACES)

    (theirs,) = (found for found in nudenet.NudeDetector().detect(str(file)) if found["class"] in FACES)
    x, y, width, height = theirs["box"]
    assert overlap(face, example.Box("", 0, x, y, width, height)) > 0.8
    assert face.confidence > 0.5


def test_a_picture_without_a_face_has_none(detector: example.Detector) -> None:
    assert detector.detect(Image.open(settings.PICTURES / "rocket.jpg").convert("RGB"), FACES) == []


def test_the_raw_layout_is_read_with_one_box_for_each_object() -> None:
    # Center x, center y, width, height, and the scores of two classes.
    boxes = np.array(
        [
            [20, 20, 20, 20, 0.6, 0.0],
            [21, 20, 20, 20, 0.9, 0.1],  # the same thing, better
            [21, 20, 20, 20, 0.1, 0.8],  # at the same position a thing of the other class
            [80, 80, 10, 40, 0.0, 0.7],
            [50, 50, 10, 10, 0.05, 0.0],  # too unsure
        ],
        np.float32,
    )

    corners, scores, classes = example.raw(boxes.T[np.newaxis])

    assert corners.tolist() == [[11, 10, 31, 30], [11, 10, 31, 30], [75, 60, 85, 100]]
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert classes.tolist() == [0, 1, 1]


def test_the_end_to_end_layout_is_read_best_first() -> None:
    rows = np.array([[1, 2, 3, 4, 0.2, 1], [5, 6, 7, 8, 0.9, 0], [0, 0, 0, 0, 0.0, 0]], np.float32)

    corners, scores, classes = example.end_to_end(rows[np.newaxis])

    assert corners.tolist() == [[5, 6, 7, 8], [1, 2, 3, 4]]
    assert scores.tolist() == pytest.approx([0.9, 0.2])
    assert classes.tolist() == [0, 1]


def test_both_layouts_are_recognised_and_others_are_refused() -> None:
    assert not example.is_end_to_end((1, 84, 8400), 80)
    assert not example.is_end_to_end((1, 6, 8400), 2)
    assert example.is_end_to_end((1, 300, 6), 80)
    for other in [
        (1, 25200, 85),
        (1, 116, 8400),
        (1, 1000),
        (4, 84, 8400),
    ]:  # YOLOv5, segmentation, a classifier, a batch
        with pytest.raises(example.Unusable, match=r"must be \(1, 84, boxes\) or \(1, boxes, 6\)"):
            example.is_end_to_end(other, 80)


def test_a_model_with_other_names_than_classes_is_not_started(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("face\nhand\n")

    with pytest.raises(example.Unusable, match=r"With 2 classes it must be \(1, 6, boxes\)"):
        example.Detector(MODEL, tmp_path / "names.txt")


class Pictures:
    """A server of pictures, slow on request."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked = Event()
        self.go_on = Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        Thread(target=self._server.serve_forever, daemon=True).start()

    def put(self, name: str, content: bytes, status: int = 200) -> str:
        self.answers[f"/{name}"] = (status, content)
        return f"http://127.0.0.1:{self._server.server_port}/{name}?signature=secret"

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(pictures) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                pictures.asked.set()
                if self.path.startswith("/slow"):
                    pictures.go_on.wait(10)
                status, content = pictures.answers[self.path.partition("?")[0]]
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Says nothing."""

        return Handler


@pytest.fixture
def pictures() -> Iterator[Pictures]:
    served = Pictures()
    yield served
    served.close()


@contextmanager
def client_of(detector: example.Detector, at_once: int = 4, container: bool = False) -> Iterator[httpx.Client]:
    """A client of a running server."""
    app = example.application(example.Server(detector, at_once), TOKEN, container)
    running = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    # Connections wait in the listener until the server takes them.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=running.run, args=([listener],))
        thread.start()
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=origin, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30) as client:
            yield client
        running.should_exit = True
        thread.join(10)


def jpeg(picture: Image.Image, orientation: int = 1) -> bytes:
    content, exif = BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    picture.save(content, "JPEG", quality=95, exif=exif)
    return content.getvalue()


def test_boxes_are_of_the_upright_picture_whatever_its_orientation(
    detector: example.Detector, pictures: Pictures
) -> None:
    upright = Image.open(settings.PICTURES / "hopper.jpg").convert("RGB")
    # What must be stored so that each orientation shows the same picture.
    turned = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM}
    turned |= {5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90}
    turned |= {7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}
    found = []
    with client_of(detector) as client:
        for orientation in range(1, 9):
            stored = upright.transpose(turned[orientation]) if orientation in turned else upright
            content = jpeg(stored, orientation)
            assert ImageOps.exif_transpose(Image.open(BytesIO(content))).size == upright.size
            url = pictures.put(f"{orientation}.jpg", content)
            answer = client.post("/predict", json={"asset_url": url, "labels": FACES}).json()
            found.append(example.Box("", 0, **answer["annotations"][0]["coordinates"]))

    assert all(overlap(found[0], box) > 0.95 for box in found)


def test_what_fails_says_whether_another_try_is_worth_it_and_never_where_the_picture_is(
    detector: example.Detector, pictures: Pictures
) -> None:
    url = pictures.put("x.jpg", b"no picture")
    with client_of(detector) as client:
        for asset, status in [
            ({"asset_url": url}, 422),
            ({"asset_url": pictures.put("gone.jpg", b"", 403)}, 422),
            ({"asset_url": pictures.put("busy.jpg", b"", 503)}, 502),
            ({"asset_url": "http://127.0.0.1:9/x.jpg?signature=secret"}, 502),
            ({"asset_url": "s3://bucket/x.jpg?signature=secret"}, 422),
            ({"asset_url": url, "asset_type": "point_cloud"}, 422),
            ({"url": url}, 422),
        ]:
            answer = client.post("/predict", json=asset)
            assert answer.status_code == status, answer.text
            assert "secret" not in answer.text


def test_a_token_is_asked_for_before_anything_else(detector: example.Detector) -> None:
    with client_of(detector) as client:
        for sent in ["", "Bearer wrong", TOKEN]:
            answer = client.post("/predict", json={}, headers={"Authorization": sent})
            assert answer.status_code == 401
        assert client.post("/invocations", json={}).status_code == 404


def test_more_requests_than_slots_are_refused_and_slots_are_given_back(
    detector: example.Detector, pictures: Pictures
) -> None:
    slow = pictures.put("slow.jpg", (settings.PICTURES / "hopper.jpg").read_bytes())
    with client_of(detector, at_once=1) as client:
        answers = []
        first = Thread(target=lambda: answers.append(client.post("/predict", json={"asset_url": slow})))
        first.start()
        assert pictures.asked.wait(10)
        refused = client.post("/predict", json={"asset_url": slow})
        pictures.go_on.set()
        first.join(10)
        after = client.post("/predict", json={"asset_url": slow})

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert [answers[0].status_code, after.status_code] == [200, 200]


def test_the_container_has_sagemakers_two_routes_and_no_token(detector: example.Detector, pictures: Pictures) -> None:
    url = pictures.put("hopper.jpg", (settings.PICTURES / "hopper.jpg").read_bytes())
    with client_of(detector, container=True) as client:
        del client.headers["Authorization"]
        assert client.get("/ping").status_code == 200
        assert client.post("/invocations", json={"asset_url": url}).json()["annotations"]
        assert client.post("/predict", json={"asset_url": url}).status_code == 404


def test_the_container_takes_the_one_model_of_its_folder(tmp_path: Path) -> None:
    with pytest.raises(example.Unusable, match=r"must hold one \.onnx file. It holds 0\."):
        example.only_model_in(tmp_path)
    (tmp_path / "best.onnx").touch()
    assert example.only_model_in(tmp_path) == tmp_path / "best.onnx"
