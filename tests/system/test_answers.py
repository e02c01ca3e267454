"""What models answer: in other servers' forms, too large for a row, or no answer at all (contract, 10.3)."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco

from local import counts, settings
from tests.system.model import Model
from tests.system.system import Json, System

WIDTH, HEIGHT = 640, 480

Pixels = NDArray[np.bool_]


def read_as(system: System, project: str, **config: Any) -> None:
    """The project's provider, whose answers are read like this."""
    config = {"endpoint_name": "own-model", "region": settings.REGION, **config}
    system.ok(
        "POST",
        "/inference-providers/",
        {"name": "Reads", "provider_type": "sagemaker", "project": project, "config": config},
    )


def speckled(seed: int) -> Pixels:
    """Noise in blocks of 4 pixels: some 3,000 runs that no formula shortens."""
    blocks = np.random.default_rng(seed).random((HEIGHT // 4, WIDTH // 4)) < 0.3
    return np.kron(blocks, np.ones((4, 4), dtype=bool)).astype(bool)


def compressed(mask: Pixels) -> str:
    counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    return counts.decode() if isinstance(counts, bytes) else counts


def runs(mask: Pixels) -> list[int]:
    pixels = mask.flatten(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate(([False], pixels))))
    return [int(run) for run in np.diff(np.concatenate(([0], changes, [pixels.size])))]


def segmented(counts: Any, label: str = "road") -> Json:
    mask = {"format": "coco_rle", "size": [HEIGHT, WIDTH], "counts": counts}
    return {"type": "segmentation_mask", "label": label, "confidence": 0.9, "mask": mask}


def assert_shows(annotations: list[Json], masks: list[Pixels]) -> None:
    """That these are the masks, as COCO's own tools read them."""
    for annotation, mask in zip(annotations, masks, strict=True):
        assert np.array_equal(np.asarray(coco.decode(annotation["mask"])).astype(bool), mask)


@pytest.mark.contract("D29")
def test_masks_that_no_row_holds_are_shown_whole_wherever_a_result_is(system: System, model: Model) -> None:
    masks = [speckled(seed) for seed in range(12)]
    either = [compressed(mask) if index % 2 else runs(mask) for index, mask in enumerate(masks)]
    model.says((200, {"annotations": [segmented(one) for one in either]}))
    project = model.project(system, "road", items=5)

    before = counts.calls_so_far()
    job = system.run(project)

    assert (job["successful_items"], job["summary"]["predictions"]) == (5, 60)
    kilobytes = 5 * sum(len(compressed(mask)) for mask in masks) / 1024
    units = counts.costs(system.stack, job["uid"], before).write_units
    print(f"\n{units / kilobytes:.2f} write units per KB of run lengths")
    assert units <= 0.5 * kilobytes
    drafts = system.results(project, job["uid"])
    assert len(drafts) == 5
    for draft in drafts:
        assert_shows(draft["annotations"], masks)
    assert_shows(system.ok("GET", f"/results/{drafts[0]['uid']}/")["annotations"], masks)
    dataset = system.ok("GET", f"/datasets/{project}/")
    items = f"/datasets/{dataset['owner_name']}/{dataset['slug']}/items/"
    for item in system.rows(items):
        assert item["annotations_count"] == 12
        assert_shows(item["annotations"]["results"][0]["annotations"], masks)

    accepted = system.ok("POST", f"/results/{drafts[0]['uid']}/accept/")
    assert accepted["status"] == "accepted"
    assert_shows(accepted["annotations"], masks)
    rejected = system.ok("POST", f"/projects/{project}/results/reject/", {"label": "road", "min_confidence": 0.9})
    assert (rejected["rejected"], rejected["done"]) == (4, True)
    assert_shows(system.ok("GET", f"/results/{drafts[1]['uid']}/")["annotations"], masks)


def test_answers_of_other_servers_become_drafts_in_the_projects_words(system: System, model: Model) -> None:
    mask = speckled(1)
    corners = {"xmin": 10, "ymin": 20, "xmax": 110, "ymax": 70}
    box = {"x": 10.0, "y": 20.0, "width": 100.0, "height": 50.0}
    drafted = {"type": "bounding_box", "label": "car", "confidence": 0.75, "coordinates": box}
    segmentation = {"size": [HEIGHT, WIDTH], "counts": compressed(mask)}
    for response_format, answer, annotations in [
        ("huggingface_object_detection", [{"score": 0.75, "label": "LABEL_3", "box": corners}], [drafted]),
        (
            "coco_results",
            [
                {"image_id": 1, "category_id": 3, "bbox": [10, 20, 100, 50], "score": 0.75},
                {"image_id": 1, "category_id": 9, "segmentation": segmentation, "score": 0.75},
            ],
            [drafted],
        ),
    ]:
        model.says((200, answer))
        project = system.project(1, ("car", "bus"))
        read_as(system, project, response_format=response_format, label_map={"LABEL_3": "car", "3": "car"})

        job = system.run(project)

        (draft,) = system.results(project, job["uid"])
        assert draft["annotations"] == annotations
        unknown = [{"label": "9", "count": 1}] if response_format == "coco_results" else []
        assert job["summary"]["dropped_labels"] == unknown


def test_a_label_may_have_a_threshold_of_its_own(system: System, model: Model) -> None:
    unsure = {"type": "classification", "confidence": 0.4}
    model.says((200, {"annotations": [unsure | {"label": label} for label in ("traffic_light", "car", "dog", "dog")]}))
    project = model.project(system, "traffic_light", "car")

    job = system.run(project, label_thresholds={"traffic_light": 0.4}, confidence_threshold=0.5)

    assert job["label_thresholds"] == [{"label": "traffic_light", "threshold": 0.4}]
    assert job["summary"]["labels"] == [{"label": "traffic_light", "count": 1}]
    assert job["summary"]["dropped_labels"] == [{"label": "dog", "count": 2}]
    (line,) = system.rows(f"/auto-label-jobs/{job['uid']}/items/")
    assert line["note"] == "2 predictions were dropped, whose labels the job does not want: dog."
    assert [(note["code"], note["items"]) for note in job["summary"]["notes"]] == [("labels_dropped", 1)]
    refused = system.create(project, label_thresholds={"tram": 0.4})
    assert refused.status_code == 400
    assert refused.json()["detail"] == (
        'label_thresholds: The project does not have "tram". Its labels: "traffic_light", "car".'
    )


BOX = {"type": "bounding_box", "label": "car", "confidence": 0.9}


def boxed(x: float, y: float, width: float, height: float, **more: Any) -> Json:
    return {**BOX, "coordinates": {"x": x, "y": y, "width": width, "height": height}, **more}


def test_what_is_corrected_is_noted_with_its_item_and_counted(system: System, model: Model) -> None:
    boxes = [boxed(1, 2, 30, 40, confidence=1.0000001192092896), boxed(600, 400, 100, 40), boxed(1e1, 2, 3.0, 4)]
    model.says((200, {"annotations": boxes}))
    project = model.project(system, "car", items=2)

    job = system.run(project)

    summary = job["summary"]
    assert (job["successful_items"], summary["predictions"], summary["errors"]) == (2, 6, [])
    notes = [(note["code"], note["items"]) for note in summary["notes"]]
    assert notes == [("confidence_clamped", 2), ("geometry_clipped", 2)]
    (line, _) = system.rows(f"/auto-label-jobs/{job['uid']}/items/")
    assert line["outcome"] == "successful"
    assert line["note"] == (
        "annotations[0].confidence: 1.0000001192092896 was read as 1. "
        "annotations[1].coordinates: Was cut to the picture, by more than a pixel."
    )
    draft = system.results(project, job["uid"])[0]["annotations"]
    assert (draft[0]["confidence"], draft[1]["coordinates"]["width"]) == (1.0, 40.0)


def test_unlikely_coordinates_are_noted_and_read_as_the_provider_is_set(system: System, model: Model) -> None:
    for unit, answer, note in [
        ("normalized", boxed(0.25, 0.5, 0.5, 0.25), "coordinates_normalized"),
        ("percent", boxed(25, 50, 50, 25), "coordinates_percent"),
    ]:
        model.says((200, {"annotations": [answer]}))
        project = model.project(system, "car", items=6)

        dry = system.run(project, dry_run=True)

        (error,) = dry["summary"]["errors"]
        assert error["code"] == "unlikely_coordinates"
        assert f'set coordinates of the provider to "{unit}". So it is with 6 items.' in error["message"]
        assert [(n["code"], n["items"]) for n in dry["summary"]["notes"]] == [(note, 6)]
        read_as(system, project, coordinates=unit)
        job = system.run(project)
        assert job["summary"]["errors"] == []
        drafted = {"x": 0.25 * WIDTH, "y": 0.5 * HEIGHT, "width": 0.5 * WIDTH, "height": 0.25 * HEIGHT}
        assert system.results(project, job["uid"])[0]["annotations"][0]["coordinates"] == drafted


def test_labels_compare_in_any_form_and_prompts_go_to_the_model(system: System, model: Model) -> None:
    composed, decomposed = "v\u00e9lo", "ve\u0301lo"
    model.says((200, {"annotations": [boxed(1, 2, 30, 40, label=decomposed)]}))
    project = system.project(1, (composed, "car"))
    system.ok("PATCH", f"/projects/{project}/", {"label_prompts": {composed: "a bicycle on a street"}})
    read_as(system, project)

    job = system.run(project, labels=[decomposed, "car"], label_thresholds={decomposed: 0.8})

    assert job["label_thresholds"] == [{"label": composed, "threshold": 0.8}]
    assert system.results(project, job["uid"])[0]["annotations"][0]["label"] == composed
    (asked,) = model.requests
    assert asked["labels"] == [composed, "car"]
    assert asked["prompts"] == [{"label": composed, "prompt": "a bicycle on a street"}]


def test_a_stock_hugging_face_container_is_asked_in_its_own_words(system: System, model: Model) -> None:
    """What its handler does: `pipeline(request.pop("inputs"), **request.pop("parameters"))`."""
    corners = {"xmin": 10, "ymin": 20, "xmax": 110, "ymax": 70}
    model.says((200, [{"score": 0.75, "label": "a wooden desk", "box": corners}]))
    project = system.project(1, ("desk", "cup"))
    system.ok("PATCH", f"/projects/{project}/", {"label_prompts": [{"label": "desk", "prompt": "a wooden desk"}]})
    read_as(system, project, response_format="huggingface_object_detection", target_model="owl/model.tar.gz")

    job = system.run(project, confidence_threshold=0.25)

    (asked,) = model.requests
    assert asked["inputs"] == asked["asset_url"]
    assert asked["parameters"] == {"threshold": 0.25, "candidate_labels": ["a wooden desk", "cup"]}
    assert model.headers[0]["x-amzn-sagemaker-target-model"] == "owl/model.tar.gz"
    assert job["summary"]["labels"] == [{"label": "desk", "count": 1}]


def test_detections_of_torchserve_and_half_a_character_cost_what_is_theirs(system: System, model: Model) -> None:
    model.says((200, [{"car": [10.5, 20, 110.5, 70], "score": 0.75}, {"\ud83d": [1, 2, 3, 4], "score": 0.75}]))
    project = system.project(1, ("car",))
    read_as(system, project, response_format="torchserve_object_detector")

    job = system.run(project)

    assert job["successful_items"] == 1
    (note,) = job["summary"]["errors"]
    assert (note["code"], note["message"][:24]) == ("bad_answer", "[1].label: Is not text: ")
    (drafted,) = system.results(project, job["uid"])[0]["annotations"]
    assert drafted["coordinates"] == {"x": 10.5, "y": 20.0, "width": 100.0, "height": 50.0}


def test_the_url_of_an_item_reaches_the_model_as_it_is_parsed(system: System, model: Model) -> None:
    model.says((200, {"annotations": [boxed(1, 2, 3, 4)]}))
    project = system.project(0, ("car",))
    token = "A" * 4_000
    url = f"https://example.com/my pictures/d\u00eda.jpg?X-Amz-Security-Token={token}"
    system.ok("POST", f"/projects/{project}/items/", {"key": "a.jpg", "url": url, "width": 64, "height": 48})
    read_as(system, project)

    system.run(project)

    (asked,) = model.requests
    parsed = f"https://example.com/my%20pictures/d%C3%ADa.jpg?X-Amz-Security-Token={token}"
    assert asked["asset_url"] == parsed


@pytest.mark.contract("D28")
def test_a_hundred_thousand_predictions_on_an_item_are_read_to_a_limit_and_noted(system: System, model: Model) -> None:
    one = {"type": "classification", "label": "car", "confidence": 0.9}
    model.says((200, {"annotations": [one] * 80_000}))

    job = system.run(model.project(system, "car"))

    assert (job["status"], job["summary"]["predictions"]) == ("completed", 10_000)
    (note,) = job["summary"]["errors"]
    assert note["message"] == "annotations: Has 80000 predictions; only the first 10000 are read."
