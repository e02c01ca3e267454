"""Fixtures of the system tests. They use the running local stack and start none: `make up` first."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import avala
import httpx
import pytest

from local import admin, up
from local.project import client_of
from local.receiver import Receiver
from local.up import Stack
from tests.system import official as package
from tests.system import uploads
from tests.system.model import Model, asked_instead
from tests.system.system import System

NewTenant = Callable[..., System]
EVENTS = ["auto_label.completed", "auto_label.failed"]
REVIEW_EVENTS = ["result.accepted", "result.rejected"]


@dataclass(frozen=True)
class Subscription:
    """A webhook subscription and the server that it points at."""

    uid: str
    secret: str
    receiver: Receiver


@pytest.fixture(scope="session")
def stack() -> Stack:
    found = up.running()
    if found is None:
        pytest.exit("The local stack is not up. Start it with: make up", returncode=2)
    return found


@pytest.fixture(scope="session")
def api(stack: Stack) -> Iterator[httpx.Client]:
    with client_of(stack) as client:
        yield client


@pytest.fixture(scope="session")
def system(stack: Stack, api: httpx.Client) -> System:
    return System(stack, api)


@pytest.fixture(scope="session")
def official(stack: Stack) -> Iterator[avala.Client]:
    """The official Python client, as a user of the local stack sets it up."""
    os.environ["AVALA_ALLOW_INSECURE_BASE_URL"] = "true"
    with avala.Client(api_key=stack.key, base_url=stack.base_url) as client:
        yield client


@pytest.fixture(scope="module")
def model(stack: Stack) -> Iterator[Model]:
    """The model that every job meets until the tests of the module are over."""
    with asked_instead(stack) as model:
        yield model


@pytest.fixture(scope="module")
def empty_upload_queue(system: System) -> None:
    """Nothing of other modules is in the queue of uploads, so that a test can wait until it is empty."""
    uploads.empty_queue(system)


@pytest.fixture
def subscription(system: System) -> Iterator[Subscription]:
    """A webhook of this test's own, for both job events."""
    with Receiver() as receiver:
        yield from subscribed(system, receiver)


@pytest.fixture
def review_subscription(system: System) -> Iterator[Subscription]:
    """A webhook of this test's own, for what people make of results."""
    with Receiver() as receiver:
        yield from subscribed(system, receiver, events=REVIEW_EVENTS)


@pytest.fixture
def task_subscription(system: System) -> Iterator[Subscription]:
    """A webhook of this test's own, for tasks that are completed."""
    with Receiver() as receiver:
        yield from subscribed(system, receiver, events=["task.completed"])


@pytest.fixture
def failing_subscription(system: System) -> Iterator[Subscription]:
    """The same, but its server answers 500 twice before it answers 200."""
    with Receiver(answers=(500, 500)) as receiver:
        yield from subscribed(system, receiver)


def subscribed(system: System, receiver: Receiver, **options: Any) -> Iterator[Subscription]:
    body = {"target_url": receiver.url, "events": EVENTS, **options}
    created = system.ok("POST", "/webhooks/", body, expect=201)
    yield Subscription(created["uid"], created["secret"], receiver)
    system.api.delete(f"/webhooks/{created['uid']}/")


@pytest.fixture(scope="module")
def new_tenant(stack: Stack) -> Iterator[NewTenant]:
    """Makes organizations, each the system as a new key of it sees it: `new_tenant(*options of the key, slug=...)`."""
    with ExitStack() as clients:

        def new(*options: str, slug: str | None = None) -> System:
            organization = slug or f"test-{uuid.uuid4()}"
            arguments = ("keys", "create", "--organization", organization, "--name", "test", *options)
            own = replace(stack, key=admin.run(stack.outputs["TableName"], *arguments).strip())
            return System(own, clients.enter_context(client_of(own)))

        yield new


@pytest.fixture(scope="module")
def own(new_tenant: NewTenant) -> System:
    """An organization of this module's own, so that its lists have what the module put there."""
    return new_tenant()


@pytest.fixture(scope="module", params=["sync", "async"])
def client(request: pytest.FixtureRequest, own: System) -> Iterator[Any]:
    """The official client of the module's own organization: first the synchronous one, then the asynchronous one."""
    with package.client_of(request.param, own.stack) as client:
        yield client
