"""What 5,000 items cost, counted by the stand-ins of the direct run (ARCHITECTURE.md, "Budgets").

The binary of `infer` is the real one, and the table charges as DynamoDB does. It needs no stack.
"""

from typing import Any

import pytest

from local.bench import direct

pytestmark = [pytest.mark.alone, pytest.mark.takes(20)]

ITEMS = 5_000
LATENCY_MS = 10  # a quicker model changes no count but that of reads of the job, two a second


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    return direct.one(ITEMS, LATENCY_MS, slots=16)


def test_every_item_has_an_outcome_and_none_failed(run: dict[str, Any]) -> None:
    assert (run["items"], run["failed"]) == (ITEMS, 0)
    assert [report["calls"] for report in run["reports"]] == [ITEMS]
    assert run["most_calls_at_once"] == 16


def test_a_draft_costs_three_write_units_and_all_else_next_to_nothing(run: dict[str, Any]) -> None:
    units = sum(cost["write_units"] for cost in run["dynamodb"].values())

    print(f"\n{units / ITEMS:.3f} write units per item, {units / run['drafts']:.3f} per draft")
    # Two for the row in a transaction, one for leaving the index of unlabeled items; receipts and counters on top.
    assert units <= 3.15 * run["drafts"]


def test_a_thousand_items_cost_at_most_70_calls_of_the_table_and_15_of_s3(run: dict[str, Any]) -> None:
    calls = 1_000 * sum(cost["calls"] for cost in run["dynamodb"].values()) / ITEMS

    print(f"\n{calls:.1f} DynamoDB calls per 1,000 items")
    assert calls <= 70
    assert 1_000 * (run["s3_puts"] + run["s3_gets"]) / ITEMS <= 15


def test_infer_needs_little_memory_whatever_the_batch(run: dict[str, Any]) -> None:
    print(f"\n{run['peak_memory_mib']:.1f} MiB")
    # This binary has five times the code of the one that ships, and its pages count: `make bench` measures that one.
    assert run["peak_memory_mib"] <= 40
