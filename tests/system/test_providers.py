"""Inference providers by the official client, and jobs through a model server of the user's own (contract, 8, 10)."""

import json
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import avala
import httpx
import pytest
from avala import errors

from local import aws, settings
from tests.system.server import Answer, Request, Server, json_answer
from tests.system.system import Json, System, assert_refused
from tests.system.test_clients import UNKNOWN, command_line
from tests.system.test_secrets import is_in, logs, raw, rows

pytestmark = pytest.mark.takes(40)

MASK = "********"
SAGEMAKER = {"endpoint_name": settings.SAGEMAKER_ENDPOINTS["yolo"], "region": settings.REGION}


@dataclass(frozen=True)
class ModelServer:
    """`examples/endpoint` as a user runs it at an address of their own: with a token, without SageMaker around it."""

    url: str
    token: str

    def config(self, **changes: Any) -> Json:
        """A provider's `config` that reaches it."""
        return {
            "endpoint_url": f"{self.url}/invocations",
            "auth_type": "bearer",
            "auth_header": self.token,
            **changes,
        }

    def asked(self) -> list[str]:
        """The assets that it was asked about."""
        return list(httpx.get(f"{self.url}/calls").json()["asset_ids"])


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    token = f"tok{secrets.token_hex(16)}"
    arguments = ["--port", "0", "--no-model", "--latency", "20", "--token", token]
    command = ["node", "server.mjs", *arguments]
    with subprocess.Popen(command, cwd=settings.ENDPOINT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http:\S+", server.stdout.readline())
        assert found is not None
        yield ModelServer(found.group(), token)
        server.terminate()


@pytest.fixture
def provider(system: System, model: ModelServer) -> Iterator[Json]:
    """A provider of a project of its own, so that no other test's job is served by it."""
    created = add(system, model.config(), system.project(items=5))
    yield created
    system.api.delete(f"/inference-providers/{created['uid']}/")


def add(system: System, config: Json, project: str, provider_type: str = "http") -> Json:
    body = {"name": "Ours", "provider_type": provider_type, "config": config, "project": project}
    return system.ok("POST", "/inference-providers/", body, expect=201)


def test_the_client_creates_shows_lists_changes_and_deletes(
    system: System, official: avala.Client, model: ModelServer
) -> None:
    project = system.project()
    calls = official.inference_providers

    created = calls.create(
        name="Ours", provider_type="http", config=model.config(), description="In the cellar", project=project
    )
    shown = calls.get(created.uid)
    listed = calls.list(limit=1)
    changed = calls.update(created.uid, name="Theirs", is_active=False)
    calls.delete(created.uid)

    assert shown == created
    assert (shown.name, shown.provider_type, shown.description) == ("Ours", "http", "In the cellar")
    assert (shown.project, shown.is_active, shown.last_test_at) == (project, True, None)
    assert shown.config == model.config(auth_header=MASK) | {
        "headers": {},
        "timeout": 30,
        "response_key": "annotations",
        "request_format": "avala",
        "response_format": "annotations",
        "coordinates": "pixels",
        "label_map": [],
        "exif": "applied",
        "max_concurrency": 16,
    }
    assert [p.uid for p in listed.items] == [created.uid], "newest first"
    assert (changed.name, changed.is_active, changed.config) == ("Theirs", False, shown.config)
    with pytest.raises(errors.NotFoundError):
        calls.get(created.uid)


def test_the_client_shows_our_sentences(official: avala.Client, model: ModelServer) -> None:
    calls = official.inference_providers
    for provider_type, config, sentence in [
        ("http", model.config(auth_heder=model.token), "config.auth_heder: Unknown field. Did you mean auth_header?"),
        ("http", model.config(endpoint_url="http://model.example"), "config.endpoint_url: Must be an HTTPS URL."),
        ("http", model.config(timeout=121), "config.timeout: Must be a number of seconds from 1 to 120, not 121."),
        ("http", model.config(headers={"Host": "a"}), "config.headers.Host: May not be set."),
        ("sagemaker", {"endpoint_name": "yolo"}, "config.region: This field is required."),
        ("sagemaker", SAGEMAKER | {"role_arn": "model"}, "config.role_arn: Must be the ARN of an IAM role."),
        ("vertex", {}, 'provider_type: Must be "sagemaker" or "http", not "vertex".'),
    ]:
        with pytest.raises(errors.ValidationError, match=re.escape(sentence)) as refused:
            calls.create(name="Ours", provider_type=provider_type, config=config)
        assert model.token not in str(refused.value)
    with pytest.raises(errors.ValidationError, match=f'project: No project "{UNKNOWN}" in this organization'):
        calls.create(name="Ours", provider_type="sagemaker", config=SAGEMAKER, project=UNKNOWN)


@pytest.mark.contract("D17")
def test_what_was_shown_can_be_changed_and_sent_back(official: avala.Client, provider: Json) -> None:
    calls = official.inference_providers
    shown = calls.get(provider["uid"])
    assert shown.config is not None

    calls.update(shown.uid, config=shown.config | {"timeout": 5})

    assert calls.test(shown.uid)["success"], "the stored token is still there"
    with pytest.raises(errors.ValidationError, match=r"config\.auth_header: Send the value itself"):
        calls.update(shown.uid, config=shown.config | {"endpoint_url": "https://evil.example/"})


def test_a_test_asks_the_model_and_is_kept(system: System, official: avala.Client) -> None:
    """The stack's own endpoint has the detector, and no token."""
    config = {"url": f"{settings.ENDPOINT_URL}/invocations"}
    uid = add(system, config, system.project())["uid"]
    system.ok("PATCH", f"/inference-providers/{uid}/", {"is_active": False})

    result = official.inference_providers.test(uid)

    assert result["success"] is True
    assert re.fullmatch(r"The model answered, with [1-9]\d* prediction\(s\)\.", result["message"]), result
    assert 0 <= result["latency_ms"] < 20_000
    tested = official.inference_providers.get(uid)
    assert tested.last_test_success is True
    assert str(tested.last_test_at) in (result["tested_at"], str(tested.last_test_at))


def test_a_failed_test_is_an_answer(system: System, model: ModelServer) -> None:
    for config, sentence in [
        (model.config(auth_header="wrong"), "refuses its credentials (status 401)"),
        (model.config(endpoint_url=f"{model.url}/nowhere"), "The model answered status 404."),
        (model.config(endpoint_url="http://127.0.0.1:9/"), "could not be connected to"),
        (model.config(response_key="found"), 'The model\'s answer has no array "found".'),
    ]:
        path = f"/inference-providers/{add(system, config, system.project())['uid']}/"

        result = system.ok("POST", f"{path}test/", expect=200)

        assert result["success"] is False
        assert sentence in result["message"]
        assert model.token not in json.dumps(result)
        assert system.ok("GET", path)["last_test_success"] is False


def test_a_sagemaker_provider_is_tested_like_any_other(system: System, official: avala.Client) -> None:
    uid = add(system, SAGEMAKER, system.project(), "sagemaker")["uid"]
    missing = add(system, SAGEMAKER | {"endpoint_name": "no-such-endpoint"}, system.project(), "sagemaker")["uid"]

    assert official.inference_providers.test(uid)["success"]
    failed = official.inference_providers.test(missing)
    assert (failed["success"], "no-such-endpoint" in failed["message"]) == (False, True)


@pytest.mark.contract("D15")
def test_a_role_is_assumed_for_the_tenant_that_it_trusts_and_for_no_other(
    system: System, official: avala.Client
) -> None:
    (organization,) = system.rows("/organizations/")
    project = system.project(items=3)
    with role(organization["uid"]) as trusting, role(UNKNOWN) as another:
        config = SAGEMAKER | {"endpoint_name": settings.LOAD_ENDPOINT}
        provider = add(system, config | {"roleArn": trusting}, project, "sagemaker")
        job = system.run(project, dry_run=True)
        tested = official.inference_providers.test(provider["uid"])
        system.ok("PATCH", f"/inference-providers/{provider['uid']}/", {"config": config | {"role_arn": another}})
        refused_job = system.run(project, dry_run=True)
        refused = official.inference_providers.test(provider["uid"])

    assert provider["config"]["role_arn"] == trusting
    assert (job["status"], job["failed_items"], tested["success"]) == ("completed", 0, True)
    assert (refused_job["status"], refused["success"]) == ("failed", False)
    assert refused_job["error_message"] == refused["message"]
    assert organization["uid"] in refused["message"], "it says what the trust policy must ask for"


@contextmanager
def role(external_id: str) -> Iterator[str]:
    """A role that may call models, for a caller with this external id."""
    iam, name = aws.client("iam"), f"model-caller-{secrets.token_hex(4)}"
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{settings.ACCOUNT}:root"},
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }
    may = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": "*"}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="models", PolicyDocument=policy(may))
    yield arn
    iam.delete_role_policy(RoleName=name, PolicyName="models")
    iam.delete_role(RoleName=name)


def policy(statement: Json) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_the_command_line_creates_tests_and_deletes(system: System, model: ModelServer) -> None:
    project = system.project()

    def run(*arguments: str) -> str:
        done = command_line(system.stack, "inference-providers", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def create(config: Json) -> str:
        options = ("--name", "Ours", "--provider-type", "http", "--project", project, "--config", json.dumps(config))
        found = re.search(r"created: (\S+)", run("create", *options))
        assert found is not None
        return found.group(1)

    good, bad = create(model.config()), create(model.config(auth_header="wrong"))

    assert good in run("list", "--limit", "5")
    assert model.token not in run("get", good)
    assert run("test", good).strip() == "Connection test passed."
    assert "Connection test failed: The inference provider's endpoint refuses" in run("test", bad)
    assert "deleted" in run("delete", good, "--yes")
    assert command_line(system.stack, "inference-providers", "get", good).returncode == 1


@pytest.mark.contract("D7")
def test_a_job_goes_through_the_newest_active_provider_of_its_project(
    system: System, model: ModelServer, provider: Json
) -> None:
    project = provider["project"]
    inactive = add(system, model.config(auth_header="wrong"), project)["uid"]
    system.ok("PATCH", f"/inference-providers/{inactive}/", {"is_active": False})

    job = system.run(project, confidence_threshold=0.0)

    assert (job["status"], job["provider"], job["failed_items"]) == ("completed", provider["uid"], 0)
    assert job["processed_items"] == job["total_items"] == 5
    assert {item["uid"] for item in system.items(project)} <= set(model.asked())
    drafts = system.results(project, job["uid"])
    assert len(drafts) == job["successful_items"]
    assert refused_for(system, project, UNKNOWN)
    assert refused_for(system, project, inactive)


def refused_for(system: System, project: str, provider: str) -> Json:
    return assert_refused(system.create(project, provider_id=provider), 400, naming="provider_id")


def test_a_wrong_token_fails_the_job_and_shows_nowhere(system: System, model: ModelServer) -> None:
    began_ms = int(time.time() * 1_000)
    wrong, header = f"wrong{secrets.token_hex(16)}", f"key{secrets.token_hex(16)}"
    project = system.project(items=200)
    created = add(system, model.config(auth_header=wrong, headers={"X-Key": header}), project)

    # Twice: the emulator logs a function's last line with its next invocation.
    jobs = [system.run(project), system.run(project)]

    for job in jobs:
        assert job["status"] == "failed"
        assert "refuses its credentials (status 401)" in job["error_message"]
        assert job["processed_items"] < job["total_items"], "it does not go through all items in vain"
    machine = system.stack.outputs["StateMachineArn"]
    stores = {
        "answers": [raw(created, jobs, *system.rows("/inference-providers/"))],
        "rows": [raw(row) for row in rows(system.stack.outputs["TableName"])],
        "executions": [raw(aws.history(machine, job["uid"])) for job in jobs],
        "logs": logs(began_ms),
    }
    for store, kept in stores.items():
        assert not any(is_in(secret, kept) for secret in (wrong, header)), store
        found = "ProviderRefused" if store in ("logs", "executions") else created["uid"]
        assert is_in(found, kept), f"nothing of it in {store}"


@pytest.mark.contract("D26")
def test_a_busy_model_is_asked_again_and_a_bad_request_is_not(system: System) -> None:
    project = system.project(items=4)
    with Busy() as busy:
        config = {"endpoint_url": busy.url, "auth_type": "header", "auth_header": "X-Key: k", "response_key": "found"}
        add(system, config, project)

        job = system.run(project, labels=["car"])

    (refused,) = busy.refused
    assert (job["successful_items"], job["failed_items"]) == (3, 1)
    (error,) = job["summary"]["errors"]
    assert (error["item"], error["message"]) == (refused, "The model answered status 422.")
    assert sorted(busy.calls.values()) == [1, 3, 3, 3]
    assert busy.keys == {"k"}
    assert busy.labels == [["car"]] * 10


class Busy(Server):
    """A model server that answers 503 twice for each item and then a box, but for its first item: that is 422."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.refused: set[str] = set()
        self.keys: set[str | None] = set()
        self.labels: list[list[str]] = []
        super().__init__()

    def answer(self, request: Request) -> Answer:
        asked = request.json()
        item = asked["asset_id"]
        self.keys.add(request.headers.get("X-Key"))
        self.labels.append(asked["labels"])
        self.calls[item] = self.calls.get(item, 0) + 1
        self.refused = self.refused or {item}
        if item in self.refused:
            return json_answer({}, 422)
        if self.calls[item] < 3:
            return json_answer({}, 503, Retry_After="1")
        box = {"x": 1, "y": 2, "width": 3, "height": 4}
        return json_answer({"found": [{"type": "bounding_box", "label": "car", "confidence": 0.9, "coordinates": box}]})
