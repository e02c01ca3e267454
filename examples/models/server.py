"""A model server for Autolabel: an ONNX detector behind HTTP, or in a SageMaker container.

    MODEL_TOKEN=... python server.py --model yolo11n.onnx    # POST /predict on port 8000: a provider of type http
    python server.py serve                                    # GET /ping, POST /invocations on port 8080: SageMaker

The model is an object detector as Ultralytics exports it to ONNX (`yolo export format=onnx`), in one of two layouts:

    raw         one output (1, 4 + classes, boxes): center x, center y, width, height, then a score for each class.
                YOLOv8, YOLOv9, YOLO11 and YOLO12 as they are exported by default, such as (1, 84, 8400).
    end to end  one output (1, boxes, 6): left, top, right, bottom, score, class.
                YOLOv10, YOLO26, and any of the others exported with `nms=True`, such as (1, 300, 6).

The names of the classes come from the file (Ultralytics writes them into it), or from `--labels`, one a line.
"""

import argparse
import ast
import asyncio
import os
import secrets
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import BaseModel

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]

PICTURE_BYTES = 50 * 1024 * 1024
PICTURE_SECONDS = 10.0
INPUT_SIZE = 640  # of a model that takes any size and does not say for which it was exported
GREY = 114  # what Ultralytics fills the borders with
FLOOR = 0.1  # answered from this confidence on: the job's threshold decides what becomes a draft
OVERLAP = 0.7  # boxes of one class that overlap more are one object
CANDIDATES = 3_000  # best raw boxes that are compared with one another
ANSWERED = 300
MODELS = Path("/opt/ml/model")  # where SageMaker unpacks model.tar.gz


class Unusable(Exception):
    """The model file cannot be served. The text says why."""


# The detector


@dataclass(frozen=True)
class Box:
    """An object in a picture: pixels of the upright picture, origin at the top left."""

    label: str
    confidence: float
    x: float
    y: float
    width: float
    height: float


class Detector:
    """An ONNX model and the names of its classes. `detect` may be called from several threads."""

    def __init__(self, model: Path, labels: Path | None = None, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(model, options, onnxruntime.get_available_providers())
        except Exception as error:  # onnxruntime's own errors share no other base
            raise Unusable(f"{model} cannot be loaded: {error}") from error
        self._input, *others = self._session.get_inputs()
        if others or len(self._input.shape) != 4:
            raise Unusable(f"{model} is no detector of pictures: it must have one input (1, 3, height, width).")
        self._notes = self._session.get_modelmeta().custom_metadata_map
        exported = ast.literal_eval(self._notes.get("imgsz", f"[{INPUT_SIZE}, {INPUT_SIZE}]"))
        fixed = self._input.shape[2:]  # a name instead of a number: any size will do
        height, width = (side if isinstance(side, int) else usual for side, usual in zip(fixed, exported, strict=True))
        self._size = (width, height)
        self._type = np.float16 if self._input.type == "tensor(float16)" else np.float32
        self.labels = names_in(labels) if labels else self._names(model)
        # One run before the first call: the layout is known from the output's real shape, and the server starts warm.
        self._end_to_end = is_end_to_end(self._run(np.zeros((height, width, 3), np.uint8)).shape, len(self.labels))

    def detect(self, picture: Image.Image, labels: list[str]) -> list[Box]:
        """The objects in an upright picture, best first; with `labels`, of these alone."""
        pixels, scale, left, top = letterboxed(picture, self._size)
        output = self._run(pixels)
        boxes, scores, classes = end_to_end(output) if self._end_to_end else raw(output)
        boxes = (boxes - np.array([left, top, left, top], np.float32)) / scale
        boxes = boxes.clip(0, np.array([*picture.size, *picture.size], np.float32))
        found = []
        for (x1, y1, x2, y2), score, number in zip(boxes.tolist(), scores.tolist(), classes.tolist(), strict=True):
            label = self.labels[number]
            if x2 > x1 and y2 > y1 and (not labels or label in labels):
                found.append(Box(label, min(score, 1.0), x1, y1, x2 - x1, y2 - y1))
        return found[:ANSWERED]

    def _run(self, pixels: NDArray[np.uint8]) -> Floats:
        batch = (pixels.transpose(2, 0, 1)[np.newaxis].astype(np.float32) / 255).astype(self._type)
        outputs = self._session.run(None, {self._input.name: batch})
        if len(outputs) != 1:
            raise Unusable(f"The model has {len(outputs)} outputs. Export it as a detector: it has one then.")
        return np.asarray(outputs[0], np.float32)

    def _names(self, model: Path) -> list[str]:
        named = self._notes.get("names")
        if named is None:
            raise Unusable(f"{model} does not name its classes. Give a file with one name a line: --labels names.txt")
        names = ast.literal_eval(named)
        return [str(names[number]) for number in range(len(names))]


def names_in(file: Path) -> list[str]:
    """One name a line, in the order of the classes."""
    return [line.strip() for line in file.read_text().splitlines() if line.strip()]


def is_end_to_end(shape: tuple[int, ...], classes: int) -> bool:
    """Which of the two layouts an output has.

    Raises:
        Unusable: none of them.
    """
    if len(shape) == 3 and shape[0] == 1:
        if shape[1] == 4 + classes:
            return False
        if shape[2] == 6:
            return True
    raise Unusable(
        f"The model's output has the shape {shape}. With {classes} classes it must be (1, {4 + classes}, boxes) or"
        " (1, boxes, 6): export a detector of YOLOv8 or later, or give --labels with as many names as it has classes."
    )


def letterboxed(picture: Image.Image, size: tuple[int, int]) -> tuple[NDArray[np.uint8], float, int, int]:
    """The picture in the middle of the model's input, its shape kept: pixels, scale, left and top border."""
    scale = min(size[0] / picture.width, size[1] / picture.height)
    inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas = Image.new("RGB", size, (GREY, GREY, GREY))
    canvas.paste(picture.resize(inner, Image.Resampling.BILINEAR), (left, top))
    return np.asarray(canvas), scale, left, top


def raw(output: Floats) -> tuple[Floats, Floats, Ints]:
    """Corners, scores and classes of (1, 4 + classes, boxes), one box for each object, best first."""
    rows = output[0].T
    classes = rows[:, 4:].argmax(axis=1)
    scores = rows[:, 4:].max(axis=1)
    best = np.argsort(-scores)[:CANDIDATES]
    best = best[scores[best] >= FLOOR]
    centers, halves = rows[best, :2], rows[best, 2:4] / 2
    corners = np.concatenate([centers - halves, centers + halves], axis=1)
    kept = without_doubles(corners, classes[best])
    return corners[kept], scores[best][kept], classes[best][kept]


def end_to_end(output: Floats) -> tuple[Floats, Floats, Ints]:
    """The same of (1, boxes, 6), where the model has done it all."""
    rows = output[0]
    rows = rows[rows[:, 4] >= FLOOR]
    rows = rows[np.argsort(-rows[:, 4])]
    return rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp)


def without_doubles(corners: Floats, classes: Ints) -> Ints:
    """Non-maximum suppression: which boxes, the best first, are not much the same as a better one of their class."""
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    left = np.arange(len(corners))
    kept = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(best)
        low = np.maximum(corners[best, :2], corners[left, :2])
        high = np.minimum(corners[best, 2:], corners[left, 2:])
        shared = (high - low).clip(0).prod(axis=1)
        overlap = shared / (areas[best] + areas[left] - shared)
        left = left[(overlap <= OVERLAP) | (classes[left] != classes[best])]
    return np.array(kept, np.intp)


# The server


class Asset(BaseModel):
    """What Autolabel asks about: docs/models.md. Fields that this model has no use for are left out."""

    asset_url: str
    asset_type: str = "image"
    labels: list[str] = []


class Server:
    """What both kinds of server do with a request."""

    def __init__(self, detector: Detector, at_once: int) -> None:
        self._detector = detector
        self._at_once = at_once
        self._in_hand = 0
        self._web = httpx.AsyncClient(timeout=PICTURE_SECONDS)

    async def answer(self, asset: Asset) -> dict[str, Any]:
        """The answer to one request."""
        if asset.asset_type == "point_cloud":
            raise HTTPException(422, "This model takes pictures, not point clouds.")
        # Refused, not queued: Autolabel finds the pace, and no call waits here until it times out.
        if self._in_hand >= self._at_once:
            raise HTTPException(429, "All slots are taken.", {"Retry-After": "1"})
        self._in_hand += 1
        try:
            content = await self._fetched(asset.asset_url)
            boxes = await run_in_threadpool(self._detect, content, asset.labels)
        finally:
            self._in_hand -= 1
        return {"annotations": [annotation(box) for box in boxes]}

    async def _fetched(self, url: str) -> bytes:
        """The bytes of a picture. No message has its address: a signed address is a secret."""
        content = bytearray()
        try:
            async with asyncio.timeout(PICTURE_SECONDS), self._web.stream("GET", url) as response:
                if response.status_code >= 500:
                    raise HTTPException(502, f"The picture's server answered status {response.status_code}.")
                if response.status_code != 200:
                    raise HTTPException(422, f"The picture's server answered status {response.status_code}.")
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > PICTURE_BYTES:
                        raise HTTPException(422, f"The picture has more than {PICTURE_BYTES} bytes.")
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise HTTPException(422, "asset_url must be an http or https URL.") from error
        except (httpx.TransportError, TimeoutError) as error:
            raise HTTPException(502, "The picture could not be fetched.") from error
        return bytes(content)

    def _detect(self, content: bytes, labels: list[str]) -> list[Box]:
        try:
            with Image.open(BytesIO(content)) as picture:
                # Upright, as Autolabel measures and shows it: without this line the provider needs `exif: "ignored"`.
                upright = ImageOps.exif_transpose(picture).convert("RGB")
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise HTTPException(422, "The picture cannot be decoded.") from error
        return self._detector.detect(upright, labels)


def annotation(box: Box) -> dict[str, Any]:
    """A box as Autolabel reads it."""
    coordinates = {"x": box.x, "y": box.y, "width": box.width, "height": box.height}
    return {"type": "bounding_box", "label": box.label, "confidence": box.confidence, "coordinates": coordinates}


def application(server: Server, token: str | None, container: bool) -> FastAPI:
    """The routes: for SageMaker, which lets in only its own callers, or behind a bearer token."""
    app = FastAPI()

    @app.exception_handler(RequestValidationError)
    async def refused(_: Request, error: RequestValidationError) -> JSONResponse:
        """FastAPI's own would repeat the request, and with it the signed address."""
        complaints = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        return JSONResponse({"detail": complaints}, 422)

    @app.get("/ping")
    async def ping() -> dict[str, str]:
        return {}

    if container:

        @app.post("/invocations")
        async def invocations(asset: Asset) -> dict[str, Any]:
            return await server.answer(asset)

    else:

        async def authorized(request: Request) -> None:
            sent = request.headers.get("authorization", "")
            if token is not None and not secrets.compare_digest(sent.encode(), f"Bearer {token}".encode()):
                raise HTTPException(401, "Wrong or missing bearer token.", {"WWW-Authenticate": "Bearer"})

        @app.post("/predict", dependencies=[Depends(authorized)])
        async def predict(asset: Asset) -> dict[str, Any]:
            return await server.answer(asset)

    return app


def only_model_in(folder: Path) -> Path:
    """The one ONNX file of a folder.

    Raises:
        Unusable: there is none, or more than one.
    """
    found = sorted(folder.rglob("*.onnx"))
    if len(found) != 1:
        raise Unusable(f"{folder} must hold one .onnx file. It holds {len(found)}.")
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", choices=["predict", "serve"], default="predict")
    parser.add_argument("--model", type=Path, help=f"the ONNX file; with serve, by default the one in {MODELS}")
    parser.add_argument("--labels", type=Path, help="names of the classes, one a line, if the file does not have them")
    parser.add_argument("--host", help="default: 127.0.0.1; with serve, 0.0.0.0")
    parser.add_argument("--port", type=int, help="default: 8000; with serve, 8080")
    parser.add_argument("--at-once", type=int, default=4, help="requests in hand; further ones get 429 (default: 4)")
    parser.add_argument("--threads", type=int, default=0, help="of one run of the model (default: all processors)")
    options = parser.parse_args()
    container = options.mode == "serve"
    host = options.host or ("0.0.0.0" if container else "127.0.0.1")
    port = options.port or (8080 if container else 8000)
    token = os.environ.get("MODEL_TOKEN") or None
    if not container and token is None and host not in ("127.0.0.1", "localhost"):
        sys.exit("Set MODEL_TOKEN: without it, every caller of this port can use the model and make it fetch any URL.")
    try:
        model = options.model or (only_model_in(MODELS) if container else None)
        if model is None:
            sys.exit("Give the model: --model yolo11n.onnx")
        detector = Detector(model, options.labels, options.threads)
    except (Unusable, OSError) as error:
        sys.exit(str(error))
    uvicorn.run(application(Server(detector, options.at_once), token, container), host=host, port=port)


if __name__ == "__main__":
    main()
