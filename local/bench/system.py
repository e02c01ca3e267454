"""The system run: whole jobs on the local stack, against an endpoint of the load mode, for what they cost.

The emulator is no reference for the capacity of AWS: its table shares the processors with the model and the workers.
Its counts are exact; only GetItem follows the time, since each worker reads its job twice a second.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from local import aws, counts, processes, project, up
from local.counts import Costs
from local.errors import Unusable
from local.load import LoadEndpoint
from local.progress import step
from local.project import checked
from local.receiver import Receiver
from local.up import Stack

RUN_SECONDS = 300.0
POLL_SECONDS = 0.5  # each poll takes time from the machine that is being measured


@dataclass(frozen=True)
class Case:
    """A job and the endpoint that it meets."""

    items: int
    latency_ms: int
    slots: int


CASES = (Case(100, 50, 16), Case(1_000, 50, 16), Case(5_000, 50, 16), Case(5_000, 200, 16), Case(5_000, 50, 64))
FUNCTIONS = (*counts.CARRIERS, "Settle")


@dataclass(frozen=True)
class Run:
    """One finished job and what was counted of it."""

    case: Case
    drafts: int
    map_seconds: float
    other_seconds: float  # of the execution: Plan's and Finalize's
    invocations: int
    history_events: int
    most_at_once: int  # calls, as the endpoint saw it
    peak_mib: dict[str, float]  # by function, of the binaries that the local stack runs, since their start
    costs: Costs

    def as_dict(self) -> dict[str, Any]:
        """For the results."""
        return {
            **asdict(self.case),
            "drafts": self.drafts,
            "map_seconds": self.map_seconds,
            "other_seconds": self.other_seconds,
            "invocations": self.invocations,
            "history_events": self.history_events,
            "most_calls_at_once": self.most_at_once,
            "peak_mib": self.peak_mib,
            "dynamodb_calls": dict(self.costs.calls),
            "write_units": self.costs.write_units,
            "transitions": self.costs.transitions,
        }


def run() -> list[Run]:
    """Runs one job of each size."""
    stack = up.required()
    with project.client_of(stack) as api, Receiver() as receiver:
        webhook = {"target_url": receiver.url, "events": ["auto_label.completed", "auto_label.failed"]}
        subscription = checked(api.post("/webhooks/", json=webhook))["uid"]
        try:
            return [_run(stack, api, subscription, case) for case in CASES]
        finally:
            api.delete(f"/webhooks/{subscription}/")


def _run(stack: Stack, api: httpx.Client, subscription: str, case: Case) -> Run:
    step(f"a job of {case.items:,} items, {case.latency_ms} ms, {case.slots} slots")
    endpoint = LoadEndpoint().change(latency=case.latency_ms, slots=case.slots)
    uid = project.create_bare(api, case.items, "Bench")
    project.add_provider(api, uid, endpoint.name, max_concurrency=case.slots)
    calls_before = counts.calls_so_far()
    job = checked(api.post(f"/projects/{uid}/auto-label/", json={}))["uid"]
    _wait_until(lambda: _is_delivered(api, subscription, job))
    ended = checked(api.get(f"/auto-label-jobs/{job}/"))
    if ended["status"] != "completed":
        raise Unusable(f"Job {job} is {ended['status']}: {ended['error_message']}")
    seen = endpoint.load()
    if seen["calls"] != case.items:
        raise Unusable(f"The model was asked {seen['calls']:,} times for {case.items:,} items.")
    history = aws.history(stack.outputs["StateMachineArn"], job)
    tasks = [event["type"] for event in history].count("TaskScheduled")
    return Run(
        case=case,
        drafts=ended["successful_items"],
        map_seconds=aws.map_seconds(history),
        other_seconds=aws.seconds(history) - aws.map_seconds(history),
        invocations=tasks + 1,  # Deliver's
        history_events=len(history),
        most_at_once=seen["max_in_flight"],
        peak_mib={name: processes.peak_mib(stack.outputs[f"{name}FunctionName"]) for name in FUNCTIONS},
        costs=counts.costs(stack, job, calls_before),
    )


def _is_delivered(api: httpx.Client, subscription: str, job: str) -> bool:
    """Whether the delivery of the job's end is done: the last that it costs."""
    newest: list[dict[str, Any]] = checked(api.get("/webhook-deliveries/"))["results"]
    mine = [d for d in newest if d["subscription"] == subscription and d["payload"].get("job_uid") == job]
    return [d["status"] for d in mine] == ["delivered"]


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RUN_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise Unusable(f"The job did not end within {RUN_SECONDS:.0f} s. See: make logs")
        time.sleep(POLL_SECONDS)
