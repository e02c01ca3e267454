"""`make exports`: whether a large export costs per item what a small one does, and takes no more memory.

In each format an export of 1,000 items, one of as many as asked for, and one of a fifth of them, on one stack. The
items' rows are those that the API has written for a few of them, copied under other keys: to add and to label 100,000
takes an hour. Two peers convert the same items in the same run. What must not grow is held against bounds, and the run
fails if one is broken.
"""

import gzip
import hashlib
import json
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from local import counts, processes, project, up
from local.aws import client
from local.errors import Unusable
from local.progress import step
from local.project import checked
from local.settings import ROOT, STATE
from local.up import Stack

Json = dict[str, Any]
Row = dict[str, Any]

FORMATS = ("jsonl", "coco")
SMALL = 1_000
LABELS = ("person", "car", "dog")
WIDTH, HEIGHT = 640, 480
BOXES = 4
TEMPLATES = 8
ROWS_PER_CALL, CALLS_AT_ONCE = 25, 4
EXPORT_SECONDS = 3_600.0
POLL_SECONDS = 1.0
LOG = ROOT / "docs" / "growth-exports.txt"
PEERS = ROOT / "bench" / "peers" / "exports"
PEERS_PYTHON = ROOT / ".venv-judges" / "bin" / "python"

# The budget (docs/scaling.md). An export holds at most three parts of 8 MiB: one that fills, one that is sent, and what
# is beside the file. A small one fills none.
MOST_MIB = 32.0
MOST_MORE_MIB = 24.0
MOST_CALLS = 0.030  # an item


@dataclass(frozen=True)
class Run:
    """A finished export and what it took."""

    name: str
    items: int
    seconds: float
    processor_seconds: float  # of the function that writes it
    calls: Counter[str]  # of the table, by operation
    bytes: int
    own_mib: float  # the most while it ran, without the program

    @property
    def calls_per_item(self) -> float:
        return self.calls.total() / self.items


@dataclass(frozen=True)
class Peer:
    """What another program took for the same items."""

    name: str
    items: int
    seconds: float
    mib: float


def run(items: int) -> None:
    """Runs all exports and the peers, prints and keeps what they took.

    Raises:
        Unusable: an export failed, or a bound is broken.
    """
    stack = up.required()
    with project.client_of(stack) as api, TemporaryDirectory(dir=STATE) as folder:
        sizes = (SMALL, items // 5, items)
        filled = [Filled(stack, api, _filled(stack, api, count), count) for count in sizes]
        runs = [one.export(name, Path(folder)) for one in filled for name in FORMATS]
        peers = list(_peers(Path(folder)))
    broken = _broken(runs)
    text = "\n".join([_table(runs, peers), *(f"BROKEN: {bound}" for bound in broken)])
    print(text)
    LOG.write_text(text + "\n")
    if broken:
        raise Unusable("A bound is broken: see above.")


# The items


def _filled(stack: Stack, api: httpx.Client, items: int) -> str:
    """A project with so many accepted results: some by the API, the others copies of these in the table."""
    step(f"filling a project with {items:,} labeled items")
    created = checked(api.post("/projects/", json={"name": f"Exports of {items}", "labels": LABELS}))
    uid, keys = str(created["uid"]), [f"{n:07}.jpg" for n in range(items)]
    entries = [{"key": key, "width": WIDTH, "height": HEIGHT} for key in keys[:TEMPLATES]]
    added = checked(api.post(f"/projects/{uid}/items/", json={"items": entries}))["results"]
    for number, item in enumerate(added):
        checked(api.post(f"/items/{item['uid']}/results/", json={"annotations": _annotations(number)}))
    table = client("dynamodb")
    name = stack.outputs["TableName"]
    wanted = {name: {"Keys": [{"pk": {"S": f"ITEM#{item['uid']}"}, "sk": {"S": "ITEM"}} for item in added]}}
    rows = table.batch_get_item(RequestItems=wanted)["Responses"][name]
    copies = [_copy(rows[n % TEMPLATES], uid, keys[n], n) for n in range(TEMPLATES, items)]
    batches = [copies[start : start + ROWS_PER_CALL] for start in range(0, len(copies), ROWS_PER_CALL)]
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        list(pool.map(lambda batch: _put(name, batch), batches))
    return uid


def _annotations(number: int) -> list[Json]:
    """Boxes and a polygon, which differ from item to item."""
    boxes = [
        {
            "type": "bounding_box",
            "label": LABELS[(number + n) % len(LABELS)],
            "confidence": 0.5 + n / 10,
            "coordinates": {"x": 10.5 * n + number, "y": 20.25 + n, "width": 100.0, "height": 50.5},
        }
        for n in range(BOXES)
    ]
    points = [[100.0 + 10 * n, 200.0 + (n * n) % 17] for n in range(8)] + [[170.0, 300.5], [100.0 + number, 300.5]]
    return [*boxes, {"type": "polygon", "label": LABELS[0], "confidence": 0.9, "points": points}]


def _copy(row: Row, of: str, key: str, number: int) -> Row:
    """The row as it would be for another key, at a later time."""
    uid = uuid.uuid5(uuid.UUID(of), key)
    at = int(row["created_at_us"]["N"]) + number
    return {
        **row,
        "pk": {"S": f"ITEM#{uid}"},
        "key": {"S": key},
        "item": {"S": row["item"]["S"].replace(row["key"]["S"], key)},
        "created_at_us": {"N": str(at)},
        "listing_sk": {"S": f"{of}#{at:016}#{uid}"},
    }


def _put(table: str, rows: list[Row]) -> None:
    left: Json = {table: [{"PutRequest": {"Item": row}} for row in rows]}
    while left:
        left = client("dynamodb").batch_write_item(RequestItems=left)["UnprocessedItems"]


# The exports


@dataclass(frozen=True)
class Filled:
    """A project with labeled items, and the stack that it is on."""

    stack: Stack
    api: httpx.Client
    project: str
    items: int

    def export(self, name: str, folder: Path) -> Run:
        """Writes all items in a format, into a file of this folder."""
        step(f"an export of {self.items:,} items to {name}")
        function = self.stack.outputs["ComposeFunctionName"]
        processes.forget_peaks(function)
        since, begun = counts.calls_so_far(), processes.processor_seconds(function)
        created = checked(self.api.post("/exports/", json={"project": self.project, "format": name}))
        ended, used, own_mib = self._watch(created["uid"], function)
        (file,) = ended["files"]
        _download(ended["download_url"], folder / file["name"], file["sha256"])
        _check(folder / file["name"], self.items)
        return Run(
            name=name,
            items=self.items,
            seconds=(_time(ended["completed_at"]) - _time(ended["created_at"])).total_seconds(),
            processor_seconds=sum(used.values()) - sum(begun[pid] for pid in begun.keys() & used.keys()),
            calls=counts.calls_of(self.stack, "Compose", since),
            bytes=file["bytes"],
            own_mib=own_mib,
        )

    def _watch(self, uid: str, function: str) -> tuple[Json, dict[int, float], float]:
        """The export at its end, what each process has computed by then, and the most memory of one."""
        used: dict[int, float] = {}
        own_mib, deadline = 0.0, time.monotonic() + EXPORT_SECONDS
        while True:
            now = checked(self.api.get(f"/exports/{uid}/"))
            # The emulator may end idle processes, so these are read all the while.
            used |= processes.processor_seconds(function)
            own_mib = max(own_mib, processes.own_mib(function))
            if now["status"] not in ("pending", "processing"):
                break
            if time.monotonic() > deadline:
                raise Unusable(f"The export did not end within {EXPORT_SECONDS:.0f} s. See: make logs")
            time.sleep(POLL_SECONDS)
        if (now["status"], now["exported_task_count"]) != ("exported", self.items):
            raise Unusable(f"The export is {now['status']}, {now['exported_task_count']} items: {now['error_message']}")
        return now, used, own_mib


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _download(url: str, file: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with httpx.stream("GET", url, timeout=60) as response, file.open("wb") as written:
        for chunk in response.raise_for_status().iter_bytes(1 << 20):
            digest.update(chunk)
            written.write(chunk)
    if digest.hexdigest() != sha256:
        raise Unusable(f"{file.name} is not what the export says of it.")


def _check(file: Path, items: int) -> None:
    """Every item and annotation is there: both formats have a line for each."""
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
        lines = sum(line.startswith((b'{"item"', b'{"id"')) for line in opened)
    expected = items if file.suffix == ".gz" else items * (BOXES + 2)
    if lines != expected:
        raise Unusable(f"{file.name} has {lines:,} lines, not {expected:,}.")


# The peers


def _peers(folder: Path) -> Iterator[Peer]:
    """Each reads a file of the last export."""
    annotations = folder / "datumaro" / "annotations"
    annotations.mkdir(parents=True)
    (folder / "instances.json").rename(annotations / "instances_default.json")
    yield _peer("datumaro 1.13: COCO to COCO", "datumaro_coco.py", str(folder / "datumaro"))
    tasks = folder / "tasks.json"
    _write_tasks(folder / "annotations.jsonl.gz", tasks)
    yield _peer(
        "Label Studio's converter: tasks to COCO", "label_studio_coco.py", str(tasks), str(folder / "ls"), *LABELS
    )


def _peer(name: str, script: str, *arguments: str) -> Peer:
    step(f"the same items by {name}")
    command = [str(PEERS_PYTHON), str(PEERS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unusable(f"{script} failed:\n{done.stderr}")
    return Peer(name=name, **json.loads(done.stdout.splitlines()[-1]))


def _write_tasks(lines: Path, tasks: Path) -> None:
    """The tasks that Label Studio would hold of these items."""
    with gzip.open(lines, "rt") as read, tasks.open("w") as written:
        written.write("[")
        for number, line in enumerate(read):
            written.write(",\n" if number else "\n")
            json.dump(_task(number + 1, json.loads(line)), written)
        written.write("]")


def _task(number: int, line: Json) -> Json:
    results = [_result(f"{number}-{n}", annotation) for n, annotation in enumerate(line["annotations"])]
    return {
        "id": number,
        "data": {"image": f"s3://bucket/{line['key']}"},
        "annotations": [{"id": number, "result": results}],
        "predictions": [],
    }


def _result(uid: str, annotation: Json) -> Json:
    """Percent of the picture."""
    label, right, down = [annotation["label"]], WIDTH / 100, HEIGHT / 100
    if annotation["type"] == "polygon":
        points = [[x / right, y / down] for x, y in annotation["points"]]
        kind, value = "polygon", {"points": points, "closed": True, "polygonlabels": label}
    else:
        box = annotation["coordinates"]
        sides = {"x": box["x"] / right, "y": box["y"] / down, "width": box["width"] / right}
        kind, value = "box", {**sides, "height": box["height"] / down, "rotation": 0, "rectanglelabels": label}
    return {
        "id": uid,
        "type": "polygonlabels" if kind == "polygon" else "rectanglelabels",
        "from_name": kind,
        "to_name": "image",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "value": value,
    }


# The figures


def _broken(runs: list[Run]) -> list[str]:
    """The bounds that do not hold, each a sentence."""
    small = {run.name: run for run in runs if run.items == SMALL}
    fat = [
        f"{run.name}: {run.own_mib:.1f} MiB for {run.items:,} items, {small[run.name].own_mib:.1f} for {SMALL:,}"
        for run in runs
        if run.own_mib > min(MOST_MIB, small[run.name].own_mib + MOST_MORE_MIB)
    ]
    grown = [
        f"{run.name}: {run.calls_per_item:.4f} calls an item for {run.items:,} items"
        for run in runs
        if run.calls_per_item > min(MOST_CALLS, small[run.name].calls_per_item)
    ]
    return [*fat, *grown]


def _table(runs: list[Run], peers: list[Peer]) -> str:
    operations = sorted({operation for run in runs for operation in run.calls})
    rows: list[tuple[str, list[str]]] = [
        ("format", [run.name for run in runs]),
        ("items", [f"{run.items:,}" for run in runs]),
        ("seconds", [f"{run.seconds:.1f}" for run in runs]),
        ("  processor seconds of compose", [f"{run.processor_seconds:.1f}" for run in runs]),
        ("own memory of compose, MiB", [f"{run.own_mib:.1f}" for run in runs]),
        ("bytes of the file", [f"{run.bytes:,}" for run in runs]),
        ("DynamoDB calls per 1,000 items", [f"{1_000 * run.calls_per_item:.2f}" for run in runs]),
        *(
            (f"  {operation}", [f"{1_000 * run.calls[operation] / run.items:.2f}" for run in runs])
            for operation in operations
        ),
    ]
    head = (
        f"make exports ITEMS={runs[-1].items}, {date.today()}: {BOXES} boxes and a polygon of 10 points an item.",
        "Memory is the most that a process has had while the export ran, less the pages of its program. Program and",
        "emulator are builds for this machine: their seconds are not AWS's.",
        "",
    )
    beside = (
        "",
        "The same items in the same run, from a file to a file: seconds and most memory of the whole process, MiB",
        *(f"{peer.name.ljust(42)}{peer.items:>10,}{peer.seconds:>10.1f}{peer.mib:>10.0f}" for peer in peers),
    )
    return "\n".join(
        [*head, *(name.ljust(34) + "".join(cell.rjust(13) for cell in cells) for name, cells in rows), *beside]
    )
