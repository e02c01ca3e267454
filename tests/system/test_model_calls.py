"""What a model is asked, and what becomes of its answers: the jobs of these tests meet a model of the test's own
(contract, 10)."""

from typing import Any

import pytest

from tests.system.model import Model
from tests.system.system import System

BOX = {
    "type": "bounding_box",
    "label": "car",
    "confidence": 0.9,
    "coordinates": {"x": 1, "y": 2, "width": 30, "height": 40},
}
CIRCLE = {**BOX, "type": "circle"}


@pytest.mark.contract("D27")
def test_sagemaker_is_sent_the_documented_request(system: System, model: Model) -> None:
    model.says((200, {"annotations": [BOX]}))
    project = model.project(system, "car", "bus")
    (item,) = system.items(project)

    job = system.run(project, model_type="sam3")

    (request,) = model.requests
    (headers,) = model.headers
    assert job["status"] == "completed"
    assert headers[":path"] == "/endpoints/own-model/invocations"
    assert headers["content-type"] == "application/json"
    assert request.pop("asset_url").startswith("http")
    assert request.pop("model_type") == "sam3"
    assert request == {
        "asset_id": item["uid"],
        "asset_type": "image",
        "width": 640,
        "height": 480,
        "frame": "upright",
        "labels": ["car", "bus"],
    }


def test_sagemaker_gets_the_variant_and_the_component(system: System, model: Model) -> None:
    model.says((200, {"annotations": [BOX]}))
    project = system.project(1, ("car",))
    system.provider(project, "own-model", target_variant="blue", inference_component_name="detector-2")

    system.run(project)

    (headers,) = model.headers
    assert headers["x-amzn-sagemaker-target-variant"] == "blue"
    assert headers["x-amzn-sagemaker-inference-component"] == "detector-2"


@pytest.mark.contract("D25")
@pytest.mark.parametrize(
    ("of_project", "of_job", "sent"),
    [(("car", "bus"), [], ["car", "bus"]), (("car", "bus"), ["bus"], ["bus"]), ((), ["tram"], ["tram"]), ((), [], [])],
)
def test_a_model_is_sent_the_labels_of_the_job_or_else_of_the_project(
    system: System, model: Model, of_project: tuple[str, ...], of_job: list[str], sent: list[str]
) -> None:
    model.says((200, {"annotations": []}))

    system.run(model.project(system, *of_project), labels=of_job)

    assert [request["labels"] for request in model.requests] == [sent]


@pytest.mark.contract("D26")
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_model_that_is_busy_is_asked_again(system: System, model: Model, status: int) -> None:
    model.says((status, {}), (status, {}), (200, {"annotations": [BOX]}))

    job = system.run(model.project(system, "car"))

    assert (job["successful_items"], len(model.requests)) == (1, 3)


@pytest.mark.contract("D26")
def test_a_model_that_stays_busy_is_asked_three_times(system: System, model: Model) -> None:
    model.says((503, {}))

    job = system.run(model.project(system, "car"))

    assert (job["failed_items"], len(model.requests)) == (1, 3)


@pytest.mark.contract("D26")
@pytest.mark.parametrize("status", [400, 500])
def test_a_model_that_refuses_is_asked_once(system: System, model: Model, status: int) -> None:
    model.says((status, {}))

    job = system.run(model.project(system, "car"))

    assert (job["failed_items"], len(model.requests)) == (1, 1)


@pytest.mark.contract("D28")
def test_a_malformed_prediction_is_dropped_and_noted(system: System, model: Model) -> None:
    model.says((200, {"annotations": [CIRCLE, BOX, {**BOX, "confidence": "high"}]}))

    job = system.run(project := model.project(system, "car"))

    assert (job["status"], job["successful_items"], job["summary"]["predictions"]) == ("completed", 1, 1)
    (draft,) = system.results(project, job["uid"])
    assert [annotation["confidence"] for annotation in draft["annotations"]] == [0.9]
    (note,) = job["summary"]["errors"]
    assert (note["item"], "annotations[0].type" in note["message"]) == (draft["item"], True)


@pytest.mark.contract("D28", "D12")
def test_an_answer_with_nothing_well_formed_fails_its_item_and_an_empty_one_skips_it(
    system: System, model: Model
) -> None:
    answers: list[Any] = [{"annotations": [CIRCLE]}, {"annotations": []}, {}, {"annotations": None}, []]
    outcomes = []
    for answer in answers:
        model.says((200, answer))
        job = system.run(model.project(system, "car"))
        outcomes.append((job["status"], job["failed_items"], job["skipped_items"]))

    failed, skipped = ("failed", 1, 0), ("completed", 0, 1)
    assert outcomes == [failed, skipped, failed, failed, failed]
