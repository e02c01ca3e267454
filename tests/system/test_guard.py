"""The guard for addresses that users give, as all call it: providers, webhooks, files of items, masks (contract, D18).

`shared/src/egress/tests/tricks.rs` has the whole table; here is what the running stack makes of it.
"""

import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.system import https
from tests.system.model import Model
from tests.system.system import Json, System
from tests.system.test_connection import name_of_this_machine

PUBLIC = "Must lead to a public address."
HTTPS = "Must be an HTTPS URL."
URL = "Must be a URL."
USER = "May not contain a user name or password."

TRICKS = [
    ("https://127.0.0.2/", PUBLIC),
    ("https://0.0.0.0/", PUBLIC),
    ("https://10.0.0.1/", PUBLIC),
    ("https://172.16.0.1/", PUBLIC),
    ("https://192.168.0.1/", PUBLIC),
    ("https://169.254.169.254/latest/meta-data/", PUBLIC),
    ("https://169.254.170.2/v2/credentials", PUBLIC),
    ("https://100.100.100.200/", PUBLIC),
    ("https://198.18.0.1/", PUBLIC),
    ("https://203.0.113.1/", PUBLIC),
    ("https://224.0.0.1/", PUBLIC),
    ("https://255.255.255.255/", PUBLIC),
    ("https://2130706433/", PUBLIC),
    ("https://017700000001/", PUBLIC),
    ("https://0251.0376.0251.0376/", PUBLIC),
    ("https://0x7f000001/", PUBLIC),
    ("https://0xA9.254.0251.0xfe/", PUBLIC),
    ("https://127.1/", PUBLIC),
    ("https://127.0.0.1./", PUBLIC),
    ("https://\uff11\uff12\uff17.0.0.1/", PUBLIC),
    ("https://169\u3002254\u3002169\u3002254/", PUBLIC),
    ("https://%31%32%37.0.0.1/", PUBLIC),
    ("https://127.0.0.1\u00ad/", PUBLIC),
    ("https://[::1]/", PUBLIC),
    ("https://[::ffff:127.0.0.1]/", PUBLIC),
    ("https://[::ffff:a9fe:a9fe]/", PUBLIC),
    ("https://[64:ff9b::169.254.169.254]/", PUBLIC),
    ("https://[2002:7f00:1::]/", PUBLIC),
    ("https://[fd00:ec2::254]/", PUBLIC),
    ("https://[fe80::1]/", PUBLIC),
    ("https://[fe80::1%25eth0]/", URL),
    ("https://LOCALHOST/", PUBLIC),
    ("https://localhost./", PUBLIC),
    ("https://metadata.google.internal/", PUBLIC),
    ("https://printer.local/", PUBLIC),
    ("https://model.example@169.254.169.254/", USER),
    ("http://localhost@10.0.0.1/", USER),
    ("https://model.example\\@127.0.0.1/", URL),
    ("https:\\\\127.0.0.1\\", URL),
    ("https://model.example%40127.0.0.1/", URL),
    ("http://169.254.169.254/", HTTPS),
    ("http://127.0.0.2/", HTTPS),
    ("http://[::1]/", HTTPS),
    ("http://0177.0.0.1/", HTTPS),
    ("http://localhost.example/", HTTPS),
    ("file:///proc/self/environ", HTTPS),
    ("gopher://127.0.0.1:6379/_FLUSHALL", HTTPS),
]


@pytest.fixture(scope="module")
def project(system: System) -> str:
    return system.project()


@pytest.mark.contract("D18")
def test_there_are_forty_tricks_and_more() -> None:
    assert len({url for url, _ in TRICKS}) == len(TRICKS) >= 40


@pytest.mark.contract("D18")
@pytest.mark.parametrize(("url", "sentence"), TRICKS)
def test_no_address_inside_becomes_a_provider_a_webhook_or_a_file(
    system: System, project: str, url: str, sentence: str
) -> None:
    http = {"name": "T", "provider_type": "http", "config": {"endpoint_url": url}, "project": project}
    provider = system.api.post("/inference-providers/", json=http)
    webhook = system.api.post("/webhooks/", json={"target_url": url, "events": ["task.completed"]})
    item = {"key": "a.jpg", "url": url, "width": 1, "height": 1}
    items = system.api.post(f"/projects/{project}/items/", json={"items": [item]})

    assert (provider.status_code, provider.json()["detail"]) == (400, f"config.endpoint_url: {sentence}")
    assert (webhook.status_code, webhook.json()["detail"]) == (400, f"target_url: {sentence}")
    assert (items.status_code, items.json()["detail"]) == (400, f"items[0].url: {sentence}")


@pytest.mark.contract("D18")
def test_no_address_inside_becomes_a_mask(system: System, model: Model) -> None:
    """A model's answer is no request that could be refused: each mask is dropped when it would be fetched."""
    for url, sentence in TRICKS[::8]:
        model.says((200, {"annotations": [masked(url)]}))

        job = system.run(model.project(system, "road"))

        (error,) = job["summary"]["errors"]
        assert (job["failed_items"], error["code"]) == (1, "bad_answer")
        assert f"The address was refused. {sentence}" in error["message"]
    model.says((200, {"annotations": [masked(url) for url, _ in TRICKS]}))
    job = system.run(model.project(system, "road"))
    assert (job["failed_items"], job["successful_items"]) == (1, 0), "not one of them is well formed"


def masked(url: str) -> Json:
    mask = {"format": "png_url", "url": url}
    return {"type": "segmentation_mask", "label": "road", "confidence": 0.9, "mask": mask}


@pytest.fixture
def inside() -> Iterator[tuple[str, list[object]]]:
    """A server on this machine under a name that no rule of spelling knows, and who connected to it."""
    visits: list[object] = []
    family = socket.getaddrinfo(name_of_this_machine(), None)[0][0]
    listener = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
    with https.listening(visits.append, listener=listener) as origin:
        yield f"https://{name_of_this_machine()}:{origin.rpartition(':')[2]}", visits


@pytest.mark.contract("D18")
def test_a_name_that_leads_inside_is_nowhere_called(
    system: System, model: Model, inside: tuple[str, list[object]]
) -> None:
    """Of such a name only DNS says what is wrong, so every route takes it, and none calls it."""
    origin, visits = inside
    project = model.project(system, "road", items=1)
    http = {"name": "T", "provider_type": "http", "config": {"endpoint_url": origin}, "is_active": False}
    provider = system.ok("POST", "/inference-providers/", http, expect=201)["uid"]
    hook = {"target_url": origin, "events": ["task.completed"]}
    webhook = system.ok("POST", "/webhooks/", hook, expect=201)["uid"]
    model.says((200, {"annotations": [masked(f"{origin}/mask.png")]}))

    tested = system.ok("POST", f"/inference-providers/{provider}/test/", expect=200)
    delivered = system.ok("POST", f"/webhooks/{webhook}/test/", expect=200)
    line = {"key": "a.jpg", "url": f"{origin}/a.jpg"}
    added = system.api.post(f"/projects/{system.project()}/items/", json={"items": [line]})
    job = system.run(project)
    system.api.delete(f"/webhooks/{webhook}/")

    assert (tested["success"], tested["problem"]) == (False, "address_refused")
    assert (delivered["success"], PUBLIC in delivered["message"]) == (False, True)
    assert (added.status_code, PUBLIC in added.json()["detail"]) == (400, True)
    assert (job["failed_items"], PUBLIC in job["summary"]["errors"][0]["message"]) == (1, True)
    assert not visits


@pytest.mark.contract("D18")
def test_no_redirect_leads_inside(system: System, model: Model) -> None:
    with https.listening(https.answering(302, location="http://169.254.169.254/latest/meta-data/")) as origin:
        project = model.project(system, "road", items=1)
        model.says((200, {"annotations": [masked(f"{origin}/mask.png")]}))
        webhook = system.ok("POST", "/webhooks/", {"target_url": origin, "events": ["task.completed"]}, expect=201)

        delivered = system.ok("POST", f"/webhooks/{webhook['uid']}/test/", expect=200)
        line = {"key": "a.jpg", "url": f"{origin}/a.jpg"}
        added = system.api.post(f"/projects/{system.project()}/items/", json={"items": [line]})
        job = system.run(project)
        system.api.delete(f"/webhooks/{webhook['uid']}/")

    assert (delivered["success"], delivered["response_status"]) == (False, httpx.codes.FOUND)
    assert (added.status_code, "status 302" in added.json()["detail"]) == (400, True)
    assert "status 302" in job["summary"]["errors"][0]["message"]
