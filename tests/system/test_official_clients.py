"""The official Python clients, sync and async, on every resource of the contract (sections 5 to 9, 11)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from avala import errors

from local import settings
from local.receiver import Receiver
from tests.system.conftest import NewTenant
from tests.system.official import client_of
from tests.system.system import System
from tests.system.test_clients import UNKNOWN

pytestmark = pytest.mark.takes(30)

MALFORMED = "proj_abc123"
ELEVEN_EVENTS = [
    *("auto_label.completed", "auto_label.failed"),
    *("dataset.created", "dataset.updated", "dataset.deleted", "export.completed", "export.failed", "task.completed"),
    *("result.submitted", "result.accepted", "result.rejected"),
]
SAGEMAKER = {"endpoint_name": settings.LOAD_ENDPOINT, "region": settings.REGION}


@pytest.fixture(scope="module")
def project(own: System) -> str:
    """A project that the load model serves, with a few items."""
    return own.load_project(items=6)


@pytest.fixture(scope="module")
def finished(own: System, project: str) -> str:
    """A job that has ended, with drafts."""
    return str(own.run(project, confidence_threshold=0.0)["uid"])


@pytest.fixture(scope="module")
def busy(own: System) -> str:
    """A project with enough items that a job over it is surely active for a while."""
    return own.load_project(items=300)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def is_recent(moment: datetime) -> bool:
    return abs(datetime.now(UTC) - moment) < timedelta(minutes=5)


# Jobs (6)


def test_a_new_job_is_pending_and_has_everything(client: Any, own: System) -> None:
    project = own.project()

    job = client.auto_label_jobs.create(
        project, model_type="sam3", confidence_threshold=0.7, labels=[" car ", "", "car"], dry_run=True
    )

    assert (job.status, job.model_type, job.confidence_threshold) == ("pending", "sam3", 0.7)
    assert (job.labels, job.dry_run) == (["car"], True)
    counters = (job.total_items, job.processed_items, job.successful_items, job.failed_items, job.skipped_items)
    assert (counters, job.progress_pct) == ((0,) * 5, 0.0)
    assert (job.error_message, job.summary, job.started_at, job.completed_at) == (None, None, None, None)
    assert is_recent(job.created_at)


def test_a_job_without_options_has_the_defaults(client: Any, own: System) -> None:
    job = client.auto_label_jobs.create(own.project())

    assert (job.model_type, job.confidence_threshold, job.labels, job.dry_run) == ("yolo", 0.5, [], False)


def test_a_finished_job_has_its_summary(client: Any, project: str, finished: str) -> None:
    job = client.auto_label_jobs.get(finished)

    assert (job.status, job.total_items, job.processed_items, job.progress_pct) == ("completed", 6, 6, 100.0)
    assert job.processed_items == job.successful_items + job.failed_items + job.skipped_items
    assert job.created_at <= job.started_at <= job.completed_at
    assert set(job.summary) == {"predictions", "labels", "dropped_labels", "errors", "notes", "truncated"}
    assert [j.uid for j in client.auto_label_jobs.list(project=project).items] == [finished]


@pytest.mark.contract("D9")
def test_a_second_job_is_refused_while_one_is_active(client: Any, busy: str) -> None:
    job = client.auto_label_jobs.create(busy, dry_run=True)

    with pytest.raises(errors.AvalaError, match="An auto-label job is already active for this project") as refused:
        client.auto_label_jobs.create(busy)

    assert (refused.value.status_code, refused.value.body["code"]) == (409, "auto_label_job_active")
    assert refused.value.body["job_uid"] == job.uid
    assert client.auto_label_jobs.cancel(job.uid) is None
    assert client.auto_label_jobs.get(job.uid).status == "cancelled"
    client.auto_label_jobs.cancel(client.auto_label_jobs.create(busy, dry_run=True).uid)


@pytest.mark.contract("D13")
def test_a_cancel_of_a_cancelled_job_is_fine_and_of_a_finished_one_is_refused(
    client: Any, busy: str, finished: str
) -> None:
    job = client.auto_label_jobs.create(busy, dry_run=True)

    assert [client.auto_label_jobs.cancel(job.uid) for _ in range(2)] == [None, None]
    with pytest.raises(errors.AvalaError, match="Job is already completed") as refused:
        client.auto_label_jobs.cancel(finished)
    assert (refused.value.status_code, refused.value.body["code"]) == (409, "job_finished")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"confidence_threshold": 1.01}, "confidence_threshold: Must be a number from 0.0 to 1.0, not 1.01."),
        ({"confidence_threshold": "high"}, "confidence_threshold: Must be a number from 0.0 to 1.0, not a string."),
        ({"model_type": "gpt"}, 'model_type: Must be "sam3" or "yolo", not "gpt".'),
        ({"labels": "car"}, "labels: Must be a list of strings, not a string."),
        ({"labels": ["unicorn"]}, "labels: "),
        ({"dry_run": "yes"}, "dry_run: Must be true or false, not a string."),
    ],
)
@pytest.mark.contract("D5")
def test_a_bad_option_is_a_validation_error_that_names_it(
    client: Any, project: str, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(errors.ValidationError) as refused:
        client.auto_label_jobs.create(project, **options)

    assert refused.value.message.startswith(complaint)
    (field,) = options
    assert (refused.value.body["code"], list(refused.value.body["errors"])) == ("validation_error", [field])
    assert refused.value.details == []


@pytest.mark.contract("D1")
def test_what_is_not_there_is_a_not_found_error_everywhere(client: Any) -> None:
    calls: list[tuple[Callable[..., Any], tuple[str, ...]]] = [
        (client.auto_label_jobs.create, ()),
        (client.auto_label_jobs.get, ()),
        (client.auto_label_jobs.cancel, ()),
        (client.inference_providers.get, ()),
        (client.inference_providers.update, ()),
        (client.inference_providers.delete, ()),
        (client.inference_providers.test, ()),
        (client.webhooks.get, ()),
        (client.webhooks.update, ()),
        (client.webhooks.delete, ()),
        (client.webhooks.test, ()),
        (client.webhook_deliveries.get, ()),
        (client.projects.get, ()),
        (client.tasks.get, ()),
        (client.datasets.get, ()),
        (client.datasets.get_by_slug, ("slug",)),
        (client.datasets.list_items, ("slug",)),
        (client.datasets.get_item, ("slug", UNKNOWN)),
        (client.exports.get, ()),
        (client.agents.get, ()),
    ]
    for uid in (UNKNOWN, MALFORMED):
        for call, rest in calls:
            with pytest.raises(errors.NotFoundError, match="Not found"):
                call(uid, *rest)


# Providers (8)


def test_a_provider_is_created_read_changed_and_removed(client: Any, project: str) -> None:
    created = client.inference_providers.create(
        name="Ours", provider_type="sagemaker", config=SAGEMAKER, description="For tests", is_active=False
    )

    assert (created.name, created.description, created.provider_type) == ("Ours", "For tests", "sagemaker")
    assert (created.is_active, created.project) == (False, None)
    assert (created.last_test_at, created.last_test_success) == (None, None)
    assert SAGEMAKER.items() <= created.config.items()
    assert is_recent(created.created_at)
    assert client.inference_providers.get(created.uid) == created
    assert created in client.inference_providers.list().items

    changed = client.inference_providers.update(created.uid, name="Theirs", project=project)
    assert (changed.name, changed.project, changed.description) == ("Theirs", project, "For tests")
    assert (changed.config, changed.is_active) == (created.config, False)
    assert changed.updated_at > created.updated_at
    config = {**SAGEMAKER, "endpoint_name": "another-endpoint"}
    changed = client.inference_providers.update(created.uid, config=config, description="Else")
    assert (changed.config["endpoint_name"], changed.description) == ("another-endpoint", "Else")

    assert client.inference_providers.delete(created.uid) is None
    with pytest.raises(errors.NotFoundError):
        client.inference_providers.get(created.uid)


@pytest.mark.contract("D16")
@pytest.mark.parametrize(
    "config",
    [
        {"endpointName": "yolo-v8", "region": "eu-central-1"},
        {"endpoint": "yolo-v8", "region": "eu-central-1", "method": "POST"},
    ],
)
def test_other_spellings_of_a_config_are_read_and_the_documented_ones_returned(
    client: Any, config: dict[str, Any]
) -> None:
    provider = client.inference_providers.create(
        name="Spelled", provider_type="sagemaker", config=config, is_active=False
    )

    assert (provider.config["endpoint_name"], provider.config["region"]) == ("yolo-v8", "eu-central-1")
    assert not {"endpointName", "endpoint", "method"} & provider.config.keys()
    client.inference_providers.delete(provider.uid)


@pytest.mark.contract("D16")
@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"name": ""}, "name: May not be blank."),
        ({"name": "x" * 256}, "name: Must have at most 255 characters, and has 256."),
        ({"provider_type": "vertex"}, "provider_type: Must be"),
        ({"config": {"endpoint_name": "yolo"}}, "config.region: This field is required."),
        (
            {"config": {**SAGEMAKER, "auth_heder": "hunter2"}},
            "config.auth_heder: Unknown field. Known: endpoint_name, ",
        ),
        ({"project": UNKNOWN}, f'project: No project "{UNKNOWN}" in this organization.'),
        ({"is_active": "yes"}, "is_active: Must be true or false, not a string."),
    ],
)
def test_a_bad_provider_is_a_validation_error_that_names_the_field(
    client: Any, fields: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(errors.ValidationError) as refused:
        client.inference_providers.create(
            **{"name": "Bad", "provider_type": "sagemaker", "config": SAGEMAKER, "is_active": False} | fields
        )

    assert refused.value.message.startswith(complaint)
    assert "hunter2" not in str(refused.value.body)


def test_a_test_says_whether_the_model_answers_and_is_kept(client: Any, project: str) -> None:
    created = client.inference_providers.create(
        name="Tested", provider_type="sagemaker", config=SAGEMAKER, project=project, is_active=False
    )
    absent = client.inference_providers.create(
        name="Absent", provider_type="sagemaker", config={**SAGEMAKER, "endpoint_name": "no-such"}, is_active=False
    )

    for provider, success in ((created, True), (absent, False)):
        result = client.inference_providers.test(provider.uid)
        assert (result["success"], type(result["message"])) == (success, str)
        tested = client.inference_providers.get(provider.uid)
        assert tested.last_test_success is success
        assert is_recent(tested.last_test_at)
        client.inference_providers.delete(provider.uid)


@pytest.mark.contract("D14", "D17")
def test_a_credential_is_shown_as_a_mask_and_kept_when_the_mask_comes_back(client: Any) -> None:
    config = {
        "endpoint_url": "https://model.example/predict",
        "auth_type": "header",
        "auth_header": "X-Key: hunter2",
        "headers": {"X-Team": "red"},
        "timeout": 12.5,
        "response_key": "found",
        "request_format": "huggingface",
        "response_format": "coco_results",
        "coordinates": "percent",
        "label_map": [{"from": "10", "to": "traffic_light"}],
        "exif": "ignored",
        "max_concurrency": 4,
    }

    created = client.inference_providers.create(name="Http", provider_type="http", config=config, is_active=False)

    masked = {**config, "auth_header": "********", "headers": {"X-Team": "********"}}
    assert created.config == masked
    kept = client.inference_providers.update(created.uid, config={**created.config, "timeout": 20})
    assert kept.config == {**masked, "timeout": 20}
    with pytest.raises(errors.ValidationError, match="auth_header"):
        client.inference_providers.update(created.uid, config={**masked, "endpoint_url": "https://evil.example/"})
    client.inference_providers.delete(created.uid)


# Webhooks (9)


@pytest.mark.contract("D19")
def test_a_subscription_is_created_read_changed_and_removed(client: Any, receiver: Receiver) -> None:
    created = client.webhooks.create(target_url=receiver.url, events=[*ELEVEN_EVENTS, "task.completed"])

    assert (created.target_url, created.events, created.is_active) == (receiver.url, ELEVEN_EVENTS, True)
    assert len(created.secret) >= 43
    assert is_recent(created.created_at)
    shown = client.webhooks.get(created.uid)
    assert shown == created.model_copy(update={"secret": None})
    assert shown in client.webhooks.list().items

    url = receiver.url + "?changed"
    changed = client.webhooks.update(created.uid, target_url=url, events=["export.failed"], is_active=False)
    assert (changed.uid, changed.target_url, changed.events) == (created.uid, url, ["export.failed"])
    assert (changed.is_active, changed.secret) == (False, None)

    assert client.webhooks.delete(created.uid) is None
    with pytest.raises(errors.NotFoundError):
        client.webhooks.get(created.uid)


def test_a_secret_of_the_users_own_is_shown_once_and_signs(client: Any, receiver: Receiver) -> None:
    secret = "sixteen at least, and ünïcode"

    created = client.webhooks.create(target_url=receiver.url, events=["task.completed"], secret=secret)
    tested = client.webhooks.test(created.uid)

    assert created.secret == secret
    assert tested["success"] is True
    delivery = receiver.next()
    assert delivery is not None
    assert delivery.is_signed_with(secret)
    client.webhooks.delete(created.uid)


@pytest.mark.contract("D19")
@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"target_url": "receiver"}, "target_url: Must be a URL."),
        ({"target_url": "http://receiver.example/"}, "target_url: Must be an HTTPS URL."),
        ({"target_url": "https://169.254.169.254/latest/"}, "target_url: Must lead to a public address."),
        (
            {"target_url": "https://a.example/" + "x" * 2_048},
            "target_url: Must have at most 2048 characters, and has 2066.",
        ),
        ({"events": []}, "events: Must name at least one event."),
        ({"events": ["project.updated"]}, 'events: Unknown event "project.updated".'),
        ({"events": ["webhook.test"]}, 'events: Unknown event "webhook.test".'),
        ({"secret": "too short"}, "secret: Must have 16 to 256 characters."),
        ({"secret": "x" * 257}, "secret: Must have 16 to 256 characters."),
    ],
)
def test_a_bad_subscription_is_a_validation_error_that_names_the_field(
    client: Any, fields: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(errors.ValidationError) as refused:
        client.webhooks.create(**{"target_url": "https://a.example/", "events": ["task.completed"]} | fields)

    assert refused.value.message.startswith(complaint)


@pytest.mark.contract("D24")
def test_a_test_is_sent_at_once_and_recorded_whether_or_not_it_succeeds(client: Any) -> None:
    with Receiver(answers=(200, 500)) as receiver:
        webhook = client.webhooks.create(target_url=receiver.url, events=["task.completed"], is_active=False)
        answers = [client.webhooks.test(webhook.uid) for _ in range(2)]
        first, second = receiver.next(), receiver.next()

    assert [(a["success"], type(a["message"])) for a in answers] == [(True, str), (False, str)]
    assert first is not None and second is not None
    for sent, answer, status in ((first, answers[0], "delivered"), (second, answers[1], "failed")):
        assert sent.is_signed_with(webhook.secret)
        assert sent.body == f'{{"event":"webhook.test","payload":{{"webhook_uid":"{webhook.uid}"}}}}'.encode()
        record = client.webhook_deliveries.get(answer["delivery"])
        assert (record.uid, record.subscription, record.event_type) == (sent.uid, webhook.uid, "webhook.test")
        assert (record.status, record.attempts, record.next_retry_at) == (status, 1, None)
    client.webhooks.delete(webhook.uid)


@pytest.mark.contract("D21", "D22")
def test_the_end_of_a_job_is_on_record(client: Any, own: System, receiver: Receiver) -> None:
    webhook = client.webhooks.create(target_url=receiver.url, events=["auto_label.completed"])
    job = own.run(own.project())
    sent = receiver.of_job(job["uid"])
    assert sent is not None

    record = client.webhook_deliveries.get(sent.uid)

    assert (record.subscription, record.event_type) == (webhook.uid, "auto_label.completed")
    assert (record.payload["job_uid"], record.payload["status"]) == (job["uid"], "completed")
    assert record in client.webhook_deliveries.list().items
    client.webhooks.delete(webhook.uid)
    assert client.webhook_deliveries.get(sent.uid) is not None, "a record outlives its subscription"


# What surrounds the jobs (11)


@pytest.mark.contract("D31")
def test_projects_are_listed_and_shown(client: Any, project: str) -> None:
    shown = client.projects.get(project)

    assert (shown.uid, shown.name, shown.status) == (project, "System test: load", "active")
    assert is_recent(shown.created_at)
    assert shown in client.projects.list().items


@pytest.mark.contract("D31")
def test_every_item_is_a_task_to_do_until_its_result_is_accepted(
    client: Any, own: System, project: str, finished: str
) -> None:
    drafts = own.results(project, finished)
    done = client.tasks.list(project=project, status="completed").items
    draft = next(draft for draft in drafts if draft["status"] == "draft")

    own.ok("POST", f"/results/{draft['uid']}/accept/")

    now = client.tasks.list(project=project, status="completed").items
    assert {task.uid for task in now} == {task.uid for task in done} | {draft["task"]}
    task = client.tasks.get(draft["task"])
    assert (task.type, task.status, task.project) == ("image-annotation", "completed", project)
    assert len(client.tasks.list(project=project, status="pending").items) == 6 - len(now)
    with pytest.raises(errors.ValidationError, match="status"):
        client.tasks.list(status="done")


@pytest.mark.contract("D31")
def test_there_is_one_organization_and_lists_of_what_is_not_here_are_empty(client: Any) -> None:
    (organization,) = client.organizations.list().items

    assert organization.slug.startswith("test-")
    assert (organization.is_verified, organization.is_active) == (True, True)
    for resource in (client.agents, client.storage_configs):
        page = resource.list()
        assert (page.items, page.has_more) == ([], False)


@pytest.mark.contract("D31")
def test_a_dataset_shows_the_items_of_a_project_and_what_was_made_of_them(
    client: Any, own: System, project: str, finished: str
) -> None:
    drafts = own.results(project, finished)
    draft = next(draft for draft in drafts if draft["status"] == "draft")
    listed = client.datasets.list(limit=100).items
    shown = client.datasets.get(project)

    assert shown in listed
    assert (shown.name, shown.item_count, shown.data_type) == ("System test: load", 6, "image")
    assert (shown.status, shown.is_sequence) == ("created", False)
    assert client.datasets.get_by_slug(shown.owner_name, shown.slug) == shown
    items = client.datasets.list_items(shown.owner_name, shown.slug, limit=4)
    rest = client.datasets.list_items(shown.owner_name, shown.slug, cursor=items.next_cursor)
    assert [len(items.items), len(rest.items), rest.has_more] == [4, 2, False]
    item = client.datasets.get_item(shown.owner_name, shown.slug, draft["item"])
    assert (item.uid, item.dataset, item.is_hidden) == (draft["item"], project, False)
    assert (item.metadata["width"], item.metadata["height"]) == (640, 480)
    assert item.annotations["status"] == "draft"
    assert [result["uid"] for result in item.annotations["results"]] == [draft["uid"]]
    with pytest.raises(errors.NotFoundError):
        client.datasets.get_by_slug("stranger", shown.slug)


# Keys, limits and sizes (2, 3)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_key_over_its_limit_gets_the_time_to_wait(new_tenant: NewTenant, kind: str) -> None:
    with client_of(kind, new_tenant("--requests-per-minute", "1").stack) as client:
        with pytest.raises(errors.RateLimitError, match="Request was throttled") as refused:
            for _ in range(3):  # the first counts, unless the minute ends between two of them
                client.projects.list()

        assert 1 <= refused.value.retry_after <= 60
        assert refused.value.retry_after == int(refused.value.retry_after)
        status = client.rate_limit_info
        assert (status["limit"], status["remaining"]) == ("1", "0")
        assert status["reset"].isdigit()


def test_each_refusal_has_its_exception_and_its_sentence(client: Any, project: str) -> None:
    with pytest.raises(errors.AvalaError, match="Request body is too large") as refused:
        client.auto_label_jobs.create(project, labels=["x" * 300_000])

    assert refused.value.status_code == 413
    assert not isinstance(refused.value, errors.QuotaExceededError), "no storage was asked for"
    with pytest.raises(errors.NotFoundError, match="Invalid cursor"):
        client.auto_label_jobs.list(cursor="not-ours")


def test_a_limited_key_is_forbidden_the_rest(new_tenant: NewTenant) -> None:
    limited = new_tenant("--scope", "projects.read")
    for kind in ("sync", "async"):
        with client_of(kind, limited.stack) as client:
            assert client.projects.list().items == []
            with pytest.raises(errors.ForbiddenError, match="You do not have permission to perform this action"):
                client.webhooks.list()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_unknown_and_an_expired_key_are_authentication_errors(new_tenant: NewTenant, kind: str) -> None:
    expired = new_tenant("--expires", "2020-01-01T00:00:00Z").stack
    for stack, sentence in (
        (expired, "API key has expired."),
        (replace(expired, key="avk_" + "x" * 43), "Invalid API key."),
    ):
        with client_of(kind, stack) as client, pytest.raises(errors.AuthenticationError, match=sentence):
            client.auto_label_jobs.list()
    # The clients send no request without a key.
    answer = httpx.get(f"{expired.base_url}/projects/")
    assert (answer.status_code, answer.json()["detail"]) == (401, "Authentication credentials were not provided.")
