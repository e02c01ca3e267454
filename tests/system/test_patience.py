"""A model that is slow, restarts or is away costs time and no item (decision 0025).

`make patience` runs the same at full length.
"""

import json
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

import pytest

from tests.system.interceptor import configured
from tests.system.system import System

# 5 s at full length, with the default timeout of 30 s.
SERIAL_SECONDS = float(os.environ.get("AUTOLABEL_SERIAL_SECONDS", "0.5"))
# Between the last answer and the first refusal: a worker that reads them in another order sees it answer.
SILENT_SECONDS = 0.5
# 60 s at full length.
AWAY_SECONDS = float(os.environ.get("AUTOLABEL_AWAY_SECONDS", "15"))
ITEMS = 100
BOX = {"type": "bounding_box", "label": "car", "confidence": 0.9}
BODY = json.dumps({"annotations": [{**BOX, "coordinates": {"x": 1, "y": 2, "width": 30, "height": 40}}]}).encode()


class Handler(BaseHTTPRequestHandler):
    """A request of the contract's and the model's answer."""

    protocol_version = "HTTP/1.1"

    def asked(self) -> str:
        """The item that the request is about."""
        return str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["asset_id"])

    def answer(self, status: int, body: bytes = BODY) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing: the tests do."""


def http_provider(system: System, project: str, port: int, **config: float) -> None:
    config_of = {"endpoint_url": f"http://127.0.0.1:{port}/", **config}
    body = {"name": "patience", "provider_type": "http", "project": project, "config": config_of}
    system.ok("POST", "/inference-providers/", body)


class Serial:
    """A server with one thread: it works on one picture at a time, also on those whose caller has given up."""

    def __init__(self) -> None:
        self.worked: list[tuple[str, float, float]] = []
        serial = self

        class OneAtATime(Handler):
            protocol_version = "HTTP/1.0"

            def do_POST(self) -> None:
                item, begun = self.asked(), time.monotonic()
                time.sleep(SERIAL_SECONDS)
                serial.worked.append((item, begun, time.monotonic()))
                try:
                    self.answer(200)
                except OSError:
                    self.close_connection = True

        class Server(HTTPServer):
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), OneAtATime)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.takes(21)
def test_a_server_that_works_on_one_picture_at_a_time_answers_all_in_their_time(system: System) -> None:
    serial, project = Serial(), system.project(items=40)
    http_provider(system, project, serial.port, timeout=6 * SERIAL_SECONDS)

    job = system.finished(system.start(project)["uid"], seconds=120 + 80 * SERIAL_SECONDS)
    serial.close()

    assert (job["status"], job["successful_items"], job["failed_items"]) == ("completed", 40, 0)
    seconds = serial.worked[-1][2] - serial.worked[0][1]
    alone = sum(end - begin for _, begin, end in serial.worked[:40])
    print(f"\n{len(serial.worked)} pictures in {seconds:.1f} s, one at a time {alone:.1f} s: {seconds / alone:.3f}")
    assert len(serial.worked) == 40, "nothing was worked on in vain"
    assert seconds <= 1.1 * alone


class Restarting:
    """A server that is away for a while, from so many calls on: a status, broken connections, or no listener."""

    def __init__(self, how: str, after: int, seconds: float) -> None:
        self.how, self.after, self.seconds = how, after, seconds
        self.calls: list[str] = []
        self.unanswered: list[str] = []
        self.may_come_back = threading.Event()  # before its time is over
        self._away = threading.Event()
        self._refuses = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._server: ThreadingHTTPServer | None = None
        if after == 0:
            self._leave()
        else:
            self._listen()

    def _listen(self) -> None:
        restarting = self

        class Model(Handler):
            def setup(self) -> None:
                super().setup()
                restarting._open.add(self.connection)

            def finish(self) -> None:
                restarting._open.discard(self.connection)
                super().finish()

            def do_POST(self) -> None:
                item = self.asked()
                with restarting._lock:
                    restarting.calls.append(item)
                    if len(restarting.calls) == restarting.after:
                        restarting._leave()
                if not restarting._away.is_set():
                    time.sleep(0.2)
                with restarting._lock:  # no answer is sent after it has gone: an answer would show that it is there
                    if not restarting._away.is_set():
                        self.answer(200)
                        return
                restarting._refuses.wait()
                restarting.unanswered.append(item)
                self.close_connection = True
                if restarting.how.isdigit():
                    self.answer(int(restarting.how), b"{}")

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                """A connection that was closed on purpose."""

        self._server = Server(("127.0.0.1", self.port), Model)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _leave(self) -> None:
        self._away.set()
        threading.Thread(target=self._come_back, daemon=True).start()

    def _come_back(self) -> None:
        if self.after > 0:
            time.sleep(SILENT_SECONDS)
        self._refuses.set()
        if self.how == "closed":
            self.close()
        elif self._server is None:
            self._listen()
        self.may_come_back.wait(self.seconds)
        self._away.clear()
        if self.how == "closed":
            self._listen()

    def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        for connection in list(self._open):
            with suppress(OSError):  # it may be gone already
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def restarting(how: str, after: int, seconds: float = AWAY_SECONDS) -> Iterator[Restarting]:
    model = Restarting(how, after, seconds)
    try:
        yield model
    finally:
        model.close()


@pytest.mark.contract("D26")
@pytest.mark.parametrize("after", [0, 40], ids=["at the begin", "in mid-job"])
@pytest.mark.takes(30)
def test_an_endpoint_that_is_away_for_a_while_costs_no_item(system: System, after: int) -> None:
    """Side by side, since each takes its time."""
    models = [Restarting(how, after, AWAY_SECONDS) for how in ("502", "503", "521", "breaks", "closed")]
    jobs = []
    for model in models:
        project = system.project(ITEMS)
        http_provider(system, project, model.port)
        jobs.append(system.start(project)["uid"])

    print()
    for model, uid in zip(models, jobs, strict=True):
        job = system.finished(uid, seconds=120 + 2 * AWAY_SECONDS)
        model.close()
        again = [item for item, calls in Counter(model.calls).items() if calls > 1]
        print(f"{model.how}: {len(model.calls)} calls, {len(again)} items asked about again: {job['error_message']}")
        assert (job["status"], job["successful_items"], job["failed_items"]) == ("completed", ITEMS, 0), model.how
        assert len(again) <= 16, "those that were in flight"
        assert len(model.calls) <= ITEMS + 16 + 14, "and a probe now and then"


@pytest.mark.takes(20)
def test_an_endpoint_that_stays_away_ends_the_job_and_leaves_its_items_for_the_next(system: System) -> None:
    project = system.project(ITEMS)
    with restarting("closed", after=30, seconds=60) as model:
        http_provider(system, project, model.port)

        with configured(system, {"Infer": {"PATIENCE_SECONDS": "5"}}):
            job = system.run(project)

        assert (job["status"], job["failed_items"]) == ("failed", 0)
        assert job["error_message"].startswith("The model's endpoint has given no answer for 5 seconds")
        assert "could not be connected to" in job["error_message"] and "127.0.0.1" not in job["error_message"]
        done = job["successful_items"]

        following = system.start(project)["uid"]
        model.may_come_back.set()
        job = system.finished(following)

    assert (job["status"], job["successful_items"]) == ("completed", ITEMS - done)


def test_a_picture_that_the_server_breaks_down_at_fails_alone(system: System) -> None:
    refused: set[str] = set()

    class Model(Handler):
        def do_POST(self) -> None:
            item = self.asked()
            if not refused:
                refused.add(item)
            if item in refused:
                self.close_connection = True
                return
            time.sleep(0.05)
            self.answer(200)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    project = system.project(items=60)
    http_provider(system, project, server.server_port)

    job = system.run(project)
    server.shutdown()
    server.server_close()

    assert (job["status"], job["successful_items"], job["failed_items"]) == ("completed", 59, 1)
    (error,) = job["summary"]["errors"]
    assert (error["item"], error["code"]) == (refused.pop(), "model_unavailable")


def test_a_cancel_is_seen_at_once_while_an_endpoint_is_waited_for(system: System) -> None:
    project = system.project(items=40)
    with restarting("502", after=5, seconds=60) as model:
        http_provider(system, project, model.port)
        job = system.start(project)["uid"]
        deadline = time.monotonic() + 60
        while len(model.unanswered) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)

        assert system.api.delete(f"/auto-label-jobs/{job}/").status_code == 204
        time.sleep(1.0)  # I7
        calls = len(model.calls)
        time.sleep(5.0)

        assert len(model.calls) == calls
    assert system.job(job)["status"] == "cancelled"
