"""What holds for every call: limits, ids, idempotency keys, browsers, keys that end, and input out of all form."""

import hashlib
import json
import re
import socket
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from local import admin, aws, settings
from tests.system.system import Json, System, assert_refused

pytestmark = pytest.mark.takes(45)

RATE_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
ROUNDS = 20
RECEIVER = "https://receiver.example/hook"


class Keys:
    """API keys of organizations of the tests' own."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._table = system.stack.outputs["TableName"]

    def client(self, organization: str, *options: str) -> httpx.Client:
        """A client with a new key."""
        key = admin.run(
            self._table, "keys", "create", "--organization", organization, "--name", "system test", *options
        ).strip()
        return httpx.Client(base_url=self._system.stack.base_url, headers={"X-Avala-Api-Key": key}, timeout=30)

    def id(self, organization: str) -> str:
        """The id of an organization's only key; a list is a moment behind."""
        deadline = time.monotonic() + 10
        while not (listed := admin.run(self._table, "keys", "list", "--organization", organization)):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        return listed.split("\t")[0]

    def revoke(self, organization: str) -> None:
        named = ("--organization", organization, "--id", self.id(organization))
        admin.run(self._table, "keys", "revoke", *named)


@pytest.fixture(scope="module")
def keys(system: System) -> Keys:
    return Keys(system)


@pytest.fixture
def organization() -> Iterator[str]:
    """A name that no other test has had."""
    yield f"transport-{time.time_ns()}"


# Rate limits (contract, 3.3)


def test_a_key_with_a_limit_is_refused_beyond_it_in_numbers(keys: Keys, organization: str) -> None:
    with keys.client(organization, "--requests-per-minute", "3") as client:
        wait_for_a_whole_window()
        answers = [client.get("/projects/") for _ in range(5)]

    assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
    assert [a.headers["x-ratelimit-remaining"] for a in answers] == ["2", "1", "0", "0", "0"]
    for answer in answers:
        assert answer.headers["x-ratelimit-limit"] == "3"
        assert abs(int(answer.headers["x-ratelimit-reset"]) - time.time()) <= 60
    refused = answers[-1]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    body = assert_refused(refused, 429, code="throttled")
    assert body["detail"].startswith("Request was throttled. Expected available in ")


def test_a_limit_is_the_keys_own_in_every_function(keys: Keys, system: System, organization: str) -> None:
    """Each path is served by another function: the count is in the table."""
    paths = ("/projects/", "/auto-label-jobs/", "/inference-providers/", "/webhooks/", "/organizations/")
    with keys.client(organization, "--requests-per-minute", "4") as client:
        wait_for_a_whole_window()
        statuses = [client.get(path).status_code for path in paths]

    assert statuses == [200, 200, 200, 200, 429]
    assert system.api.get("/projects/").status_code == 200


def wait_for_a_whole_window() -> None:
    """Windows are the minutes of the clock: what a test counts must not fall into two."""
    left = 60 - time.time() % 60
    if left < 10:
        time.sleep(left)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/projects/", 200),
        ("GET", "/nowhere/", 404),
        ("PUT", "/webhooks/", 405),
        ("POST", "/webhooks/", 400),
        ("GET", "/auto-label-jobs/x/", 404),
        ("GET", "/inference-providers/?cursor=x", 404),
    ],
)
def test_every_answer_has_the_limits_and_an_id(system: System, method: str, path: str, status: int) -> None:
    answer = system.api.request(method, path)

    assert answer.status_code == status
    assert all(answer.headers[name].isdigit() for name in RATE_HEADERS)
    assert answer.headers["x-request-id"]


def test_a_refused_key_has_the_limits_and_an_id_too(system: System) -> None:
    for headers in ({}, {"X-Avala-Api-Key": "avk_wrong"}):
        answer = httpx.get(f"{system.stack.base_url}/nowhere/", headers=headers)
        assert_refused(answer, 401)
        assert all(answer.headers[name].isdigit() for name in RATE_HEADERS)
        assert answer.headers["x-request-id"]


# Request ids


def test_the_log_has_a_line_for_each_request_under_its_id(system: System) -> None:
    query = f"limit=7&page={time.time_ns()}"
    answer = system.api.get(f"/projects/?{query}")
    request_id = answer.headers["x-request-id"]

    deadline = time.monotonic() + 10
    while not (lines := [line for line in log_lines(system, "Catalog") if request_id in line]):
        assert time.monotonic() < deadline, "no line of the log has the request's id"
        time.sleep(0.2)

    (line,) = map(json.loads, lines)
    assert (line["message"], line["method"], line["route"]) == ("request answered", "GET", "/api/v1/projects")
    assert (line["status"], line["span"]["request.id"]) == (200, request_id)
    assert line["organization.uid"]
    assert len(line["key"]) == 8
    assert query not in "".join(lines)


def log_lines(system: System, function: str) -> list[str]:
    """What the function has logged in the last minute."""
    name = system.stack.outputs[f"{function}FunctionName"]
    group = aws.client("lambda").get_function_configuration(FunctionName=name)["LoggingConfig"]["LogGroup"]
    since = int(time.time() - 60) * 1_000
    pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
    return [event["message"] for page in pages for event in page["events"]]


def test_every_line_of_a_job_has_the_id_of_its_invocation(system: System) -> None:
    for function in ("Plan", "Infer", "Finalize"):
        # On a busy machine the emulator logs a line with the invocation that follows.
        logs = (log_lines(system, function) for _ in range(3) if system.run(system.load_project(items=5)))
        lines = [json.loads(line) for log in logs for line in log if line.startswith("{")]
        assert lines, function
        assert all(line["span"]["requestId"] for line in lines), function


# Idempotency keys (issue 3, deliver 7)

_numbers = count(time.time_ns())


def a_key() -> dict[str, str]:
    return {"Idempotency-Key": f"system-test-{next(_numbers)}"}


def creation(system: System, kind: str) -> tuple[str, Json]:
    """Path and body of a POST that creates something."""
    match kind:
        case "project":
            return "/projects/", {"name": "Once"}
        case "webhook":
            return "/webhooks/", {"target_url": RECEIVER, "events": ["auto_label.completed"]}
    project = system.project(items=1)
    if kind == "job":
        system.provider(project, settings.LOAD_ENDPOINT)
        return f"/projects/{project}/auto-label/", {"dry_run": True}
    config = {"endpoint_name": settings.LOAD_ENDPOINT, "region": settings.REGION}
    return "/inference-providers/", {
        "name": "once",
        "provider_type": "sagemaker",
        "config": config,
        "project": project,
    }


@pytest.mark.parametrize("kind", ["project", "job", "provider", "webhook"])
def test_the_same_post_has_the_same_answer_and_creates_one_thing(system: System, kind: str) -> None:
    path, body = creation(system, kind)
    key = a_key()

    first = system.api.post(path, json=body, headers=key)
    second = system.api.post(path.rstrip("/"), json=body, headers=key)
    other = system.api.post(path, json=body | {"more": 1}, headers=key)
    without = system.api.post(path, json=body | {"name": "Another"})
    remove(system, kind, first, without)

    assert first.is_success
    assert (second.status_code, second.text) == (first.status_code, first.text)
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert_refused(other, 409, code="idempotency_key_reused")
    assert without.text != first.text


@pytest.mark.parametrize("kind", ["project", "job", "provider", "webhook"])
def test_posts_at_the_same_moment_create_one_thing(system: System, kind: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        for _ in range(ROUNDS):
            path, body = creation(system, kind)
            key = a_key()

            def post(path: str = path, body: Json = body, key: dict[str, str] = key) -> httpx.Response:
                return system.api.post(path, json=body, headers=key)

            answers = [future.result() for future in [pool.submit(post), pool.submit(post)]]
            again = post()
            remove(system, kind, again)

            created = [answer for answer in answers if answer.is_success]
            assert created
            assert {answer.text for answer in created} == {again.text}
            for answer in answers:
                if not answer.is_success:
                    assert_refused(answer, 409, code="idempotency_in_progress")
                    assert int(answer.headers["retry-after"]) >= 1


def remove(system: System, kind: str, *answers: httpx.Response) -> None:
    """Webhooks and providers would be in the way of other tests."""
    below = {"provider": "/inference-providers", "webhook": "/webhooks"}.get(kind)
    for answer in answers:
        if below and answer.is_success:
            system.api.delete(f"{below}/{answer.json()['uid']}/")


def test_the_table_does_not_hold_a_kept_secret_in_the_clear(system: System) -> None:
    """I11. The answer that is kept is the one that shows the secret."""
    table = aws.client("dynamodb")
    body = {"target_url": RECEIVER, "events": ["auto_label.completed"]}
    created = system.api.post("/webhooks/", json=body, headers=a_key())
    remove(system, "webhook", created)

    hashed = hashlib.sha256(system.stack.key.encode()).hexdigest()
    kept = table.query(
        TableName=system.stack.outputs["TableName"],
        KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
        ExpressionAttributeValues={":pk": {"S": f"KEY#{hashed}"}, ":sk": {"S": "IDEMPOTENCY#"}},
    )["Items"]

    assert any("B" in row["outcome"] for row in kept if "outcome" in row)
    secret = created.json()["secret"]
    for row in kept:
        assert secret not in str(row)
        assert system.stack.key not in str(row)


def test_adding_items_again_gives_fresh_urls(system: System) -> None:
    path, key = f"/projects/{system.project()}/items/", a_key()
    body = {"items": [{"key": "a.jpg", "asset_type": "image", "width": 4, "height": 3}]}

    first, second = (system.api.post(path, json=body, headers=key) for _ in range(2))
    other = system.api.post(path, json={"items": []}, headers=key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["results"][0]["uid"] == second.json()["results"][0]["uid"]
    assert_refused(other, 409, code="idempotency_key_reused")


def test_a_post_that_failed_frees_its_key(system: System) -> None:
    key = a_key()

    assert_refused(system.api.post("/projects/", json={}, headers=key), 400, naming="name")
    assert system.api.post("/projects/", json={"name": "Fixed"}, headers=key).status_code == 201


def test_an_idempotency_key_is_printable_and_short(system: System) -> None:
    for key in (b"", b"x" * 256, "é".encode()):
        answer = system.api.post("/projects/", json={"name": "n"}, headers={b"Idempotency-Key": key})
        # An empty header is no header for some servers on the way.
        assert answer.status_code == 400 or (key == b"" and answer.is_success), (key, answer.text)


# Browsers


def test_a_page_of_the_configured_origin_may_call(system: System) -> None:
    asked = {"Origin": settings.CORS_ORIGIN, "Access-Control-Request-Method": "POST"}
    asked |= {"Access-Control-Request-Headers": "x-avala-api-key,if-match,idempotency-key"}

    for path in ("/auto-label-jobs/", "/webhooks/", "/inference-providers/", "/projects/x/auto-label/"):
        preflight = httpx.options(system.stack.base_url + path, headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == settings.CORS_ORIGIN
        allowed = preflight.headers["access-control-allow-headers"].lower()
        assert {"x-avala-api-key", "if-match", "idempotency-key"} <= set(allowed.split(","))
    answer = system.api.get("/auto-label-jobs/", headers={"Origin": settings.CORS_ORIGIN})
    assert answer.headers["access-control-allow-origin"] == settings.CORS_ORIGIN
    assert {*RATE_HEADERS, "etag"} <= set(answer.headers["access-control-expose-headers"].lower().split(","))


# Keys


@pytest.mark.contract("D2")
def test_a_key_is_random_and_the_table_has_its_hash_alone(keys: Keys, system: System, organization: str) -> None:
    with keys.client(organization) as client:
        key = client.headers["X-Avala-Api-Key"]
    assert re.fullmatch(r"avk_[A-Za-z0-9_-]{43}", key)

    row = {"pk": {"S": f"KEY#{hashlib.sha256(key.encode()).hexdigest()}"}, "sk": {"S": "KEY"}}
    stored = aws.client("dynamodb").get_item(TableName=system.stack.outputs["TableName"], Key=row)["Item"]
    assert stored["name"] == {"S": "system test"}
    assert key not in str(stored)


def test_a_revoked_key_ends_within_the_time_that_keys_are_remembered(keys: Keys, organization: str) -> None:
    with keys.client(organization) as client:
        assert client.get("/projects/").status_code == 200
        keys.revoke(organization)
        time.sleep(int(settings.CONTEXT["keyCacheSeconds"]) + 0.5)

        assert_refused(client.get("/projects/"), 401, naming="Invalid API key.")


# Bad input


def test_too_many_ids_are_refused_by_name(system: System) -> None:
    labels = [f"label {number}" for number in range(10_001)]
    for path in (f"/projects/{system.project()}/auto-label/", "/projects/"):
        answer = system.api.post(path, json={"name": "n", "labels": labels})
        assert_refused(answer, 400, naming="labels")


def test_a_body_of_a_megabyte_is_too_large(system: System) -> None:
    for path in ("/projects/", "/webhooks/", "/inference-providers/"):
        assert_refused(system.api.post(path, json={"name": "x" * 2**20}), 413, code="body_too_large")


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"[" * 5_000,
        b"{",
        b"\xff\xfe",
        b"\x00",
        b'{"name": 1e999}',
        b'{"name": "\\ud800"}',
    ],
    ids=["deep", "open", "cut", "no text", "nul", "infinite", "lone surrogate"],
)
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "image/png"])
def test_a_body_that_cannot_be_read_is_a_bad_request(system: System, body: bytes, content_type: str) -> None:
    for path in ("/projects/", "/webhooks/", "/inference-providers/", f"/projects/{system.project()}/auto-label/"):
        answer = system.api.post(path, content=body, headers={"Content-Type": content_type})
        assert_refused(answer, 400)


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"1"])
def test_a_body_that_is_no_object_is_a_bad_request(system: System, body: bytes) -> None:
    assert_refused(system.api.post("/webhooks/", content=body), 400, naming="object")


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=99999999999999999999", "limit=%ff", "limit=%00", "&&&", "ordering=%00"],
)
@pytest.mark.parametrize("path", ["/projects/", "/auto-label-jobs/", "/inference-providers/", "/webhooks/"])
def test_an_odd_query_is_read_as_none(system: System, path: str, query: str) -> None:
    assert system.api.get(f"{path}?{query}").status_code == 200


@pytest.mark.parametrize("query", ["%ff=%00", "&&&=="])
@pytest.mark.parametrize("path", ["/projects/", "/auto-label-jobs/", "/inference-providers/", "/webhooks/"])
def test_an_odd_name_of_a_parameter_is_refused(system: System, path: str, query: str) -> None:
    assert_refused(system.api.get(f"{path}?{query}"), 400, naming="Unknown parameter.", code="validation_error")


FORGED: list[dict[str, Any]] = [
    {"a": "\0", "l": 5},
    {"a": "x" * 199, "l": 5},
    {"a": "#", "l": 0},
    {"a": "PROJECT#", "l": 10**12},
    {"a": "9" * 20, "l": 5, "o": True, "f": [["project", "\0"]]},
]


@pytest.mark.contract("D6")
@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("path", ["/projects/", "/auto-label-jobs/", "/inference-providers/", "/webhooks/", "/tasks/"])
def test_a_forged_cursor_is_no_error_of_ours(system: System, path: str, forged: dict[str, Any]) -> None:
    cursor = urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")
    answer = system.api.get(f"{path}?cursor={cursor}")
    assert answer.status_code in {200, 400, 404}, answer.text


@pytest.mark.contract("D4", "D6")
def test_a_foreign_cursor_shows_its_holder_nothing_but_her_own(system: System, keys: Keys, organization: str) -> None:
    """I10."""
    with keys.client(organization) as stranger:
        own = [stranger.post("/projects/", json={"name": "Own"}).json()["uid"] for _ in range(2)]
        theirs = [system.project() for _ in range(2)]
        foreign = system.ok("GET", "/projects/?limit=1")["next"].partition("cursor=")[2].partition("&")[0]

        shown = [project["uid"] for project in stranger.get(f"/projects/?cursor={foreign}&limit=100").json()["results"]]

    assert shown == own[::-1]  # both are older than where the foreign page ended
    assert not set(shown) & set(theirs)


RAW_TARGETS = (
    b"/webhooks/%ff/",
    b"/webhooks/%00/",
    b"/webhooks/\xc3\xa9/",
    b"/webhooks/\xff/",
    b"/webhooks/%2f%2e%2e/",
    b"/webhooks/a%3Fb%23c/",
    b'/webhooks/?cursor=<">',
    b"/webhooks/?cursor=\xff",
    b"/webhooks/?cursor={}|\\^`",
    b"//webhooks//",
    b"/webhooks/" + b"a" * 4_000 + b"/",
)


@pytest.mark.parametrize("target", RAW_TARGETS)
def test_a_target_that_is_not_even_a_url_is_no_error_of_ours(system: System, target: bytes) -> None:
    status = raw(system, b"GET", target, {})
    assert 200 <= status < 500, target


@pytest.mark.parametrize(
    "headers",
    [
        {b"X-Avala-Api-Key": b"\xff\xfe"},
        {b"X-Avala-Api-Key": "é".encode()},
        {b"If-Match": b"\xff"},
        {b"Accept": b"\xc3\xa9"},
        {b"X-Forwarded-Proto": b"\xff"},
        {b"X-Forwarded-Proto": b"a b"},
        {b"X-Forwarded-For": b"not an address"},
        {b"Host": b"a b"},
        {b"Host": b"[::"},
        {b"Host": b""},
        {b"Idempotency-Key": b"\xff"},
    ],
)
def test_a_header_that_is_no_text_is_no_error_of_ours(system: System, headers: dict[bytes, bytes]) -> None:
    for method in (b"GET", b"POST"):
        status = raw(system, method, b"/webhooks/", headers)
        assert 200 <= status < 500, headers


def raw(system: System, method: bytes, target: bytes, headers: dict[bytes, bytes]) -> int:
    """The status of a request, byte by byte as no client would send it."""
    base = urlsplit(system.stack.base_url)
    sent = {b"Host": f"{base.hostname}:{base.port}".encode(), b"X-Avala-Api-Key": system.stack.key.encode()} | headers
    lines = [method + b" " + base.path.encode() + target + b" HTTP/1.1", *(k + b": " + v for k, v in sent.items())]
    with socket.create_connection((base.hostname, base.port), timeout=30) as connection:
        connection.sendall(b"\r\n".join([*lines, b"Content-Length: 0", b"Connection: close", b"", b""]))
        answer = connection.makefile("rb").readline()
    return int(answer.split(b" ")[1])
