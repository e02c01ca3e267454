"""Retry and undo of jobs of hundreds of items (issue 5)."""

import pytest

from tests.system.system import System, assert_refused
from tests.system.test_cancel import settled_counters
from tests.system.test_recover import discard, report, retry

pytestmark = pytest.mark.takes(30)


def test_a_retry_waits_for_the_project_like_any_other_job(system: System) -> None:
    project = system.load_project(items=1_000)
    first = system.start(project)["uid"]
    system.wait_for(first, processed=1)
    system.api.delete(f"/auto-label-jobs/{first}/")
    second = system.start(project)["uid"]

    refused = system.api.post(f"/auto-label-jobs/{first}/retry/")

    assert assert_refused(refused, 409, code="auto_label_job_active")["job_uid"] == second
    system.api.delete(f"/auto-label-jobs/{second}/")


def test_a_retry_of_a_cancelled_job_takes_what_it_did_not_get_to(system: System) -> None:
    project = system.load_project(items=600)
    job = system.start(project)["uid"]
    system.wait_for(job, processed=100)
    system.api.delete(f"/auto-label-jobs/{job}/")
    cancelled = settled_counters(system, job)
    settled = cancelled["successful_items"] + cancelled["skipped_items"]

    again = retry(system, job)

    assert again["total_items"] == 600 - settled
    items = [line["item"] for uid in (job, again["uid"]) for line in report(system, uid)]
    assert len(items) == len(set(items)) == 600
    drafts = [len(system.results(project, uid)) for uid in (job, again["uid"])]
    assert drafts == [cancelled["successful_items"], again["successful_items"]]


def test_many_drafts_are_discarded(system: System) -> None:
    project = system.load_project(items=500)
    job = system.run(project)

    answer = discard(system, job["uid"])

    assert (answer["done"], answer["discarded"]) == (True, job["successful_items"])
    assert list(system.rows(f"/projects/{project}/results/")) == []
    assert system.job(job["uid"]) == job, "the job stays as it is"


def test_a_job_that_is_not_over_keeps_its_drafts(system: System) -> None:
    job = system.start(system.load_project(items=1_000))["uid"]

    refused = system.api.post(f"/auto-label-jobs/{job}/discard-drafts/")

    assert_refused(refused, 409, naming="Job is still ", code="job_not_finished")
    system.api.delete(f"/auto-label-jobs/{job}/")
