"""The `avala` command, unmodified, for all that is in scope (contract, 12)."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import Result

from local import settings
from local.receiver import Receiver
from local.up import Stack
from tests.system.conftest import NewTenant
from tests.system.official import command
from tests.system.system import System
from tests.system.test_clients import UNKNOWN

CONFIG = json.dumps({"endpoint_name": settings.LOAD_ENDPOINT, "region": settings.REGION})


@pytest.fixture(scope="module")
def own_stack(own: System) -> Stack:
    return own.stack


@pytest.fixture(scope="module")
def project(own: System) -> str:
    return own.load_project(items=4)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def output(stack: Stack, *arguments: str, typed: str = "") -> str:
    """What a successful command printed."""
    result = command(stack, *arguments, typed=typed)
    assert result.exit_code == 0, result.output
    return result.output


def shown(stack: Stack, *arguments: str) -> Any:
    """The same, of a command that prints JSON."""
    return json.loads(output(stack, "-o", "json", *arguments))


def refusal(result: Result) -> str:
    """What a refused command printed: never a traceback, always the exit status 1."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    return result.output


def test_a_job_is_created_shown_listed_and_cancelled(own_stack: Stack, own: System) -> None:
    busy = own.load_project(items=300)

    created = output(
        own_stack,
        *("auto-label", "create", "--project", busy, "--model-type", "sam3", "--confidence-threshold", "0.25"),
        *("--labels", "car, cup", "--dry-run"),
    )
    uid = own.ok("GET", f"/auto-label-jobs/?project={busy}")["results"][0]["uid"]
    assert created == f"Auto-label job created: {uid} (status: pending)\n"
    assert output(own_stack, "auto-label", "cancel", uid, typed="y\n").endswith(f"Auto-label job {uid} cancelled.\n")

    job = shown(own_stack, "auto-label", "get", uid)
    assert (job["uid"], job["status"], job["model_type"]) == (uid, "cancelled", "sam3")
    assert (job["confidence_threshold"], job["labels"], job["dry_run"]) == ("0.25", "car, cup", "Yes")
    (listed,) = shown(own_stack, "auto-label", "list", "--project", busy)
    assert (listed["uid"], listed["status"]) == (uid, "cancelled")
    assert uid in output(own_stack, "auto-label", "list", "--limit", "3")


def test_a_finished_job_is_shown_with_its_counts(own_stack: Stack, own: System, project: str) -> None:
    uid = own.run(project)["uid"]

    job = shown(own_stack, "auto-label", "get", uid)

    assert (job["status"], job["total_items"], job["processed_items"]) == ("completed", "4", "4")
    assert (job["progress_pct"], job["labels"], job["dry_run"]) == ("100.0%", "all", "No")
    refused = refusal(command(own_stack, "auto-label", "cancel", uid, "--yes"))
    assert refused == "Error: API error (409): Job is already completed.\n"


def test_no_labels_are_all_labels(own_stack: Stack, own: System) -> None:
    """The command sends a blank label then (contract, 6.2)."""
    project = own.project()

    output(own_stack, "auto-label", "create", "--project", project, "--labels", "")

    assert own.ok("GET", f"/auto-label-jobs/?project={project}")["results"][0]["labels"] == []


def absent(noun: str) -> str:
    return f'API error (404): Not found. No {noun} "{UNKNOWN}" in this organization.'


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("auto-label", "get", UNKNOWN), absent("job")),
        (("auto-label", "create", "--project", UNKNOWN), absent("project")),
        (("inference-providers", "get", UNKNOWN), absent("inference provider")),
        (("inference-providers", "test", UNKNOWN), absent("inference provider")),
        (("webhooks", "delete", UNKNOWN, "--yes"), absent("webhook")),
        (("projects", "get", UNKNOWN), absent("project")),
        (("tasks", "get", UNKNOWN), absent("task")),
        (("datasets", "get", UNKNOWN), f'API error (404): Not found. No project "{UNKNOWN}" in this organization.'),
        (
            ("webhooks", "create", "--target-url", "http://a.example", "--events", "task.completed"),
            "API error (400): target_url: Must be an HTTPS URL.",
        ),
        (
            ("inference-providers", "create", "--name", "x", "--provider-type", "sagemaker", "--config", "{}"),
            "API error (400): config.endpoint_name: This field is required.; config.region: This field is required.",
        ),
    ],
)
def test_a_refusal_is_one_sentence(own_stack: Stack, arguments: tuple[str, ...], sentence: str) -> None:
    assert refusal(command(own_stack, *arguments)) == f"Error: {sentence}\n"


def test_a_bad_threshold_is_named(own_stack: Stack, project: str) -> None:
    result = command(own_stack, "auto-label", "create", "--project", project, "--confidence-threshold", "1.5")

    assert (
        refusal(result) == "Error: API error (400): confidence_threshold: Must be a number from 0.0 to 1.0, not 1.5.\n"
    )


def test_a_wrong_key_comes_with_a_hint(own_stack: Stack) -> None:
    printed = refusal(command(replace(own_stack, key="avk_wrong"), "projects", "list"))

    assert printed.startswith("Error: Invalid API key.\n\nSet your API key with:")


def test_a_key_without_the_scope_gets_the_reason(new_tenant: NewTenant) -> None:
    reader = new_tenant("--scope", "tasks.read").stack

    assert output(reader, "tasks", "list")
    printed = refusal(command(reader, "webhooks", "list"))
    refused = "You do not have permission to perform this action. The key needs the scope webhooks.read."
    assert printed == f"Error: API error (403): {refused}\n"


def test_providers(own_stack: Stack, own: System, project: str) -> None:
    created = output(
        own_stack,
        *("inference-providers", "create", "--name", "Ours", "--provider-type", "sagemaker", "--config", CONFIG),
        *("--description", "For tests", "--project", project),
    )
    uid = own.ok("GET", "/inference-providers/")["results"][0]["uid"]

    assert created == f"Inference provider created: {uid} (Ours)\n"
    provider = shown(own_stack, "inference-providers", "get", uid)
    assert (provider["name"], provider["description"], provider["is_active"]) == ("Ours", "For tests", "Yes")
    assert (provider["provider_type"], provider["project"]) == ("sagemaker", project)
    assert uid in [row["uid"] for row in shown(own_stack, "inference-providers", "list")]
    removed = output(own_stack, "inference-providers", "delete", uid, "--yes")
    assert removed == f"Inference provider {uid} deleted.\n"


def test_webhooks(own_stack: Stack, own: System, receiver: Receiver) -> None:
    created = output(
        own_stack, "webhooks", "create", "--target-url", receiver.url, "--events", "task.completed, export.failed"
    )
    uid = own.ok("GET", "/webhooks/")["results"][0]["uid"]
    first, second, third = created.splitlines()
    secret = second.removeprefix("Secret: ")

    assert (first, third) == (f"Webhook created: {uid}", "Save this secret — it will not be shown again.")
    webhook = shown(own_stack, "webhooks", "get", uid)
    assert (webhook["target_url"], webhook["events"]) == (receiver.url, "task.completed, export.failed")
    assert [row["uid"] for row in shown(own_stack, "webhooks", "list")] == [uid]
    assert output(own_stack, "webhooks", "test", uid) == "Webhook test passed.\n"
    sent = receiver.next()
    assert sent is not None
    assert sent.is_signed_with(secret)
    (delivery,) = shown(own_stack, "webhooks", "deliveries", "--limit", "1")
    assert (delivery["uid"], delivery["event_type"], delivery["status"]) == (sent.uid, "webhook.test", "delivered")
    assert (delivery["response_status"], delivery["attempts"]) == ("200", "1")
    assert output(own_stack, "webhooks", "delete", uid, typed="y\n").endswith(f"Webhook {uid} deleted.\n")


def test_a_failed_webhook_test_says_why(own_stack: Stack, own: System) -> None:
    hook = {"target_url": "http://localhost:9/hook", "events": ["task.completed"], "secret": "the user's own secret"}
    uid = own.ok("POST", "/webhooks/", hook, expect=201)["uid"]

    printed = output(own_stack, "webhooks", "test", uid)

    assert printed.startswith("Webhook test failed: ")
    assert printed.strip() != "Webhook test failed: unknown error"


def test_projects_and_tasks(own_stack: Stack, own: System, project: str) -> None:
    assert shown(own_stack, "projects", "get", project)["name"] == "System test: load"
    assert project in [row["uid"] for row in shown(own_stack, "projects", "list")]
    item = own.items(project)[0]
    task = shown(own_stack, "tasks", "get", item["uid"])
    assert (task["name"], task["type"], task["project"]) == (item["key"], "image-annotation", project)
    assert item["uid"] in [row["uid"] for row in shown(own_stack, "tasks", "list")]
    assert len(shown(own_stack, "tasks", "list", "--limit", "2")) == 2


def test_datasets(own_stack: Stack, project: str) -> None:
    shown_dataset = shown(own_stack, "datasets", "get", project)

    assert (shown_dataset["name"], shown_dataset["item_count"]) == ("System test: load", "4")
    assert shown_dataset["slug"] in [row["slug"] for row in shown(own_stack, "datasets", "list")]
    assert shown(own_stack, "datasets", "list", "--name", "no such name") == []


def test_a_provider_is_tested(own_stack: Stack, own: System, project: str) -> None:
    good = own.provider(project, settings.LOAD_ENDPOINT)
    bad = own.provider(project, "no-such-endpoint")

    assert output(own_stack, "inference-providers", "test", good) == "Connection test passed.\n"
    printed = output(own_stack, "inference-providers", "test", bad)
    assert printed.startswith("Connection test failed: ")
    assert printed.strip() != "Connection test failed: unknown error"
    for uid in (good, bad):
        own.api.delete(f"/inference-providers/{uid}/")


def test_a_key_over_its_limit_gets_the_time_to_wait(new_tenant: NewTenant) -> None:
    hasty = new_tenant("--requests-per-minute", "1").stack

    results = [command(hasty, "projects", "list") for _ in range(3)]

    refused = refusal(next(result for result in results if result.exit_code))
    assert re.match(r"Error: Rate limited \(retry after \d+\.0s\): Request was throttled\.", refused)


def test_configure_and_status(own_stack: Stack, own: System, project: str) -> None:
    slug = own.ok("GET", "/organizations/")["results"][0]["slug"]

    configured = output(own_stack, "configure", typed=f"{own_stack.key}\n{own_stack.base_url}\n")
    status = shown(own_stack, "status", "--org", slug)

    assert "Validating API key... OK" in configured
    assert f"Organization: {slug}" in configured
    assert own_stack.key not in configured
    assert [organization["slug"] for organization in status["organizations"]] == [slug]
    assert project in [row["uid"] for row in status["projects"]["latest"]]
    assert status["exports"] == {"showing": 0, "pending": []}
    failed = command(replace(own_stack, key="avk_wrong"), "configure", typed=f"avk_wrong\n{own_stack.base_url}\nn\n")
    assert (failed.exit_code, "Invalid API key." in failed.output) == (1, True)


@pytest.mark.parametrize("group", ["agents", "storage-configs"])
def test_lists_of_what_is_not_here_are_empty(own_stack: Stack, group: str) -> None:
    assert shown(own_stack, group, "list") == []
