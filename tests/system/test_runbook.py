"""The runbook's questions of the logs, and the template's metrics of them, on lines that the functions really write.

The emulator keeps the lines of each function in its log group, and evaluates neither such queries nor filters. So both
are read here, in the subset that the runbook and the template use.
"""

import json
import re
import time
from collections.abc import Callable
from typing import Any, Final

import pytest

from local import aws, settings
from tests.system.conftest import Subscription
from tests.system.model import Model
from tests.system.system import System

pytestmark = pytest.mark.takes(20)

Line = dict[str, Any]
RUNBOOK: Final = (settings.ROOT / "docs" / "runbook.md").read_text()
QUERIES: Final = dict(re.findall(r"```insights (\w+)\n(.*?)```", RUNBOOK, re.DOTALL))
# Of Logs Insights itself.
BUILT_IN: Final = {"@timestamp", "@log", "@message"}
WAIT_SECONDS: Final = 20.0


def log_group(stack_output: str, system: System) -> str:
    name = system.stack.outputs[stack_output]
    config = aws.client("lambda").get_function_configuration(FunctionName=name)
    return str(config["LoggingConfig"]["LogGroup"])


def lines(group: str) -> list[Line]:
    """The lines that a function wrote itself, oldest first. Those of Lambda are no JSON."""
    pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    texts = [text for page in pages for event in page["events"] for text in event["message"].splitlines()]
    return [json.loads(text) for text in texts if text.startswith("{")]


def all_lines(system: System) -> list[Line]:
    names = [name for name in system.stack.outputs if name.endswith("FunctionName")]
    return [line for name in names for line in lines(log_group(name, system))]


def stages(query: str) -> tuple[list[str], Callable[[Line], bool]]:
    """The fields of a query, and whether it finds a line."""
    parts = [part.strip() for part in query.strip().split("\n| ")]
    fields = [field.strip().strip("`") for field in parts[0].removeprefix("fields ").split(",")]
    conditions = [part.removeprefix("filter ") for part in parts if part.startswith("filter ")]
    assert {part.split()[0] for part in parts} == {"fields", "filter", "sort", "limit"}
    return fields, lambda line: all(holds(condition, line) for condition in conditions)


def holds(condition: str, line: Line) -> bool:
    """`field = "text"`, `field != "text"` or `field > number`."""
    found = re.fullmatch(r"`?([\w.$]+)`? (=|!=|>) (?:\"(.*)\"|(\d+))", condition)
    assert found, condition
    name, operator, text, number = found.groups()
    value = line.get(name.removeprefix("$."))
    if operator == ">":
        return value is not None and bool(value > int(number))
    if text == "*":
        return (value is not None) == (operator == "=")
    return bool((value == text) == (operator == "="))


def counts(pattern: str, line: Line) -> bool:
    """Whether a metric filter of the template counts a line: `{ (…) && (…) }`."""
    return all(holds(condition, line) for condition in re.findall(r"\(([^()]*)\)", pattern) or [pattern.strip("{} ")])


def metric_filters(group: str) -> list[tuple[str, str, str]]:
    """Name, value and pattern of each metric that is made of the group's JSON lines."""
    found = aws.client("logs").describe_metric_filters(logGroupName=group)["metricFilters"]
    return [
        (
            one["metricTransformations"][0]["metricName"],
            one["metricTransformations"][0]["metricValue"],
            one["filterPattern"],
        )
        for one in found
        if one["filterPattern"].startswith("{")
    ]


def metric(name: str, group: str) -> float:
    """The sum of a metric over all lines of its function."""
    (value, pattern) = next((value, pattern) for found, value, pattern in metric_filters(group) if found == name)
    counted = [line for line in lines(group) if counts(pattern, line)]
    return sum(1.0 if value == "1" else float(line[value.removeprefix("$.")]) for line in counted)


def eventually(read: Callable[[], float], more_than: float) -> float:
    """A line is in its group a moment after its invocation."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (value := read()) <= more_than and time.monotonic() < deadline:
        time.sleep(0.2)
    return value


def test_the_logs_say_what_a_job_did(system: System) -> None:
    project = system.load_project(40)
    job = system.run(project, confidence_threshold=0.0)["uid"]
    fields, finds = stages(QUERIES["job"].replace("JOB", job))
    eventually(lambda: sum(line.get("message") == "job settled" and finds(line) for line in all_lines(system)), 0)
    found = [line for line in all_lines(system) if finds(line)]

    messages = [line["message"] for line in found]
    assert {"job created", "job planned", "batch worked", "job settled"} <= set(messages), messages
    assert sum(line["items"] for line in found if line["message"] == "batch worked") == 40
    written = {name for line in all_lines(system) for name in line} | BUILT_IN
    assert set(fields) - written <= {"code", "causes"}, "the query names a field that no line has"


def test_an_item_that_failed_is_found_by_the_call_that_the_runbook_names(system: System, model: Model) -> None:
    model.says(*[(400, {"detail": "no"})] * 30)
    job = system.run(model.project(system, "cat", items=3), confidence_threshold=0.0)["uid"]
    rows = list(system.rows(f"/auto-label-jobs/{job}/items/?outcome=failed"))

    assert len(rows) == 3
    assert all(row["code"] and row["message"] for row in rows)


@pytest.mark.parametrize("query", ["failures", "slow"])
def test_the_other_queries_name_fields_of_real_lines(system: System, query: str) -> None:
    system.ok("GET", "/projects/")
    fields, finds = stages(QUERIES[query])
    found = all_lines(system)
    written = {name for line in found for name in line} | BUILT_IN

    assert set(fields) - written <= {"code", "causes"}
    assert not finds({}), "a query must select"


def test_a_job_counts_its_items_and_a_tenants_mistake_is_no_fault(system: System) -> None:
    infer = log_group("InferFunctionName", system)
    items, faults = metric("inferItems", infer), metric("inferFaults", infer)
    refused = sum(line.get("code") == "ProviderRefused" for line in lines(infer))
    system.run(system.load_project(30), confidence_threshold=0.0)
    assert eventually(lambda: metric("inferItems", infer), items) == items + 30

    project = system.project(2)
    system.provider(project, "no-such-endpoint")
    system.run(project)

    def refusals() -> float:
        return float(sum(line.get("code") == "ProviderRefused" for line in lines(infer)))

    assert eventually(refusals, refused) > refused, "its refusal is in the log"
    assert metric("inferFaults", infer) == faults, "and counts as no fault"


def test_a_message_that_cannot_be_read_counts_as_a_failed_record(system: System, subscription: Subscription) -> None:
    deliver = log_group("DeliverFunctionName", system)
    failures, records = metric("deliverFailures", deliver), metric("deliverRecords", deliver)
    system.ok("POST", f"/webhooks/{subscription.uid}/test/")
    aws.client("sqs").send_message(QueueUrl=system.stack.outputs["WebhookQueueUrl"], MessageBody="nonsense")

    assert eventually(lambda: metric("deliverFailures", deliver), failures) > failures
    assert metric("deliverRecords", deliver) > records


def test_the_filters_of_the_template_are_there(system: System) -> None:
    plan = log_group("PlanFunctionName", system)

    assert [name for name, _, _ in metric_filters(plan)] == ["planFaults"]
    (_, _, pattern) = metric_filters(plan)[0]
    for code, counted in (("StoreUnavailable", True), ("ProviderRefused", False), ("BatchUnfinished", False)):
        assert counts(pattern, {"message": "task failed", "code": code}) is counted
