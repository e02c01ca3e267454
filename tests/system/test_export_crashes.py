"""A crash at each call of an export, and the loss of each answer: its file is as without them (decision 0043)."""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import pytest

from local.aws import client
from tests.chaos.faulty import Faults, faulty
from tests.chaos.schedule import NO_PROCESS, Kind
from tests.system.conftest import NewTenant
from tests.system.system import POLL_SECONDS, Json, System

pytestmark = pytest.mark.takes(70)

ITEMS = 300
LABELS = ["dog", "cat"]
BOUND_SECONDS = 60.0
TRIES = 5
MOST_CALLS = 100  # an export of so few items makes fewer
# A process that is killed before its next call has done all that one does that is killed after this one.
EFFECTS = {Kind.KILLED_BEFORE: "kill before", Kind.LOST: "lost"}
# When an export was created is part of a file of COCO.
CREATED = re.compile(rb'"date_created":"[^"]*"')


@dataclass
class Exporter:
    """A project of labeled items, its exports, and the faults that these meet."""

    system: System
    faults: Faults
    organization: str
    project: str
    items: list[str]

    def digest(self, name: str, kind: Kind | None = None, calls: int = 0) -> str | None:
        """Of the file of a new export. After so many calls its worker meets the fault; `None`: it has ended before."""
        for _ in range(TRIES):
            digest, fired = self._exported(name, kind, calls)
            if fired != [NO_PROCESS]:
                assert fired in ([], [kind])
                return digest if fired or not kind else None
        raise AssertionError(f"no process was found to kill at call {calls}")

    def _exported(self, name: str, kind: Kind | None, calls: int) -> tuple[str, list[str]]:
        scope, names = str(uuid.uuid4()), [self.organization, self.project, *self.items]
        self.faults.begin(scope, names, rules(kind, calls) if kind else [], [])
        created = self.system.ok("POST", "/exports/", {"project": self.project, "format": name}, expect=201)["uid"]
        try:
            ended = self._ended(created, scope if kind == Kind.KILLED_BEFORE else None)
        finally:
            fired = self.faults.end(scope)
        assert ended["status"] == "exported", ended
        assert (ended["total_task_count"], ended["exported_task_count"]) == (ITEMS, ITEMS)
        content = httpx.get(ended["download_url"]).raise_for_status().content
        (file,) = ended["files"]
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        return hashlib.sha256(CREATED.sub(b"", content)).hexdigest(), [event["name"] for event in fired]

    def _ended(self, uid: str, wakes_in: str | None) -> Json:
        """Of the export whose worker is killed in this scope, the next one is woken."""
        deadline, is_woken = time.monotonic() + BOUND_SECONDS, wakes_in is None
        while (now := self.system.ok("GET", f"/exports/{uid}/"))["status"] in ("pending", "processing"):
            assert time.monotonic() < deadline, now
            if wakes_in and not is_woken and self.faults.has_fired(wakes_in):
                self._wake(uid)
                is_woken = True
            time.sleep(POLL_SECONDS)
        return now

    def _wake(self, uid: str) -> None:
        """What the schedule does once the claim of the worker that was killed is over, 65 seconds later."""
        key = {"pk": {"S": f"ORG#{self.organization}"}, "sk": {"S": f"EXPORT#{uid}"}}
        table = self.system.stack.outputs["TableName"]
        client("dynamodb").update_item(
            TableName=table,
            Key=key,
            UpdateExpression="SET lease = :zero",
            ExpressionAttributeValues={":zero": {"N": "0"}},
        )
        body = {"V1": {"organization": self.organization, "export": uid}}
        queue = self._variables()["EXPORT_QUEUE_URL"]
        client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(body), MessageGroupId=self.organization)

    def _variables(self) -> dict[str, Any]:
        name = self.system.stack.outputs["ComposeFunctionName"]
        return dict(client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"])


def rules(kind: Kind, calls: int) -> list[Json]:
    """So many calls of the worker pass, and the next one meets the fault."""
    of_worker = {"headers": {"user-agent": "app/compose"}}
    passing = [{**of_worker, "times": calls}] if calls else []
    return [*passing, {**of_worker, "times": 1, "name": kind.value, "effect": EFFECTS[kind]}]


@pytest.fixture(scope="module")
def exporter(new_tenant: NewTenant) -> Iterator[Exporter]:
    system = new_tenant()
    project = str(system.ok("POST", "/projects/", {"name": "Crashes", "labels": LABELS}, expect=201)["uid"])
    entries = [{"key": f"{n:03}.jpg", "width": 640, "height": 480} for n in range(ITEMS)]
    added = system.ok("POST", f"/projects/{project}/items/", {"items": entries}, expect=201)["results"]
    for number, item in enumerate(added):
        coordinates = {"x": number, "y": 10, "width": 20.5, "height": 30}
        box = {"type": "bounding_box", "label": LABELS[number % 2], "coordinates": coordinates}
        system.ok("POST", f"/items/{item['uid']}/results/", {"annotations": [box]}, expect=201)
    (organization,) = system.ok("GET", "/organizations/")["results"]
    with faulty(system.stack) as faults:
        yield Exporter(system, faults, organization["uid"], project, [item["uid"] for item in added])


# A file that is written alone, and one that has something beside it.
@pytest.mark.parametrize("kind", EFFECTS)
@pytest.mark.parametrize("name", ["jsonl", "coco"])
def test_a_fault_at_each_call_changes_no_file(exporter: Exporter, name: str, kind: Kind) -> None:
    expected = exporter.digest(name)

    for calls in count():
        digest = exporter.digest(name, kind, calls)
        if digest is None:
            break
        assert digest == expected, f"{kind} at call {calls}"

    # Claim, upload, two passes of reads, the parts, what is stored, the object, the event.
    assert 12 < calls < MOST_CALLS
