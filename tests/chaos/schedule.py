"""Schedules of faults, made from a seed: the same seed gives the same schedule.

What follows from the seed is what is done to the system, and when: the n-th call of an operation that a function makes
about the project, or so many milliseconds after the first create, or after a job has begun to run. What the system
makes of it is its own affair.
"""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = dict[str, Any]


class Kind(StrEnum):
    """What happens to a call."""

    THROTTLED = "throttled"
    ERROR = "500"
    RESET = "reset"  # before the call had an effect
    LOST = "answer lost"  # the call had its effect
    SLOW = "slow"
    CONFLICT = "transaction conflict"
    MODEL_ERROR = "model error"
    NOT_READY = "model not ready"
    KILLED_BEFORE = "killed before the call"
    KILLED_AFTER = "killed after the call"
    FORBIDDEN = "file may not be read"  # by ingest, from a deed on


# Of a kill that came too late, since the caller had hung up.
NO_PROCESS = "no process found to kill"
KILLED = (Kind.KILLED_BEFORE, Kind.KILLED_AFTER)
COMMON = (Kind.THROTTLED, Kind.ERROR, Kind.RESET, Kind.LOST, Kind.SLOW, *KILLED)
MODEL = "sagemaker-runtime"
# (code, status) by service; S3, SQS and KMS have names of their own.
THROTTLED = {
    "s3": ("SlowDown", 503),
    "sqs": ("RequestThrottled", 403),
    "sagemaker-runtime": ("ThrottlingException", 429),
}
ERROR = {
    "s3": ("InternalError", 500),
    "sagemaker-runtime": ("InternalFailure", 500),
    "kms": ("KMSInternalException", 500),
}
CONFLICT = {"CancellationReasons": [{"Code": "TransactionConflict"}]}
SLOW_MS = 700
WIDE = 4_400  # items: more than a page of the index in each of its shards
OUTLASTING = 12  # more than the SDK's attempts, and the transaction's own
# A worker waits for an endpoint that is away (minutes), and no item fails of it: a schedule is to end before.
MODEL_FAULTS = 4
# A message that fails five times is a dead letter.
INGEST_FAULTS = 2


@dataclass(frozen=True)
class Site:
    """Calls that a function makes about a project."""

    function: str
    service: str
    operation: str
    kinds: tuple[Kind, ...] = COMMON
    weight: int = 2


OF_TRANSACTION = (*COMMON, Kind.CONFLICT)
OF_MODEL = (*COMMON, Kind.MODEL_ERROR, Kind.NOT_READY)
SITES = (
    Site("jobs", "dynamodb", "GetItem"),
    Site("jobs", "dynamodb", "TransactWriteItems", OF_TRANSACTION, 3),
    Site("jobs", "stepfunctions", "StartExecution", weight=3),
    Site("jobs", "stepfunctions", "StopExecution", weight=1),
    Site("plan", "dynamodb", "GetItem"),
    Site("plan", "dynamodb", "Query"),
    Site("plan", "dynamodb", "TransactWriteItems", OF_TRANSACTION, 3),
    Site("plan", "s3", "PutObject"),
    Site("infer", "dynamodb", "GetItem"),
    Site("infer", "dynamodb", "Query"),
    Site("infer", "dynamodb", "TransactWriteItems", OF_TRANSACTION, 12),
    Site("infer", "s3", "GetObject"),
    Site("infer", "s3", "PutObject", weight=4),
    Site("infer", MODEL, "InvokeEndpoint", OF_MODEL, 8),
    Site("finalize", "dynamodb", "GetItem"),
    Site("finalize", "dynamodb", "Query", weight=3),
    Site("finalize", "dynamodb", "TransactWriteItems", OF_TRANSACTION, 5),
    Site("finalize", "sqs", "SendMessage", weight=4),
    Site("deliver", "dynamodb", "GetItem", weight=1),
    Site("deliver", "dynamodb", "UpdateItem", weight=1),
    Site("deliver", "kms", "Decrypt", weight=1),
    Site("settle", "dynamodb", "GetItem", weight=1),
    Site("settle", "dynamodb", "TransactWriteItems", OF_TRANSACTION, 1),
    Site("settle", "stepfunctions", "DescribeExecution", weight=1),
    Site("catalog", "dynamodb", "TransactWriteItems", OF_TRANSACTION, 1),
)
# Of schedules with files, beside the others.
FILE_SITES = (
    Site("ingest", "dynamodb", "GetItem", weight=1),
    Site("ingest", "dynamodb", "PutItem", weight=3),
    Site("ingest", "dynamodb", "UpdateItem"),
    Site("ingest", "dynamodb", "BatchGetItem", weight=1),
    Site("ingest", "dynamodb", "Query", weight=1),
    Site("ingest", "dynamodb", "TransactWriteItems", OF_TRANSACTION, 4),
    Site("ingest", "s3", "GetObject", weight=3),
    Site("ingest", "sqs", "SendMessage", weight=1),
    Site("ingest", "stepfunctions", "StartExecution", weight=1),
    Site("plan", "dynamodb", "Query"),
    Site("infer", "dynamodb", "TransactWriteItems", OF_TRANSACTION, 3),
)
# Plan reads the second page of each shard of the index, slowly: files that change meanwhile move behind what is read.
SECOND_PAGES = Site("plan", "dynamodb", "Query")


@dataclass(frozen=True)
class Fault:
    """After `skip` calls, `times` calls of the site go wrong. Those of one site follow one another."""

    site: Site
    kind: Kind
    skip: int
    times: int

    def __str__(self) -> str:
        site = self.site
        return f"{site.function}: {site.operation} {self.kind}, after {self.skip}, {self.times} times"

    @property
    def is_of_model(self) -> bool:
        return self.site.service == MODEL

    def rules(self) -> list[Json]:
        """As the proxy takes it. The first rule that matches counts: one without effect lets calls through."""
        site = self.site
        of_site = {
            "service": site.service,
            "operation": site.operation,
            "headers": {"user-agent": f"app/{site.function}"},
        }
        passing = [{**of_site, "times": self.skip}] if self.skip else []
        return [*passing, {**of_site, "times": self.times, "name": self.kind.value, **self._effect()}]

    def _effect(self) -> Json:
        service = self.site.service
        effects: dict[Kind, Json] = {
            Kind.THROTTLED: error(*THROTTLED.get(service, ("ThrottlingException", 400))),
            Kind.ERROR: error(*ERROR.get(service, ("InternalServerError", 500))),
            Kind.RESET: {"reset": True},
            Kind.LOST: {"effect": "lost"},
            Kind.SLOW: {"latency": SLOW_MS},
            Kind.CONFLICT: error("TransactionCanceledException", 400, CONFLICT),
            Kind.MODEL_ERROR: error("ModelError", 424, {"OriginalStatusCode": 500, "OriginalMessage": "It failed."}),
            Kind.NOT_READY: error("ModelNotReadyException", 429),
            Kind.KILLED_BEFORE: {"effect": "kill before"},
            Kind.KILLED_AFTER: {"effect": "kill after"},
        }
        return effects[self.kind]


def error(code: str, status: int, fields: Json | None = None) -> Json:
    return {"error": {"code": code, "status": status, "message": "Injected.", "fields": fields}}


# Of the objects that the proxy forbids.
FORBIDDEN = "forbidden object"
FORBIDDEN_RULE = {
    "service": "s3",
    "operation": "GetObject",
    "headers": {"user-agent": "app/ingest"},
    "payload": f"^{FORBIDDEN}$",
    "name": Kind.FORBIDDEN.value,
    **error("AccessDenied", 403),
}


class Deed(StrEnum):
    """What is done meanwhile."""

    CREATE = "create"
    CANCEL = "cancel"
    STOP = "stop"  # a person stops the execution from the console
    LABEL = "label"  # a person gives a few items results of her own
    ACCEPT = "accept"
    CORRECT = "correct"
    REJECT = "reject"
    REOPEN = "reopen"  # what a person has accepted, corrected or rejected
    SWEEP = "sweep and undo"  # all drafts are accepted or rejected, and that is undone
    INFER_AGAIN = "infer again"  # the function is invoked once more with the same event
    PLAN_AGAIN = "plan again"
    FINALIZE_AGAIN = "finalize again"  # once the job has ended
    SETTLE_AGAIN = "settle again"
    MESSAGE_AGAIN = "message again"
    RETRY = "retry"  # of a job that has ended
    DISCARD = "discard"  # the drafts of one, by two at once
    UPLOAD = "upload"  # a new file, or the first one of an item that a call has added
    OVERWRITE = "overwrite"  # a file, by other bytes
    REWRITE = "rewrite"  # by the same bytes
    FORBID = "overwrite, unreadable"  # by other bytes, which ingest may not read
    DELETE = "delete"  # a file
    EVENTS_AGAIN = "events again"  # all events of the project's files, twice and in no order
    REFUSE = "refuse invocations"  # of one function, whatever they are about


LATE = (Deed.FINALIZE_AGAIN, Deed.SETTLE_AGAIN, Deed.MESSAGE_AGAIN)
RECOVERY = (Deed.RETRY, Deed.DISCARD)
SECOND_THOUGHTS = (Deed.REOPEN, Deed.REOPEN, Deed.SWEEP)
PERSON = (Deed.LABEL, Deed.ACCEPT, Deed.CORRECT, Deed.REJECT)
OF_FILES = (Deed.UPLOAD, Deed.OVERWRITE, Deed.REWRITE, Deed.FORBID, Deed.DELETE)
# What Lambda may refuse to invoke. The API's functions are left out: the gateway answers a client for them.
REFUSED = ("Plan", "Infer", "Finalize", "Deliver", "Settle", "Ingest")
REFUSED_SECONDS = 3.0


@dataclass(frozen=True)
class Act:
    """A deed, so many milliseconds after the first create, or after a job is seen to run. `choice` (0 to 1) is which
    item, batch or draft."""

    at_ms: int
    deed: Deed
    choice: float
    once_running: bool = False

    def __str__(self) -> str:
        return f"{self.deed} at {self.at_ms} ms{' of running' if self.once_running else ''}"


@dataclass(frozen=True)
class Schedule:
    """Everything that is done to one project."""

    seed: int
    items: int
    model_ms: int  # that the model takes longer
    faults: tuple[Fault, ...]
    acts: tuple[Act, ...]
    answers: tuple[int, ...]  # of the second receiver, before it accepts
    files: int = 0  # items that are there by upload, beside the others
    labels_uploads: bool = False

    def __str__(self) -> str:
        files = f"{self.files} files{', labeled' if self.labels_uploads else ''}"
        what = f"{self.items} items, {files}, model {self.model_ms} ms slower, receiver {self.answers}"
        lines = [f"seed {self.seed}: {what}"]
        return "\n  ".join([*lines, *map(str, self.faults), *map(str, self.acts)])

    def has(self, deed: Deed) -> bool:
        return any(act.deed == deed for act in self.acts)

    def rules(self, of_model: bool) -> list[Json]:
        """For the proxy of the model, or for the other one."""
        rules = [rule for fault in self.faults if fault.is_of_model == of_model for rule in fault.rules()]
        if self.files and not of_model:
            rules.insert(0, FORBIDDEN_RULE)
        if of_model and self.model_ms:
            slow = {"service": MODEL, "operation": "InvokeEndpoint", "latency": self.model_ms}
            return [*({**rule, "latency": rule.get("latency", 0) + self.model_ms} for rule in rules), slow]
        return rules


def schedule_of(seed: int) -> Schedule:
    """The schedule of this seed."""
    rng = random.Random(seed)
    cancelled = rng.random() < 0.25
    if cancelled:  # so much to do that a job that went on would be seen to
        items, model_ms, span = rng.randint(160, 240), rng.choice((100, 150, 200)), 1_500
    elif rng.random() < 0.4:  # so slow that much can happen meanwhile
        items, model_ms, span = rng.randint(12, 48), rng.choice((300, 500)), 2_500
    else:
        items, model_ms, span = rng.choice((rng.randint(12, 48), rng.randint(12, 48), 260)), 0, 1_200
    acts = [Act(0, Deed.CREATE, 0.0)]

    def maybe(probability: float, *deeds: Deed) -> None:
        while rng.random() < probability:
            acts.append(Act(rng.randrange(span), rng.choice(deeds), rng.random(), rng.random() < 0.6))

    if rng.random() < 0.3:
        acts.append(Act(0, Deed.CREATE, 1.0))
    if cancelled:
        acts.append(Act(rng.randrange(span), Deed.CANCEL, 0.0, rng.random() < 0.7))
    maybe(0.2, Deed.CREATE)
    maybe(0.5, *PERSON)
    maybe(0.3, Deed.INFER_AGAIN, Deed.INFER_AGAIN, Deed.PLAN_AGAIN)
    maybe(0.3, *LATE)
    weights = [site.weight for site in SITES]
    faults = [_fault(rng, site) for site in rng.choices(SITES, weights, k=rng.choice((1, 2, 2, 3, 3, 4, 5)))]
    answers = rng.choice(((), (), (), (500,), (503, 500), (410,)))
    maybe(0.25, *RECOVERY)
    if rng.random() < 0.1:
        acts.append(Act(rng.randrange(span), Deed.STOP, 0.0, once_running=True))
    rng = random.Random(f"{seed}: files")  # what has no files is as it was
    files, labels_uploads = 0, False
    if rng.random() < 0.1:
        acts.append(Act(rng.randrange(span), Deed.REFUSE, rng.random(), rng.random() < 0.5))
    if rng.random() < 0.4:
        files, labels_uploads = rng.randint(8, 20), rng.random() < 0.3
        faults += [_fault(rng, site) for site in _chosen(rng, FILE_SITES, rng.choice((0, 1, 1, 2)))]
        for _ in range(rng.randint(4, 12)):
            acts.append(Act(rng.randrange(span), rng.choice(OF_FILES), rng.random(), rng.random() < 0.5))
        maybe(0.4, Deed.EVENTS_AGAIN)
        maybe(0.1, Deed.REFUSE)
    if files and not cancelled and rng.random() < 0.05:  # so many that Plan reads two pages of each shard
        items, model_ms = WIDE, 0
        faults = [*faults, Fault(SECOND_PAGES, Kind.SLOW, skip=4, times=4)]
        acts += [Act(rng.randrange(3_000), Deed.UPLOAD, rng.random()) for _ in range(20)]
    rng = random.Random(f"{seed}: second thoughts")  # what has none is as it was
    if rng.random() < 0.3:
        acts.append(Act(rng.randrange(span), rng.choice(PERSON[1:]), rng.random(), once_running=True))
        acts.append(Act(rng.randrange(span), rng.choice(SECOND_THOUGHTS), rng.random(), once_running=True))
        maybe(0.4, *SECOND_THOUGHTS)
    acts.sort(key=lambda act: act.at_ms)
    return Schedule(seed, items, model_ms, tuple(faults), tuple(acts), answers, files, labels_uploads)


def _chosen(rng: random.Random, sites: tuple[Site, ...], number: int) -> list[Site]:
    return rng.choices(sites, [site.weight for site in sites], k=number)


def _fault(rng: random.Random, site: Site) -> Fault:
    kind = rng.choice(site.kinds)
    times = rng.choices((1, 2, 3, OUTLASTING), (10, 3, 2, 2))[0]
    if kind in (*KILLED, Kind.SLOW):
        times = min(times, 2)  # the state machine repeats a killed task five times
    if site.service == MODEL:
        times = min(times, MODEL_FAULTS)
    if site.function == "ingest":
        times = min(times, INGEST_FAULTS)
    return Fault(site, kind, skip=rng.choices((0, 1, 2, 3), (4, 2, 1, 1))[0], times=times)
