"""The API reference: its examples are valid. Its page renders in a real browser, and asks no other origin.

Needs no stack. `make reference` builds the page; the browser is Debian's Chromium.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from jsonschema import Draft202012Validator
from playwright.sync_api import Page, sync_playwright

from local import settings

CHROMIUM: Final = "/usr/bin/chromium"
OPENAPI: Final = settings.ROOT / "docs" / "openapi.json"
DESCRIPTION: Final[dict[str, Any]] = json.loads(OPENAPI.read_text())
READY_SECONDS: Final = 30.0


def operations() -> Iterator[dict[str, Any]]:
    for path in DESCRIPTION["paths"].values():
        yield from path.values()


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """The content of each body that is sent or answered, with its name."""
    shared = DESCRIPTION["components"]["responses"]
    described = [(f"response {status}", response) for status, response in shared.items()]
    for operation in operations():
        name = operation["operationId"]
        described += [(f"{name}, {status}", response) for status, response in operation["responses"].items()]
        described.append((f"{name}, request", operation.get("requestBody", {})))
    for name, body in described:
        for content in body.get("content", {}).values():
            yield name, content


def test_every_example_fits_its_schema() -> None:
    wrong = {}
    for name, content in bodies():
        schema = content["schema"] | {"components": DESCRIPTION["components"]}
        validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(content["example"])]
        if errors:
            wrong[name] = errors

    assert not wrong, json.dumps(wrong, indent=1)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The reference as the local proxy serves it. The API behind it is away."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    proxy = subprocess.Popen(
        [sys.executable, "-m", "local", "proxy", "http://127.0.0.1:9"],
        env=os.environ | {"AUTOLABEL_PROXY_PORT": str(port)},
        cwd=settings.ROOT,
    )
    url = f"http://127.0.0.1:{port}/reference/"
    try:
        wait_for(url)
        yield url
    finally:
        proxy.terminate()
        proxy.wait()


def wait_for(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            assert httpx.get(url).status_code == httpx.codes.OK, "Build it: make reference"
            return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"{url} does not answer")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1400, "height": 1000})
        browser.close()


def test_it_renders_without_an_error_and_without_a_request_to_another_origin(address: str, page: Page) -> None:
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))

    page.goto(address)
    page.get_by_role("heading", name="Describe the API").wait_for()
    text = page.inner_text("body")
    page.get_by_placeholder("Search...").fill("retry")
    page.get_by_role("menuitem").filter(has_text="Retry a job").first.wait_for()

    missing = [operation["summary"] for operation in operations() if operation["summary"] not in text]
    assert not missing
    assert not complaints
    origin = address.removesuffix("reference/")
    assert len(asked) >= 3
    assert [url for url in asked if not url.removeprefix("blob:").startswith((origin, "data:"))] == []


def test_it_opens_as_a_file(page: Page) -> None:
    page.goto((settings.REFERENCE / "index.html").as_uri())

    page.get_by_role("heading", name="Start a job").wait_for()


def test_the_proxy_serves_the_files_of_the_reference_alone(address: str) -> None:
    assert json.loads(httpx.get(f"{address}openapi.json").text) == DESCRIPTION
    for path in ("nothing.js", "..%2Fdebug", "%2e%2e%2fCACHEDIR.TAG"):
        assert httpx.get(address + path).status_code == httpx.codes.NOT_FOUND, path
