"""Getting and listing jobs (contract, 4 and 6.6)."""

import pytest

from tests.system.system import System, assert_refused


@pytest.fixture(scope="module")
def project_with_jobs(system: System) -> tuple[str, list[str]]:
    """A project with five finished jobs, newest first."""
    project = system.project()
    jobs = [system.run(project)["uid"] for _ in range(5)]
    return project, jobs[::-1]


def test_the_newest_job_comes_first(system: System, project_with_jobs: tuple[str, list[str]]) -> None:
    project, jobs = project_with_jobs

    page = system.ok("GET", f"/auto-label-jobs/?project={project}")

    assert [job["uid"] for job in page["results"]] == jobs
    assert page["next"] is None
    assert page["previous"] is None


def test_pages_neither_overlap_nor_lose_rows(system: System, project_with_jobs: tuple[str, list[str]]) -> None:
    project, jobs = project_with_jobs

    first = system.ok("GET", f"/auto-label-jobs/?project={project}&limit=2")

    assert len(first["results"]) == 2
    assert first["next"].startswith(f"{system.stack.base_url}/auto-label-jobs/?")
    assert [job["uid"] for job in system.rows(f"/auto-label-jobs/?project={project}&limit=2")] == jobs


def test_a_cursor_alone_remembers_filters_and_page_size(
    system: System, project_with_jobs: tuple[str, list[str]]
) -> None:
    """The clients' own examples continue with the cursor alone."""
    project, jobs = project_with_jobs
    first = system.ok("GET", f"/auto-label-jobs/?project={project}&status=completed&limit=2")
    cursor = first["next"].partition("cursor=")[2].partition("&")[0]

    second = system.ok("GET", f"/auto-label-jobs/?cursor={cursor}")

    assert [job["uid"] for job in second["results"]] == jobs[2:4]


def test_jobs_are_filtered_by_status(system: System, project_with_jobs: tuple[str, list[str]]) -> None:
    project, jobs = project_with_jobs

    def listed(status: str) -> list[str]:
        return [job["uid"] for job in system.rows(f"/auto-label-jobs/?project={project}&status={status}&limit=2")]

    assert listed("completed") == jobs
    for status in ("pending", "running", "failed", "cancelled"):
        assert listed(status) == []
    assert_refused(system.api.get("/auto-label-jobs/?status=done"), 400, naming="status")


def test_an_unknown_project_filters_to_an_empty_page(system: System) -> None:
    page = system.ok("GET", "/auto-label-jobs/?project=proj_abc123")

    assert page == {"next": None, "previous": None, "results": []}


@pytest.mark.parametrize("limit", ["0", "-3", "many", "100000"])
def test_an_odd_limit_falls_back_to_the_default(system: System, limit: str) -> None:
    assert system.api.get(f"/auto-label-jobs/?limit={limit}").status_code == 200


@pytest.mark.parametrize("cursor", ["x", "%00", "AAAA", "eyJhIjoxfQ"])
def test_a_cursor_that_is_not_ours_is_not_found(system: System, cursor: str) -> None:
    assert_refused(system.api.get(f"/auto-label-jobs/?cursor={cursor}"), 404, naming="Invalid cursor")


@pytest.mark.contract("D1")
@pytest.mark.parametrize("uid", ["00000000-0000-4000-8000-000000000000", "a1b2c3d4-...", "%20", "x" * 300])
def test_an_unknown_job_is_not_found(system: System, uid: str) -> None:
    assert_refused(system.api.get(f"/auto-label-jobs/{uid}/"), 404, naming="Not found.")
    assert_refused(system.api.delete(f"/auto-label-jobs/{uid}/"), 404, naming="Not found.")
