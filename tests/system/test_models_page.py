"""docs/models.md says what is so: its requests are received, its answers become its drafts, its tables are complete.

A block of the page that is tried is marked by a second word, as in "```json answer". An example is a run of such
blocks, in the order of `KINDS` and without a heading between them.
"""

import json
import re
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from local import settings
from tests.system.server import JSON, Answer, Request, Server
from tests.system.system import Json, System

PAGE = (settings.ROOT / "docs" / "models.md").read_text()
OPENAPI = json.loads((settings.ROOT / "docs" / "openapi.json").read_text())["components"]["schemas"]
SIZE = (640, 480)
MASK_COLUMN = 320  # of the page's masks


# A provider's config; further fields of the project; what the model is sent; what it answers; the draft, if it is not
# the answer's own predictions; the item's note.
KINDS = ("config", "project", "request", "answer", "draft", "note")
HEADING = -1


@dataclass
class Example:
    """A piece of the page that is tried as one."""

    line: int
    config: Json = field(default_factory=dict)
    project: Json = field(default_factory=dict)
    request: Json | None = None
    answer: Any = None
    draft: list[Json] | None = None
    note: str | None = None


def blocks() -> Iterator[tuple[int, int, str]]:
    """Line, index in `KINDS` and text of each block that is tried, and the headings."""
    for found in re.finditer(r"^#+ |^```(?:json|text) (\w+)\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL):
        line = PAGE.count("\n", 0, found.start()) + 1
        yield line, KINDS.index(found[1]) if found[1] else HEADING, found[2]


def examples() -> Iterator[Example]:
    """Every example of the page."""
    example, latest = None, HEADING
    for line, kind, text in blocks():
        if example and kind <= latest:
            yield example
            example = None
        if kind != HEADING:
            example = example or Example(line)
            setattr(example, KINDS[kind], text if KINDS[kind] == "note" else json.loads(text))
        latest = kind
    if example:
        yield example


EXAMPLES = list(examples())


class Model(Server):
    """A model that always answers the same, and the server of its masks."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.requests: list[Json] = []
        self._reply = Answer(200, json.dumps(answer).replace("https://models.example.com", self.url).encode(), JSON)

    def answer(self, request: Request) -> Answer:
        if request.path.startswith("/masks/"):
            return Answer(200, mask(), {"Content-Type": "image/png"})
        self.requests.append(request.json())
        return self._reply


def mask() -> bytes:
    """The picture behind every mask of the page: one column."""
    picture, content = Image.new("L", SIZE), BytesIO()
    picture.paste(255, (MASK_COLUMN, 0, MASK_COLUMN + 1, SIZE[1]))
    picture.save(content, "PNG")
    return content.getvalue()


def drafted(example: Example) -> list[Json]:
    """The draft that the page promises."""
    if example.draft is not None:
        return example.draft
    return list(example.answer["annotations"]) if example.answer else []


def project_for(system: System, example: Example) -> str:
    """A project with one item of the page's size, and the labels of the example."""
    labels = (example.request or {}).get("labels") or sorted({one["label"] for one in drafted(example)})
    body = {"name": "docs/models.md", "labels": labels, **example.project}
    project = str(system.ok("POST", "/projects/", body, expect=201)["uid"])
    item: Json = {"key": "1", "asset_type": "image", "width": SIZE[0], "height": SIZE[1]}
    if any(one["type"] == "bounding_box_3d" for one in drafted(example)):
        item = {"key": "1", "asset_type": "point_cloud"}
    system.ok("POST", f"/projects/{project}/items/", {"items": [item]}, expect=201)
    return project


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"line-{example.line}" for example in EXAMPLES])
def test_an_example_of_the_page_is_what_happens(system: System, example: Example) -> None:
    project = project_for(system, example)
    with Model(example.answer or {"annotations": []}) as model:
        config = {**example.config, "endpoint_url": model.url}
        body = {"name": "docs/models.md", "provider_type": "http", "config": config, "project": project}
        provider = system.ok("POST", "/inference-providers/", body, expect=201)["uid"]

        job = system.run(project, provider_id=provider, confidence_threshold=0.1)

    assert (job["status"], job["failed_items"]) == ("completed", 0), job["summary"]
    (request,) = model.requests
    if example.request is not None:
        assert without_ids(request) == without_ids(example.request)
    (item,) = system.ok("GET", f"/auto-label-jobs/{job['uid']}/items/")["results"]
    assert item["note"] == example.note
    drafts = [draft["annotations"] for draft in system.results(project, job["uid"])]
    assert drafts == ([drafted(example)] if drafted(example) else [])


def without_ids(request: Json) -> Json:
    """The request without what is another one each time: the item's id, and its URL wherever it is."""
    url = request["asset_url"]
    assert re.fullmatch(r"[0-9a-f-]{36}", request["asset_id"])
    assert url.startswith("http")
    return {name: "URL" if value == url else value for name, value in request.items() if name != "asset_id"}


# As the page leaves it out.
DETECT = """
def detect(picture, labels):
    return [(labels[0], 0.9, (0, 0, picture.width, picture.height))]


"""


def test_the_pages_server_labels_a_picture(system: System, tmp_path: Path) -> None:
    (script,) = re.findall(r"^ *```python\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "server.py").write_text(DETECT + textwrap.dedent(script))
    sizes = {file.name: Image.open(file).size for file in settings.PICTURES.glob("*.jpg")}
    with serving(tmp_path) as origin:
        pictures = system.pictures()
        system.ok("PATCH", f"/projects/{pictures.uid}/", {"labels": ["picture"]})
        config = {"endpoint_url": f"{origin}/predict"}
        body = {"name": "docs/models.md", "provider_type": "http", "config": config, "project": pictures.uid}
        system.ok("POST", "/inference-providers/", body, expect=201)

        job = system.run(pictures.uid)

    assert (job["status"], job["successful_items"]) == ("completed", len(sizes))
    for draft in system.results(pictures.uid, job["uid"]):
        width, height = sizes[pictures.pictures[draft["item"]].name]
        (box,) = draft["annotations"]
        assert box["coordinates"] == {"x": 0, "y": 0, "width": width, "height": height}


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The page's server, started as its reader would."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        command = [sys.executable, "-m", "uvicorn", "server:app", "--app-dir", str(folder)]
        command += ["--fd", str(listener.fileno()), "--log-level", "error"]
        server = subprocess.Popen(command, pass_fds=[listener.fileno()])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.terminate()
            server.wait(30)


def first_cells(heading: str) -> set[str]:
    """What the first column of the tables under a heading names."""
    _, _, section = PAGE.partition(f"\n{heading}\n")
    section = re.split(r"\n#{1,2} ", section)[0]
    return set(re.findall(r"^\| `([a-z_]+)`", section, re.MULTILINE))


def test_the_page_has_every_diagnosis_and_every_setting() -> None:
    assert first_cells("## Test Connection") == set(OPENAPI["Diagnosis"]["enum"])
    views = OPENAPI["ConfigView"]["oneOf"]
    assert first_cells("## All settings") == {name for view in views for name in view["properties"]}


def test_the_page_has_an_example_of_every_type_and_every_format() -> None:
    types = {one["type"] for example in EXAMPLES for one in drafted(example)}
    assert types == {
        *("bounding_box", "polygon", "polyline", "classification"),
        *("segmentation_mask", "bounding_box_3d"),
    }
    tried = {example.config.get("response_format", "annotations") for example in EXAMPLES}
    assert tried == set(OPENAPI["ResponseFormat"]["enum"])
