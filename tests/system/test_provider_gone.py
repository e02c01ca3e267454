"""A provider that is deleted or deactivated in mid-job is called no more, and the job fails (contract, 8.2)."""

import time

import pytest

from local import settings
from tests.system.system import System

ITEMS = 2_000  # at 4 calls of 50 ms: 25 s of work
# A worker reads the provider's row every five seconds, and the job's end is some calls away from there.
GONE_SECONDS = 15.0


@pytest.mark.contract("D12")
@pytest.mark.parametrize("how", ["deleted", "deactivated"])
@pytest.mark.takes(15)
def test_the_job_of_a_provider_that_goes_away_fails_within_seconds(system: System, how: str) -> None:
    project = system.project(ITEMS)
    provider = system.provider(project, settings.LOAD_ENDPOINT, max_concurrency=4)
    job = system.start(project)["uid"]
    system.wait_for(job, processed=1)

    if how == "deleted":
        assert system.api.delete(f"/inference-providers/{provider}/").status_code == 204
    else:
        system.ok("PATCH", f"/inference-providers/{provider}/", {"is_active": False})
    gone = time.monotonic()
    ended = system.finished(job)

    assert time.monotonic() - gone < GONE_SECONDS
    assert ended["status"] == "failed"
    assert "inference provider" in ended["error_message"], ended["error_message"]
    assert 0 < ended["processed_items"] < ITEMS
    assert len(list(system.rows(f"/auto-label-jobs/{job}/items/"))) == ended["processed_items"]
