"""Request bodies that are no text, and answers that would be too long."""

import json

import pytest

from tests.system.system import System, assert_refused

JSON = "application/json"
BINARY = "application/octet-stream"


@pytest.mark.parametrize("content_type", [JSON, BINARY])
@pytest.mark.parametrize(
    ("body", "byte"),
    [(b'{"name": "caf\xe9"}', 13), (b'\xff{"name": "x"}', 0), (b'{"name": "\xed\xa0\x80"}', 10)],
    ids=["latin-1", "no character", "a surrogate"],
)
def test_a_body_that_is_not_utf8_is_refused_with_its_position(
    system: System, content_type: str, body: bytes, byte: int
) -> None:
    """Of JSON the gateway makes text, and puts U+FFFD for what is none; the length shows it."""
    response = system.api.post("/projects/", content=body, headers={"Content-Type": content_type})

    problem = assert_refused(response, 400, code="parse_error")
    assert f"byte {byte}, counted from 0" in problem["detail"]


def test_a_replacement_character_is_the_clients_own_if_the_length_fits(system: System) -> None:
    name = "caf\ufffd"
    created = system.api.post("/projects/", content=json.dumps({"name": name}, ensure_ascii=False).encode())

    assert created.status_code == 201
    assert created.json()["name"] == name


def test_items_whose_answer_would_be_too_long_are_refused_before_any_is_added(system: System) -> None:
    project = system.project()
    path = f"/projects/{project}/items/"
    # Each character is six in the key's signed URL.
    lines = [{"key": f"{number:04}{'é' * 440}.jpg", "width": 1, "height": 1} for number in range(1_000)]

    refused = system.api.post(path, json={"items": lines}, timeout=60)

    assert_refused(refused, 400, naming="items", code="validation_error")
    sentence = refused.json()["detail"]
    assert "Nothing was added." in sentence
    assert system.items(project) == []
    fitting = int(sentence.partition("first ")[2].split()[0])
    added = system.api.post(path, json={"items": lines[:fitting]}, timeout=60)
    assert added.status_code == 201
    assert len(added.json()["results"]) == fitting
