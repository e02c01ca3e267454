"""Test Connection: people and programs get what is wrong, before 20 seconds are over (contract, 8.4)."""

import datetime
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from local import aws, settings
from local.authority import Authority, of_stack
from tests.system import https
from tests.system.system import Json, System

SAGEMAKER = {"endpoint_name": settings.LOAD_ENDPOINT, "region": settings.REGION}
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
MARGIN_SECONDS = 20.0
WRONG_SECOND_BOX = {
    "annotations": [
        {"type": "classification", "label": "night", "confidence": 0.9},
        {
            "type": "bounding_box",
            "label": "car",
            "confidence": 0.9,
            "coordinates": {"x": 1, "y": 2, "width": 0, "height": 4},
        },
    ]
}


@pytest.fixture(scope="module")
def project(system: System) -> str:
    return system.project()


@pytest.fixture
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes a server's files: `certificates(authority, host, until)`."""

    def issue(by: Authority, host: str = "localhost", until: datetime.datetime | None = None) -> tuple[Path, Path]:
        return by.issue(host, tmp_path_factory.mktemp("server"), until)

    return issue


def add(system: System, project: str, config: Json, provider_type: str = "http") -> Json:
    # Not for jobs: other tests run some.
    body = {"name": "T", "provider_type": provider_type, "config": config, "project": project, "is_active": False}
    return system.ok("POST", "/inference-providers/", body, expect=201)


def result_for(system: System, project: str, config: Json, provider_type: str = "http") -> Json:
    """What a test of such a provider says."""
    path = f"/inference-providers/{add(system, project, config, provider_type)['uid']}/"
    result = system.ok("POST", f"{path}test/", expect=200)
    assert system.ok("GET", path)["last_test_success"] is result["success"]
    return result


def assert_says(result: Json, problem: str, sentence: str) -> None:
    assert (result["success"], result["problem"]) == (False, problem), result
    assert sentence in result["message"]
    assert "://" not in result["message"]
    assert 0 <= result["latency_ms"] < MARGIN_SECONDS * 1_000


@pytest.mark.parametrize(
    ("serve", "problem", "sentence"),
    [
        (https.answering(401), "credentials_refused", "refuses its credentials (status 401). Correct auth_type"),
        (https.answering(403), "credentials_refused", "refuses its credentials (status 403)"),
        (https.answering(429), "busy", "status 429"),
        (https.answering(503, retry_after="60"), "busy", "status 503"),
        (https.answering(404), "model_error", "status 404"),
        (https.answering(500), "model_error", "status 500"),
        (
            https.answering(302, location="http://169.254.169.254/latest/meta-data/"),
            "model_error",
            "status 302: it sends to another address, and redirects are not followed",
        ),
        (https.answering(200, b"<html>", content_type="text/html"), "bad_answer", "with a web page (text/html)"),
        (https.answering(200, b"{}", content_type="image/png"), "bad_answer", "Content-Type must be application/json"),
        (https.answering(200, b"found nothing"), "bad_answer", "is not JSON (line 1, column"),
        (https.answering(200, b'{"found": []}'), "bad_answer", 'has no array "annotations"'),
        (https.answering(200, b" " * 50_000_000), "bad_answer", "longer than 6 MiB"),
        (https.endless, "bad_answer", "longer than 6 MiB"),
        (https.breaking, "connection_broken", "broke before the answer was complete"),
    ],
)
def test_each_bad_server_has_its_own_diagnosis(
    system: System, project: str, serve: https.Serve, problem: str, sentence: str
) -> None:
    with https.listening(serve) as origin:
        assert_says(result_for(system, project, {"endpoint_url": origin}), problem, sentence)


def test_each_fault_of_a_certificate_has_its_own_name(system: System, project: str, certificates: Any) -> None:
    ours = of_stack()
    for shown, problem, sentence in [
        (certificates(ours, until=LONG_AGO), "tls_expired", "is not valid at this time"),
        (certificates(ours, "model.example"), "tls_wrong_name", "is not made out to this host name"),
        (
            certificates(Authority.new("Stranger")),
            "tls_unknown_authority",
            "not signed by an authority that is trusted",
        ),
    ]:
        with https.listening(https.answering(200), shown) as origin:
            assert_says(result_for(system, project, {"endpoint_url": origin}), problem, sentence)
    with https.listening(https.plain) as origin:
        speaks_http = {"endpoint_url": origin.replace("http:", "https:")}
        assert_says(result_for(system, project, speaks_http), "tls", "No secure connection could be made")


def test_a_server_that_is_not_there_differs_from_one_that_may_not_be_called(system: System, project: str) -> None:
    assert_says(result_for(system, project, {"endpoint_url": "http://127.0.0.1:9/"}), "unreachable", "connected to")
    unknown = {"endpoint_url": "https://no-such-model.invalid/"}
    assert_says(result_for(system, project, unknown), "dns", "could not be resolved")
    inside = {"endpoint_url": f"https://{name_of_this_machine()}/"}
    assert_says(result_for(system, project, inside), "address_refused", "Must lead to a public address")


def name_of_this_machine() -> str:
    """A name that the resolver knows, and of which nothing but its address says that it is not public."""
    for name in ("ip6-localhost", "ip6-loopback", socket.gethostname()):
        try:
            socket.getaddrinfo(name, None)
        except OSError:
            continue
        return name
    raise AssertionError("the resolver of this machine knows no other name of it: add one to its hosts file")


def test_the_first_offending_part_of_an_answer_is_named(system: System, project: str) -> None:
    all_wrong = {"annotations": WRONG_SECOND_BOX["annotations"][1:]}
    with https.listening(https.answering(200, json.dumps(WRONG_SECOND_BOX).encode())) as origin:
        partly = result_for(system, project, {"endpoint_url": origin})
    with https.listening(https.answering(200, json.dumps(all_wrong).encode())) as origin:
        wholly = result_for(system, project, {"endpoint_url": origin})

    assert (partly["success"], partly["problem"]) == (True, "predictions_dropped")
    assert partly["path"] == "annotations[1].coordinates.width"
    assert "with 1 prediction(s)" in partly["message"]
    assert_says(wholly, "bad_answer", "annotations[0].coordinates.width: Must be greater than 0.")
    assert wholly["path"] == "annotations[0].coordinates.width"


@pytest.mark.takes(18)
def test_no_server_holds_a_test_for_20_seconds(system: System, project: str) -> None:
    def result_of(serve: https.Serve) -> Json:
        with https.listening(serve) as origin:
            return result_for(system, project, {"endpoint_url": origin, "timeout": 120})

    begun = time.monotonic()
    with ThreadPoolExecutor() as at_once:
        results = list(at_once.map(result_of, [https.silent, https.dripping]))
    assert time.monotonic() - begun < MARGIN_SECONDS

    for result in results:
        assert_says(result, "timeout", "The model did not answer within 18 seconds.")
        assert result["latency_ms"] > 15_000, "it was given its time"


def test_an_endpoint_that_is_not_in_service_is_named(system: System, project: str) -> None:
    missing = SAGEMAKER | {"endpoint_name": "no-such-endpoint"}

    result = result_for(system, project, missing, "sagemaker")

    assert_says(
        result, "endpoint_not_in_service", '"no-such-endpoint" in us-east-1 does not exist or is not in service'
    )


@pytest.mark.contract("D15")
def test_the_statement_that_a_role_lacks_is_shown_and_pasting_it_is_enough(system: System, project: str) -> None:
    iam = aws.client("iam")
    (organization,) = system.rows("/organizations/")
    closed = {"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    with model_caller({"Version": "2012-10-17", "Statement": [closed]}) as (name, arn):
        provider = add(system, project, SAGEMAKER | {"role_arn": arn}, "sagemaker")
        path = f"/inference-providers/{provider['uid']}/test/"

        refused = system.ok("POST", path, expect=200)
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(provider["trust_policy"]))
        trusted = system.ok("POST", path, expect=200)
        (statement,) = provider["trust_policy"]["Statement"]
        open_to_all = {key: value for key, value in statement.items() if key != "Condition"}
        opened = {"Version": "2012-10-17", "Statement": [open_to_all]}
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(opened))
        too_open = system.ok("POST", path, expect=200)

    assert provider["external_id"] == organization["uid"]
    assert (refused["success"], refused["problem"], refused["latency_ms"]) == (False, "role_not_assumable", None)
    assert json.loads(refused["message"].partition(": ")[2]) == statement
    assert (trusted["success"], trusted["problem"]) == (True, None)
    assert trusted["latency_ms"] > 0
    assert (too_open["success"], too_open["problem"]) == (False, "role_not_assumable")
    assert "lets every tenant of this system use it" in too_open["message"]


@contextmanager
def model_caller(trust: Json) -> Iterator[tuple[str, str]]:
    """Name and ARN of a role that may call models, with this trust policy."""
    iam, name = aws.client("iam"), f"caller-{time.time_ns()}"
    may = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    with ExitStack() as after:
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        after.callback(iam.delete_role, RoleName=name)
        iam.put_role_policy(RoleName=name, PolicyName="models", PolicyDocument=policy)
        after.callback(iam.delete_role_policy, RoleName=name, PolicyName="models")
        yield name, arn
