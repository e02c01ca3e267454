"""Counts DynamoDB calls and write units inside the emulator, by AWS's rules, for the budgets that the tests assert.

One line of JSON per call: when, who (the function's name, as its role session says), the operation, the kind of row
that a GetItem is about, and the write units that AWS would charge, index entries included:

- a unit for each started KB of the larger of the old and the new item;
- each index entry that appears, changes or goes: the same; two when its key changes;
- everything of a transaction double, its condition checks included, but not the index entries;
- a write refused by its condition is charged as if it had rewritten the existing item.

The emulator's own `ConsumedCapacity` is not used: it leaves out refused writes, and the index writes of PartiQL.
"""

import contextvars
import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from ministack.core import iam_evaluator
from ministack.services import dynamodb

Item = dict[str, Any]
Table = dict[str, Any]
Response = tuple[int, dict[str, str], str | bytes]

TRANSACTIONS = frozenset({"TransactWriteItems", "ExecuteTransaction"})
REFUSED = frozenset({"ConditionalCheckFailedException", "TransactionCanceledException", "DuplicateItemException"})


class Written(NamedTuple):
    """One item that a call put, changed or removed."""

    table: Table
    old: Item | None
    new: Item | None


# The writes of the call being served. None outside of one: the emulator's own housekeeping is not counted.
_writes: contextvars.ContextVar[list[Written] | None] = contextvars.ContextVar("writes", default=None)


def install(path: Path) -> None:
    """Starts writing one line per DynamoDB call to `path`."""
    log = path.open("a", buffering=1, encoding="utf-8")
    _watch_writes()
    dynamodb.handle_request = _metered(dynamodb.handle_request, log)


def _watch_writes() -> None:
    """All writes of the emulator, of whatever operation, go through two functions."""
    set_item, remove_item = dynamodb._set_item, dynamodb._remove_item

    def watched_set(table: Table, pk: Any, sk: Any, item: Item) -> Any:
        old = copy.copy(table["items"].get(pk, {}).get(sk))
        answer = set_item(table, pk, sk, item)
        _note(Written(table, old, copy.copy(item)))
        return answer

    def watched_remove(table: Table, pk: Any, sk: Any) -> Any:
        old = remove_item(table, pk, sk)
        _note(Written(table, old, None))
        return old

    dynamodb._set_item, dynamodb._remove_item = watched_set, watched_remove


def _note(written: Written) -> None:
    writes = _writes.get()
    if writes is not None:
        writes.append(written)


def _metered(handle: Callable[..., Any], log: TextIO) -> Callable[..., Any]:
    async def handle_and_count(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Response:
        writes: list[Written] = []
        token = _writes.set(writes)
        try:
            response: Response = await handle(method, path, headers, body, query)
        finally:
            _writes.reset(token)
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        request = json.loads(body or b"{}")
        line = {
            "at": time.time(),
            "caller": iam_evaluator.caller_arn().rpartition("/")[2],
            "operation": operation,
            "status": response[0],
            "write_units": _units(operation, request, response, writes),
            "row": _row(operation, request),
        }
        log.write(json.dumps(line) + "\n")
        return response

    return handle_and_count


def _row(operation: str, request: Item) -> str | None:
    """The kind of row that a GetItem is about, such as `KEY`: its partition key up to the first `#`."""
    return str(request["Key"]["pk"]["S"]).partition("#")[0] if operation == "GetItem" else None


def _units(operation: str, request: Item, response: Response, writes: list[Written]) -> float:
    factor = 2.0 if operation in TRANSACTIONS else 1.0
    written = sum(factor * _table_units(w.old, w.new) + _index_units(w) for w in writes)
    checked = [m["ConditionCheck"] for m in request.get("TransactItems", []) if "ConditionCheck" in m]
    if response[0] == 200:
        refused = _refused_statements(operation, response)
        return written + refused + sum(factor * _existing_units(check) for check in checked)
    if json.loads(response[2]).get("__type", "").rpartition("#")[2] not in REFUSED:
        return written
    members = request.get("TransactItems") or [{operation: request}]
    return written + sum(factor * _existing_units(target) for member in members for target in member.values())


def _refused_statements(operation: str, response: Response) -> float:
    """Statements of a PartiQL batch answer for themselves inside a successful call."""
    if operation != "BatchExecuteStatement":
        return 0.0
    codes = [r.get("Error", {}).get("Code") for r in json.loads(response[2])["Responses"]]
    return float(sum(code in {"ConditionalCheckFailed", "DuplicateItem"} for code in codes))


def _table_units(old: Item | None, new: Item | None) -> float:
    size: int = max(dynamodb._item_size_bytes(old or {}), dynamodb._item_size_bytes(new or {}))
    units: float = dynamodb._capacity_kb(size)
    return units


def _index_units(written: Written) -> float:
    units: float = 0.0
    for index in written.table.get("GlobalSecondaryIndexes") or []:
        units += dynamodb._index_write_units(written.table, index, written.old, written.new)
    return units


def _existing_units(target: Item) -> float:
    table = dynamodb._tables.get(dynamodb._normalize_table_name(target.get("TableName", "")))
    if table is None:
        return 0.0
    existing = dynamodb._get_item_by_key(table, target.get("Key") or target.get("Item") or {})
    return _table_units(existing, None)
