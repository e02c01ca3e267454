"""A manifest that is too large to be held (docs/decisions/0020)."""

import pytest

from local import processes
from local.aws import client
from local.load import LoadEndpoint
from local.project import ITEMS_PER_CALL
from tests.system.interceptor import configured
from tests.system.system import System

ITEMS = 4 * ITEMS_PER_CALL
SLOTS = 64
MIB = 1024 * 1024
# A batch of 2 MiB once as lines and once as items, on top of the 9 MiB of a job of short lines: 14.2 measured.
# All lines in one batch, as they were, would be 6 MiB, held three times.
MOST_MIB = 18.0


@pytest.mark.takes(20)
def test_a_manifest_that_is_written_in_parts_is_read_as_one(system: System) -> None:
    project = system.project()
    system.provider(project, LoadEndpoint().change(latency=1, slots=SLOTS).name, max_concurrency=SLOTS)
    url = f"https://pictures.example/{'x' * 1_500}/"  # so that few items fill a part
    for start in range(0, ITEMS, ITEMS_PER_CALL):
        keys = [f"{n:05}.jpg" for n in range(start, start + ITEMS_PER_CALL)]
        items = [{"key": key, "url": url + key, "width": 640, "height": 480} for key in keys]
        system.ok("POST", f"/projects/{project}/items/", {"items": items}, expect=201)

    with configured(system, {"Infer": {"RUST_BACKTRACE": "0"}}):  # in processes that no other test has used
        job = system.run(project, dry_run=True)
        own_mib = processes.own_mib(system.stack.outputs["InferFunctionName"])

    assert (job["status"], job["processed_items"], job["failed_items"]) == ("completed", ITEMS, 0)
    listed = client("s3").list_objects_v2(Bucket=system.stack.outputs["BucketName"], Prefix=f"jobs/{job['uid']}/")
    (tag,) = (entry["ETag"] for entry in listed["Contents"] if "/manifest-" in entry["Key"])
    assert tag.strip('"').endswith("-2"), "of two parts, as S3 says"

    batches = system.batches(job["uid"])
    assert len(batches) > 1, "no worker holds them all"
    assert all(batch["length"] <= 2 * MIB for batch in batches)
    print(f"\n{own_mib:.1f} MiB of infer's own")
    assert 0 < own_mib <= MOST_MIB
