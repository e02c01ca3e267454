"""One active job per project (I4; contract, 6.2)."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import httpx
import pytest

from local.project import client_of
from tests.system.interceptor import Call, intercepted
from tests.system.system import POLL_SECONDS, System

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
    assert refused.json()["detail"] == (
        f"An auto-label job is already active for this project. It is job {running}: wait for its end, or cancel it."
    )
    system.api.delete(f"/auto-label-jobs/{running}/")


@pytest.mark.takes(30)
def test_of_twenty_creates_at_once_on_each_of_twenty_projects_one_wins_each(system: System) -> None:
    answered = Event()

    def held(_: Call) -> bool:
        answered.wait(HELD_SECONDS)  # so that no job ends before the last create has come
        return False

    with intercepted(system, "DYNAMODB", ("Plan",), held), ThreadPoolExecutor(MANY) as threads:
        for project in [system.project() for _ in range(MANY)]:
            answered.clear()
            answers = list(threads.map(lambda uid: insistently(system, uid), [project] * MANY))
            answered.set()

            jobs = list(system.rows(f"/auto-label-jobs/?project={project}"))
            (job,) = (job["uid"] for job in jobs if job["status"] != "cancelled")
            assert [answer.json()["uid"] for answer in answers if answer.status_code == 202] in ([job], [])
            assert job in {answer.json().get("job_uid") for answer in answers if answer.status_code == 409}
            assert {answer.status_code for answer in answers} <= {202, 409}
            assert system.finished(job)["status"] == "completed"


def insistently(system: System, project: str) -> httpx.Response:
    """The answer to a create call, repeated while the machine is too busy for it: 503 asks for that."""
    deadline = time.monotonic() + HELD_SECONDS / 2
    while (answer := system.create(project)).status_code == 503 and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return answer


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
