"""Files arrive in S3, and items and drafts appear, without a call of the API (docs/decisions/0021)."""

import hashlib
import io
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from boto3.s3.transfer import TransferConfig
from PIL import Image

from local import counts
from local.aws import client
from local.receiver import Delivery, Receiver
from tests.system import conftest, uploads
from tests.system.system import Json, System, assert_refused

pytestmark = [pytest.mark.takes(100), pytest.mark.usefixtures("empty_upload_queue")]

PICTURES = 200
FEW = 12
SEED = 7
UNKNOWN = "0192b1c0-0000-7000-8000-00000000dead"


@dataclass(frozen=True)
class Copied:
    """200 pictures that the AWS command line has copied into the prefix, and what came of it."""

    project: str
    items: dict[str, Json]
    jobs: list[Json]
    events: uploads.Events
    deliveries: list[Delivery]
    calls: int  # of the table, by ingest


@pytest.fixture(scope="module")
def copied(system: System, tmp_path_factory: pytest.TempPathFactory) -> Copied:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(PICTURES):
        (folder / f"{number:03}.png").write_bytes(uploads.a_picture(number))
    project = uploads.labeling(system)
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        subscriptions = conftest.subscribed(system, receiver)
        next(subscriptions)
        before = counts.calls_so_far()
        with uploads.overheard(system, project) as events:
            copy(system, folder, project)
            items = uploads.items(system, project, PICTURES)
        jobs = uploads.finished_jobs(system, project, PICTURES)
        deliveries = [delivery for job in jobs if (delivery := receiver.of_job(job["uid"]))]
        calls = counts.calls_of(system.stack, "Ingest", since=before).total()
        next(subscriptions, None)
    return Copied(project, items, jobs, events, deliveries, calls)


def copy(system: System, folder: Path, project: str) -> None:
    to = f"s3://{system.stack.outputs['BucketName']}/projects/{project}/"
    command = [sys.executable, "-m", "awscli", "s3", "cp", "--recursive", "--only-show-errors", str(folder), to]
    subprocess.run(command, env=uploads.aws_environment(), check=True, timeout=60)


def test_copied_pictures_are_items_with_their_sizes_and_versions(copied: Copied) -> None:
    assert list(sorted(copied.items)) == [f"{number:03}.png" for number in range(PICTURES)]
    for number in (0, 57, 199):
        item = copied.items[f"{number:03}.png"]
        assert (item["asset_type"], item["width"], item["height"]) == ("image", 8 + number % 100, 16)
        assert len(item["version"]) == 32
        assert item["is_deleted"] is False


def test_drafts_appear_by_one_or_two_jobs_which_say_who_caused_them(system: System, copied: Copied) -> None:
    assert 1 <= len(copied.jobs) <= 2
    assert {job["trigger"] for job in copied.jobs} == {"upload"}
    assert {job["status"] for job in copied.jobs} == {"completed"}
    assert sum(job["total_items"] for job in copied.jobs) == PICTURES
    drafts = [draft for job in copied.jobs for draft in system.results(copied.project, job["uid"])]
    assert len({draft["item"] for draft in drafts}) == len(drafts) == sum(j["successful_items"] for j in copied.jobs)


def test_each_of_these_jobs_has_one_event(copied: Copied) -> None:
    assert [delivery.event for delivery in copied.deliveries] == ["auto_label.completed"] * len(copied.jobs)


def test_an_upload_costs_at_most_three_calls_of_the_table(copied: Copied) -> None:
    print(f"\n{copied.calls / PICTURES:.2f} calls per uploaded object")
    assert copied.calls <= 3 * PICTURES


def test_every_event_twice_and_shuffled_leaves_the_same_table(system: System, copied: Copied) -> None:
    assert len(copied.events.bodies) == PICTURES
    before = everything_of(system, copied.project)

    uploads.send(system, copied.events.twice_and_shuffled(SEED))
    uploads.wait_until_heard(system)

    assert everything_of(system, copied.project) == before


def test_events_that_come_twice_and_in_no_order_from_the_first_on_are_each_files_newest(system: System) -> None:
    project = uploads.labeling(system)
    files = {f"{number:02}.png": uploads.a_picture(number) for number in range(40)}
    with uploads.overheard(system, project, at_least=51) as events, uploads.unheard(system):
        uploads.put(system, project, {key: uploads.a_picture(90) for key in list(files)[:10]})
        uploads.put(system, project, files)
        uploads.delete(system, project, "00.png")
    assert (len(events.bodies), system.items(project)) == (51, [])

    uploads.send(system, events.twice_and_shuffled(SEED))
    found = uploads.items(system, project, len(files) - 1)
    jobs = uploads.finished_jobs(system, project, len(files) - 1)

    assert {key: item["version"] for key, item in found.items()} == {
        key: hashlib.md5(content).hexdigest() for key, content in files.items() if key != "00.png"
    }
    assert sum(job["total_items"] for job in jobs) == len(files) - 1
    drafts = [draft["item"] for draft in system.rows(f"/projects/{project}/results/")]
    assert len(drafts) == len(set(drafts)) == sum(job["successful_items"] for job in jobs)
    assert list(system.rows(f"/projects/{project}/uploads/")) == []


def everything_of(system: System, project: str) -> list[object]:
    shown = system.ok("GET", f"/projects/{project}/")
    results = sorted(system.rows(f"/projects/{project}/results/"), key=lambda result: str(result["uid"]))
    return [shown["item_count"], system.items(project), results, uploads.jobs(system, project)]


# What happens to a file after it has arrived


def test_other_bytes_wait_for_a_job_again_unless_a_person_has_labeled_the_item(system: System) -> None:
    project = system.load_project(0)
    keys = [f"{number}.png" for number in range(6)]
    uploads.put(system, project, {key: uploads.a_picture(number) for number, key in enumerate(keys)})
    first = uploads.items(system, project, len(keys))
    job = system.run(project)
    drafted, accepted = (by_item(system, project)[item] for item in list(by_item(system, project))[:2])
    system.ok("POST", f"/results/{accepted['uid']}/accept/")
    names = {item["uid"]: key for key, item in first.items()}

    uploads.put(system, project, {names[r["item"]]: uploads.a_picture(50) for r in (drafted, accepted)})
    uploads.wait_until_heard(system)

    after = {item["uid"]: item for item in system.items(project)}
    assert (job["total_items"], len(after)) == (6, 6)
    assert after[drafted["item"]]["status"] == "none"
    assert after[drafted["item"]]["width"] == 58
    assert after[accepted["item"]]["status"] == "accepted"  # I3
    assert after[accepted["item"]]["version"] != first[names[accepted["item"]]]["version"]


def by_item(system: System, project: str) -> dict[str, Json]:
    return {result["item"]: result for result in system.rows(f"/projects/{project}/results/")}


def test_a_deleted_file_is_sent_to_no_model_until_it_is_back(system: System) -> None:
    project = system.load_project(0)
    uploads.put(system, project, {"a.png": uploads.a_picture(1), "b.png": uploads.a_picture(2)})
    uploads.items(system, project, 2)

    uploads.delete(system, project, "a.png")
    uploads.wait_until_heard(system)
    assert {item["key"]: item["is_deleted"] for item in system.items(project)} == {"a.png": True, "b.png": False}
    assert system.run(project, dry_run=True)["total_items"] == 1

    uploads.put(system, project, {"a.png": uploads.a_picture(3)})
    uploads.wait_until_heard(system)
    assert system.run(project, dry_run=True)["total_items"] == 2


def test_a_picture_written_over_by_what_is_none_keeps_its_item_and_its_draft_and_is_listed(system: System) -> None:
    project = system.load_project(0)
    # The model sees something in two of three, and which ones they are is another one's each time.
    uploads.put(system, project, {f"{n}.png": uploads.a_picture(n) for n in range(FEW)})
    uploads.items(system, project, FEW)
    system.run(project)
    before = {item["key"]: item for item in system.items(project)}
    drafted = [key for key, item in before.items() if item["status"] == "draft"]

    truncated = uploads.a_picture(1)[:12]
    contents = {key: truncated if n % 2 else b"This is a text." for n, key in enumerate(drafted)}
    uploads.put(system, project, contents)
    uploads.wait_until_heard(system)

    assert drafted
    assert {item["key"]: item for item in system.items(project)} == before  # I12
    rejected = {u["key"].rpartition("/")[2]: u for u in system.rows(f"/projects/{project}/uploads/?status=rejected")}
    reasons = {key: upload["reason"] for key, upload in rejected.items()}
    expected = {key: "size_unknown" if content == truncated else "unknown_content" for key, content in contents.items()}
    assert reasons == expected
    assert all(upload["detail"].endswith(".") for upload in rejected.values())
    uploads.put(system, project, {drafted[0]: uploads.a_picture(99)})
    uploads.wait_until_heard(system)
    assert {item["key"]: item["status"] for item in system.items(project)}[drafted[0]] == "none"


@pytest.mark.parametrize("parts_first", [False, True])
def test_the_same_bytes_in_parts_keep_their_draft_and_are_sent_to_no_model(system: System, parts_first: bool) -> None:
    project = system.load_project(0)
    keys = [f"{n}.bmp" for n in range(FEW)]
    put_as(system, project, dict.fromkeys(keys, a_large_picture(7)), in_parts=parts_first)
    uploads.items(system, project, FEW)
    system.run(project)
    before = statuses(system, project)
    drafted = [key for key, (status, _) in before.items() if status == "draft"]

    put_as(system, project, dict.fromkeys(keys, a_large_picture(7)), in_parts=not parts_first)
    uploads.wait_until_heard(system)

    after = statuses(system, project)
    assert drafted
    assert {key: status for key, (status, _) in after.items()} == {key: status for key, (status, _) in before.items()}
    assert all(after[key][1] != before[key][1] for key in keys), "another ETag"

    put_as(system, project, {drafted[0]: a_large_picture(8)}, in_parts=parts_first)
    uploads.wait_until_heard(system)
    assert statuses(system, project)[drafted[0]][0] == "none", "other bytes of the same length"


def statuses(system: System, project: str) -> dict[str, tuple[str, str]]:
    return {item["key"]: (item["status"], item["version"]) for item in system.items(project)}


def a_large_picture(shade: int) -> bytes:
    """As long as any other one."""
    content = io.BytesIO()
    Image.new("RGB", (1600, 1200), (shade, shade, shade)).save(content, "bmp")
    return content.getvalue()


def put_as(system: System, project: str, files: dict[str, bytes], *, in_parts: bool) -> None:
    """As boto3 does it, which makes parts of what is large."""
    config = TransferConfig(multipart_threshold=5 << 20 if in_parts else 1 << 30, multipart_chunksize=5 << 20)
    for key, content in files.items():
        client("s3").upload_fileobj(
            io.BytesIO(content), system.stack.outputs["BucketName"], f"projects/{project}/{key}", Config=config
        )


def test_a_size_that_was_given_stays_and_the_same_line_may_be_added_again(system: System) -> None:
    project = system.project(0)
    lines: list[Json] = [
        {"key": "right.png", "width": 12, "height": 16},
        {"key": "wrong.png", "width": 16, "height": 12},
    ]
    system.ok("POST", f"/projects/{project}/items/", {"items": lines}, expect=201)

    uploads.put(system, project, {line["key"]: uploads.a_picture(4) for line in lines})
    uploads.wait_until_heard(system)

    found = {item["key"]: item for item in system.items(project)}
    assert {key: (item["width"], item["height"]) for key, item in found.items()} == {
        "right.png": (12, 16),
        "wrong.png": (16, 12),
    }
    assert found["right.png"]["file_size"] is None
    assert found["wrong.png"]["file_size"] == {"width": 12, "height": 16}
    again = system.ok("POST", f"/projects/{project}/items/", {"items": lines})
    assert (again["errors"], [item["created"] for item in again["results"]]) == ([], [False, False])


def test_an_upload_to_a_registered_item_is_that_item(system: System) -> None:
    project = system.project(0)
    added = system.ok("POST", f"/projects/{project}/items/", {"key": "a.png"}, expect=201)
    assert added["version"] is None

    uploads.put(system, project, {"a.png": uploads.a_picture(4)})
    uploads.wait_until_heard(system)

    (item,) = system.items(project)
    assert (item["uid"], item["created_at"], item["width"]) == (added["uid"], added["created_at"], 12)
    assert system.ok("GET", f"/projects/{project}/")["item_count"] == 1


def test_files_are_what_their_readers_say(system: System) -> None:
    """More of them: tests/heads."""
    project = system.project(0)
    floats = struct.pack("<4f", 1.5, -2, 3, 0.5) * 100
    jpeg, profile = io.BytesIO(), bytes(557_168)
    Image.new("CMYK", (640, 480)).save(jpeg, "jpeg", icc_profile=profile)
    bitmap = struct.pack("<2sIHHIIiiHH", b"BM", 0, 0, 0, 54, 40, 64, -48, 1, 24) + bytes(24 + 64 * 48 * 3)
    files = {"print.jpg": jpeg.getvalue(), "from the top.bmp": bitmap, "kitti.bin": floats, "added.xyz": b"1 2 3\n"}
    system.ok("POST", f"/projects/{project}/items/", {"key": "added.xyz", "asset_type": "point_cloud"}, expect=201)

    uploads.put(system, project, files)
    items = uploads.items(system, project, len(files))
    uploads.wait_until_heard(system)

    found = {key: (item["asset_type"], item.get("width"), item.get("height")) for key, item in items.items()}
    cloud = ("point_cloud", None, None)
    assert found == {
        "print.jpg": ("image", 640, 480),
        "from the top.bmp": ("image", 64, 48),
        "kitti.bin": cloud,
        "added.xyz": cloud,
    }
    assert not list(system.rows(f"/projects/{project}/uploads/?status=rejected"))


# Bad input


@pytest.fixture(scope="module")
def rejecting(system: System) -> str:
    """A project into whose prefix all kinds of things were put, with two good files among them."""
    project = system.project(0)
    good = {"a b+c%20ü.png": uploads.a_picture(1), "東京/..png": uploads.a_picture(2)}
    bad = {"cut.png": uploads.a_picture()[:20], "raw.jpg": b"\0\0\0\x18ftypcrx ", "photo.jpg": b"\0\0\0\x18ftypheic"}
    uploads.put(system, project, good | bad | {"text.jpg": b"This is a text.", "empty.jpg": b"", "folder/": b""})
    uploads.send(
        system,
        [
            uploads.event(system, f"projects/{project}/huge.tiff", size=10_000_000_000),
            uploads.event(system, f"projects/{project}/a/../b.png"),
            uploads.event(system, f"projects/{project}/" + "k" * 901),
            uploads.event(system, f"projects/{UNKNOWN}/a.png"),
            uploads.event(system, "projects/a.png"),
            uploads.event(system, "elsewhere/a.png"),
        ],
    )
    uploads.items(system, project, len(good))
    uploads.wait_until_heard(system)
    return project


def test_what_is_no_item_is_listed_with_the_reason(system: System, rejecting: str) -> None:
    rejected = list(system.rows(f"/projects/{rejecting}/uploads/?status=rejected&limit=2"))

    reasons = {upload["key"].removeprefix(f"projects/{rejecting}/"): upload["reason"] for upload in rejected}
    assert reasons == {
        "text.jpg": "unknown_content",
        "cut.png": "size_unknown",
        "raw.jpg": "camera_raw",
        "photo.jpg": "unsupported_format",
        "empty.jpg": "empty",
        "folder/": "bad_key",
        "huge.tiff": "too_large",
        "a/../b.png": "bad_key",
        "k" * 901: "bad_key",
    }
    assert all(upload["detail"].endswith(".") and upload["status"] == "rejected" for upload in rejected)


def test_no_good_neighbour_is_lost(system: System, rejecting: str) -> None:
    assert {item["key"] for item in system.items(rejecting)} == {"a b+c%20ü.png", "東京/..png"}


def test_rejected_uploads_are_their_owners_own(system: System, rejecting: str, own: System) -> None:
    assert_refused(own.api.get(f"/projects/{rejecting}/uploads/?status=rejected"), 404)  # I10
    assert_refused(system.api.get(f"/projects/{UNKNOWN}/uploads/"), 404)
    assert_refused(system.api.get(f"/projects/{rejecting}/uploads/?status=lost"), 400, naming="status")


def test_a_poison_message_is_a_dead_letter_with_the_reason(system: System) -> None:
    uploads.send(
        system, ["poison", '{"source": "aws.s3", "detail-type": "Object Created", "time": "2026-11-22T10:00:00Z"}']
    )

    reasons = {
        message["Body"]: message["MessageAttributes"]["Reason"]["StringValue"] for message in dead_letters(system, 2)
    }

    assert "no message that we know" in reasons["poison"]
    assert sum("an event of S3 without its object" in reason for reason in reasons.values()) == 1


def dead_letters(system: System, count: int) -> list[Json]:
    """So many dead letters of uploads, taken out."""
    sqs, url = client("sqs"), system.stack.outputs["UploadDeadLetterQueueUrl"]
    found: list[Json] = []
    deadline = time.monotonic() + uploads.UPLOADED_SECONDS
    while len(found) < count and time.monotonic() < deadline:
        got = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
        ).get("Messages", [])
        for message in got:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        found += got
    return found


@pytest.mark.parametrize(
    ("setting", "naming"),
    [
        ({"quiet_seconds": 0}, "auto_label_on_upload.quiet_seconds"),
        ({"max_items_per_day": "many"}, "auto_label_on_upload.max_items_per_day"),
        ({"confidence_threshold": 2}, "auto_label_on_upload.confidence_threshold"),
        ({"provider_id": "x"}, "auto_label_on_upload.provider_id"),
        ({"labels": ["no such label"]}, "auto_label_on_upload.labels"),
        (True, "auto_label_on_upload"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(system: System, setting: object, naming: str) -> None:
    project = system.project(0)

    assert_refused(
        system.api.patch(f"/projects/{project}/", json={"auto_label_on_upload": setting}), 400, naming=naming
    )
    created = {"name": "x", "labels": ["car"], "auto_label_on_upload": setting}
    assert_refused(system.api.post("/projects/", json=created), 400, naming=naming)


def test_the_setting_is_shown_and_turned_off(system: System) -> None:
    project = system.project(0)
    change = {"auto_label_on_upload": {"model_type": "sam3", "quiet_seconds": 5}}

    on = system.ok("PATCH", f"/projects/{project}/", change)["auto_label_on_upload"]
    off = system.ok("PATCH", f"/projects/{project}/", {"auto_label_on_upload": {"enabled": False}})

    assert (on["model_type"], on["quiet_seconds"], on["max_items_per_day"]) == ("sam3", 12, 10_000), "what it works as"
    assert off["auto_label_on_upload"] is None


# Buckets of customers


@pytest.fixture
def source_bucket() -> Iterator[str]:
    """A bucket that this deployment reads for the organization, connected to EventBridge."""
    s3, name = client("s3"), "autolabel-demo-sources"
    existing = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    if name not in existing:
        s3.create_bucket(Bucket=name)
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}})
    yield name
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={})


def test_a_connected_bucket_of_a_customer_is_heard_for_its_own_projects_alone(
    system: System, own: System, source_bucket: str
) -> None:
    mine, foreign = system.project(0), own.project(0)
    s3 = client("s3")
    for project in (foreign, mine):
        s3.put_object(Bucket=source_bucket, Key=f"projects/{project}/a.png", Body=uploads.a_picture(9))
    uploads.items(system, mine, 1)
    uploads.wait_until_heard(system)

    # I10: it is heard and dropped. The other tenant's project takes files under that key too, and cannot name it.
    assert own.items(foreign) == []
    uploads.put(own, foreign, {"a.png": uploads.a_picture(1)})
    assert uploads.items(own, foreign, 1)["a.png"]["width"] == 9
    assert list(own.rows(f"/projects/{foreign}/uploads/")) == []
    named = {"key": "b.png", "url": f"s3://{source_bucket}/projects/{foreign}/a.png"}
    assert_refused(own.api.post(f"/projects/{foreign}/items/", json=named), 400, naming="url")
    assert_refused(own.api.get(f"/projects/{mine}/uploads/"), 404)
    assert_refused(own.api.get(f"/projects/{mine}/items/"), 404)
    assert system.ok("GET", f"/projects/{mine}/")["item_count"] == 1
