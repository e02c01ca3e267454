"""An account without a free Lambda costs time and no job."""

import os
import time

import pytest

from local.settings import RETRY_SCALE
from tests.system.conftest import Subscription
from tests.system.system import ACTIVE, System

# As AWS counts: more than the retries of an ordinary failure of an invocation bear. `make outage` takes five minutes.
OUTAGE_SECONDS = RETRY_SCALE * float(os.environ.get("AUTOLABEL_OUTAGE_SECONDS", "70"))
# A task is tried again after a minute of AWS at most, and then has its work to do.
RECOVERY_SECONDS = RETRY_SCALE * 60.0 + 60.0


@pytest.mark.takes(40)
@pytest.mark.timeout(120 + OUTAGE_SECONDS + 2 * RECOVERY_SECONDS)
def test_jobs_outlive_an_account_without_concurrency(system: System, subscription: Subscription) -> None:
    """One job is at work, its workers in the middle of their batches, and another one begins meanwhile."""
    begun = system.start(system.load_project(items=1_500))["uid"]
    system.wait_for(begun, processed=50)
    with system.refused_invocations("Plan", "Infer", "Finalize"):
        waiting = system.start(system.load_project(items=20))["uid"]
        time.sleep(OUTAGE_SECONDS)
        assert [system.job(job)["status"] in ACTIVE for job in (begun, waiting)] == [True, True]

    for job, items in ((begun, 1_500), (waiting, 20)):
        ended = system.finished(job, seconds=RECOVERY_SECONDS)
        assert (ended["status"], ended["processed_items"], ended["failed_items"]) == ("completed", items, 0)
    deliveries = [subscription.receiver.next() for _ in range(2)]
    assert {delivery.payload["job_uid"] for delivery in deliveries if delivery} == {begun, waiting}
