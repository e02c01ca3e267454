"""`make demo`: one auto-label job on real pictures, from nothing to drafts drawn on the pictures.

First the mission's own quickstart runs as it stands (threshold 0.6). The detector of the local endpoint is small and
seldom that sure, so a second job, by the official client, takes the items that are still unlabeled at a lower
threshold. A third one shows masks, on a project of its own.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import avala
import httpx

from local import drawing, project, quickstart, settings, up
from local.project import Project, checked
from local.receiver import Receiver

SECOND_THRESHOLD = 0.35
ACTIVE = ("pending", "running")
EVENTS = ["auto_label.completed", "auto_label.failed"]
JOB_SECONDS = 300.0

PICTURES_WANTED = 6
DRAFTS_WANTED = 4


@dataclass
class Report:
    """What the demo has seen, and what was not as it should be."""

    failures: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:
        """Notes a failure unless the expectation holds."""
        if not holds:
            self.failures.append(otherwise)


def run() -> int:
    """Runs the demo; 0 if all was as it should be."""
    stack = up.up()
    report = Report()
    shutil.rmtree(settings.DEMO_OUTPUT, ignore_errors=True)
    with project.client_of(stack) as api, Receiver(settings.WEBHOOK_PORT) as receiver:
        subscription = checked(api.post("/webhooks/", json={"target_url": receiver.url, "events": EVENTS}))
        try:
            _boxes(stack, api, receiver, subscription["secret"], report)
            _masks(stack, api, receiver, subscription["secret"], report)
        finally:
            api.delete(f"/webhooks/{subscription['uid']}/")
    for failure in report.failures:
        print(f"FAILED: {failure}")
    if not report.failures:
        print(f"\nAll good. The pictures with their drafts are in {settings.DEMO_OUTPUT.name}/.")
    return 1 if report.failures else 0


def _boxes(stack: up.Stack, api: httpx.Client, receiver: Receiver, secret: str, report: Report) -> None:
    sample = project.create(api, name="Demo: boxes")
    _headline("The mission's quickstart, as it stands (yolo, threshold 0.6)")
    first = _quickstart(stack, api, sample)
    _check_end(first, receiver, secret, report)
    _headline(f"What is left, by the official client (yolo, threshold {SECOND_THRESHOLD})")
    second = _by_official_client(stack, api, sample, "yolo")
    _check_end(second, receiver, secret, report)
    processed, drafts = _show(api, sample, [first, second], "boxes")
    report.expect(processed >= PICTURES_WANTED, f"{processed} pictures processed, at least {PICTURES_WANTED} wanted")
    report.expect(drafts >= DRAFTS_WANTED, f"{drafts} drafts, at least {DRAFTS_WANTED} wanted")


def _masks(stack: up.Stack, api: httpx.Client, receiver: Receiver, secret: str, report: Report) -> None:
    sample = project.create(api, name="Demo: masks")
    _headline(f"Masks, by the official client (sam3, threshold {SECOND_THRESHOLD})")
    job = _by_official_client(stack, api, sample, "sam3")
    _check_end(job, receiver, secret, report)
    _show(api, sample, [job], "masks")


def _quickstart(stack: up.Stack, api: httpx.Client, sample: Project) -> dict[str, Any]:
    """Runs the quickstart, its lines as it prints them above a bar of ours."""
    lines = quickstart.run(stack.base_url, stack.key, sample.uid)
    started = next(lines)
    print(started, flush=True)
    job = started.rpartition(" ")[2]
    with _bar(stack, job):
        for line in lines:
            print(f"\r\033[K{line}" if sys.stderr.isatty() else line, flush=True)
    return checked(api.get(f"/auto-label-jobs/{job}/"))


def _by_official_client(stack: up.Stack, api: httpx.Client, sample: Project, model_type: str) -> dict[str, Any]:
    os.environ["AVALA_ALLOW_INSECURE_BASE_URL"] = "true"  # the client refuses plain HTTP without it
    with avala.Client(api_key=stack.key, base_url=stack.base_url) as client:
        job = client.auto_label_jobs.create(sample.uid, model_type=model_type, confidence_threshold=SECOND_THRESHOLD)
        print(f"Job started: {job.uid}", flush=True)
        deadline = time.monotonic() + JOB_SECONDS
        with _bar(stack, job.uid):
            while job.status in ACTIVE and time.monotonic() < deadline:
                time.sleep(0.5)
                job = client.auto_label_jobs.get(job.uid)
        print(f"Done! {job.successful_items} items labeled, {job.skipped_items} skipped", flush=True)
    return checked(api.get(f"/auto-label-jobs/{job.uid}/"))


@contextmanager
def _bar(stack: up.Stack, job: str) -> Iterator[None]:
    """Draws the job's progress on stderr until the block ends; nothing where nobody watches."""
    over = Event()
    thread = Thread(target=_draw_bar, args=(stack, job, over), daemon=True)
    if sys.stderr.isatty():
        thread.start()
    try:
        yield
    finally:
        over.set()
        if thread.ident:
            thread.join()
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _draw_bar(stack: up.Stack, job: str, over: Event) -> None:
    width = 40
    with project.client_of(stack) as api:
        while not over.wait(0.3):
            now = checked(api.get(f"/auto-label-jobs/{job}/"))
            filled = int(width * now["progress_pct"] / 100)
            bar = "█" * filled + "░" * (width - filled)
            counts = f"{now['processed_items']}/{now['total_items']} {now['status']}"
            print(f"\r\033[K{bar} {now['progress_pct']:5.1f}% {counts}", end="", file=sys.stderr, flush=True)


def _check_end(job: dict[str, Any], receiver: Receiver, secret: str, report: Report) -> None:
    report.expect(job["status"] == "completed", f"job {job['uid']} is {job['status']}: {job['error_message']}")
    delivery = receiver.of_job(job["uid"])
    if delivery is None:
        report.expect(False, f"no webhook came for job {job['uid']}")
        return
    verified = delivery.is_signed_with(secret)
    report.expect(verified, f"the webhook of job {job['uid']} is wrongly signed")
    report.expect(
        delivery.event == f"auto_label.{job['status']}", f"the webhook of job {job['uid']} says {delivery.event}"
    )
    print(f"Webhook {delivery.event}, signature {'verified' if verified else 'WRONG'}, payload {delivery.payload}")


def _show(api: httpx.Client, sample: Project, jobs: list[dict[str, Any]], folder: str) -> tuple[int, int]:
    """Prints the table, draws the drafts, and counts the processed pictures and the drafts."""
    drafts = {
        result["item"]: result for job in jobs for result in _all(api, f"/projects/{sample.uid}/results/", job["uid"])
    }
    failed = [job for job in jobs if job["failed_items"]]
    errors = {error["item"]: error["message"] for job in failed for error in job["summary"]["errors"]}
    rows = [("item", "outcome", "labels", "confidences")]
    for uid, picture in sample.pictures.items():
        annotations = drafts[uid]["annotations"] if uid in drafts else []
        outcome = "successful" if uid in drafts else f"failed: {errors[uid]}" if uid in errors else "skipped"
        labels = ", ".join(annotation["label"] for annotation in annotations)
        rows.append((picture.name, outcome, labels, ", ".join(f"{a['confidence']:.2f}" for a in annotations)))
        drawing.draw(picture, annotations, settings.DEMO_OUTPUT / folder / picture.name)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return max(job["processed_items"] for job in jobs), len(drafts)


def _all(api: httpx.Client, path: str, job: str) -> Iterator[dict[str, Any]]:
    """Every row of a paged list."""
    page = checked(api.get(path, params={"job": job}))
    yield from page["results"]
    while page["next"]:
        page = checked(api.get(page["next"]))
        yield from page["results"]


def _headline(text: str) -> None:
    print(f"\n=== {text}", flush=True)
