"""`make bench`: what a job costs per item, and how well it keeps the model endpoint busy.

Each run is a whole job, from the call that creates it to the delivery of its webhook, against an endpoint of the load
mode: a fixed latency, a fixed number of slots, no model. Such an endpoint needs items x latency / slots at least.
Efficiency is that time as a share of the time that the workers took, by their own clocks from the first item to the
last commit; beside it, as a share of the wall time of the Map phase, which has the way there as well.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
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
POLL_SECONDS = 0.5  # each look takes time from the machine that is being measured


@dataclass(frozen=True)
class Case:
    """A job and the endpoint that it meets."""

    items: int
    latency_ms: int
    slots: int


CASES = (Case(500, 50, 16), Case(2_000, 50, 16), Case(5_000, 50, 16), Case(5_000, 200, 16), Case(5_000, 50, 64))


@dataclass(frozen=True)
class Run:
    """One finished job and what was measured of it."""

    case: Case
    drafts: int
    map_seconds: float
    reports: list[dict[str, Any]]  # of the workers
    most_at_once: int  # calls, as the endpoint saw it
    infer_peak_mib: float
    costs: Costs

    @property
    def items(self) -> int:
        """Of the job."""
        return self.case.items

    @property
    def efficiency(self) -> float:
        """1 if the endpoint never waited for the workers while they were at work."""
        offered: int = sum(report["slots"] * report["wall_ms"] for report in self.reports)
        return self.items * self.case.latency_ms / offered

    @property
    def map_efficiency(self) -> float:
        """1 if it never waited from the first state of the Map to the last."""
        return self.items * self.case.latency_ms / (self.case.slots * self.map_seconds * 1_000)

    def per_thousand(self, count: int) -> str:
        """The count, as it would be for 1,000 items."""
        return f"{1_000 * count / self.items:.1f}"


def run() -> None:
    """Runs one job of each size and prints the table."""
    stack = up.required()
    with project.client_of(stack) as api, Receiver() as receiver:
        webhook = {"target_url": receiver.url, "events": ["auto_label.completed", "auto_label.failed"]}
        subscription = checked(api.post("/webhooks/", json=webhook))["uid"]
        try:
            runs = [_run(stack, api, subscription, case) for case in CASES]
        finally:
            api.delete(f"/webhooks/{subscription}/")
    _print(runs)


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
    return Run(
        case=case,
        drafts=ended["successful_items"],
        map_seconds=aws.map_seconds(history),
        reports=aws.reports(history),
        most_at_once=seen["max_in_flight"],
        infer_peak_mib=processes.peak_mib(stack.outputs["InferFunctionName"]),
        costs=counts.costs(stack, job, calls_before),
    )


def _is_delivered(api: httpx.Client, subscription: str, job: str) -> bool:
    """Whether the job has ended and told so: the last that it costs."""
    newest: list[dict[str, Any]] = checked(api.get("/webhook-deliveries/"))["results"]
    mine = [d for d in newest if d["subscription"] == subscription and d["payload"].get("job_uid") == job]
    return [d["status"] for d in mine] == ["delivered"]


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RUN_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise Unusable(f"The job did not end within {RUN_SECONDS:.0f} s. Look into: make logs")
        time.sleep(POLL_SECONDS)


def _print(runs: list[Run]) -> None:
    operations = sorted({operation for run in runs for operation in run.costs.calls})
    rows = [
        ("items", [f"{run.items:,}" for run in runs]),
        ("model, ms", [f"{run.case.latency_ms}" for run in runs]),
        ("slots", [f"{run.case.slots}" for run in runs]),
        ("most calls at once", [f"{run.most_at_once}" for run in runs]),
        ("drafts", [f"{run.drafts:,}" for run in runs]),
        ("workers", [f"{len(run.reports)}" for run in runs]),
        ("workers' time, seconds", [f"{max(r['wall_ms'] for r in run.reports) / 1_000:.2f}" for run in runs]),
        ("efficiency in the workers", [f"{run.efficiency:.3f}" for run in runs]),
        ("Map phase, seconds", [f"{run.map_seconds:.2f}" for run in runs]),
        ("efficiency of the Map phase", [f"{run.map_efficiency:.3f}" for run in runs]),
        ("peak memory of infer, MiB", [f"{run.infer_peak_mib:.1f}" for run in runs]),
        ("write units per item", [f"{run.costs.write_units / run.items:.2f}" for run in runs]),
        ("write units per draft", [f"{run.costs.write_units / run.drafts:.2f}" for run in runs]),
        ("DynamoDB calls per 1,000 items", [run.per_thousand(run.costs.calls.total()) for run in runs]),
        *(
            (f"  {operation}", [run.per_thousand(run.costs.calls[operation]) for run in runs])
            for operation in operations
        ),
        ("state transitions per 1,000 items", [run.per_thousand(run.costs.transitions) for run in runs]),
    ]
    for name, cells in rows:
        print(name.ljust(34) + "".join(cell.rjust(9) for cell in cells))
    print(
        "\nTimes are of this machine and its emulator, which is no reference for the capacity of AWS: its table shares"
    )
    print("the processors with the model and the workers. Counts are exact; only GetItem follows the time, since each")
    print("worker looks twice a second whether its job goes on. Memory is the process's, from its start on.")
