"""`make bench`: what a job costs per item, and how well it keeps the model endpoint busy.

Each run is a whole job, from the call that creates it to the delivery of its webhook, against the endpoint's load mode:
a fixed latency, a fixed number of slots, no model. Such an endpoint needs items x latency / slots at least. Efficiency
is that time as a share of the wall time of the Map phase.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from local import aws, counts, project, settings, up
from local.counts import Costs
from local.errors import Unusable
from local.progress import step
from local.project import checked
from local.receiver import Receiver
from local.up import Stack

SIZES = (500, 2_000, 5_000)
RUN_SECONDS = 300.0
POLL_SECONDS = 0.5  # each look takes time from the machine that is being measured


@dataclass(frozen=True)
class Run:
    """One finished job and what was measured of it."""

    items: int
    drafts: int
    batches: int
    map_seconds: float
    costs: Costs

    @property
    def efficiency(self) -> float:
        """1 if the endpoint never waited for us."""
        endpoint_seconds = self.items * settings.ENDPOINT_LATENCY_MS / 1_000 / settings.ENDPOINT_SLOTS
        return endpoint_seconds / self.map_seconds

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
            runs = [_run(stack, api, subscription, items) for items in SIZES]
        finally:
            api.delete(f"/webhooks/{subscription}/")
    _print(runs)


def _run(stack: Stack, api: httpx.Client, subscription: str, items: int) -> Run:
    step(f"a job of {items:,} items")
    uid = project.create_load(api, items, "Bench")
    calls_before, model_calls_before = counts.calls_so_far(), _model_calls()
    job = checked(api.post(f"/projects/{uid}/auto-label/", json={}))["uid"]
    _wait_until(lambda: _is_delivered(api, subscription, job))
    ended = checked(api.get(f"/auto-label-jobs/{job}/"))
    if ended["status"] != "completed":
        raise Unusable(f"Job {job} is {ended['status']}: {ended['error_message']}")
    model_calls = _model_calls() - model_calls_before
    if model_calls != items:
        raise Unusable(f"The model was asked {model_calls:,} times for {items:,} items: something else uses the stack.")
    history = aws.history(stack.outputs["StateMachineArn"], job)
    return Run(
        items=items,
        drafts=ended["successful_items"],
        batches=len(aws.batches(history)),
        map_seconds=aws.map_seconds(history),
        costs=counts.costs(stack, job, calls_before),
    )


def _model_calls() -> int:
    """How often any model of the endpoint was asked."""
    return sum(httpx.get(f"{settings.ENDPOINT_URL}/stats").json()["calls"].values())


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
        ("drafts", [f"{run.drafts:,}" for run in runs]),
        ("batches", [f"{run.batches}" for run in runs]),
        ("Map phase, seconds", [f"{run.map_seconds:.2f}" for run in runs]),
        ("efficiency", [f"{run.efficiency:.2f}" for run in runs]),
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
    model = f"{settings.ENDPOINT_LATENCY_MS} ms, {settings.ENDPOINT_SLOTS} slots"
    print(f"\nModel: {model}. Times are of this machine and its emulator, which is no reference for the")
    print("capacity of AWS. Counts are exact; only GetItem follows the time, since each worker looks twice a second")
    print("whether its job goes on.")
