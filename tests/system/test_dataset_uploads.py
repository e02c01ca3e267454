"""The official client's own way in: folders of files that become datasets (contract, 11.7; decision 0047)."""

import json
import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from local import settings
from tests.system.bridge import Bridge, bridge_to
from tests.system.conftest import NewTenant
from tests.system.system import Json, System, assert_refused

pytestmark = pytest.mark.takes(90)

PICTURES = 50
PROGRAM = """
import json, sys
import avala
source, name, slug = sys.argv[1:]
with avala.Client() as client:
    wanted = {"source": source, "name": name, "slug": slug, "data_type": "image"}
    dataset = client.datasets.create_from_local(**wanted, wait=True, wait_timeout=120)
    health = client.datasets.get_health(dataset.owner_name, dataset.slug)
    print(json.dumps({"uid": dataset.uid, "status": dataset.status, "slug": dataset.slug, "issues": health.issues}))
"""


@pytest.fixture(scope="module")
def own(new_tenant: NewTenant) -> System:
    return new_tenant()


@pytest.fixture
def bridge(own: System, tmp_path: Path) -> Iterator[Bridge]:
    folder = tmp_path / "bridge"
    folder.mkdir()
    with bridge_to(own.stack, folder) as bridge:
        yield bridge


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Fifty pictures in two folders, some with the same name, blanks and letters of other alphabets."""
    source = tmp_path / "pictures"
    for n in range(PICTURES):
        file = source / ("left" if n % 2 else "right ü") / f"{n // 2:02} 猫.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + n, 30), (n, 2 * n, 255 - n)).save(file)
    return source


def keys_of(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def kill_at(bridge: Bridge, upload: int, process: list[Any]) -> None:
    """The process dies of this upload, which passes."""

    def before(number: int) -> None:
        if number == upload:
            process[0].send_signal(signal.SIGKILL)

    bridge.before_upload = before


def assert_labeled(own: System, uid: str, folder: Path) -> None:
    items = own.items(uid)
    assert {item["key"] for item in items} == keys_of(folder)
    assert len(items) == PICTURES
    widths = {item["key"]: item["width"] for item in items}
    assert all(Image.open(folder / key).width == width for key, width in widths.items())
    job = own.run(uid, model_type="yolo", confidence_threshold=0.0)
    assert (job["status"], job["total_items"], job["failed_items"]) == ("completed", PICTURES, 0)


def test_a_folder_comes_in_by_create_from_local_broken_off_and_resumed(
    own: System, bridge: Bridge, folder: Path
) -> None:
    arguments = ("-c", PROGRAM, str(folder), "Broken off", "broken-off")
    process: list[Any] = []
    kill_at(bridge, 20, process)
    process.append(bridge.start(*arguments))
    process[0].wait(60)
    assert process[0].returncode == -signal.SIGKILL
    sent = bridge.uploads
    assert sent < PICTURES
    (uploading,) = own.ok("GET", "/datasets/?status=creating")["results"]

    bridge.before_upload = lambda _: None
    dataset = json.loads(bridge.run(*arguments))

    assert dataset == {"uid": uploading["uid"], "status": "created", "slug": "broken-off", "issues": []}
    assert PICTURES <= bridge.uploads < sent + PICTURES  # what the client knows to have sent is not sent again
    assert_labeled(own, dataset["uid"], folder)


def test_a_folder_comes_in_by_the_command_line_broken_off_and_resumed(
    own: System, bridge: Bridge, folder: Path
) -> None:
    name = ("--name", "By command", "--slug", "by-command", "--data-type", "image")
    arguments = ("datasets", "upload", "--source", str(folder), *name, "--wait")
    process: list[Any] = []
    kill_at(bridge, 25, process)
    process.append(bridge.start(*arguments))
    process[0].wait(60)
    bridge.before_upload = lambda _: None

    shown = bridge.run(*arguments)
    health = bridge.run("datasets", "health", own.ok("GET", "/organizations/")["results"][0]["slug"], "by-command")

    assert "by-command" in shown
    assert "created" in shown
    assert "Ingest OK" in health
    dataset = own.ok("GET", f"/datasets/{own.ok('GET', '/datasets/?name=by command')['results'][0]['uid']}/")
    assert (dataset["slug"], dataset["status"], dataset["item_count"]) == ("by-command", "created", PICTURES)
    assert_labeled(own, dataset["uid"], folder)


def test_what_is_no_picture_is_named_by_the_health_of_the_dataset(own: System, bridge: Bridge, folder: Path) -> None:
    (folder / "notes.txt").write_text("no picture")
    (folder / "empty.jpg").touch()
    shutil.copy(settings.PICTURES / "horse.jpg", folder / "horse.jpg")

    dataset = json.loads(bridge.run("-c", PROGRAM, str(folder), "Mixed", "mixed"))

    assert dataset["status"] == "created"
    assert sorted(issue.partition(":")[0] for issue in dataset["issues"]) == ["empty.jpg", "notes.txt"]
    assert len(own.items(dataset["uid"])) == PICTURES + 1


def test_the_client_creates_and_finds_an_empty_dataset(bridge: Bridge) -> None:
    command = ("datasets", "create", "--name", "Empty", "--slug", "empty", "--data-type", "lidar")
    assert "Dataset created" in bridge.run(*command)
    program = """
import asyncio, avala, json
async def main():
    client = avala.AsyncClient()
    (found,) = (await client.datasets.list(name="empty")).items
    assert found == await client.datasets.get_by_slug(found.owner_name, "empty")
    assert found == await client.datasets.wait(found.uid)
    print(json.dumps([found.slug, found.data_type, found.item_count]))
    await client.close()
asyncio.run(main())
"""
    assert json.loads(bridge.run("-c", program)) == ["empty", "lidar", 0]
    again = bridge.start(*command)
    assert "already exists" in "".join(again.communicate(timeout=60))


def url_of(system: System, path: str, length: int, **options: Any) -> httpx.Response:
    body: Json = {"dataset_name": "Forms", "file_path_in_dataset": path, "content_length": length, **options}
    return system.api.post("/datasets/manual-upload/file-upload-url/", json=body)


def send(form: Json, content: bytes, **changed: str) -> int:
    return httpx.post(form["url"], data=form["fields"] | changed, files={"file": ("x", content)}).status_code


def test_a_form_takes_one_file_of_its_length_and_no_other(own: System) -> None:
    batch = str(uuid.uuid4())
    form = url_of(own, "a.jpg", 5, dataset_upload_uid=batch, upload_protocol_version=2).json()

    assert form["method"] == "POST"
    assert send(form, b"four") >= 400
    assert send(form, b"sixsix") >= 400
    assert send(form, b"fives", key="projects/other.jpg") == 403
    assert send(form, b"fives") == 204


def test_bad_files_and_foreign_uploads_are_refused_with_a_reason(own: System, new_tenant: NewTenant) -> None:
    batch = str(uuid.uuid4())
    for path in ("../a.jpg", "/a.jpg", "a//b.jpg", " a.jpg", ""):
        assert_refused(url_of(own, path, 5), 400, naming="file_path_in_dataset")
    assert_refused(url_of(own, "a.jpg", 2**31 + 1), 400, naming="content_length")
    assert_refused(url_of(own, "a.jpg", 5, dataset_upload_uid="x"), 400, naming="dataset_upload_uid")
    assert_refused(url_of(own, "a.jpg", 5, organization_uid=str(uuid.uuid4())), 400, naming="organization_uid")
    assert url_of(own, "a.jpg", 5, dataset_upload_uid=batch).status_code == 200

    dataset = {"name": "Forms", "slug": "forms", "data_type": "image", "dataset_upload_uid": batch}
    finish = "/datasets/manual-upload/"
    assert_refused(own.api.post(finish, json=dataset), 400, naming="No file has been uploaded")
    assert_refused(new_tenant().api.post(finish, json=dataset), 400, naming="No file has been uploaded")
    reader = new_tenant("--scope", "datasets.read")
    assert_refused(url_of(reader, "a.jpg", 5), 403, naming="datasets.write")
    assert reader.ok("GET", "/datasets/manual-upload/quota/")["used"] == 0
    for field, value in (("visibility", "public"), ("provider_config", {"x": 1}), ("owner_name", "else")):
        body = {"name": "Forms", "slug": "forms", "data_type": "image", field: value}
        assert_refused(own.api.post("/datasets/", json=body), 400, naming=field)


def test_the_quota_counts_each_file_once(new_tenant: NewTenant) -> None:
    tenant = new_tenant()
    for _ in range(2):
        assert url_of(tenant, "a.jpg", 1_000).status_code == 200
    assert url_of(tenant, "b.jpg", 500).status_code == 200

    quota = tenant.ok("GET", "/datasets/manual-upload/quota/")
    assert (quota["used"], quota["limit"]) == (1_500, 2**40)
    assert "image/jpeg" in tenant.ok("GET", "/datasets/manual-upload/allowed-mimes/")["mime_types"]
    me, own = tenant.ok("GET", "/users/me/"), tenant.ok("GET", "/organizations/")["results"][0]
    assert (me["uid"], me["username"]) == (own["uid"], own["slug"])
