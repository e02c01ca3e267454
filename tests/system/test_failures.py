"""What goes wrong with an item, and what goes wrong with a job (contract, 6.4 and 6.5)."""

import time

import httpx
import pytest

from local import settings
from tests.system.conftest import Subscription
from tests.system.system import System

MISSING_ENDPOINT = "no-such-endpoint"


@pytest.mark.contract("D12")
def test_a_picture_that_cannot_be_decoded_fails_its_item_and_not_the_job(system: System) -> None:
    project = system.project()
    files = {"astronaut.jpg": (settings.PICTURES / "astronaut.jpg").read_bytes(), "broken.jpg": b"this is no picture"}
    entries = [{"key": key, "asset_type": "image", "width": 512, "height": 512} for key in files]
    registered = system.ok("POST", f"/projects/{project}/items/", {"items": entries})["results"]
    for item in registered:
        httpx.put(item["upload_url"], content=files[item["key"]]).raise_for_status()

    job = system.run(project, confidence_threshold=0.4)

    broken = next(item["uid"] for item in registered if item["key"] == "broken.jpg")
    assert (job["status"], job["failed_items"], job["processed_items"]) == ("completed", 1, 2)
    (error,) = job["summary"]["errors"]
    assert error["item"] == broken
    assert error["message"]


@pytest.mark.contract("D12")
def test_an_endpoint_that_does_not_exist_fails_the_job_within_seconds_and_frees_the_project(
    system: System, subscription: Subscription
) -> None:
    project = system.project(items=500)
    system.provider(project, MISSING_ENDPOINT)
    began = time.monotonic()

    job = system.run(project)

    assert time.monotonic() - began < 15
    assert job["status"] == "failed"
    assert MISSING_ENDPOINT in job["error_message"]
    assert job["processed_items"] < job["total_items"], "it does not go through all items in vain"
    assert system.create(project, dry_run=True).status_code == 202, "the project is free again"
    delivery = subscription.receiver.of_job(job["uid"])
    assert delivery is not None
    assert (delivery.event, delivery.payload["status"]) == ("auto_label.failed", "failed")


@pytest.mark.contract("D12")
def test_a_job_whose_items_all_fail_is_failed(system: System) -> None:
    """Nothing was uploaded, so the model finds no picture anywhere."""
    job = system.run(system.project(items=3))

    assert (job["status"], job["failed_items"], job["processed_items"]) == ("failed", 3, 3)
    assert job["error_message"]
    assert len(job["summary"]["errors"]) == 3
