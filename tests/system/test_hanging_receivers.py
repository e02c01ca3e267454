"""Receivers that hang hold up their own tenant alone."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local.aws import client
from local.receiver import Receiver
from tests.system.conftest import REVIEW_EVENTS, NewTenant, subscribed
from tests.system.system import Json, System

RECEIVERS = 50
# `make hanging` makes 5,000 of them.
EVENTS = int(os.environ.get("AUTOLABEL_HANGING_EVENTS", "1000"))
# Within which another tenant's event is there, whatever the first one does.
SECONDS = 10.0
PROBES_AFTER = 5
DRAINED_SECONDS = 300.0


@contextmanager
def hanging() -> Iterator[str]:
    """A server that takes every request and never answers."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            over.wait()

        def log_message(self, format: str, *arguments: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 256
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def drafts(system: System, count: int) -> list[Json]:
    """So many drafts, none of them touched."""
    project = system.load_project(items=3 * count)  # the load model finds nothing on some
    found = system.results(project, system.run(project, confidence_threshold=0.0)["uid"])
    assert len(found) >= count
    return found[:count]


def accept(system: System, result: Json) -> None:
    system.ok("POST", f"/results/{result['uid']}/accept/")


def accept_all(system: System, results: list[Json]) -> None:
    for result in results:
        accept(system, result)


@pytest.mark.takes(25)
def test_fifty_hanging_receivers_hold_up_no_other_tenants_event(new_tenant: NewTenant) -> None:
    noisy, quiet = new_tenant(), new_tenant()
    reviews, probes = drafts(noisy, EVENTS // RECEIVERS), drafts(quiet, 40)
    waits: list[float] = []
    with hanging() as url, Receiver() as receiver, ThreadPoolExecutor() as executor:
        hooks = [
            noisy.ok("POST", "/webhooks/", {"target_url": f"{url}/{n}", "events": REVIEW_EVENTS})["uid"]
            for n in range(RECEIVERS)
        ]
        listening = subscribed(quiet, receiver, events=REVIEW_EVENTS)
        next(listening)
        noise = executor.submit(accept_all, noisy, reviews)
        left = PROBES_AFTER
        while left > 0 and probes:
            left -= noise.done()
            begun = time.monotonic()
            accept(quiet, probes.pop())
            delivery = receiver.next(seconds=60)
            assert delivery is not None
            waits.append(time.monotonic() - begun)
            time.sleep(1)
        noise.result()
        pending = depth(noisy)
        for hook in hooks:
            noisy.api.delete(f"/webhooks/{hook}/")
        next(listening, None)
    most, middle = max(waits), sorted(waits)[len(waits) // 2]
    print(f"{EVENTS} events, {RECEIVERS} hanging receivers, {pending} messages waiting at the end.")
    print(f"Another tenant's {len(waits)} events: there after {most:.1f} s at most, {middle:.1f} s in the middle.")
    assert max(waits) <= SECONDS, waits
    assert pending > EVENTS / 4, "the receivers were to hang all the time"
    drain(noisy)


def depth(system: System) -> int:
    """Messages that wait or are worked on in the two webhook queues."""
    counts = (
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    )
    total = 0
    for queue in ("WebhookQueueUrl", "WebhookOverflowQueueUrl"):
        url = system.stack.outputs[queue]
        found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        total += sum(int(found[count]) for count in counts)
    return total


def drain(system: System) -> None:
    """Waits for the queues to be worked off: their subscriptions are gone, so that no delivery takes long."""
    deadline = time.monotonic() + DRAINED_SECONDS
    while depth(system) > 0:
        assert time.monotonic() < deadline, f"{depth(system)} messages left"
        time.sleep(1)
