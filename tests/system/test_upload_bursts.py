"""2,000 uploads in bursts while a job has their project: one job follows, none missed, none twice, the cap held.

The system tests put 400 of them; `make uploads` all.
"""

import os
from threading import Event

import pytest

from local import counts
from tests.system import uploads
from tests.system.server import Answer, Request, Server, json_answer
from tests.system.system import System

UPLOADS = int(os.environ.get("AUTOLABEL_UPLOADS", "400"))
BURSTS = 4
CAP = UPLOADS - 100
RUNNING_ITEMS = 600
ASKED_SECONDS = 60.0
HELD_SECONDS = 5.0  # below the time that a call may take
TICK = '{"source": "aws.events", "detail-type": "Scheduled Event", "time": "2026-11-22T10:00:00Z"}'
BOX = {
    "type": "bounding_box",
    "label": "car",
    "confidence": 0.9,
    "coordinates": {"x": 1, "y": 2, "width": 3, "height": 4},
}


class Held(Server):
    """A model that takes its time with every item until it is released."""

    def __init__(self) -> None:
        self.asked, self.released = Event(), Event()
        super().__init__()

    def answer(self, request: Request) -> Answer:
        del request
        self.asked.set()
        self.released.wait(HELD_SECONDS)
        return json_answer({"annotations": [BOX]})

    def close(self) -> None:
        self.released.set()
        super().close()


@pytest.mark.takes(25)
@pytest.mark.usefixtures("empty_upload_queue")
def test_bursts_during_a_job_make_one_follow_up_job_within_the_days_cap(system: System) -> None:
    project = system.project(RUNNING_ITEMS)
    with Held() as model:
        config = {"endpoint_url": f"{model.url}/infer", "auth_type": "none"}
        provider = {"name": "held", "provider_type": "http", "config": config, "project": project}
        system.ok("POST", "/inference-providers/", provider, expect=201)
        setting = {"quiet_seconds": 2, "max_items_per_day": CAP}
        system.ok("PATCH", f"/projects/{project}/", {"auto_label_on_upload": setting})
        running = system.start(project)["uid"]
        assert model.asked.wait(ASKED_SECONDS)
        before = counts.calls_so_far()

        for burst in range(BURSTS):
            numbers = range(burst, UPLOADS, BURSTS)
            uploads.put(system, project, {f"{number:04}.png": uploads.a_picture(number) for number in numbers})
        items = uploads.items(system, project, RUNNING_ITEMS + UPLOADS, seconds=150)

        assert system.job(running)["status"] == "running", "the bursts were to come during the job"
        assert uploads.jobs(system, project) == []
        calls = counts.calls_of(system.stack, "Ingest", since=before).total()
        print(f"\n{calls / UPLOADS:.2f} calls of the table per uploaded object")
        assert calls <= 3 * UPLOADS

        model.released.set()
        (follow_up,) = uploads.finished_jobs(system, project, taking=CAP)
        assert system.job(running)["processed_items"] == RUNNING_ITEMS
        assert (follow_up["status"], follow_up["total_items"], follow_up["successful_items"]) == ("completed", CAP, CAP)

        # What the day has no room for waits: a check does not take it.
        uploads.send(system, [TICK])
        uploads.wait_until_heard(system)
        assert uploads.jobs(system, project) == [follow_up]
    taken = [line["item"] for line in system.rows(f"/auto-label-jobs/{follow_up['uid']}/items/")]
    assert len(taken) == len(set(taken)) == CAP
    assert set(taken) <= {item["uid"] for key, item in items.items() if key.endswith(".png")}
