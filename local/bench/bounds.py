"""What a job of 5,000 items is held to, and whether the last run did it: printed, since times depend on the machine.

The counts among them are asserted in CI (tests/system/test_direct_run.py, tests/system/test_big_job.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from local.bench.prices import Prices

Measured = dict[str, Any]

ITEMS: Final = 5_000
EFFICIENCIES: Final = {(50, 16): 0.95, (200, 16): 0.97, (50, 64): 0.80}
RATIOS: Final = {("one_at_a_time", 1): 12.0, ("naive", 16): 2.5, ("batched", 64): 3.0}


@dataclass(frozen=True)
class Bound:
    """A figure and how far it may go."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether it went no further."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def __str__(self) -> str:
        wanted = f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"
        return f"{self.name.ljust(60)}{self.value:>9.3f}  {wanted.ljust(9)} {'met' if self.is_met else 'MISSED'}"


def bounds(results: Measured) -> Iterator[Bound]:
    """Those that the last run has figures for."""
    direct = {(run["latency_ms"], run["slots"]): run for run in results["direct"] if run["items"] == ITEMS}
    for case, least in EFFICIENCIES.items():
        if case in direct:
            run, of = direct[case], "{} ms, {} slots".format(*case)
            first_draft = run["first_draft_seconds"] / run["map_seconds"]
            yield Bound(f"efficiency, {of}", run["efficiency"], least=least)
            yield Bound(f"first draft, of the wall time, {of}", first_draft, most=0.1)
    for peer in results["peer"]:
        least_ratio = RATIOS.get((peer["script"], peer["slots"]))
        ours = direct.get((peer["latency_ms"], max(16, peer["slots"])))
        if least_ratio and ours:
            ratio = ITEMS / ours["map_seconds"] / peer["items_per_second"]
            yield Bound(f"times {peer['script']}, {peer['slots']} slots", ratio, least=least_ratio)
            if peer["slots"] > 1:
                ideal = 1.0 / peer["efficiency"]
                yield Bound("  of which no system can have more than", ideal, least=least_ratio)
    for run in results["changing"]:
        yield Bound("goodput, unknown capacity that changes", run["changing"]["goodput"], least=0.9)
        yield Bound("refused of all calls, the same", run["changing"]["refused"], most=0.05)
        yield Bound("failed items, the same", run["failed"], most=0)
    prices = Prices(**results["prices"])
    for run in results["system"]:
        beside = direct.get((run["latency_ms"], run["slots"]))
        if run["items"] == ITEMS and beside:
            yield from _counts(run, beside, prices)


def _counts(run: Measured, beside: Measured, prices: Prices) -> Iterator[Bound]:
    of = f"{run['latency_ms']} ms, {run['slots']} slots"
    yield Bound(f"write units an item, {of}", run["write_units"] / run["items"], most=2.1)
    yield Bound(f"DynamoDB calls per 1,000, {of}", 1_000 * sum(run["dynamodb_calls"].values()) / run["items"], most=70)
    yield Bound(f"state transitions per 1,000, {of}", 1_000 * run["transitions"] / run["items"], most=5)
    yield Bound(f"history events, {of}", run["history_events"], most=200)
    share = sum(prices.of_job(beside, run).values()) / prices.of_model(run["items"], run["latency_ms"])
    yield Bound(f"share of the ideal GPU cost, {of}", share, most=0.35)
