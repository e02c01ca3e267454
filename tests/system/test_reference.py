"""The description of the API, as a newcomer meets it: without a key, as a page, and with the scope of each call."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from local import settings
from local.up import Stack
from tests.system.conftest import NewTenant

OPENAPI: Final = settings.ROOT / "docs" / "openapi.json"
DESCRIPTION: Final[dict[str, Any]] = json.loads(OPENAPI.read_text())
SCOPES: Final = (
    *("projects.read", "projects.write", "tasks.read", "results.write", "datasets.read", "datasets.write"),
    *("inference.read", "inference.write", "webhooks.read", "webhooks.write", "exports.create"),
)
UNKNOWN: Final = "018f7a3e-5b6c-7d8e-9f01-23456789abcd"


def operations() -> Iterator[Any]:
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            yield pytest.param(method.upper(), path, operation, id=operation["operationId"])


def test_every_scope_that_a_description_names_exists() -> None:
    assert set().union(*map(scopes_of, every_operation())) <= set(SCOPES)


def scopes_of(operation: dict[str, Any]) -> set[str]:
    """Any one of them is enough. None: the call needs no scope."""
    _, _, named = " ".join(operation["description"].split()).rpartition("Scope: ")
    return set(re.findall(r"`(\w+\.\w+)`", named))


@pytest.fixture(scope="module")
def keys(new_tenant: NewTenant) -> dict[frozenset[str], httpx.Client]:
    """A key with each set of scopes that a test needs."""
    named = {frozenset(scopes_of(operation)) for operation in every_operation()}
    single = {frozenset({scope}) for scopes in named for scope in scopes} | {frozenset({"datasets.write"})}
    others = {frozenset(SCOPES) - scopes for scopes in named if scopes}
    options = {scopes: [part for scope in sorted(scopes) for part in ("--scope", scope)] for scopes in single | others}
    return {scopes: new_tenant(*option).api for scopes, option in options.items()}


def every_operation() -> Iterator[dict[str, Any]]:
    for methods in DESCRIPTION["paths"].values():
        yield from methods.values()


def status(api: httpx.Client, method: str, path: str, operation: dict[str, Any]) -> int:
    """The status of a call of the operation about objects that are not there. The body is its own example."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    return api.request(method, re.sub(r"\{\w+\}", UNKNOWN, path), json=body).status_code


@pytest.mark.parametrize(("method", "path", "operation"), list(operations()))
def test_an_operation_needs_the_scope_that_its_description_names(
    keys: dict[frozenset[str], httpx.Client], method: str, path: str, operation: dict[str, Any]
) -> None:
    scopes = scopes_of(operation)

    for scope in scopes or {"datasets.write"}:
        assert status(keys[frozenset({scope})], method, path, operation) != httpx.codes.FORBIDDEN
    if scopes:
        assert status(keys[frozenset(SCOPES) - scopes], method, path, operation) == httpx.codes.FORBIDDEN


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_description_needs_no_key(stack: Stack, slash: str) -> None:
    answer = httpx.get(f"{stack.base_url}/openapi.json{slash}")

    assert answer.text == OPENAPI.read_text()
    assert {"X-RateLimit-Limit", "X-Request-Id"} <= {
        name.title().replace("Ratelimit", "RateLimit") for name in answer.headers
    }


def test_a_key_that_is_sent_must_be_good(stack: Stack) -> None:
    refused = httpx.get(f"{stack.base_url}/openapi.json", headers={"X-Avala-Api-Key": "avk_unknown"})

    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_api_key")


def test_the_stack_serves_the_reference() -> None:
    page = httpx.get(settings.REFERENCE_URL)

    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html")
    assert "Autolabel: API reference" in page.text
