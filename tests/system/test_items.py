"""The way in (contract, D32): items in bulk and one by one, uploads, S3 and the web; sizes from the files' heads."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from PIL import Image

from local import settings
from local.aws import client
from local.project import ITEMS_PER_CALL
from tests.system.system import Json, System, assert_refused

PICTURE = settings.PICTURES / "astronaut.jpg"
OPEN, FOREIGN = settings.SOURCE_BUCKETS


@pytest.fixture(scope="module")
def website() -> Iterator[str]:
    """The sample pictures on a web server that knows no ranges."""
    handler = partial(SimpleHTTPRequestHandler, directory=settings.PICTURES)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def bucket() -> str:
    """A bucket of the demo's organization, with a picture in it; another one is another's."""
    s3 = client("s3")
    for name in (OPEN, FOREIGN):
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="pictures/astronaut.jpg", Body=PICTURE.read_bytes())
    return OPEN


def add(system: System, project: str, *items: object) -> Json:
    return system.ok("POST", f"/projects/{project}/items/", {"items": list(items)}, expect=201)


def sized(key: str, **more: object) -> Json:
    return {"key": key, "width": 640, "height": 480, **more}


@pytest.mark.contract("D32")
def test_five_thousand_items_go_in_with_ten_calls_at_most(system: System) -> None:
    uid = system.project()
    calls = 0
    for start in range(0, 5_000, ITEMS_PER_CALL):
        url = f"https://pictures.example/{'x' * 1_500}/"
        lines = [sized(f"{n:05}.jpg", url=f"{url}{n}.jpg") for n in range(start, start + ITEMS_PER_CALL)]
        answer = add(system, uid, *lines)
        calls += 1
        assert [item["key"] for item in answer["results"]] == [line["key"] for line in lines]
        assert answer["errors"] == []

    assert calls <= 10
    assert system.ok("GET", f"/projects/{uid}/")["item_count"] == 5_000
    assert_refused(
        system.api.post(f"/projects/{uid}/items/", json={"items": [sized(str(n)) for n in range(1_001)]}),
        400,
        naming="items: Must have at most 1000 entries, and has 1001.",
    )


@pytest.mark.contract("D32")
def test_adding_again_is_fine_and_counts_once(system: System) -> None:
    uid = system.project()
    lines = [sized("a"), sized("b", url="https://pictures.example/b.jpg"), {"key": "c"}]

    first, again = add(system, uid, *lines), add(system, uid, *lines)

    assert [item["created"] for item in first["results"]] == [True] * 3
    assert [item["created"] for item in again["results"]] == [False] * 3
    assert [item["uid"] for item in again["results"]] == [item["uid"] for item in first["results"]]
    assert ["upload_url" in item for item in again["results"]] == [True, False, True]
    assert system.ok("GET", f"/projects/{uid}/")["item_count"] == 3


def test_good_lines_go_in_and_bad_ones_are_reported(system: System) -> None:
    uid = system.project()
    add(system, uid, sized("there"))

    answer = add(
        system,
        uid,
        sized("a"),
        {"key": "b", "width": 0, "height": 1},
        7,
        sized("a"),
        {"key": "there", "width": 1, "height": 1},
    )

    assert [item["key"] for item in answer["results"]] == ["a"]
    assert [(error["line"], error["key"], list(error["errors"])) for error in answer["errors"]] == [
        (1, "b", ["width"]),
        (2, None, ["item"]),
        (3, "a", ["key"]),
        (4, "there", ["key"]),
    ]
    assert all(error["detail"] for error in answer["errors"])
    assert {item["key"]: item["width"] for item in system.items(uid)} == {"there": 640, "a": 640}


def test_a_call_without_a_good_line_is_refused(system: System) -> None:
    uid = system.project()
    for body, naming in [
        ({"items": [sized("../a"), sized("b", width=-1)]}, "items[1].width"),
        ({"items": "a"}, "items: Must be a list, not a string."),
        ({"items": [[[[[[]]]]]]}, "items[0]"),
        (sized("a", url="http://pictures.example/a.jpg"), "url: Must be an HTTPS URL."),
        (sized("a", asset_type="film"), "asset_type"),
        ({"key": "a" * 1_000_000}, "key"),
        ({}, "items: This field is required."),
    ]:
        assert_refused(system.api.post(f"/projects/{uid}/items/", json=body), 400, naming=naming)
    for text in (b"\xff", b"[" * 100_000, b'{"items": [' + b'{"a":' * 1_000):
        assert_refused(system.api.post(f"/projects/{uid}/items/", content=text), 400, code="parse_error")
    too_long = system.api.post(f"/projects/{uid}/items/", content=b" " * (4 * 1024 * 1024 + 1))
    assert_refused(too_long, 413, code="body_too_large")
    assert system.items(uid) == []


def test_the_size_of_an_upload_is_known_once_a_job_has_drafted_it(system: System) -> None:
    uid = system.project(labels=("person",))
    item = system.ok("POST", f"/projects/{uid}/items/", {"key": "astronaut.jpg"}, expect=201)
    missing = system.ok("POST", f"/projects/{uid}/items/", {"key": "missing.jpg"}, expect=201)
    assert (item["width"], item["height"]) == (None, None)
    httpx.put(item["upload_url"], content=PICTURE.read_bytes()).raise_for_status()

    job = system.run(uid, model_type="yolo", confidence_threshold=0.3)

    assert (job["successful_items"], job["failed_items"]) == (1, 1)
    (error,) = job["summary"]["errors"]
    assert (error["item"], error["code"], error["message"]) == (
        missing["uid"],
        "file_unreadable",
        "The file was not uploaded yet.",
    )
    sizes = {item["key"]: (item["width"], item["height"]) for item in system.items(uid)}
    assert sizes == {"astronaut.jpg": Image.open(PICTURE).size, "missing.jpg": (None, None)}


def test_sizes_are_read_from_the_web(system: System, website: str) -> None:
    uid = system.project()
    pictures = sorted(settings.PICTURES.glob("*.jpg"))
    lines = [{"key": file.name, "url": f"{website}/{file.name}"} for file in pictures]

    answer = add(
        system,
        uid,
        *lines,
        {"key": "none", "url": f"{website}/none.jpg"},
        {"key": "text", "url": f"{website}/LICENSES.md"},
    )

    sizes = {item["key"]: (item["width"], item["height"]) for item in answer["results"]}
    assert sizes == {file.name: Image.open(file).size for file in pictures}
    assert [error["key"] for error in answer["errors"]] == ["none", "text"]
    assert answer["errors"][0]["detail"].startswith("url: The server answered status 404. Give width and height")


@pytest.mark.contract("D18")
def test_no_item_leads_into_a_private_network(system: System) -> None:
    uid = system.project()
    for url in (
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/a.jpg",
        "https://[::1]/a.jpg",
        "http://0.0.0.0/",
    ):
        assert_refused(
            system.api.post(f"/projects/{uid}/items/", json={"key": "a", "url": url}), 400, naming="url: Must"
        )


def test_a_job_works_on_the_objects_of_a_tenants_own_bucket(system: System, bucket: str) -> None:
    uid = system.project(labels=("person",))
    url = f"s3://{bucket}/pictures/astronaut.jpg"

    item = system.ok("POST", f"/projects/{uid}/items/", {"key": "a.jpg", "url": url}, expect=201)
    job = system.run(uid, model_type="yolo", confidence_threshold=0.3)

    assert (item["width"], item["height"]) == Image.open(PICTURE).size
    assert job["successful_items"] == 1, job["summary"]


def test_no_organization_reaches_a_bucket_that_is_not_open_to_it(system: System, bucket: str) -> None:
    """I10: not another organization's, not the system's own, not one that does not exist."""
    uid = system.project(items=1)
    own = system.stack.outputs["BucketName"]
    for closed in (FOREIGN, own, "no-such-bucket"):
        for more in ({}, {"width": 1, "height": 1}):
            line = {"key": "a", "url": f"s3://{closed}/pictures/astronaut.jpg", **more}
            refused = system.api.post(f"/projects/{uid}/items/", json=line)
            assert_refused(refused, 400, naming=f'url: This deployment does not read from bucket "{closed}".')
    missing = system.api.post(f"/projects/{uid}/items/", json={"key": "a", "url": f"s3://{bucket}/none.jpg"})
    assert_refused(missing, 400, naming="url: There is no such file, or this deployment may not read it.")
