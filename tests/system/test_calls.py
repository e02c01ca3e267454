"""What calls of the API cost the table, as the meter in the emulator counts them (issue 3; local/meter.py)."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from local import counts
from tests.system.conftest import NewTenant
from tests.system.scenario import Walk, walked
from tests.system.system import System

pytestmark = pytest.mark.takes(60)

PAGE = 100
SETTLE_SECONDS = 150  # its schedule on the local stack is a minute, and nothing else need call it
ITEMS = 5_000
ITEMS_PER_CALL = 600  # of the 1,000 that a call takes
CALLS_AT_ONCE = 8
API = ("Jobs", "Catalog", "Datasets", "Exports", "Providers", "Webhooks")


@pytest.fixture(scope="module")
def full(own: System) -> dict[str, str]:
    """What paths are filled in with: a project with more than a page of items and drafts, of an organization with more
    than a page of nearly everything else."""
    project = own.load_project(PAGE + 20)
    own.run(project, confidence_threshold=0.0)
    webhook = own.ok("POST", "/webhooks/", {"target_url": "http://localhost:9/", "events": ["task.completed"]})["uid"]

    def add(_: int) -> str:
        own.ok("POST", f"/webhooks/{webhook}/test/")
        return str(own.start(own.load_project(1), dry_run=True)["uid"])

    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        jobs = list(pool.map(add, range(PAGE + 2)))
    for job in jobs:
        own.finished(job)
    dataset = own.ok("GET", f"/datasets/{project}/")
    return {"project": project, "dataset": f"{dataset['owner_name']}/{dataset['slug']}"}


@pytest.fixture(scope="module")
def large(own: System) -> tuple[str, int]:
    """A project with one item more than a job takes, and how many calls put them there."""
    project, calls = own.project(), 0
    for start in range(0, ITEMS + 1, ITEMS_PER_CALL):
        numbers = range(start, min(start + ITEMS_PER_CALL, ITEMS + 1))
        items = [{"key": f"{n:05}.bin", "asset_type": "point_cloud"} for n in numbers]
        added = own.ok("POST", f"/projects/{project}/items/", {"items": items}, expect=201)
        assert len(added["results"]) == len(items)
        calls += 1
    return project, calls


@pytest.fixture(scope="module")
def walk(new_tenant: NewTenant) -> Iterator[Walk]:
    with walked(new_tenant()) as walk:
        yield walk


@pytest.mark.parametrize(
    ("path", "least"),
    [
        ("/auto-label-jobs/", PAGE),
        ("/auto-label-jobs/?status=completed", PAGE),
        ("/auto-label-jobs/?status=completed&limit=1", 1),
        ("/auto-label-jobs/?project={project}", 1),
        ("/inference-providers/", PAGE),
        ("/webhooks/", 1),
        ("/webhook-deliveries/", PAGE),
        ("/webhook-deliveries/?event_type=webhook.test", PAGE),
        ("/organizations/", 1),
        ("/projects/", PAGE),
        ("/users/me/projects/", PAGE),
        ("/datasets/", PAGE),
        ("/datasets/{dataset}/items/", PAGE),
        ("/tasks/", PAGE),
        ("/tasks/?project={project}", PAGE),
        ("/projects/{project}/items/", PAGE),
        ("/projects/{project}/items/?status=draft", PAGE // 2),  # filtered while it is read
        ("/projects/{project}/results/", PAGE // 2),  # not every item has one
    ],
)
def test_a_page_of_a_hundred_costs_at_most_two_reads(own: System, full: dict[str, str], path: str, least: int) -> None:
    before = counts.calls_so_far()
    rows = own.ok("GET", path.format_map(full))["results"]
    reads = counts.reads(own.stack, *API, since=before)

    print(f"\n{path}: {len(rows)} rows, {dict(reads)}")
    assert least <= len(rows) <= PAGE
    assert 1 <= reads.total() <= 2


def test_five_thousand_items_are_registered_in_ten_calls(own: System, large: tuple[str, int]) -> None:
    project, calls = large

    assert calls <= 10
    assert own.ok("GET", f"/projects/{project}/items/?limit=1")["results"][0]["key"] == f"{ITEMS:05}.bin"


@pytest.mark.contract("D11")
def test_a_job_takes_five_thousand_items_and_says_that_there_are_more(own: System, large: tuple[str, int]) -> None:
    """No endpoint is there, so the job ends at once; its plan stays."""
    project, _ = large
    own.provider(project, "no-such-endpoint")

    job = own.run(project)

    assert (job["status"], job["total_items"], job["summary"]["truncated"]) == ("failed", ITEMS, True)


def test_nothing_ever_scans_the_table(own: System, walk: Walk) -> None:
    """Of all that was called since the stack came up, the walk through the whole API included."""
    assert walk.answers
    deadline = time.monotonic() + SETTLE_SECONDS
    while not any(function == "Settle" for function, _ in counts.operations(own.stack)):
        assert time.monotonic() < deadline, "settle has not run"
        time.sleep(1)
    seen = counts.operations(own.stack)

    assert {function for function, _ in seen} == set(counts.FUNCTIONS), "each function was at work"
    assert not [key for key in seen if key[1] == "Scan"]
