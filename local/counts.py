"""What a job cost, counted: the calls and write units of the table, and the transitions of the execution.

The meter inside the emulator (local/meter.py) knows functions and no jobs, so the counts are one job's only if nothing
else used the stack meanwhile.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from local import aws, settings
from local.up import Stack

CARRIERS = ("Plan", "Infer", "Finalize", "Deliver")
READS = {"Query", "GetItem", "BatchGetItem", "TransactGetItems", "ExecuteStatement", "BatchExecuteStatement"}
FUNCTIONS = tuple(name.capitalize() for name in settings.FUNCTIONS)


@dataclass(frozen=True)
class Costs:
    """What a job cost, from its creation to the delivery of its webhook."""

    calls: Counter[str]  # of the table, by operation, by the functions that carry the job
    write_units: float  # with those of the call that created the job
    transitions: int  # with those of batches that have executions of their own


def calls_so_far() -> int:
    """Where the meter stands: what `costs` takes as `since`."""
    return len(_lines())


def operations(stack: Stack, *functions: str, since: int = 0) -> Counter[tuple[str, str]]:
    """How often each of these functions (default: all) called the table since then, by function and operation."""
    names = {stack.outputs[f"{function}FunctionName"]: function for function in functions or FUNCTIONS}
    calls = _calls(since)
    return Counter((names[call["caller"]], call["operation"]) for call in calls if call["caller"] in names)


def reads(stack: Stack, *functions: str, since: int) -> Counter[str]:
    """What these functions have read since for their answers, by operation. The caller's own key is part of none,
    and is read again whenever the function's memory of it has grown old."""
    calls = _by(stack, _calls(since), *functions)
    return Counter(call["operation"] for call in calls if call["operation"] in READS and call["row"] != "KEY")


def costs(stack: Stack, job: str, since: int) -> Costs:
    """What the job cost, if it is all that ran since."""
    calls = _calls(since)
    carried = _by(stack, calls, *CARRIERS)
    return Costs(
        calls=Counter(call["operation"] for call in carried),
        write_units=sum(call["write_units"] for call in [*carried, *_creating(stack, calls)]),
        transitions=sum(map(aws.transitions, aws.histories(stack.outputs["StateMachineArn"], job))),
    )


def calls_of(stack: Stack, function: str, since: int) -> Counter[str]:
    """What one function has called of the table since, by operation."""
    return Counter(call["operation"] for call in _by(stack, _calls(since), function))


def units_of(stack: Stack, function: str, since: int) -> float:
    """The write units of one function's transactions since. Its single writes count a key's requests."""
    calls = _by(stack, _calls(since), function)
    return float(sum(call["write_units"] for call in calls if call["operation"] == "TransactWriteItems"))


def _lines() -> list[str]:
    return settings.DYNAMODB_CALLS_FILE.read_text().splitlines()


def _calls(since: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _lines()[since:]]


def _creating(stack: Stack, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A job is created by a transaction. Reads of it are counted against the key's limit by single writes, which are
    not the job's."""
    return [call for call in _by(stack, calls, "Jobs") if call["operation"] == "TransactWriteItems"]


def _by(stack: Stack, calls: list[dict[str, Any]], *functions: str) -> list[dict[str, Any]]:
    names = {stack.outputs[f"{function}FunctionName"] for function in functions}
    return [call for call in calls if call["caller"] in names]
