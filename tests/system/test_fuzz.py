"""The short run of the fuzzer: what no test thought of (ARCHITECTURE.md). `make fuzz` runs it long."""

import pytest

from local.up import Stack
from tests.fuzz import run

EXAMPLES = 25


@pytest.mark.contract("D4")
@pytest.mark.takes(65)
def test_made_up_requests_get_documented_answers_and_nothing_of_another_tenant(stack: Stack) -> None:
    report = run.run(stack, EXAMPLES, phases=run.SHORT)

    print(f"\n{report.requests:,} requests to {len(report.answers)} operations: {dict(report.statuses)}")
    assert report.passed, report.output
    assert report.statuses[200] > report.requests / 5, "many a request must succeed for the others to mean something"
