"""The results as a table."""

from collections.abc import Callable, Iterator
from typing import Any

from local.bench.bounds import bounds
from local.bench.prices import Prices

Measured = dict[str, Any]
Row = tuple[str, list[str]]


def lines(results: Measured) -> Iterator[str]:
    """Line by line."""
    yield f"{results['taken_at']}, {results['processors']} processors, load before: {results['load_before']}"
    yield from _times(results["direct"])
    yield from _changing(results["changing"])
    yield from _peers(results["direct"], results["peer"])
    yield from _counts(results["system"], results["direct"], Prices(**results["prices"]))
    yield "\nWhat a job of 5,000 items is held to:"
    yield from map(str, bounds(results))


def _times(runs: list[Measured]) -> Iterator[str]:
    yield "\nDirect run: the Map phase, from the start of the process to its last answer."
    yield "Efficiency = items x latency / slots / seconds."
    yield _row(
        "items",
        "model ms",
        "slots",
        "seconds",
        "efficiency",
        "first draft s",
        "its share",
        "peak MiB",
        "CPU ms/item",
        "processors",
        "model late ms",
        "calls/1,000",
        "units/item",
    )
    for run in runs:
        calls = sum(cost["calls"] for cost in run["dynamodb"].values())
        units = sum(cost["write_units"] for cost in run["dynamodb"].values())
        first = run["first_draft_seconds"]
        yield _row(
            f"{run['items']:,}",
            run["latency_ms"],
            run["slots"],
            f"{run['map_seconds']:.2f}",
            f"{run['efficiency']:.3f}",
            f"{first:.2f}",
            f"{first / run['map_seconds']:.1%}",
            f"{run['peak_memory_mib']:.1f}",
            f"{1_000 * run['processor_seconds'] / run['items']:.2f}",
            f"{run['processor_seconds'] / run['map_seconds']:.2f}",
            f"{run['endpoint_late_ms']:.1f}",
            f"{1_000 * calls / run['items']:.1f}",
            f"{units / run['items']:.2f}",
        )
    yield "Processors: how many infer kept busy, of the one that it has. Model late: what the endpoint itself took"
    yield "above its latency (the 99th of 100 calls), since it shares this machine with the worker."


def _changing(runs: list[Measured]) -> Iterator[str]:
    for run in runs:
        met = run["changing"]
        steps = ", ".join(f"{room} from {second:.0f} s on" for second, room in met["capacity"])
        yield f"\nDirect run: a job with {run['slots']} slots and an endpoint that takes {steps}, and refuses the rest:"
        yield (
            f"goodput {met['goodput']:.3f} of its capacity after two seconds, "
            f"{met['refused']:.1%} of {met['calls']:,} calls refused, {run['failed']} items failed"
        )


def _peers(direct: list[Measured], peers: list[Measured]) -> Iterator[str]:
    yield "\nSide by side, against the same endpoint and stand-ins: from the first call to the last write."
    yield _row("", "model ms", "slots", "items", "items/s", "efficiency", "ours", "ratio")
    for peer in peers:
        ours = _ours(direct, peer["latency_ms"], 16 if peer["slots"] == 1 else peer["slots"])
        rate = ours["items"] / ours["map_seconds"] if ours else 0.0
        yield _row(
            peer["script"],
            peer["latency_ms"],
            peer["slots"],
            f"{peer['items']:,}",
            f"{peer['items_per_second']:.1f}",
            f"{peer['efficiency']:.3f}",
            f"{rate:.1f}",
            f"{rate / peer['items_per_second']:.1f}x",
        )
    yield "Ours is the job of 5,000 items; beside one call at a time, with 16 slots. None has more calls in"
    yield "flight than slots, and each is one process, as a Lambda of one processor would run it."


def _ours(direct: list[Measured], latency_ms: int, slots: int) -> Measured | None:
    return next((r for r in direct if (r["items"], r["latency_ms"], r["slots"]) == (5_000, latency_ms, slots)), None)


def _counts(system: list[Measured], direct: list[Measured], prices: Prices) -> Iterator[str]:
    yield "\nSystem run: counts of a whole job, from its creation to its webhook."
    yield "Of the direct run are what infer is billed and reads, and the calls of S3."
    for name, cells in (*_counted(system), *_with_direct(system, direct, prices)):
        yield name.ljust(36) + "".join(cell.rjust(9) for cell in cells)
    yield f"List prices of {prices.region}, {prices.date}; GPU: {prices.gpu}, {prices.gpu_hour} dollars an hour."


def _counted(runs: list[Measured]) -> Iterator[Row]:
    """What the system run has counted."""
    yield "items", [f"{run['items']:,}" for run in runs]
    yield "model, ms", [str(run["latency_ms"]) for run in runs]
    yield "slots", [str(run["slots"]) for run in runs]
    yield "write units per item", [f"{run['write_units'] / run['items']:.2f}" for run in runs]
    yield "write units per draft", [f"{run['write_units'] / run['drafts']:.2f}" for run in runs]
    yield "DynamoDB calls per 1,000 items", [_per_thousand(run, sum(run["dynamodb_calls"].values())) for run in runs]
    for operation in sorted({operation for run in runs for operation in run["dynamodb_calls"]}):
        yield f"  {operation}", [_per_thousand(run, run["dynamodb_calls"].get(operation, 0)) for run in runs]
    yield "Lambda invocations", [str(run["invocations"]) for run in runs]
    yield "state transitions per 1,000 items", [_per_thousand(run, run["transitions"]) for run in runs]
    yield "history events", [str(run["history_events"]) for run in runs]
    for name in runs[0]["peak_mib"] if runs else ():
        yield f"peak MiB of {name}, as run locally", [f"{run['peak_mib'][name]:.1f}" for run in runs]


def _with_direct(runs: list[Measured], direct: list[Measured], prices: Prices) -> Iterator[Row]:
    """What takes figures of the direct run of the same case; `-` where there is none."""
    beside = {_case(run): run for run in direct}

    def each(show: Callable[[Measured, Measured], str]) -> list[str]:
        return [show(run, beside[_case(run)]) if _case(run) in beside else "-" for run in runs]

    def cost(run: Measured, other: Measured) -> float:
        return sum(prices.of_job(other, run).values())

    def share(run: Measured, other: Measured) -> float:
        return cost(run, other) / prices.of_model(run["items"], run["latency_ms"])

    yield "S3 calls per 1,000 items", each(lambda run, o: _per_thousand(run, o["s3_puts"] + o["s3_gets"] + 1))
    yield "billed ms of infer", each(lambda _, o: f"{o['billed_ms']:,}")
    yield "dollars per 1,000 items", each(lambda run, o: f"{1_000 * cost(run, o) / run['items']:.5f}")
    yield "share of the ideal GPU cost", each(lambda run, o: f"{share(run, o):.3f}")


def _case(run: Measured) -> tuple[int, int, int]:
    return run["items"], run["latency_ms"], run["slots"]


def _per_thousand(run: Measured, count: float) -> str:
    return f"{1_000 * count / run['items']:.1f}"


def _row(*cells: Any) -> str:
    first, *others = (str(cell) for cell in cells)
    return first.rjust(13) + "".join(cell.rjust(14) for cell in others)
