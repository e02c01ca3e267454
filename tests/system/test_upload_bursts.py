"""2,000 uploads in bursts while a job has their project: one job follows, none missed, none twice, the cap held.

The system tests put 400 of them; `make uploads` all.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from local import counts
from tests.system import uploads
from tests.system.system import System

UPLOADS = int(os.environ.get("AUTOLABEL_UPLOADS", "400"))
BURSTS = 4
CAP = UPLOADS - 100
RUNNING_ITEMS = 600
HELD_SECONDS = 5.0  # below the time that a call may take
TICK = '{"source": "aws.events", "detail-type": "Scheduled Event", "time": "2026-11-22T10:00:00Z"}'
BOX = {
    "type": "bounding_box",
    "label": "car",
    "confidence": 0.9,
    "coordinates": {"x": 1, "y": 2, "width": 3, "height": 4},
}


@contextmanager
def a_model(released: Event) -> Iterator[str]:
    """A model over HTTP that takes its time with every item until it is released. Gives its URL."""
    answer = json.dumps({"annotations": [BOX]}).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            released.wait(HELD_SECONDS)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/infer"
    finally:
        released.set()
        server.shutdown()
        server.server_close()


def test_bursts_during_a_job_make_one_follow_up_job_within_the_days_cap(system: System) -> None:
    project, released = system.project(RUNNING_ITEMS), Event()
    with a_model(released) as url:
        config = {"endpoint_url": url, "auth_type": "none"}
        provider = {"name": "held", "provider_type": "http", "config": config, "project": project}
        system.ok("POST", "/inference-providers/", provider, expect=201)
        setting = {"quiet_seconds": 2, "max_items_per_day": CAP}
        system.ok("PATCH", f"/projects/{project}/", {"auto_label_on_upload": setting})
        running = system.start(project)["uid"]
        system.wait_for(running, processed=1)
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

        released.set()
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
