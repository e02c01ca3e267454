"""Bring your own model: the server of examples/models, with a real ONNX detector, labels real pictures (issue 13)."""

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from local import settings
from local.project import Project
from tests.system.own_model import FACES, SERVER, behind_sagemaker, started
from tests.system.system import Json, System

WITH_A_FACE = {"astronaut.jpg", "camera.jpg", "hopper.jpg"}
THRESHOLD = 0.5
# Of EXIF: the tag, and its value of a picture that must be turned by 90 degrees.
ORIENTATION, TURN_CLOCKWISE = 0x0112, 6

Drafts = dict[str, list[Json]]


@dataclass(frozen=True)
class Server:
    """A running server of type http."""

    origin: str
    token: str

    def config(self, **changes: Any) -> Json:
        """The config of the provider, as examples/models/README.md has it."""
        config = {"endpoint_url": f"{self.origin}/predict", "auth_type": "bearer", "auth_header": self.token}
        return {**config, "label_map": FACES, **changes}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    token = secrets.token_hex(16)
    with started(token=token) as origin:
        yield Server(origin, token)


def pictures_of(system: System, *labels: str) -> Project:
    pictures = system.pictures()
    system.ok("PATCH", f"/projects/{pictures.uid}/", {"labels": labels})
    return pictures


def provider(system: System, project: str, provider_type: str, config: Json) -> str:
    body = {"name": "Own model", "provider_type": provider_type, "config": config, "project": project}
    return str(system.ok("POST", "/inference-providers/", body, expect=201)["uid"])


def result_of_test(system: System, uid: str) -> Json:
    return system.ok("POST", f"/inference-providers/{uid}/test/", expect=200)


def labeled(system: System, provider_type: str, config: Json) -> Drafts:
    """The drafts of a job over the sample pictures, by picture; the provider's test passes first."""
    pictures = pictures_of(system, "face")
    uid = provider(system, pictures.uid, provider_type, config)
    result = result_of_test(system, uid)
    assert (result["success"], result["problem"]) == (True, None), result
    assert re.fullmatch(r"The model answered, with [1-9]\d* prediction\(s\)\.", result["message"])

    job = system.run(pictures.uid, confidence_threshold=THRESHOLD)

    assert (job["status"], job["failed_items"], job["provider"]) == ("completed", 0, uid)
    assert job["summary"]["dropped_labels"] == []
    drafts = system.results(pictures.uid, job["uid"])
    return {pictures.pictures[draft["item"]].name: draft["annotations"] for draft in drafts}


@pytest.fixture(scope="module")
def by_http(system: System, server: Server) -> Drafts:
    return labeled(system, "http", server.config())


def test_an_onnx_model_behind_the_example_server_finds_every_face(by_http: Drafts) -> None:
    assert set(by_http) == WITH_A_FACE
    for annotations in by_http.values():
        (face,) = annotations
        assert (face["type"], face["label"]) == ("bounding_box", "face")
        assert face["confidence"] >= THRESHOLD
    face = by_http["hopper.jpg"][0]["coordinates"]
    # Where it is in the picture of 512 x 600 pixels, give or take a tenth.
    for side, pixels in {"x": 168, "y": 138, "width": 190, "height": 207}.items():
        assert abs(face[side] - pixels) < 50, face


def test_the_same_model_in_a_sagemaker_container_makes_the_same_drafts(system: System, by_http: Drafts) -> None:
    config = {"endpoint_name": "own-model", "region": settings.REGION, "label_map": FACES}
    with started("serve") as container, behind_sagemaker(system, container):
        assert labeled(system, "sagemaker", config) == by_http


def test_a_server_with_one_slot_loses_no_picture(system: System, by_http: Drafts) -> None:
    token = secrets.token_hex(16)
    with started("--at-once", "1", token=token) as origin:
        assert labeled(system, "http", Server(origin, token).config()) == by_http


def test_a_picture_that_is_stored_sideways_has_its_face_at_the_same_position(
    system: System, server: Server, by_http: Drafts
) -> None:
    project = str(system.ok("POST", "/projects/", {"name": "Sideways", "labels": ["face"]}, expect=201)["uid"])
    content, exif = BytesIO(), Image.Exif()
    exif[ORIENTATION] = TURN_CLOCKWISE
    turned = Image.open(settings.PICTURES / "hopper.jpg").transpose(Image.Transpose.ROTATE_90)
    turned.save(content, "JPEG", quality=95, exif=exif)
    item = system.ok("POST", f"/projects/{project}/items/", {"key": "hopper.jpg", "asset_type": "image"}, expect=201)
    httpx.put(item["upload_url"], content=content.getvalue()).raise_for_status()

    uid = provider(system, project, "http", server.config())
    job = system.run(project, provider_id=uid, confidence_threshold=THRESHOLD)

    ((face,),) = (draft["annotations"] for draft in system.results(project, job["uid"]))
    assert overlap(face["coordinates"], by_http["hopper.jpg"][0]["coordinates"]) > 0.9


def overlap(one: Json, other: Json) -> float:
    """Intersection over union of two rectangles."""
    width = min(one["x"] + one["width"], other["x"] + other["width"]) - max(one["x"], other["x"])
    height = min(one["y"] + one["height"], other["y"] + other["height"]) - max(one["y"], other["y"])
    shared = max(width, 0) * max(height, 0)
    return float(shared / (one["width"] * one["height"] + other["width"] * other["height"] - shared))


def test_what_is_wrong_with_a_server_is_named_as_the_page_says(system: System, server: Server) -> None:
    project = system.project()
    stopped = server.config(endpoint_url="http://127.0.0.1:9/predict")
    for config, problem, sentence in [
        (server.config(auth_header="wrong"), "credentials_refused", "refuses its credentials (status 401)"),
        (server.config(endpoint_url=f"{server.origin}/wrong"), "model_error", "status 404"),
        (server.config(response_key="found"), "bad_answer", 'has no array "found"'),
        (server.config(response_format="coco_results"), "bad_answer", "annotations[0].category_id"),
        (stopped, "unreachable", "could not be connected to"),
    ]:
        result = result_of_test(system, provider(system, project, "http", config))
        assert (result["success"], result["problem"]) == (False, problem), result
        assert sentence in result["message"]
        assert server.token not in result["message"]


@dataclass(frozen=True)
class Readme:
    """The commands of examples/models/README.md, run as they stand but for the server's port."""

    server: Server
    system: System

    def blocks(self, language: str) -> list[str]:
        text = (SERVER.parent / "README.md").read_text().replace("http://127.0.0.1:8000", self.server.origin)
        return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    def run(self, *command: str, **variables: str) -> str:
        stack = self.system.stack
        account = {"AVALA_BASE_URL": stack.base_url, "AVALA_API_KEY": stack.key, "MODEL_TOKEN": self.server.token}
        environment = {**os.environ, **account, "AVALA_ALLOW_INSECURE_BASE_URL": "true", **variables}
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def assert_finds_the_faces(system: System, job: str) -> None:
    ended = system.finished(job)
    assert (ended["status"], ended["successful_items"]) == ("completed", len(WITH_A_FACE))


def test_the_minute_of_the_readme_is_one(system: System, server: Server) -> None:
    readme = Readme(server, system)
    _, register, use = readme.blocks("sh")
    project = pictures_of(system, *FACES).uid

    registered = json.loads(readme.run("bash", "-c", register))
    printed = readme.run("bash", "-c", use, PROVIDER=registered["uid"], PROJECT=project)
    result, job = (json.loads(line) for line in printed.replace("}{", "}\n{").splitlines())

    assert (result["success"], result["problem"]) == (True, None)
    assert_finds_the_faces(system, job["uid"])
    # It serves every project of the organization: jobs of other tests would meet it.
    system.api.delete(f"/inference-providers/{registered['uid']}/")


def test_the_official_client_does_the_same(system: System, server: Server) -> None:
    readme = Readme(server, system)
    (script,) = readme.blocks("python")

    printed = readme.run(sys.executable, "-c", script, PROJECT=pictures_of(system, *FACES).uid)

    assert "'success': True" in printed
    assert_finds_the_faces(system, printed.split()[-1])
