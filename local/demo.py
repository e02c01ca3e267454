"""`make demo`: auto-label jobs on real pictures, from nothing to drafts drawn on the pictures.

First the quickstart of examples/quickstart runs as it stands, over enough pictures to see its progress rise. It asks
for confidence 0.6, and the small detector of the local endpoint is seldom that sure: the jobs whose drafts are shown,
boxes and then masks, are started by the official client with a lower threshold.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import avala
import httpx

from local import admin, drawing, project, quickstart, settings, up
from local.project import Project, checked
from local.receiver import Receiver

THRESHOLD = 0.35
ACTIVE = ("pending", "running")
EVENTS = ["auto_label.completed", "auto_label.failed"]
JOB_SECONDS = 300.0

QUICKSTART_ITEMS = 48  # the quickstart polls every 5 seconds: fewer would be done at its first poll
PICTURES_WANTED = 6
DRAFTS_WANTED = 4

REVIEW_SCOPES = ("projects.read", "datasets.read", "results.write")
REVIEW_TIME = timedelta(days=7)


@dataclass
class Report:
    """What the demo has seen, and what was not as it should be."""

    failures: list[str] = field(default_factory=list)
    project: str = ""  # that of the boxes, which the next steps are about

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
            _quickstart_unchanged(stack, api, receiver, subscription["secret"], report)
            _boxes(stack, api, receiver, subscription["secret"], report)
            _masks(stack, api, receiver, subscription["secret"], report)
        finally:
            api.delete(f"/webhooks/{subscription['uid']}/")
    for failure in report.failures:
        print(f"FAILED: {failure}")
    if not report.failures:
        print(f"\nAll good. The pictures with their drafts are in {settings.DEMO_OUTPUT.name}/.")
        _print_next_steps(report.project)
        print(f"\nReview them at {review_link(stack, report.project)}")
        print(f"Its key is for reviews alone, and ends in {REVIEW_TIME.days} days. What follows # goes to no server.")
    return 1 if report.failures else 0


def next_steps(project_uid: str) -> list[tuple[str, str]]:
    """What to try after the demo: a title, and a line to paste at the repository's root. `make down` undoes them."""
    ready = 'eval "$(make -s up)"'
    drafts = f"$AVALA_BASE_URL/projects/{project_uid}/results/?limit=1"
    return [
        ("Read a draft of the demo", f'{ready} && curl -sS -H "X-Avala-Api-Key: $AVALA_API_KEY" "{drafts}"'),
        (
            "Put a picture into the bucket: within seconds it is an item of the demo's project",
            f'{ready} && .venv/bin/aws s3 cp examples/pictures/chelsea.jpg "s3://$BUCKET/projects/{project_uid}/my/cat.jpg"',
        ),
        (
            "Label it by Avala's command line",
            f"{ready} && .venv/bin/avala auto-label create --project {project_uid} --model-type yolo"
            f" --confidence-threshold {THRESHOLD}",
        ),
    ]


def review_link(stack: up.Stack, project_uid: str) -> str:
    """The address of a project on the page, with a key of its own.

    A browser sends no fragment. The page takes the key out of it, and off the address.
    """
    scopes = [part for scope in REVIEW_SCOPES for part in ("--scope", scope)]
    end = (datetime.now(UTC) + REVIEW_TIME).strftime("%Y-%m-%dT%H:%M:%SZ")
    named = ("--organization", "demo", "--name", "reviewer", "--expires", end)
    key = admin.run(stack.outputs["TableName"], "keys", "create", *named, *scopes).strip()
    return f"{settings.CONSOLE_URL}projects/{project_uid}#key={key}"


def _print_next_steps(project_uid: str) -> None:
    _headline("Three next steps, each a line to paste")
    for number, (title, line) in enumerate(next_steps(project_uid), start=1):
        print(f"\n{number}. {title}:\n   {line}")
    print(f"\nThe API reference: {settings.REFERENCE_URL}. The user's guide: docs/guide/README.md. The end: make down")


def _quickstart_unchanged(stack: up.Stack, api: httpx.Client, receiver: Receiver, secret: str, report: Report) -> None:
    sample = project.create(api, QUICKSTART_ITEMS, name="Demo: quickstart")
    _headline("The quickstart of Avala's documentation, unchanged (yolo, threshold 0.6)")
    job, progress = _quickstart(stack, api, sample)
    report.expect(len(set(progress)) > 1 and progress == sorted(progress), f"progress did not rise: {progress}")
    _check_end(job, receiver, secret, report)


def _boxes(stack: up.Stack, api: httpx.Client, receiver: Receiver, secret: str, report: Report) -> None:
    sample = project.create(api, name="Demo: boxes")
    report.project = sample.uid
    _headline(f"Boxes, by the official client (yolo, threshold {THRESHOLD})")
    job = _by_official_client(stack, api, sample, "yolo")
    _check_end(job, receiver, secret, report)
    processed, drafts = _show(api, sample, job, "boxes")
    report.expect(processed >= PICTURES_WANTED, f"{processed} pictures processed, at least {PICTURES_WANTED} wanted")
    report.expect(drafts >= DRAFTS_WANTED, f"{drafts} drafts, at least {DRAFTS_WANTED} wanted")


def _masks(stack: up.Stack, api: httpx.Client, receiver: Receiver, secret: str, report: Report) -> None:
    sample = project.create(api, name="Demo: masks")
    _headline(f"Masks, by the official client (sam3, threshold {THRESHOLD})")
    job = _by_official_client(stack, api, sample, "sam3")
    _check_end(job, receiver, secret, report)
    _show(api, sample, job, "masks")


def _quickstart(stack: up.Stack, api: httpx.Client, sample: Project) -> tuple[dict[str, Any], list[float]]:
    """Runs the quickstart, its lines above a bar of ours; gives the job and the progress that was printed."""
    progress = []
    lines = quickstart.run(stack.base_url, stack.key, sample.uid)
    started = next(lines)
    print(started, flush=True)
    job = started.rpartition(" ")[2]
    with _bar(stack, job):
        for line in lines:
            print(f"\r\033[K{line}" if sys.stderr.isatty() else line, flush=True)
            if line.startswith("Progress: "):
                progress.append(float(line.removeprefix("Progress: ").partition("%")[0]))
    return checked(api.get(f"/auto-label-jobs/{job}/")), progress


def _by_official_client(stack: up.Stack, api: httpx.Client, sample: Project, model_type: str) -> dict[str, Any]:
    os.environ["AVALA_ALLOW_INSECURE_BASE_URL"] = "true"  # the client refuses plain HTTP without it
    with avala.Client(api_key=stack.key, base_url=stack.base_url) as client:
        job = client.auto_label_jobs.create(sample.uid, model_type=model_type, confidence_threshold=THRESHOLD)
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
    """Draws the job's progress on stderr until the block ends; nothing where stderr is no terminal."""
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


def _show(api: httpx.Client, sample: Project, job: dict[str, Any], folder: str) -> tuple[int, int]:
    """Prints the table, draws the drafts, and counts the processed pictures and the drafts."""
    drafts = {result["item"]: result for result in _all(api, f"/projects/{sample.uid}/results/", job["uid"])}
    errors = {error["item"]: error["message"] for error in job["summary"]["errors"]} if job["failed_items"] else {}
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
    return job["processed_items"], len(drafts)


def _all(api: httpx.Client, path: str, job: str) -> Iterator[dict[str, Any]]:
    """Every row of a paged list."""
    page = checked(api.get(path, params={"job": job}))
    yield from page["results"]
    while page["next"]:
        page = checked(api.get(page["next"]))
        yield from page["results"]


def _headline(text: str) -> None:
    print(f"\n=== {text}", flush=True)
