"""One walk through the whole API in one organization, every answer of it kept: what all answers have in common is asked
of these."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from local import settings
from local.receiver import Delivery, Receiver
from tests.system.system import Json, System

# As users name things: what a client that renames JSON keys would corrupt.
LABELS = ("traffic_light", "Stop-Sign", "überholverbot", "__proto__", "constructor")
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Secrets:
    """What nothing may show. Each is unlike anything else, so that it is found wherever it is."""

    given: str = "whsec-canary-5f0a71c9d2e84b36"
    typo: str = "typo-canary-c41e99b07ad3"
    userinfo: str = "userinfo-canary-9b7e20d4"
    wrong_key: str = "avk_wrong-canary-64d1f08be5a2930c7"
    token: str = "token-canary-7d20c3e58b914fa6"
    changed_token: str = "token-canary-e2f4a7719b3c05d8"
    line: str = "line-canary-0c85b6f93ed147a2"
    header: str = "header-canary-b18d5e2703fa46c9"
    once: str = "once-canary-4e93d07ab215c86f"


@dataclass
class Walk:
    """What was done, and what was answered."""

    system: System
    secrets: Secrets
    answers: list[httpx.Response] = field(default_factory=list)
    generated: list[str] = field(default_factory=list)  # secrets that the system made
    project: str = ""
    jobs: list[str] = field(default_factory=list)
    item: str = ""
    received: list[Delivery] = field(default_factory=list)
    dead_letter: str = ""  # the delivery whose receiver was gone
    stores: dict[str, list[bytes]] = field(default_factory=dict)  # where test_secrets.py searches

    @property
    def all_secrets(self) -> list[str]:
        """Everything that may be nowhere in the clear."""
        return [self.system.stack.key, *vars(self.secrets).values(), *self.generated]

    def call(self, method: str, path: str, body: Json | None = None, **headers: str) -> httpx.Response:
        """A call whose answer is kept."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.system.api.request(method, path, json=body, headers=names)
        self.answers.append(response)
        return response

    def ok(self, method: str, path: str, body: Json | None = None, **headers: str) -> Json:
        """The body of a successful answer."""
        response = self.call(method, path, body, **headers)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return dict(response.json()) if response.content else {}


@contextmanager
def walked(system: System) -> Iterator[Walk]:
    """Walks, and keeps the receiver of the webhooks open meanwhile."""
    walk = Walk(system, Secrets())
    # The first event finds its receiver gone for good, and so lands among the dead letters.
    with Receiver(answers=(410,)) as gone, Receiver() as receiver:
        subscribe(walk, gone, receiver)
        add_project(walk)
        offer_providers(walk)
        run_jobs(walk)
        review(walk)
        export(walk)
        bring(walk)
        walk.received += [d for d in (receiver.next(), receiver.next()) if d]
        dead = gone.next()
        assert dead is not None
        walk.received.append(dead)
        walk.dead_letter = dead.uid
        walk.ok("POST", f"/webhook-deliveries/{walk.received[1].uid}/redeliver/")
        fail(walk)
        list_everything(walk)
        yield walk


def subscribe(walk: Walk, gone: Receiver, receiver: Receiver) -> None:
    events = ["auto_label.completed", "auto_label.failed"]
    hook = {"target_url": receiver.url, "events": events, "secret": walk.secrets.given}
    # The answers that show a secret, and so are not kept here: that of the first call, and of the same call again.
    once = {"Idempotency-Key": walk.secrets.once}
    given, again = (walk.system.api.post("/webhooks/", json=hook, headers=once).json() for _ in range(2))
    assert given == again
    made = walk.system.ok("POST", "/webhooks/", {"target_url": gone.url, "events": events[:1]}, expect=201)
    walk.generated.append(made["secret"])
    for uid in (given["uid"], made["uid"]):
        walk.ok("GET", f"/webhooks/{uid}/")
        walk.ok("PATCH", f"/webhooks/{uid}/", {"is_active": True})
    tested = walk.ok("POST", f"/webhooks/{given['uid']}/test/")
    walk.ok("GET", f"/webhook-deliveries/{tested['delivery']}/")


def add_project(walk: Walk) -> None:
    project = walk.ok("POST", "/projects/", {"name": "Scenario", "labels": LABELS})
    walk.project = project["uid"]
    items = [{"key": f"{n}.jpg", "asset_type": "image", "width": 640, "height": 480} for n in range(12)]
    added = walk.system.ok("POST", f"/projects/{walk.project}/items/", {"items": items}, expect=201)
    # A signed URL alone opens the bucket.
    signatures = [httpx.URL(item["upload_url"]).params["X-Amz-Signature"] for item in added["results"]]
    walk.generated += signatures
    walk.item = added["results"][0]["uid"]
    walk.ok("PATCH", f"/projects/{walk.project}/", {"name": "Scenario, renamed"})
    for path in (f"/projects/{walk.project}/", f"/users/me/projects/{walk.project}/"):
        walk.ok("GET", path)


def offer_providers(walk: Walk) -> None:
    """Over HTTP with each kind of credential, at an address that answers 404; then the one that serves."""
    secrets = walk.secrets
    http = {"endpoint_url": f"{settings.ENDPOINT_URL}/nothing", "headers": {"X-Team": secrets.header}}
    for credentials in (
        {"auth_type": "bearer", "auth_header": secrets.token},
        {"auth_type": "header", "auth_header": f"X-Model-Key: {secrets.line}"},
    ):
        body = {"name": "Theirs", "provider_type": "http", "config": {**http, **credentials}, "is_active": False}
        shown = walk.ok(
            "POST", "/inference-providers/", body, Idempotency_Key=f"{secrets.once}-{credentials['auth_type']}"
        )
        path = f"/inference-providers/{shown['uid']}/"
        walk.ok("PATCH", path, {"config": {**shown["config"], "timeout": 5}})
        assert not walk.ok("POST", f"{path}test/")["success"]
        # To another host the token would reach a stranger.
        moved = {**shown["config"], "endpoint_url": "https://evil.example/"}
        assert walk.call("PATCH", path, {"config": moved}).status_code == 400
        walk.ok("GET", path)
    changed = {**http, "auth_type": "bearer", "auth_header": secrets.changed_token}
    walk.ok("PATCH", path, {"config": changed})
    config = {"endpoint_name": settings.LOAD_ENDPOINT, "region": settings.REGION}
    body = {"name": "Ours", "provider_type": "sagemaker", "config": config, "project": walk.project}
    uid = walk.ok("POST", "/inference-providers/", body)["uid"]
    walk.ok("GET", f"/inference-providers/{uid}/")
    walk.ok("PATCH", f"/inference-providers/{uid}/", {"description": "Scenario"})
    for wrong in (
        {**body, "config": {**config, "auth_heder": secrets.typo}},
        {**body, "provider_type": "http", "config": {**http, "endpoint_url": f"https://{secrets.userinfo}@a.example/"}},
        {**body, "provider_type": "http", "config": {**http, "auth_type": secrets.typo}},
        {
            **body,
            "provider_type": "http",
            "config": {**http, "auth_type": "header", "auth_header": f"{secrets.typo}\n"},
        },
    ):
        assert walk.call("POST", "/inference-providers/", wrong).status_code == 400


def run_jobs(walk: Walk) -> None:
    options: list[Json] = [{"dry_run": True}, {"confidence_threshold": 0.0}, {"labels": [LABELS[0]]}]
    for body in options:
        job = walk.ok("POST", f"/projects/{walk.project}/auto-label/", body)
        walk.jobs.append(job["uid"])
        walk.system.finished(job["uid"])
        walk.ok("GET", f"/auto-label-jobs/{job['uid']}/")


def review(walk: Walk) -> None:
    queue = f"/projects/{walk.project}/review-queue/"
    claimed = walk.ok("POST", f"{queue}claim/", {"count": 3, "order": "random"})["items"]
    walk.ok("POST", f"{queue}renew/", {"items": [draft["item"] for draft in claimed]})
    walk.ok("POST", f"{queue}skip/", {"item": claimed[0]["item"], "reason": "Dark."})
    walk.ok("POST", f"{queue}release/", {"items": [claimed[1]["item"]]})
    first, second, third, *_ = walk.ok("GET", f"/projects/{walk.project}/results/")["results"]
    walk.ok("POST", f"/results/{first['uid']}/accept/")
    walk.ok("POST", f"/results/{second['uid']}/reject/")
    annotation = {
        "type": "bounding_box",
        "label": LABELS[1],
        "coordinates": {"x": 1, "y": 2, "width": 3, "height": 4},
    }
    walk.ok("PATCH", f"/results/{third['uid']}/", {"annotations": [annotation]})
    walk.ok("POST", f"/results/{third['uid']}/reopen/")
    walk.ok("POST", f"/items/{second['item']}/results/", {"annotations": [annotation]})
    for result in (first, second, third):
        walk.ok("GET", f"/results/{result['uid']}/")
        walk.ok("GET", f"/results/{result['uid']}/draft/")
    walk.ok("GET", f"/tasks/{first['task']}/")
    walk.ok("POST", f"/projects/{walk.project}/results/accept/", {"job": walk.jobs[1], "label": LABELS[2]})


def export(walk: Walk) -> None:
    """It is deleted at its end: its URL alone opens the bucket."""
    created = walk.ok("POST", "/exports/", {"project": walk.project, "statuses": ["accepted", "draft"]})
    exported = walk.system.exported(created["uid"])
    walk.generated.append(httpx.URL(exported["download_url"]).params["X-Amz-Signature"])
    assert walk.call("DELETE", f"/exports/{created['uid']}/").status_code == 204


def bring(walk: Walk) -> None:
    """An import that changes nothing: its item is not there."""
    body = {"format": "jsonl", "as": "accepted"}
    created = walk.system.ok("POST", f"/projects/{walk.project}/imports/", body, expect=201)
    walk.generated.append(httpx.URL(created["upload_url"]).params["X-Amz-Signature"])
    httpx.put(created["upload_url"], content=b'{"key": "gone", "annotations": []}').raise_for_status()
    walk.system.imported(walk.project, created["uid"])
    walk.ok("GET", f"/projects/{walk.project}/imports/{created['uid']}/")
    walk.ok("GET", f"/projects/{walk.project}/imports/")


def fail(walk: Walk) -> None:
    """Every kind of refusal."""
    finished = walk.jobs[0]
    refusals: list[tuple[str, str, Json | None, int]] = [
        ("GET", f"/auto-label-jobs/{UNKNOWN}/", None, 404),
        ("GET", "/no/such/path/", None, 404),
        ("GET", "/auto-label-jobs/?status=done", None, 400),
        ("GET", "/webhooks/?cursor=not-ours", None, 404),
        ("PUT", "/auto-label-jobs/", {}, 405),
        ("DELETE", f"/auto-label-jobs/{finished}/", None, 409),
        ("POST", f"/projects/{walk.project}/auto-label/", {"labels": ["x" * 300_000]}, 413),
        ("POST", f"/projects/{walk.project}/auto-label/", {"labels": ["unicorn"], "dry_run": 1}, 400),
        ("POST", "/webhooks/", {"target_url": "u", "events": [], "secret": walk.secrets.given[:15]}, 400),
        (
            "POST",
            "/webhooks/",
            {"target_url": f"https://{walk.secrets.userinfo}@a.example/", "events": ["task.completed"]},
            400,
        ),
    ]
    for method, path, body, status in refusals:
        answer = walk.call(method, path, body)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
    assert walk.call("GET", "/projects/", X_Avala_Api_Key=walk.secrets.wrong_key).status_code == 401
    assert walk.call("GET", "/projects/", X_Avala_Api_Key="").status_code == 401


def show_dataset(walk: Walk) -> str:
    """The path of the project's dataset."""
    (dataset,) = walk.ok("GET", "/datasets/")["results"]
    path = f"/datasets/{dataset['owner_name']}/{dataset['slug']}/"
    walk.ok("GET", f"/datasets/{dataset['uid']}/")
    walk.ok("GET", path)
    walk.ok("GET", f"{path}items/{walk.item}/")
    return path


def list_everything(walk: Walk) -> None:
    walk.ok("GET", "/keys/me/")
    for path in (
        *("/organizations/", "/projects/", "/users/me/projects/", "/tasks/", "/exports/", "/agents/"),
        *("/storage-configs/", "/auto-label-jobs/", "/inference-providers/", "/webhooks/", "/webhook-deliveries/"),
        *(f"/projects/{walk.project}/items/", f"/projects/{walk.project}/results/"),
        f"/projects/{walk.project}/review-queue/",
        *("/datasets/", f"{show_dataset(walk)}items/"),
    ):
        first = walk.ok("GET", f"{path}?limit=1")
        if first["next"]:
            walk.ok("GET", first["next"])
        walk.ok("GET", path)


def bodies(walk: Walk) -> list[Any]:
    """Every answer's JSON."""
    return [json.loads(answer.content) for answer in walk.answers if answer.content]
