"""Patches of the emulator, applied while it starts: what it does differently from AWS and the system needs as on AWS.

Each patch replaces functions inside the emulator's process. They depend on its internals, so they are written for one
version: `check_version` fails before anything is served.
"""

import contextvars
import fcntl
import functools
import heapq
import importlib.metadata
import json
import queue
import re
import secrets
import socket
import socketserver
import struct
import termios
import time
import zlib
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import apigateway, dynamodb, lambda_svc, sqs, stepfunctions
from ministack.services.cloudformation import custom_resource, provisioners

from local import aws

WRITTEN_FOR = "1.5.33"


def apply() -> None:
    """Applies every patch."""
    check_version()
    treat_requests_as_encrypted()
    resolve_max_concurrency_path()
    match_empty_greedy_path()
    route_preflights()
    remove_invoke_delay()
    let_idle_environments_sleep()
    read_expressions_once()
    read_index_by_page()
    name_throttled_tasks()
    make_standard_queues_fair()
    count_message_chains()
    treat_batch_actions_as_single_ones()
    make_calls_of_custom_resources()
    take_alarms_of_expressions()


def check_version() -> None:
    """Refuses a version that the patches are not written for."""
    installed = importlib.metadata.version("ministack")
    if installed != WRITTEN_FOR:
        raise SystemExit(
            f"The patches of local/emulator_patches.py are written for ministack {WRITTEN_FOR}, found {installed}."
        )


def treat_requests_as_encrypted() -> None:
    """`aws:SecureTransport` is true.

    Our buckets, as the CDK's own, deny requests without TLS. On this machine the emulator is reached by plain HTTP
    over loopback, so with AUTH=true that statement would deny everything.
    """
    pin = iam_evaluator.pin_request_origin

    def pinned(source_ip: str, secure_transport: bool) -> None:
        del secure_transport
        pin(source_ip, True)

    app.pin_request_origin = pinned


def resolve_max_concurrency_path() -> None:
    """`MaxConcurrencyPath` of a Map is resolved from the state's input.

    The emulator reads `MaxConcurrency` alone and, finding none, starts every iteration at once.
    """
    run = stepfunctions._run_map_items

    def run_within_limit(state: dict[str, Any], raw_input: Any, execution: Any, context: Any) -> Any:
        path = state.get("MaxConcurrencyPath")
        if path:
            effective = stepfunctions._apply_input_path(state, raw_input, context)
            limit = stepfunctions._resolve_path_or_ctx(path, effective, context)
            state = state | {"MaxConcurrency": int(limit)}
        return run(state, raw_input, execution, context)

    stepfunctions._run_map_items = run_within_limit


def match_empty_greedy_path() -> None:
    """`ANY /a/{proxy+}` of an HTTP API matches `/a/`.

    The emulator wants at least one character there, so that every path with a last slash falls to `$default`.
    """
    extract = apigateway._extract_path_params

    def extracted(route_path: str, request_path: str) -> dict[str, str] | None:
        found: dict[str, str] | None = extract(route_path, request_path)
        if found is None and route_path.endswith("+}") and request_path.endswith("/"):
            found = extract(route_path, request_path + "-")
            if found is not None:
                found[route_path.rpartition("{")[2].removesuffix("+}")] = ""
        return found

    apigateway._extract_path_params = extracted


class _Routed(str):
    """A method that is routed, whatever it is."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return other != "OPTIONS" and str.__eq__(self, other)


def route_preflights() -> None:
    """`OPTIONS` of an HTTP API without CORS of its own goes to the route that takes any method.

    The emulator refuses it by itself, with 403.
    """
    execute = apigateway._handle_execute_in_scope

    async def executed(api_id: str, stage: str, path: str, method: str, *rest: Any) -> Any:
        return await execute(api_id, stage, path, _Routed(method), *rest)

    apigateway._handle_execute_in_scope = executed


def remove_invoke_delay() -> None:
    """An invocation takes what its function takes, and not 100 ms more.

    The runtime API answers in two packets, of which the second waits for the delayed acknowledgement of the first; and
    each answer is held back for a line of log that most invocations do not write. Here it is held back only while the
    function's output has bytes that are not read yet: a function writes its line before its answer.
    """
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True

    def drained(worker: Any, **_waits: float) -> str:
        give_up = time.monotonic() + _MOST_LOG_SECONDS
        while _is_unread(worker) and time.monotonic() < give_up:
            time.sleep(_LOG_SECONDS)
        time.sleep(_LOG_SECONDS)  # the thread that reads has the bytes; let it hand them on
        return str(worker._drain_stderr())

    lambda_runtime.ProvidedWorker._drain_stderr_bounded = drained


_LOG_SECONDS = 0.0005
_MOST_LOG_SECONDS = 0.25


def _is_unread(worker: Any) -> bool:
    """Whether the function's output has bytes that the emulator has not read."""
    process = worker._proc
    if process is None or process.stdout is None or process.stdout.closed:
        return False
    size = bytearray(struct.calcsize("i"))
    with suppress(OSError, ValueError):  # the reading thread closes it when the function has ended
        fcntl.ioctl(process.stdout.fileno(), termios.FIONREAD, size)
    return any(size)


class _Invocations:
    """An environment's invocations: who asks for the next one sleeps until there is one, or the environment ends."""

    def __init__(self, pending: Any) -> None:
        self._pending = pending

    def get(self, timeout: float) -> Any:
        del timeout  # a tenth of a second, to see whether the environment was stopped
        taken = self._pending.get()
        if taken is None:
            raise queue.Empty
        return taken


class _SleepingServer(socketserver.ThreadingTCPServer):
    """A server that a connection wakes, and nothing else."""

    def serve_forever(self, poll_interval: float | None = None) -> None:
        del poll_interval
        super().serve_forever(None)  # type: ignore[arg-type]  # as `select` takes it

    def shutdown(self) -> None:
        self._BaseServer__shutdown_request = True
        with suppress(OSError):
            socket.create_connection(self.server_address[:2]).close()  # type: ignore[arg-type]
        super().shutdown()


def let_idle_environments_sleep() -> None:
    """An execution environment without an invocation takes no processor.

    Two threads of the emulator for each environment wake ten times a second to see whether it was stopped. Here the
    one who stops it wakes them.
    """
    worker = lambda_runtime.ProvidedWorker
    build, teardown, discard = worker._build_handler_class, worker._teardown, worker._discard_tmpdir

    def built(self: Any, generation: int, pending: Any) -> Any:
        return build(self, generation, _Invocations(pending))

    def ended(end: Any) -> Any:
        def end_and_wake(self: Any) -> None:
            end(self)
            with suppress(queue.Full):  # then no one sleeps
                self._pending.put_nowait(None)

        return end_and_wake

    worker._build_handler_class, worker._teardown, worker._discard_tmpdir = built, ended(teardown), ended(discard)
    socketserver.ThreadingTCPServer = _SleepingServer  # type: ignore[misc]


def read_expressions_once() -> None:
    """An expression of DynamoDB is parsed when it first comes, and not again for each row that it is evaluated on."""
    tokens_of = functools.lru_cache(_MOST_EXPRESSIONS)(dynamodb._tokenize)

    def tokenized(expression: str) -> list[tuple[str, str]]:
        return list(tokens_of(expression))

    dynamodb._tokenize = tokenized
    dynamodb._condition_syntax_error = functools.lru_cache(_MOST_EXPRESSIONS)(dynamodb._condition_syntax_error)


_MOST_EXPRESSIONS = 4_096


class _Range:
    """The entries of an index that a page of a query can be about: the first so many of its range of sort keys, or of
    what is left of it behind the page before."""

    def __init__(self, members: Any, table: dict[str, Any], request: dict[str, Any], sort_key: str) -> None:
        self._members, self._table, self._request, self._sort_key = members, table, request, sort_key

    def get(self, partition: Any, default: Any = ()) -> Iterable[tuple[str, str]]:
        rows, (first, last) = self._table["items"], self._ends()
        keyed = ((rows[pk][sk][self._sort_key]["S"], pk, sk) for pk, sk in self._members.get(partition, default))
        within = (entry for entry in keyed if first <= entry[0] <= last)
        nearest = heapq.nsmallest if self._request.get("ScanIndexForward", True) else heapq.nlargest
        return [(pk, sk) for _, pk, sk in nearest(int(self._request["Limit"]) + 2, within)]

    def _ends(self) -> tuple[str, str]:
        values, range_of = self._request["ExpressionAttributeValues"], _range_of(self._request)
        first, last = (values[name]["S"] for name in range_of)
        if "ExclusiveStartKey" not in self._request:
            return first, last
        begun = self._request["ExclusiveStartKey"][self._sort_key]["S"]
        return (max(first, begun), last) if self._request.get("ScanIndexForward", True) else (first, min(last, begun))


def _range_of(request: dict[str, Any]) -> tuple[str, ...]:
    """The names of the values between which a query's sort keys are; none if it is about something else."""
    found = re.search(r"BETWEEN (:\w+) AND (:\w+)$", request.get("KeyConditionExpression", ""))
    return found.groups() if found else ()


_query: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("query", default=None)


def read_index_by_page() -> None:
    """A query of a range of an index takes what its page takes.

    The emulator sorts the whole partition and evaluates the condition on each of its entries, however small the page: a
    second for 10,000. Here only the page and the entry behind it are handed to it, and it judges those.
    """
    query, index_members = dynamodb._query, dynamodb._index_members

    def queried(request: dict[str, Any]) -> Any:
        ranged = _range_of(request) and "IndexName" in request and "Limit" in request
        token = _query.set(request if ranged else None)
        try:
            return query(request)
        finally:
            _query.reset(token)

    def members(table: dict[str, Any]) -> Any:
        found, request = index_members(table), _query.get()
        if request is None:
            return found
        name = request["IndexName"]
        sort_key = dynamodb._index_key_lists(dynamodb._index_def(table, name))[1][0]
        return {name: _Range(found[name], table, request, sort_key)}

    dynamodb._query, dynamodb._index_members = queried, members


def name_throttled_tasks() -> None:
    """A task whose function has no concurrency left fails with `Lambda.TooManyRequestsException`.

    The emulator refuses such an invocation as AWS does, and then calls the task's error `Lambda.Unknown`. The switch is
    AWS's own: `PutFunctionConcurrency` with 0 refuses every invocation of a function, `DeleteFunctionConcurrency` ends
    that.
    """
    call = stepfunctions._call_lambda

    def called(function: str, event: Any) -> Any:
        try:
            return call(function, event)
        except stepfunctions._ExecutionError as failed:
            if failed.error == "Lambda.Unknown" and '"__type": "TooManyRequestsException"' in failed.cause:
                raise stepfunctions._ExecutionError("Lambda.TooManyRequestsException", failed.cause) from failed
            raise

    stepfunctions._call_lambda = called


def make_standard_queues_fair() -> None:
    """A standard queue hands out messages of a group that has few in flight before those of one that has many.

    AWS does so for messages with a `MessageGroupId` as soon as a group has an undue part of the consumers' capacity
    ("How Amazon SQS fair queues work"). The emulator takes the group and hands out the oldest message. Here the group
    with fewer messages in flight is always first: AWS's thresholds are approximate, and no test may depend on them.
    """
    collect = sqs._collect_msgs

    def collected(queue: dict[str, Any], most: int, visibility_seconds: int) -> Any:
        messages, now = queue["messages"], time.time()
        grouped = [message for message in messages if message.get("group_id")]
        if queue["is_fifo"] or not grouped:
            return collect(queue, most, visibility_seconds)
        in_flight = Counter(m["group_id"] for m in grouped if m.get("receive_count") and m["visible_at"] > now)
        fair = sorted(messages, key=lambda message: in_flight[message.get("group_id")])
        return collect({**queue, "messages": fair}, most, visibility_seconds)

    sqs._collect_msgs = collected


# What Lambda stops a chain of invocations after, and how the trace header counts it.
_MOST_ROUNDS = 16
_header: contextvars.ContextVar[str | None] = contextvars.ContextVar("trace header", default=None)
_rounds: contextvars.ContextVar[tuple[str, int] | None] = contextvars.ContextVar("rounds", default=None)


def count_message_chains() -> None:
    """Lambda ends a chain function -> queue -> same function after 16 rounds, unless `RecursiveLoop` allows it.

    As AWS describes it ("Use Lambda recursive loop detection"): the SDK sends the trace header of the invocation with
    each call, SQS keeps it with the message, and Lambda counts in it. A message whose chain is over goes to the queue's
    dead letters without an invocation. The emulator counts calls from function to function alone, gives custom runtimes
    no trace header, and does not read `RecursiveLoop` from a template.
    """
    _keep_trace_headers()
    _give_trace_headers()
    _read_recursive_loop()
    run = lambda_svc._run_sqs_batch

    def counted(mapping: Any, function: Any, event: Any, batch: Any, *queue: str) -> None:
        lineage = f"Lineage=1:{zlib.crc32(mapping['FunctionName'].encode()):08x}:"
        rounds = {message["id"]: _rounds_of(message, lineage) for message in batch}
        allowed = (function.get("recursive_loop") or "Terminate") == "Allow"
        over = {id for id, count in rounds.items() if count >= _MOST_ROUNDS and not allowed}
        for message in batch:
            if message["id"] in over:
                message.update(receive_count=1_000_000, visible_at=0.0)  # the queue's next poll moves it
        batch = [message for message in batch if message["id"] not in over]
        if not batch:
            return
        records = [record for record in event["Records"] if record["messageId"] not in over]
        token = _rounds.set((lineage, max(rounds[message["id"]] for message in batch) + 1))
        try:
            run(mapping, function, {**event, "Records": records}, batch, *queue)
        finally:
            _rounds.reset(token)

    lambda_svc._run_sqs_batch = counted


def _rounds_of(message: dict[str, Any], lineage: str) -> int:
    _, found, count = (message.get("sys") or {}).get("AWSTraceHeader", "").partition(lineage)
    return int(count) if found else 0


def _keep_trace_headers() -> None:
    """A message has the trace header of the call that sends it."""
    pin, build = iam_evaluator.pin_request_caller, sqs._build_send_sys_attrs

    def pinned(headers: dict[str, str], query: Any) -> Any:
        _header.set(headers.get("x-amzn-trace-id"))
        return pin(headers, query)

    def built(now: float, attributes: Any) -> dict[str, Any]:
        found: dict[str, Any] = build(now, attributes)
        if header := _header.get():
            found.setdefault("AWSTraceHeader", header)
        return found

    iam_evaluator.pin_request_caller = pinned
    sqs._build_send_sys_attrs = built


def _give_trace_headers() -> None:
    """Every invocation has a trace header, sampled or not."""
    make = lambda_svc._xray_trace_id_for_invocation

    def made(config: Any, inbound: str | None = None) -> str:
        header = make(config, inbound)
        if header is None:
            root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
            header = f"Root={root};Parent={secrets.token_hex(8)};Sampled=0"
        lineage = _rounds.get()
        return f"{header};{lineage[0]}{lineage[1]}" if lineage else header

    lambda_svc._xray_trace_id_for_invocation = made


def _read_recursive_loop() -> None:
    """`RecursiveLoop` and `ReservedConcurrentExecutions` of a template reach the function."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
    create, update = handlers["create"], handlers["update"]

    def apply_template(name: str, properties: dict[str, Any]) -> None:
        function = lambda_svc._functions[name]
        function["recursive_loop"] = properties.get("RecursiveLoop", "Terminate")
        function["concurrency"] = properties.get("ReservedConcurrentExecutions")

    def created(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        made = create(logical_id, properties, stack)
        apply_template(made[0], properties)
        return made

    def updated(physical_id: str, old: Any, properties: dict[str, Any], *rest: Any, **named: Any) -> Any:
        made = update(physical_id, old, properties, *rest, **named)
        apply_template(made[0] if isinstance(made, tuple) else physical_id, properties)
        return made

    handlers.update(create=created, update=updated)


def treat_batch_actions_as_single_ones() -> None:
    """The right to `SendMessage` of SQS is the right to `SendMessageBatch`; so with the other two batch actions.

    AWS knows no rights of their own for them ("Amazon SQS batch actions"); the emulator asks for
    `sqs:SendMessageBatch`.
    """
    extract = iam_actions.extract_iam_action

    def extracted(service: str, *request: Any) -> str | None:
        action: str | None = extract(service, *request)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    iam_actions.extract_iam_action = extracted


def make_calls_of_custom_resources() -> None:
    """A `Custom::AWS` of the CDK makes its call of AWS: so the files of Mission Control get into their bucket.

    On AWS a function of the CDK makes it, with the SDK that Lambda's Node.js has in it. The emulator runs that function
    without an SDK. Here the call is made with the rights of the account; the template's tests hold the function's.
    """
    invoke = custom_resource.invoke_custom_resource

    def invoked(event: str, logical_id: str, properties: dict[str, Any], *rest: Any, **named: Any) -> Any:
        if "Custom::AWS" not in (*rest, *named.values()):
            return invoke(event, logical_id, properties, *rest, **named)
        before = str(named.get("physical_id"))
        call = json.loads(properties.get(event, "null").replace("PHYSICAL:RESOURCEID:", before))
        if call is None:
            return named.get("physical_id"), {}
        action = re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", call["action"])
        answer = getattr(aws.client(call["service"].lower()), action)(**call["parameters"])
        physical = call["physicalResourceId"]
        if "responsePath" not in physical:
            return physical["id"], {}
        return functools.reduce(lambda part, key: part[key], physical["responsePath"].split("."), answer), {}

    custom_resource.invoke_custom_resource = invoked


def take_alarms_of_expressions() -> None:
    """An alarm on an expression of metrics is created. The emulator refuses its whole template.

    It is kept as an alarm on the first of these metrics. No function here has metrics, so no alarm rings. Tests of the
    template evaluate each one (`infra/test/alarms.test.ts`).
    """
    record = provisioners._cw_metric_alarm_record

    def recorded(name: str, properties: dict[str, Any]) -> Any:
        stats = [entry["MetricStat"] for entry in properties.get("Metrics", []) if "MetricStat" in entry]
        if not stats:
            return record(name, properties)
        plain = {key: value for key, value in properties.items() if key != "Metrics"}
        return record(name, {**plain, **stats[0]["Metric"], "Period": stats[0]["Period"]})

    provisioners._cw_metric_alarm_record = recorded
