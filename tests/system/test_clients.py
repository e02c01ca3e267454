"""The official Python client and its command line, unmodified."""

import os
import subprocess
import sys
from pathlib import Path

import avala
import pytest
from avala import errors

from local.up import Stack
from tests.system.system import System

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def test_the_client_starts_gets_lists_and_cancels(system: System, official: avala.Client) -> None:
    project = system.load_project(items=500)

    job = official.auto_label_jobs.create(project, model_type="yolo", confidence_threshold=0.4, labels=["car"])
    shown = official.auto_label_jobs.get(job.uid)
    official.auto_label_jobs.cancel(job.uid)
    listed = official.auto_label_jobs.list(project=project)

    assert job.status == "pending"
    assert (shown.labels, shown.dry_run, shown.confidence_threshold) == (["car"], False, 0.4)
    assert [(j.uid, j.status) for j in listed.items] == [(job.uid, "cancelled")]
    assert not listed.has_more


def test_the_client_pages_by_cursor_alone(system: System, official: avala.Client) -> None:
    project = system.project()
    jobs = [system.run(project)["uid"] for _ in range(3)]

    first = official.auto_label_jobs.list(project=project, limit=2)
    second = official.auto_label_jobs.list(cursor=first.next_cursor)

    assert [j.uid for j in [*first.items, *second.items]] == jobs[::-1]
    assert (first.has_more, second.has_more) == (True, False)


def test_the_client_shows_our_sentences(system: System, official: avala.Client) -> None:
    with pytest.raises(errors.NotFoundError, match="Not found"):
        official.auto_label_jobs.get(UNKNOWN)
    with pytest.raises(errors.NotFoundError, match="Not found"):
        official.auto_label_jobs.create(UNKNOWN)
    with pytest.raises(errors.ValidationError, match="confidence_threshold"):
        official.auto_label_jobs.create(system.project(), confidence_threshold=1.5)
    finished = system.run(system.project())["uid"]
    with pytest.raises(errors.AvalaError, match="Job is already completed"):
        official.auto_label_jobs.cancel(finished)


def test_a_wrong_key_is_an_authentication_error(stack: Stack, official: avala.Client) -> None:
    del official  # only for the environment that it sets
    stranger = avala.Client(api_key="avk_wrong", base_url=stack.base_url)
    with stranger, pytest.raises(errors.AuthenticationError, match="Invalid API key"):
        stranger.auto_label_jobs.list()


def test_projects_are_listed_and_shown(system: System, official: avala.Client) -> None:
    project = system.project()

    assert official.projects.get(project).name == "System test"
    assert project in {p.uid for p in official.projects.list(limit=100).items}


def test_the_command_line_starts_and_shows_a_job(system: System) -> None:
    project = system.project()

    created = command_line(system.stack, "auto-label", "create", "--project", project, "--model-type", "yolo")
    (job,) = system.rows(f"/auto-label-jobs/?project={project}")
    shown = command_line(system.stack, "auto-label", "get", job["uid"])
    unknown = command_line(system.stack, "auto-label", "get", UNKNOWN)

    assert created.returncode == 0, created.stderr
    assert job["uid"] in created.stdout
    assert (shown.returncode, job["uid"] in shown.stdout) == (0, True)
    assert unknown.returncode == 1
    assert "Not found" in unknown.stdout + unknown.stderr


def command_line(stack: Stack, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Runs `avala`; `typed` answers its questions."""
    environment = os.environ | {
        "AVALA_BASE_URL": stack.base_url,
        "AVALA_API_KEY": stack.key,
        "AVALA_ALLOW_INSECURE_BASE_URL": "true",
        "COLUMNS": "200",
    }
    avala_command = str(Path(sys.executable).with_name("avala"))
    return subprocess.run(
        [avala_command, *arguments],
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # without a terminal, so that it reads a hidden answer from `typed` too
    )
