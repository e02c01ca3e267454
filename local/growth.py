"""`make growth`: whether a large job costs per item what a small one does, and takes no more memory.

Two whole jobs, one after the other, on one stack and against endpoints of one millisecond: one of 1,000 items, and one
of as many as asked for. What must not grow is held against bounds, and the run fails if one is broken.
"""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import date

import httpx

from local import aws, counts, processes, project, up
from local.counts import CARRIERS, FUNCTIONS
from local.errors import Unusable
from local.load import LoadEndpoint
from local.progress import step
from local.project import checked
from local.receiver import Receiver
from local.settings import LIMITS, ROOT
from local.up import Stack

SMALL = 1_000
LATENCY_MS = 1
SLOTS = 16
DISTRIBUTED = LIMITS.get("inlineBatches") == "0"
LOG = ROOT / "docs" / ("growth-distributed.txt" if DISTRIBUTED else "growth.txt")
JOB_SECONDS = 3_600.0
POLL_SECONDS = 2.0

# The budget (docs/scaling.md). A worker reads its job twice a second, so that operation follows the clock.
MOST_GROWTH = 1.05
BY_THE_CLOCK = "GetItem"
MOST_MIB = 32.0
# A small job fills neither a page of each shard nor a part of the manifest, and no job holds more than one of them.
MOST_MORE_MIB = 12.0
# AWS, "Step Functions service quotas" and "Lambda quotas": half of each.
MOST_EVENTS = 25_000 // 2
MOST_INPUT_BYTES = 256 * 1_024 // 2
MOST_PLAN_SECONDS = 300 / 2


@dataclass(frozen=True)
class Run:
    """A finished job and what it took."""

    items: int
    adding_seconds: float
    job_seconds: float
    plan_seconds: float
    calls: Counter[str]  # of the table, by operation
    write_units: float
    transitions: int
    events: int  # of the longest history
    input_bytes: int  # the most that a state was given
    own_mib: dict[str, float]  # the most of each function's processes since the stack was started, without the program

    def per_item(self, operation: str) -> float:
        """Calls of an operation."""
        return self.calls[operation] / self.items


def run(items: int) -> None:
    """Runs both jobs, prints and keeps what they took.

    Raises:
        Unusable: a job failed, or a bound is broken.
    """
    stack = up.required()
    with project.client_of(stack) as api, Receiver() as receiver:
        webhook = {"target_url": receiver.url, "events": ["auto_label.completed", "auto_label.failed"]}
        subscription = checked(api.post("/webhooks/", json=webhook))["uid"]
        try:
            small, large = (_run(stack, api, receiver, count) for count in (SMALL, items))
        finally:
            api.delete(f"/webhooks/{subscription}/")
    broken = _broken(small, large)
    text = "\n".join([_table(small, large), *(f"BROKEN: {bound}" for bound in broken)])
    print(text)
    LOG.write_text(text + "\n")
    if broken:
        raise Unusable("A bound is broken: see above.")


def _run(stack: Stack, api: httpx.Client, receiver: Receiver, items: int) -> Run:
    step(f"adding {items:,} items")
    began = time.monotonic()
    endpoint = LoadEndpoint().change(latency=LATENCY_MS, slots=SLOTS)
    uid = project.create_bare(api, items, "Growth")
    project.add_provider(api, uid, endpoint.name, max_concurrency=SLOTS)
    added = time.monotonic()
    step(f"a job of {items:,} items")
    before = counts.calls_so_far()
    job = checked(api.post(f"/projects/{uid}/auto-label/", json={}))["uid"]
    peaks = _watch(stack, api, job, items)
    if receiver.of_job(job, seconds=30) is None:
        raise Unusable(f"No delivery came for job {job}.")
    ended = time.monotonic()
    histories = aws.histories(stack.outputs["StateMachineArn"], job)
    costs = counts.costs(stack, job, before)
    return Run(
        items=items,
        adding_seconds=added - began,
        job_seconds=ended - added,
        plan_seconds=_plan_seconds(histories[0]),
        calls=costs.calls,
        write_units=costs.write_units,
        transitions=costs.transitions,
        events=max(map(len, histories)),
        input_bytes=max(len(_input(event)) for history in histories for event in history),
        own_mib=_higher(peaks, _peaks(stack)),
    )


def _watch(stack: Stack, api: httpx.Client, job: str, items: int) -> dict[str, float]:
    """Waits for the job's end. The emulator may end idle processes, so their memory is read all the while."""
    peaks: dict[str, float] = {}
    deadline = time.monotonic() + JOB_SECONDS
    while (now := checked(api.get(f"/auto-label-jobs/{job}/")))["status"] in ("pending", "running"):
        if time.monotonic() > deadline:
            raise Unusable(f"The job did not end within {JOB_SECONDS:.0f} s. See: make logs")
        peaks = _higher(peaks, _peaks(stack))
        time.sleep(POLL_SECONDS)
    if (now["status"], now["processed_items"], now["failed_items"]) != ("completed", items, 0):
        raise Unusable(f"Job {job} is {now['status']}, {now['processed_items']} processed: {now['error_message']}")
    return peaks


def _peaks(stack: Stack) -> dict[str, float]:
    return {name: processes.own_mib(stack.outputs[f"{name}FunctionName"]) for name in FUNCTIONS}


def _higher(peaks: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    return {name: max(peak, peaks.get(name, 0.0)) for name, peak in now.items()}


def _plan_seconds(history: list[aws.Event]) -> float:
    def first(kind: str) -> aws.Event:
        return next(event for event in history if event["type"] == kind)

    return float((first("TaskSucceeded")["timestamp"] - first("TaskScheduled")["timestamp"]).total_seconds())


def _input(event: aws.Event) -> str:
    return str(event.get("stateEnteredEventDetails", {}).get("input", ""))


def _broken(small: Run, large: Run) -> list[str]:
    """The bounds that do not hold, each a sentence."""
    grown = [
        f"{operation}: {large.per_item(operation):.4f} calls an item, {small.per_item(operation):.4f} in the small job"
        for operation in sorted(large.calls)
        if operation != BY_THE_CLOCK and large.per_item(operation) > MOST_GROWTH * small.per_item(operation)
    ]
    fat = [
        f"{name}: {mib:.1f} MiB, {small.own_mib[name]:.1f} in the small job"
        for name, mib in large.own_mib.items()
        if mib > min(MOST_MIB, small.own_mib[name] + MOST_MORE_MIB)
    ]
    units = large.write_units / large.items > MOST_GROWTH * small.write_units / small.items
    others = {
        f"write units: {large.write_units / large.items:.3f} an item": units,
        f"{large.events:,} events in the history": large.events > MOST_EVENTS,
        f"{large.input_bytes:,} bytes for a state": large.input_bytes > MOST_INPUT_BYTES,
        f"plan took {large.plan_seconds:.0f} s": large.plan_seconds > MOST_PLAN_SECONDS,
    }
    return [*grown, *fat, *(bound for bound, broken in others.items() if broken)]


def _table(small: Run, large: Run) -> str:
    runs = (small, large)
    rows: list[tuple[str, list[str]]] = [
        ("items", [f"{run.items:,}" for run in runs]),
        ("adding them, seconds", [f"{run.adding_seconds:.0f}" for run in runs]),
        ("the job, seconds", [f"{run.job_seconds:.1f}" for run in runs]),
        ("  of which plan", [f"{run.plan_seconds:.1f}" for run in runs]),
        ("DynamoDB calls per 1,000 items", [f"{1_000 * run.calls.total() / run.items:.2f}" for run in runs]),
        *(
            (f"  {operation}", [f"{1_000 * run.per_item(operation):.2f}" for run in runs])
            for operation in sorted(large.calls)
        ),
        ("write units per item", [f"{run.write_units / run.items:.3f}" for run in runs]),
        ("state transitions per 1,000 items", [f"{1_000 * run.transitions / run.items:.2f}" for run in runs]),
        ("events in the longest history", [f"{run.events:,}" for run in runs]),
        ("largest input of a state, bytes", [f"{run.input_bytes:,}" for run in runs]),
        *((f"own memory of {name.lower()}, MiB", [f"{run.own_mib[name]:.1f}" for run in runs]) for name in FUNCTIONS),
    ]
    carriers = ", ".join(name.lower() for name in CARRIERS)
    asked = f"make growth{' DISTRIBUTED=1' if DISTRIBUTED else ''} ITEMS={large.items}"
    head = (
        f"{asked}, {date.today()}: a model of {LATENCY_MS} ms with {SLOTS} slots.",
        f"Calls and write units are those of {carriers}. Memory is the most that a process has had since the stack was",
        "started, less the pages of its program, which is a build for this machine.",
        "",
    )
    return "\n".join([*head, *(name.ljust(34) + "".join(cell.rjust(12) for cell in cells) for name, cells in rows)])
