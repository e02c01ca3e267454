"""Plays one schedule on one lane: starts, meddles, waits until everything has ended, and gathers the evidence."""

import hashlib
import json
import math
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import httpx

from local import admin, aws, project, settings
from local.aws import client
from local.project import client_of
from local.receiver import Delivery, Receiver
from local.up import Stack
from tests.chaos.check import is_heard, is_labeled, waits_for_labels
from tests.chaos.events import Events, UploadDeadLetters
from tests.chaos.evidence import ENDED, Cancelled, DeliverySeen, Evidence, ItemSeen, JobSeen, Reviewed, Snapshot
from tests.chaos.faulty import Faults
from tests.chaos.files import Files
from tests.chaos.proxy import UID
from tests.chaos.schedule import (
    LATE,
    OF_FILES,
    RECOVERY,
    REFUSED,
    REFUSED_SECONDS,
    SLOW_MS,
    Act,
    Deed,
    Kind,
    Schedule,
)
from tests.chaos.table import Table, receipts_of, state_of
from tests.system.system import System

Json = dict[str, Any]

EVENTS = ["auto_label.completed", "auto_label.failed"]
# By then all jobs have ended (I5), and as long after it all events are delivered (I6), whatever went wrong.
BOUND_SECONDS = 120.0
POLL_SECONDS = 0.15
QUIET_SECONDS = 1.5
WAIT_SECONDS = 2.0  # for what an act needs to be there
TRIES = 8
OUTBOX_SECONDS = 2.0
RUNNING_SECONDS = 20.0  # a job that does not run by then never does
LABELED = 6  # items that a person labels, one after the other
# A cancel may take a second and the model's latency to reach a worker (I7); half a second is the machine's.
SEEN_SECONDS = 1.0 + settings.ENDPOINT_LATENCY_MS / 1_000 + 0.5


@dataclass
class DeadLetters:
    """The uids of deliveries that were given up."""

    url: str
    _uids: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def uids(self) -> set[str]:
        with self._lock:
            queues = client("sqs")
            while messages := queues.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
                for message in messages:
                    self._uids.update(re.findall(UID, message["Body"]))
                    queues.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            return set(self._uids)


@dataclass(frozen=True)
class Lane:
    """An organization of its own, in which one schedule after the other is played."""

    system: System
    table: Table
    organization: str
    receivers: dict[str, Receiver]  # by subscription
    dead: DeadLetters
    dead_uploads: UploadDeadLetters
    events: Events

    @property
    def names(self) -> list[str]:
        """What identifies its calls when they are about no project yet."""
        return [self.organization, hashlib.sha256(self.system.stack.key.encode()).hexdigest()]


@contextmanager
def lane(stack: Stack, dead: DeadLetters, dead_uploads: UploadDeadLetters, events: Events) -> Iterator[Lane]:
    """A new organization with two subscriptions to the end of its jobs."""
    with ExitStack() as undone:
        arguments = ("keys", "create", "--organization", f"chaos-{uuid.uuid4()}", "--name", "chaos")
        own = replace(stack, key=admin.run(stack.outputs["TableName"], *arguments).strip())
        system = System(own, undone.enter_context(client_of(own)))
        receivers = [undone.enter_context(Receiver()) for _ in range(2)]
        hooks = [{"target_url": receiver.url, "events": EVENTS} for receiver in receivers]
        uids = [system.ok("POST", "/webhooks/", hook)["uid"] for hook in hooks]
        (organization,) = system.ok("GET", "/organizations/")["results"]
        named = dict(zip(uids, receivers, strict=True))
        yield Lane(system, Table(own), organization["uid"], named, dead, dead_uploads, events)


class Play:
    """One schedule on one lane."""

    def __init__(self, lane: Lane, faults: Faults, schedule: Schedule) -> None:
        self._lane, self._faults, self._schedule = lane, faults, schedule
        self._system, self._table = lane.system, lane.table
        self._project = ""
        self._files: Files | None = None  # of a schedule with files
        self._items: list[str] = []
        self._snapshots: list[Snapshot] = []
        self._reviews: list[Reviewed] = []
        self._judged: list[tuple[str, str]] = []  # items and results that a person has reviewed
        self._undone_sweeps: list[str] = []
        self._created: list[str] = []
        self._cancels: dict[str, int] = {}  # where the endpoint's log stood once a cancel had to be seen
        self._undone: dict[str, bool] = {}
        self._answers: Counter[str] = Counter()

    def play(self) -> Evidence:
        """Everything, from the project to the evidence."""
        began, at = time.monotonic(), time.time()
        self._set_up()
        *_, second = self._lane.receivers.values()
        second.answer(*self._schedule.answers)
        rules = self._schedule.rules(of_model=False), self._schedule.rules(of_model=True)
        self._faults.begin(self._project, [*self._items, *self._lane.names], *rules)
        try:
            with ThreadPoolExecutor(8) as pool:
                self._meddle(pool)
            self._repeat(at)
            self._wait_until_quiet(at)
        finally:
            fired = self._faults.end(self._project)
        return self._evidence(at, [event["name"] for event in fired], time.monotonic() - began)

    def _set_up(self) -> None:
        """A project that the endpoint's load mode serves."""
        name = f"Seed {self._schedule.seed}"
        setting = {"auto_label_on_upload": {"quiet_seconds": 1}} if self._schedule.labels_uploads else {}
        created = {"name": name, "labels": project.LABELS, **setting}
        self._project = self._answered("POST", "/projects/", created)["uid"]
        config = {"endpoint_name": settings.LOAD_ENDPOINT, "region": settings.REGION}
        provider = {"name": name, "provider_type": "sagemaker", "config": config, "project": self._project}
        self._answered("POST", "/inference-providers/", provider)
        keys = [f"{n}.jpg" for n in range(self._schedule.items)]
        for start in range(0, len(keys), project.ITEMS_PER_CALL):
            added = keys[start : start + project.ITEMS_PER_CALL]
            entries = [{"key": key, "asset_type": "image", "width": 640, "height": 480} for key in added]
            self._answered("POST", f"/projects/{self._project}/items/", {"items": entries})
        if self._schedule.files:
            self._files = Files(self._table, self._faults, self._lane.events, self._project, keys)
            self._files.begin(self._schedule.files)
        deadline = time.monotonic() + BOUND_SECONDS
        while len(self._items) < self._schedule.items + self._schedule.files:
            assert time.monotonic() < deadline, f"only {len(self._items)} items"
            self._items = sorted(self._table.items_of(self._lane.organization, self._project))

    def _answered(self, method: str, path: str, body: Json | None = None) -> Json:
        """The answer to a call that is no part of the schedule: the other lanes may keep it from its turn."""
        for _ in range(TRIES):
            if (response := self._system.api.request(method, path, json=body)).is_success:
                break
            time.sleep(1)
        return project.checked(response)

    def _meddle(self, pool: ThreadPoolExecutor) -> None:
        """Every act at its time, until all jobs have ended."""
        began = time.monotonic()
        deadline = began + BOUND_SECONDS
        begun_running: float | None = None
        waiting = [act for act in self._schedule.acts if act.deed not in (*LATE, *RECOVERY)]
        begun: list[Future[None]] = []
        while (now := time.monotonic()) < deadline:
            if begun_running is None and (self._has_run() or now - began > RUNNING_SECONDS):
                begun_running = now
            for act in list(waiting):
                since = begun_running if act.once_running else began
                if since is not None and (now - since) * 1_000 >= act.at_ms:
                    waiting.remove(act)
                    begun.append(pool.submit(self._do, act))
            if self._observe() and not waiting and all(act.done() for act in begun):
                break
            time.sleep(POLL_SECONDS)
        for one in begun:
            one.result()

    def _has_run(self) -> bool:
        states = self._snapshots[-1].jobs.values() if self._snapshots else ()
        return any(state.status != "pending" for state in states)

    def _observe(self) -> bool:
        """Takes a snapshot of the project. Whether its jobs have all ended."""
        snapshot = self._table.snapshot(self._project, self._table.jobs_of(self._project))
        if not self._snapshots or snapshot != self._snapshots[-1]:
            self._snapshots.append(snapshot)
        return all(state.status in ENDED for state in snapshot.jobs.values())

    def _do(self, act: Act) -> None:
        match act.deed:
            case Deed.CREATE:
                self._create()
            case Deed.CANCEL:
                self._cancel()
            case Deed.STOP:
                self._stop()
            case Deed.LABEL:
                first = int(act.choice * len(self._items))
                for item in self._items[first : first + LABELED]:
                    self._label(item)
            case Deed.ACCEPT | Deed.CORRECT | Deed.REJECT:
                self._review(act)
            case Deed.REOPEN:
                self._reopen(act)
            case Deed.SWEEP:
                self._sweep(act)
            case _:
                self._disturb(act)

    def _disturb(self, act: Act) -> None:
        """What is no call of the API."""
        if self._files and act.deed in OF_FILES:
            self._files.do(act)
        match act.deed:
            case Deed.INFER_AGAIN:
                if plan := self._plan():
                    self._invoke("Infer", chosen(plan["batches"], act))
            case Deed.PLAN_AGAIN:
                if job := self._newest_job():
                    self._invoke("Plan", {"job": job})
            case Deed.EVENTS_AGAIN:
                if self._files:
                    self._files.send_again(self._system, act)
            case Deed.REFUSE:
                self._faults.concurrency.refuse(chosen(list(REFUSED), act), REFUSED_SECONDS)

    def _create(self) -> None:
        for _ in range(TRIES):
            response = self._call(Deed.CREATE, "POST", f"/projects/{self._project}/auto-label/", {})
            if response and response.status_code == httpx.codes.ACCEPTED:
                self._created.append(response.json()["uid"])
            if response and not response.is_server_error:
                return
            time.sleep(0.3)

    def _cancel(self) -> None:
        job = self._newest_job()
        for _ in range(TRIES if job else 0):
            called = time.monotonic()
            response = self._call(Deed.CANCEL, "DELETE", f"/auto-label-jobs/{job}/")
            if job and response and response.status_code == httpx.codes.NO_CONTENT:
                # The call takes several of the reads of which a worker makes one: what a busy machine makes of them.
                time.sleep(self._until_seen() + 2 * (time.monotonic() - called))
                self._cancels[job] = asked_since(0)[1]
            if response and not response.is_server_error:
                return
            time.sleep(0.1)

    def _stop(self) -> None:
        if job := self._newest_job():
            execution = aws.execution_arn(self._system.stack.outputs["StateMachineArn"], job)
            machine = client("stepfunctions")
            try:
                machine.stop_execution(executionArn=execution)
            except (machine.exceptions.ExecutionDoesNotExist, machine.exceptions.ValidationException):
                return  # its start was lost, or it has ended since

    def _until_seen(self) -> float:
        """Seconds that a worker may take to see a cancel: its own, and what the schedule delays it by."""
        of_worker = [fault for fault in self._schedule.faults if fault.site.function == "infer"]
        slow = sum(fault.times for fault in of_worker if fault.kind == Kind.SLOW)
        held = (self._schedule.model_ms + slow * SLOW_MS) / 1_000
        return SEEN_SECONDS + held

    def _review(self, act: Act) -> None:
        """A person takes up a draft, if there is one soon."""
        until = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < until:
            page = self._call(act.deed, "GET", f"/projects/{self._project}/results/?status=draft")
            drafts = page.json()["results"] if page and page.is_success else []
            if drafts:
                break
            time.sleep(0.2)
        else:
            return
        draft = chosen(drafts, act)
        path = f"/results/{draft['uid']}/"
        if act.deed == Deed.CORRECT:
            response = self._call(act.deed, "PATCH", path, {"annotations": draft["annotations"]})
        else:
            response = self._call(act.deed, "POST", f"{path}{act.deed}/")
        if response and response.is_success:
            self._reviews.append(Reviewed(draft["item"], act.deed))
            self._judged.append((draft["item"], draft["uid"]))

    def _reopen(self, act: Act) -> None:
        """A person takes back a verdict, if there is one soon."""
        until = time.monotonic() + WAIT_SECONDS
        while not self._judged and time.monotonic() < until:
            time.sleep(0.1)
        if not self._judged:
            return
        item, result = chosen(self._judged, act)
        response = self._call(act.deed, "POST", f"/results/{result}/reopen/")
        if response and response.is_client_error:
            return  # the item has had another result since
        is_done = response is not None and response.is_success and response.json()["revision"] >= 2
        self._reviews.append(Reviewed(item, act.deed, b"" if is_done else None))

    def _sweep(self, act: Act) -> None:
        """A person accepts or rejects all drafts that are there, and then undoes it."""
        path = f"/projects/{self._project}/results"
        sweep = self._swept(f"{path}/{chosen(['accept', 'reject'], act)}/", {})
        if sweep and self._swept(f"{path}/undo/", {"sweep": sweep}):
            self._undone_sweeps.append(sweep)

    def _swept(self, path: str, body: Json) -> str | None:
        """The uid of a sweep all of whose calls were answered."""
        for _ in range(TRIES):
            response = self._call(Deed.SWEEP, "POST", path, body)
            if response is None or not response.is_success:
                return None
            answer = response.json()
            if answer["done"]:
                return str(answer["sweep"])
            body = {"cursor": answer["cursor"]}
        return None

    def _label(self, item: str) -> None:
        """A person gives the item a result of her own, unless it has one. She repeats what is not answered."""
        for _ in range(TRIES):
            response = self._call(Deed.LABEL, "POST", f"/items/{item}/results/", {"annotations": []})
            if response and not response.is_server_error:
                if response.status_code == httpx.codes.CREATED:
                    self._reviews.append(Reviewed(item, Deed.LABEL, self._table.result(item) or b""))
                return
            time.sleep(0.3)
        self._reviews.append(Reviewed(item, Deed.LABEL, None))

    def _call(self, deed: Deed, method: str, path: str, body: Json | None = None) -> httpx.Response | None:
        try:
            response = self._system.api.request(method, path, json=body)
        except httpx.TransportError:
            self._answers[f"{deed}: none"] += 1
            return None
        self._answers[f"{deed}: {response.status_code}"] += 1
        return response

    def _newest_job(self) -> str | None:
        until = time.monotonic() + WAIT_SECONDS
        while not (jobs := self._table.jobs_of(self._project)) and time.monotonic() < until:
            time.sleep(0.05)
        return jobs[-1] if jobs else None

    def _plan(self) -> Json | None:
        job = self._newest_job()
        until = time.monotonic() + WAIT_SECONDS
        while job and time.monotonic() < until:
            if row := self._table.rows_of_job(job).get("PLAN"):
                plan: Json = json.loads(row["plan"]["S"])
                return plan if plan["batches"] else None
            time.sleep(0.05)
        return None

    def _invoke(self, function: str, event: Json) -> None:
        """Once more with the same event. It may fail, or be refused: nothing hangs on its answer."""
        name, lambdas = self._system.stack.outputs[f"{function}FunctionName"], client("lambda")
        with suppress(lambdas.exceptions.TooManyRequestsException):
            lambdas.invoke(FunctionName=name, Payload=json.dumps(event))

    def _repeat(self, at: float) -> None:
        """What comes once more after the end, and what people do about it."""
        if self._files:
            self._files.send_again(self._system, self._schedule.acts[0])
            self._files.mark_end()
        for act in self._schedule.acts:
            if act.deed in RECOVERY and self._snapshots[-1].jobs:
                self._recover(act, chosen(list(self._snapshots[-1].jobs), act))
            for job in self._snapshots[-1].jobs if act.deed in LATE else ():
                match act.deed:
                    case Deed.FINALIZE_AGAIN:
                        self._invoke("Finalize", {"job": job})
                    case Deed.SETTLE_AGAIN:
                        detail = {"name": job, "status": "ABORTED"}
                        kind = "Step Functions Execution Status Change"
                        self._invoke("Settle", {"detail-type": kind, "detail": detail})
                    case Deed.MESSAGE_AGAIN:
                        self._send_again(job, at)

    def _recover(self, act: Act, job: str) -> None:
        if act.deed == Deed.RETRY:
            response = self._call(act.deed, "POST", f"/auto-label-jobs/{job}/retry/")
            if response and response.status_code == httpx.codes.ACCEPTED:
                self._created.append(response.json()["uid"])
            deadline = time.monotonic() + BOUND_SECONDS
            while not self._observe() and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
        else:
            with ThreadPoolExecutor(2) as both:
                done = list(both.map(self._discard, [job, job]))
            self._undone[job] = self._undone.get(job, False) or any(done)

    def _discard(self, job: str) -> bool:
        """Whether it was answered that all is done."""
        cursor: Json = {}
        for _ in range(TRIES):
            response = self._call(Deed.DISCARD, "POST", f"/auto-label-jobs/{job}/discard-drafts/", cursor)
            if response and response.is_success:
                if response.json()["done"]:
                    return True
                cursor = {"cursor": response.json()["cursor"]}
        return False

    def _send_again(self, job: str, at: float) -> None:
        queues, url = client("sqs"), self._system.stack.outputs["WebhookQueueUrl"]
        for row in self._deliveries(at):
            if job_of(row) == job:
                body = json.dumps({"V1": {"delivery": row["uid"]["S"]}})
                queues.send_message(QueueUrl=url, MessageBody=body)

    def _wait_until_quiet(self, at: float) -> None:
        """Until nothing moves any more, and every event is delivered."""
        quiet_since = time.monotonic()
        deadline = quiet_since + BOUND_SECONDS
        while time.monotonic() < deadline:
            snapshots = len(self._snapshots)
            ended = self._observe()
            pending = [row for row in self._deliveries(at) if row["status"]["S"] == "pending"]
            if len(self._snapshots) != snapshots or pending or not ended or not self._are_files_heard():
                quiet_since = time.monotonic()
            for row in pending:
                due = float(row["active_sk"]["S"].partition("#")[0]) / 1e6 if "active_sk" in row else math.inf
                if time.time() - max(at, due) > OUTBOX_SECONDS:
                    self._table.age_in_outbox(row["uid"]["S"])
            if time.monotonic() - quiet_since > QUIET_SECONDS:
                return
            time.sleep(2 * POLL_SECONDS)

    def _are_files_heard(self) -> bool:
        """Each item knows its file; and is labeled, of a project that labels uploads."""
        if not self._files:
            return True
        files = self._files.seen(self._lane.dead_uploads.keys(self._project))
        new = sorted(set(self._table.items_of(self._lane.organization, self._project)) - set(self._items))
        self._items += new
        items = {item.key: item for item in self._table.items(self._items).values()}
        if not all(is_heard(file, items.get(key)) for key, file in files.items()):
            return False
        waiting = [items[key] for key, file in files.items() if waits_for_labels(file) and not items[key].results]
        if not (waiting and self._labels_uploads()):
            return True
        jobs = [self._job(uid) for uid in self._snapshots[-1].jobs]
        return all(is_labeled(item, jobs) or self._undone for item in waiting)

    def _labels_uploads(self) -> bool:
        """Not if jobs by uploads are held back, since some failed before they took anything: the project shows it."""
        if not self._schedule.labels_uploads:
            return False
        return not self._answered("GET", f"/projects/{self._project}/").get("auto_label_pause")

    def _deliveries(self, at: float) -> list[Json]:
        """The deliveries of this project's jobs."""
        jobs = self._snapshots[-1].jobs
        return [row for row in self._table.deliveries_since(self._lane.organization, at) if job_of(row) in jobs]

    def _evidence(self, at: float, fired: list[str], seconds: float) -> Evidence:
        jobs, items = self._of_one_moment()
        self._snapshots.append(self._snapshots[-1])
        return Evidence(
            items=items,
            snapshots=self._snapshots,
            jobs=jobs,
            reviews=self._reviews,
            deliveries=self._delivered(at),
            subscriptions=list(self._lane.receivers),
            cancels=[self._cancelled(job, since) for job, since in self._cancels.items()],
            created=self._created,
            undone=self._undone,
            files=self._files.seen(self._lane.dead_uploads.keys(self._project)) if self._files else {},
            undone_sweeps=self._undone_sweeps,
            is_swept=self._schedule.has(Deed.SWEEP),
            labels_uploads=self._labels_uploads(),
            fired=fired,
            answers=self._answers,
            seconds=seconds,
        )

    def _of_one_moment(self) -> tuple[list[JobSeen], dict[str, ItemSeen]]:
        """Jobs and items. After a cancel a worker may still commit what was in flight: between two reads, too."""
        deadline = time.monotonic() + BOUND_SECONDS
        while True:
            self._observe()
            snapshots = len(self._snapshots)
            jobs = [self._job(uid) for uid in self._snapshots[-1].jobs]
            items = self._table.items(self._items)
            self._observe()
            if len(self._snapshots) == snapshots or time.monotonic() > deadline:
                return jobs, items

    def _job(self, uid: str) -> JobSeen:
        rows = self._table.rows_of_job(uid)
        plan = json.loads(rows["PLAN"]["plan"]["S"]) if "PLAN" in rows else {"batches": []}
        lines, chunks = self._table.planned(plan)
        state, shown = state_of(rows["JOB"]), self._answered("GET", f"/auto-label-jobs/{uid}/")
        is_by_upload = shown["trigger"] == "upload"
        return JobSeen(uid, state, shown, lines, chunks, receipts_of(rows), shown["retry_of"], is_by_upload)

    def _delivered(self, at: float) -> list[DeliverySeen]:
        received: dict[str, list[Delivery]] = {}
        for receiver in self._lane.receivers.values():
            for delivery in receiver.taken():
                received.setdefault(delivery.uid, []).append(delivery)
        rows, dead_letters = self._deliveries(at), self._lane.dead.uids()
        return [
            DeliverySeen(
                uid=row["uid"]["S"],
                subscription=row["subscription"]["S"],
                job=job_of(row),
                event=row["event_type"]["S"],
                status=row["status"]["S"],
                body=row["body"]["S"].encode(),
                received=[delivery.body for delivery in received.get(row["uid"]["S"], [])],
                is_dead_letter=row["uid"]["S"] in dead_letters,
            )
            for row in rows
        ]

    def _cancelled(self, job: str, since: int) -> Cancelled:
        """What was asked later; of a project whose next job asks about the same items that says nothing."""
        is_last = job == list(self._snapshots[-1].jobs)[-1]
        return Cancelled(job, [item for item in asked_since(since)[0] if item in self._items and is_last])


def asked_since(index: int) -> tuple[list[str], int]:
    """What the endpoint was asked about from call number `index` on, and the number of its next call."""
    answer = httpx.get(f"{settings.ENDPOINT_URL}/calls", params={"since": index or 10**12}).json()
    return answer["asset_ids"], int(answer["next"])


def chosen(among: list[Any], act: Act) -> Any:
    return among[int(act.choice * len(among))]


def job_of(delivery: Json) -> str:
    return str(json.loads(delivery["body"]["S"])["payload"].get("job_uid"))
