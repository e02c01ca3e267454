"""Files arrive while a job picks its items: in each job every item is once, and none is forgotten (I1)."""

from collections import Counter
from threading import Thread

import pytest

from local.load import LoadEndpoint
from tests.system import uploads
from tests.system.system import System

ITEMS = 5_000
ADDED_AT_ONCE = 1_000
UPLOADED = 600  # of them, while jobs are planned: the emulator hears of some fifty a second
SECONDS = 240.0
JOBS = 3
SLOTS = 64


@pytest.mark.takes(60)
def test_items_whose_files_arrive_while_jobs_are_planned_are_drafted_once_each(system: System) -> None:
    project = system.project()
    system.provider(project, LoadEndpoint().change(latency=1, slots=SLOTS).name, max_concurrency=SLOTS)
    keys = [f"{number:05}.png" for number in range(ITEMS)]
    for start in range(0, ITEMS, ADDED_AT_ONCE):
        entries = [{"key": key, "width": 8, "height": 16} for key in keys[start : start + ADDED_AT_ONCE]]
        system.ok("POST", f"/projects/{project}/items/", {"items": entries}, expect=201)
    picture = uploads.a_picture(0)
    # From the first item on: the walk has passed it when it moves.
    files = {key: picture for key in keys[:: ITEMS // UPLOADED]}
    uploading = Thread(target=uploads.put, args=(system, project, files))

    uploading.start()
    met: set[str] = set()
    drafted: Counter[str] = Counter()
    # Every job takes again what the model does not draft. What moved before the first one met it, the next one has.
    for _ in range(JOBS):
        job = system.finished(system.start(project)["uid"], SECONDS)
        assert job["status"] == "completed"
        lines = list(system.rows(f"/auto-label-jobs/{job['uid']}/items/"))
        once = Counter(line["item"] for line in lines)
        assert max(once.values(), default=1) == 1, f"job {job['uid']} has an item twice"
        assert len(lines) == job["total_items"] == job["processed_items"]
        met |= once.keys()
        drafted.update(line["item"] for line in lines if line["outcome"] == "successful")
    uploading.join()

    assert max(drafted.values()) == 1, "an item has two drafts"
    items = system.items(project)
    assert len(items) == ITEMS
    assert met == {item["uid"] for item in items}
    assert set(drafted) == {item["uid"] for item in items if item["status"] == "draft"}
