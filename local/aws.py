"""AWS's own calls of the emulator, for what no client of the API can see: above all a job's execution."""

import json
from collections import Counter
from functools import cache
from typing import Any

import boto3

from local import settings

Event = dict[str, Any]


@cache
def client(service: str) -> Any:
    """A boto3 client of the emulator, as the account's own root. To make one takes a tenth of a second."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=settings.EMULATOR_URL,
        region_name=settings.REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def execution_arn(machine: str, job: str) -> str:
    """The execution's name is the job's uid."""
    return machine.replace(":stateMachine:", ":execution:") + f":{job}"


def history(machine: str, job: str) -> list[Event]:
    """Every event of the job's execution."""
    return _events(execution_arn(machine, job))


def _events(arn: str) -> list[Event]:
    pages = client("stepfunctions").get_paginator("get_execution_history")
    return [event for page in pages.paginate(executionArn=arn) for event in page["events"]]


def histories(machine: str, job: str) -> list[list[Event]]:
    """The events of the job's execution, then of each batch that a Distributed Map gave one of its own."""
    states = client("stepfunctions")
    runs = states.list_map_runs(executionArn=execution_arn(machine, job))["mapRuns"]
    pages = states.get_paginator("list_executions")
    arns = [
        execution["executionArn"]
        for run in runs
        for page in pages.paginate(mapRunArn=run["mapRunArn"])
        for execution in page["executions"]
    ]
    return [history(machine, job), *map(_events, arns)]


def batches(events: list[Event]) -> list[dict[str, Any]]:
    """The descriptors that the Map handed to its iterations."""
    return list(json.loads(_first(events, "MapStateEntered")["stateEnteredEventDetails"]["input"])["batches"])


def map_seconds(events: list[Event]) -> float:
    """The wall time of the Map."""
    entered, exited = _first(events, "MapStateEntered"), _first(events, "MapStateExited")
    return float((exited["timestamp"] - entered["timestamp"]).total_seconds())


def seconds(events: list[Event]) -> float:
    """The wall time of the execution."""
    return float((events[-1]["timestamp"] - events[0]["timestamp"]).total_seconds())


def reports(events: list[Event]) -> list[dict[str, Any]]:
    """What the workers say of their batches: calls, refused, busy_ms, wall_ms, slots …"""
    succeeded = [e["taskSucceededEventDetails"]["output"] for e in events if e["type"] == "TaskSucceeded"]
    payloads = [json.loads(output)["Payload"] for output in succeeded]
    return [payload for payload in payloads if "wall_ms" in payload]


def transitions(events: list[Event]) -> int:
    """AWS counts each step that is carried out, a retry as one more; with the start and the end of the execution."""
    kinds = Counter(event["type"] for event in events)
    states = ("MapStateEntered", "PassStateEntered", "ChoiceStateEntered")
    return kinds["TaskScheduled"] + sum(kinds[state] for state in states) + 2


def _first(events: list[Event], kind: str) -> Event:
    return next(event for event in events if event["type"] == kind)
