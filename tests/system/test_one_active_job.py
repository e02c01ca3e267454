"""One active job per project (I4; contract, 6.2)."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import httpx
import pytest

from local.project import client_of
from tests.system.interceptor import Call, intercepted
from tests.system.system import System

ROUNDS = 20
MANY = 20
# Longer than the creates take, and shorter than Plan may.
HELD_SECONDS = 120.0


@pytest.fixture(scope="module")
def busy_project(system: System) -> str:
    """Enough items that a job is surely still active when the second create arrives."""
    return system.load_project(items=1_000)


@pytest.mark.contract("D9")
@pytest.mark.parametrize("_round", range(ROUNDS))
def test_of_two_creates_at_once_one_wins(system: System, busy_project: str, _round: int) -> None:
    first, second = sorted(two_at_once(system, busy_project), key=lambda response: response.status_code)

    assert (first.status_code, second.status_code) == (202, 409)
    winner = first.json()["uid"]
    assert second.json()["code"] == "auto_label_job_active"
    assert second.json()["job_uid"] == winner
    assert system.api.delete(f"/auto-label-jobs/{winner}/").status_code == 204


def test_a_second_create_while_one_runs_is_refused_with_its_uid(system: System, busy_project: str) -> None:
    running = system.start(busy_project)["uid"]
    system.wait_for(running, processed=1)

    refused = system.create(busy_project)

    assert (refused.status_code, refused.json()["job_uid"]) == (409, running)
    assert refused.json()["detail"] == "An auto-label job is already active for this project."
    system.api.delete(f"/auto-label-jobs/{running}/")


def test_of_twenty_creates_at_once_on_each_of_twenty_projects_one_wins_each(system: System) -> None:
    projects = [system.project() for _ in range(MANY)]
    asked = [project for project in projects for _ in range(MANY)]
    answered = Event()

    def held(_: Call) -> bool:
        answered.wait(HELD_SECONDS)  # so that no job ends before the last create has come
        return False

    with (
        intercepted(system, "DYNAMODB", ("Plan",), held),
        client_of(system.stack, connections=len(asked), timeout=HELD_SECONDS) as api,
        ThreadPoolExecutor(len(asked)) as threads,
    ):
        try:
            answers = list(threads.map(lambda uid: api.post(f"/projects/{uid}/auto-label/", json={}), asked))
        finally:
            answered.set()
        jobs = {project: list(system.rows(f"/auto-label-jobs/?project={project}")) for project in projects}
        finished = [system.finished(job["uid"])["status"] for (job,) in jobs.values()]

    assert Counter(answer.status_code for answer in answers) == {202: MANY, 409: MANY * (MANY - 1)}
    for project, answer in zip(asked, answers, strict=True):
        (job,) = jobs[project]
        assert answer.json()["uid" if answer.status_code == 202 else "job_uid"] == job["uid"]
    assert finished == ["completed"] * MANY


def two_at_once(system: System, project: str) -> list[httpx.Response]:
    barrier = Barrier(2)
    answers: list[httpx.Response] = []

    def create() -> None:
        with client_of(system.stack) as client:
            client.get("/auto-label-jobs/?limit=1")  # the connection is open before the race begins
            barrier.wait()
            answers.append(client.post(f"/projects/{project}/auto-label/", json={"dry_run": True}))

    threads = [Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
