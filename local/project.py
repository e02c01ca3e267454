"""Creates projects by plain calls of the API, as any client would: with the sample pictures, or for load alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from local import settings, up
from local.errors import Unusable
from local.progress import step

LABELS = ("person", "car", "pedestrian", "cup", "cat", "dog", "horse", "motorcycle", "dining table")
ITEMS_PER_CALL = 1_000
UPLOADS_AT_ONCE = 8
RETRIES = 5


@dataclass(frozen=True)
class Project:
    """A created project and the picture behind each of its items, by the item's uid."""

    uid: str
    pictures: dict[str, Path]


def connect() -> httpx.Client:
    """A client of the running stack.

    Raises:
        Unusable: it does not run.
    """
    return client_of(up.required())


def client_of(stack: up.Stack) -> httpx.Client:
    """A client of this stack."""
    return httpx.Client(base_url=stack.base_url, headers={"X-Avala-Api-Key": stack.key}, timeout=30)


def create(client: httpx.Client, items: int | None = None, name: str = "Sample pictures") -> Project:
    """Creates a project, registers `items` pictures (default: each once) and uploads them."""
    uid = checked(client.post("/projects/", json={"name": name, "labels": LABELS}))["uid"]
    files = sorted(settings.PICTURES.glob("*.jpg"))
    chosen = list(_keyed(files, items))
    step(f"uploading {len(chosen)} pictures")
    project = Project(uid, {})
    for start in range(0, len(chosen), ITEMS_PER_CALL):
        project.pictures.update(_add(client, uid, dict(chosen[start : start + ITEMS_PER_CALL])))
    return project


def create_bare(client: httpx.Client, items: int = 0, name: str = "Bare", labels: tuple[str, ...] = LABELS) -> str:
    """Creates a project whose items have no bytes behind them: enough for a model that reads no file."""
    uid = str(checked(client.post("/projects/", json={"name": name, "labels": labels}))["uid"])
    for start in range(0, items, ITEMS_PER_CALL):
        numbers = range(start, min(start + ITEMS_PER_CALL, items))
        entries = [{"key": f"{n:05}.jpg", "asset_type": "image", "width": 640, "height": 480} for n in numbers]
        _add_bare(client, uid, {"items": entries})
    return uid


def _add_bare(client: httpx.Client, project: str, items: dict[str, Any]) -> None:
    """Items that are there already stay as they are, so a call that a busy machine had no time for is made again."""
    for _ in range(RETRIES):
        response = client.post(f"/projects/{project}/items/", json=items, timeout=60)
        if not response.is_server_error:
            break
    checked(response)


def create_load(client: httpx.Client, items: int, name: str = "Load") -> str:
    """Creates a project that the endpoint's load mode serves: a fixed latency, and predictions without a model."""
    uid = create_bare(client, items, name)
    add_provider(client, uid, settings.LOAD_ENDPOINT)
    return uid


def add_provider(client: httpx.Client, project: str, endpoint_name: str, **config: Any) -> str:
    """Adds a SageMaker provider for this project alone."""
    config = {"endpoint_name": endpoint_name, "region": settings.REGION, **config}
    body = {"name": endpoint_name, "provider_type": "sagemaker", "config": config, "project": project}
    return str(checked(client.post("/inference-providers/", json=body))["uid"])


def _keyed(files: list[Path], items: int | None) -> Iterator[tuple[str, Path]]:
    """Each picture under a key of its own; repeated ones are numbered, since a key names one item."""
    if items is None:
        yield from ((file.name, file) for file in files)
    else:
        yield from ((f"{number:04}-{file.name}", file) for number, file in enumerate(islice(cycle(files), items), 1))


def _add(client: httpx.Client, project: str, pictures: dict[str, Path]) -> dict[str, Path]:
    sizes = {file: Image.open(file).size for file in set(pictures.values())}
    items = [
        {"key": key, "asset_type": "image", "width": sizes[file][0], "height": sizes[file][1]}
        for key, file in pictures.items()
    ]
    registered = checked(client.post(f"/projects/{project}/items/", json={"items": items}))["results"]
    contents = {file: file.read_bytes() for file in sizes}

    def upload(item: dict[str, Any]) -> None:
        storage.put(item["upload_url"], content=contents[pictures[item["key"]]]).raise_for_status()

    # The upload goes to the bucket, by a signed URL: the key is not for it.
    with httpx.Client(timeout=30) as storage, ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        list(pool.map(upload, registered))
    return {item["uid"]: pictures[item["key"]] for item in registered}


def checked(response: httpx.Response) -> dict[str, Any]:
    """The body of a successful answer.

    Raises:
        Unusable: the answer is an error; the text has its body.
    """
    if response.is_error:
        raise Unusable(f"{response.request.method} {response.request.url}: {response.status_code} {response.text}")
    return dict(response.json())
