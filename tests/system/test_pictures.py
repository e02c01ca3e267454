"""Jobs on real pictures, by the real detector (issue 2; contract, 6.3 to 6.5)."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from local import quickstart, settings
from local.project import LABELS, Project
from tests.system.system import Json, System

pytestmark = pytest.mark.takes(35)

LOW = 0.35


@pytest.fixture(scope="module")
def pictures(system: System) -> Project:
    return system.pictures()


@pytest.fixture(scope="module")
def labeled(system: System, pictures: Project) -> Json:
    """A finished job over the sample pictures."""
    return system.run(pictures.uid, model_type="yolo", confidence_threshold=LOW)


def test_pictures_get_drafts_that_wait_for_a_person(system: System, pictures: Project, labeled: Json) -> None:
    drafts = system.results(pictures.uid, labeled["uid"])

    assert (labeled["status"], labeled["total_items"]) == ("completed", len(pictures.pictures))
    assert labeled["failed_items"] == 0
    assert len(drafts) == labeled["successful_items"] >= 4
    for draft in drafts:
        assert (draft["status"], draft["source"], draft["created_by"]) == ("draft", "auto_label", "autolabel-bot")
        assert draft["item"] in pictures.pictures
        for annotation in draft["annotations"]:
            assert annotation["type"] == "bounding_box"
            assert annotation["label"] in LABELS
            assert annotation["confidence"] >= LOW


def test_a_person_would_agree_with_the_drafts(system: System, pictures: Project, labeled: Json) -> None:
    drafts = system.results(pictures.uid, labeled["uid"])
    found = {pictures.pictures[d["item"]].stem: {a["label"] for a in d["annotations"]} for d in drafts}

    people = dict.fromkeys(("astronaut", "camera", "hopper"), "person")
    expected = people | {"chelsea": "cat", "coffee": "cup", "horse": "horse"}
    agreed = [picture for picture, label in expected.items() if label in found.get(picture, set())]
    assert len(agreed) >= 4, found


def test_the_summary_adds_the_drafts_up(system: System, pictures: Project, labeled: Json) -> None:
    annotations = [a for d in system.results(pictures.uid, labeled["uid"]) for a in d["annotations"]]
    summary = labeled["summary"]

    assert summary["predictions"] == len(annotations)
    assert sum(entry["count"] for entry in summary["labels"]) == len(annotations)
    assert summary["truncated"] is False


def test_labeled_items_are_not_taken_again(system: System, pictures: Project, labeled: Json) -> None:
    again = system.run(pictures.uid, model_type="yolo", confidence_threshold=LOW)

    assert again["total_items"] == labeled["total_items"] - labeled["successful_items"]
    assert again["successful_items"] == 0


def test_the_raw_predictions_of_each_item_are_kept_also_those_below_the_threshold(
    system: System, labeled: Json
) -> None:
    objects = system.objects(labeled["uid"])

    lines = [json.loads(line) for body in objects.values() for line in gzip.decompress(body).splitlines()]
    assert sorted(line["item"] for line in lines) == sorted(item["uid"] for item in system.items(labeled["project"]))
    confidences = list(values_of(lines, "confidence"))
    assert max(confidences) >= LOW > min(confidences)


def test_a_dry_run_counts_and_leaves_the_items_unlabeled(system: System) -> None:
    project = system.pictures()

    preview = system.run(project.uid, confidence_threshold=LOW, dry_run=True)

    assert preview["status"] == "completed"
    assert preview["successful_items"] >= 4
    assert system.results(project.uid, preview["uid"]) == []
    real = system.run(project.uid, confidence_threshold=LOW)
    assert real["total_items"] == preview["total_items"], "every item was still unlabeled"
    assert real["successful_items"] == preview["successful_items"]


def test_sam3_gives_masks(system: System) -> None:
    project = system.pictures()

    job = system.run(project.uid, model_type="sam3", confidence_threshold=LOW)

    annotations = [a for d in system.results(project.uid, job["uid"]) for a in d["annotations"]]
    assert job["status"] == "completed"
    assert annotations
    for annotation in annotations:
        assert annotation["type"] == "segmentation_mask"
        assert annotation["mask"]["format"] == "coco_rle"


def test_only_the_labels_of_the_job_are_kept(system: System) -> None:
    project = system.pictures()

    job = system.run(project.uid, confidence_threshold=0.2, labels=["cat", "horse"])

    drafts = system.results(project.uid, job["uid"])
    assert {a["label"] for d in drafts for a in d["annotations"]} <= {"cat", "horse"}
    assert len(drafts) == job["successful_items"] >= 1


@pytest.mark.contract("D25")
def test_the_detector_is_asked_for_what_it_calls_the_projects_labels(system: System) -> None:
    project = system.pictures()
    system.ok("PATCH", f"/projects/{project.uid}/", {"labels": ["mug", "pet"]})
    endpoint = settings.SAGEMAKER_ENDPOINTS["yolo"]
    system.provider(project.uid, endpoint, label_map={"cup": "mug", "cat": "pet", "dog": "pet"})

    job = system.run(project.uid, confidence_threshold=LOW)

    drafts = system.results(project.uid, job["uid"])
    found = {project.pictures[d["item"]].stem: {a["label"] for a in d["annotations"]} for d in drafts}
    assert (found["coffee"], found["chelsea"]) == ({"mug"}, {"pet"})
    assert job["summary"]["dropped_labels"] == []


def test_the_missions_quickstart_runs_as_it_stands(system: System) -> None:
    project = system.pictures(items=24)
    # It polls every 5 seconds: two at once would be done at its first poll.
    system.provider(project.uid, settings.SAGEMAKER_ENDPOINTS["yolo"], max_concurrency=1)

    lines = list(quickstart.run(system.stack.base_url, system.stack.key, project.uid))

    (job,) = system.rows(f"/auto-label-jobs/?project={project.uid}")
    percentages = [float(line.split()[1].rstrip("%")) for line in lines[1:-1]]
    assert lines[0] == f"Job started: {job['uid']}"
    assert percentages == sorted(percentages)
    assert len(set(percentages)) > 1
    assert percentages[-1] == 100.0
    assert lines[-1] == f"Done! {job['successful_items']} items labeled, {job['skipped_items']} skipped"


def values_of(tree: Any, name: str) -> Iterator[float]:
    """Every value under this key, however deep."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from [value] if key == name else values_of(value, name)
    elif isinstance(tree, list):
        for entry in tree:
            yield from values_of(entry, name)
