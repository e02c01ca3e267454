"""The review queue: no two people get the same draft at once (contract, 11.4; decision 0039)."""

import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local import counts
from tests.system.conftest import NewTenant
from tests.system.system import Json, System, assert_refused

pytestmark = pytest.mark.takes(60)

ITEMS = 400
CLAIMED = 20
AT_ONCE = 3


@pytest.fixture(scope="module")
def people(new_tenant: NewTenant) -> list[System]:
    """Four keys of one organization."""
    slug = f"test-{uuid.uuid4()}"
    return [new_tenant(slug=slug) for _ in range(4)]


@pytest.fixture
def drafted(people: list[System]) -> tuple[str, Json]:
    """A project of theirs with drafts, and the job that left them."""
    project = people[0].load_project(ITEMS)
    job = people[0].run(project)
    assert job["successful_items"] > 2 * CLAIMED * len(people)
    return project, job


def queue(project: str, call: str = "") -> str:
    return f"/projects/{project}/review-queue/{call}"


def claim(system: System, project: str, **body: Any) -> list[Json]:
    """The drafts of a claim, however many calls find them."""
    while True:
        answer = system.ok("POST", queue(project, "claim/"), body, expect=200)
        if answer["items"] or answer["cursor"] is None:
            return list(answer["items"])
        body = {"cursor": answer["cursor"]}


def items(rows: list[Json]) -> list[str]:
    return [row["item"] for row in rows]


@pytest.mark.contract("D33")
def test_of_many_claims_at_once_no_two_keys_get_the_same_draft(people: list[System], drafted: tuple[str, Json]) -> None:
    project, job = drafted
    seen: dict[str, int] = {}
    with ThreadPoolExecutor(AT_ONCE * len(people)) as pool:
        for order in ("sequence", "random"):
            # Each person from several tabs: one key is one person.
            tabs = list(range(len(people))) * AT_ONCE
            answers = list(pool.map(lambda n, order=order: (n, claim(people[n], project, order=order)), tabs))
            for person, rows in answers:
                assert 0 < len(rows) <= CLAIMED
                assert all(row["is_yours"] for row in rows)
                for item in items(rows):
                    assert seen.setdefault(item, person) == person, "handed to two people"
            for person, system in enumerate(people):  # all are done with half of what they have
                mine = claim(system, project)
                assert {seen.get(row["item"], person) for row in mine} == {person}
                for row in mine[: CLAIMED // 2]:
                    verdict = system.api.post(
                        f"/results/{row['uid']}/accept/", headers={"If-Match": f'"{row["revision"]}"'}
                    )
                    assert verdict.status_code == 200, verdict.text
    remaining = people[0].ok("GET", queue(project))["remaining"]
    accepted = len(list(people[0].rows(f"/projects/{project}/results/?status=accepted")))
    assert accepted == 2 * len(people) * CLAIMED // 2
    assert remaining == {"count": job["successful_items"] - accepted, "is_exact": True}


def test_a_row_is_the_result_with_what_an_editor_needs_of_its_item(
    people: list[System], drafted: tuple[str, Json]
) -> None:
    ann, bob, *_ = people
    project, job = drafted

    (row,) = claim(ann, project, count=1, order="least_confident")

    result = ann.ok("GET", f"/results/{row['uid']}/")
    assert {name: row[name] for name in result} == result
    (item,) = [item for item in ann.items(project) if item["uid"] == row["item"]]
    assert {name: row[name] for name in ("key", "asset_type", "width", "height")} == {
        name: item[name] for name in ("key", "asset_type", "width", "height")
    }
    drafts = ann.results(project, job["uid"])
    assert row["min_confidence"] == min(draft["min_confidence"] for draft in drafts)
    seen_by_bob = next(other for other in bob.rows(queue(project)) if other["uid"] == row["uid"])
    assert (seen_by_bob["claimed_by"], seen_by_bob["is_yours"]) == ("test", False)
    assert seen_by_bob["claimed_until"] == row["claimed_until"] is not None


def test_each_order_lists_every_draft_once(people: list[System], drafted: tuple[str, Json]) -> None:
    ann, project, job = people[0], *drafted
    expected = sorted(items(ann.results(project, job["uid"])))
    for order in ("sequence", "newest", "random", "least_confident", "most_confident"):
        rows = list(ann.rows(f"{queue(project)}?order={order}&limit=50"))
        assert sorted(items(rows)) == expected, order
        least = [row["min_confidence"] for row in rows]
        if order.endswith("confident"):
            assert least == sorted(least, reverse=order == "most_confident")
    narrowed = list(ann.rows(f"{queue(project)}?min_confidence=0.8&job={job['uid']}"))
    assert items(narrowed)
    assert all(row["min_confidence"] >= 0.8 for row in narrowed)


def test_a_claim_refuses_no_verdict_and_every_verdict_ends_it(people: list[System], drafted: tuple[str, Json]) -> None:
    ann, bob, *_ = people
    project, _ = drafted
    first, second, third = claim(ann, project, count=3)

    for row, verdict in ((first, "accept"), (second, "reject")):  # Bob's, of what Ann has
        answer = bob.api.post(f"/results/{row['uid']}/{verdict}/", headers={"If-Match": f'"{row["revision"]}"'})
        assert answer.status_code == 200, answer.text
    late = ann.api.post(f"/results/{first['uid']}/accept/", headers={"If-Match": f'"{first["revision"]}"'})
    assert_refused(late, 412, code="precondition_failed")
    renewed = ann.ok("POST", queue(project, "renew/"), {"items": items([first, second, third])})
    assert (renewed["items"], renewed["lost"]) == ([third["item"]], items([first, second]))

    ann.ok("POST", f"/results/{first['uid']}/reopen/")
    ann.ok("POST", f"/results/{second['uid']}/reopen/")
    again = {row["item"]: row for row in ann.rows(queue(project))}
    assert again[first["item"]]["claimed_by"] is again[second["item"]]["claimed_by"] is None


def test_what_is_given_back_or_skipped_is_for_the_others(people: list[System], drafted: tuple[str, Json]) -> None:
    ann, bob, *_ = people
    project, _ = drafted
    first, second = claim(ann, project, count=2)
    skipped = {"item": first["item"], "reason": "The picture is blurred."}
    assert ann.ok("POST", queue(project, "skip/"), skipped) == {"item": first["item"]}
    released = ann.ok("POST", queue(project, "release/"), {"items": [second["item"]]})
    assert released == {"items": [second["item"]], "lost": [], "claimed_until": None}

    assert items(claim(ann, project, count=1)) == [second["item"]], "she does not get the first one again"
    (row,) = claim(bob, project, count=1)

    assert row["item"] == first["item"]
    (skip,) = row["skips"]
    assert (skip["by"], skip["reason"]) == ("test", "The picture is blurred.")


def test_a_queue_is_empty_once_its_drafts_are_gone(people: list[System]) -> None:
    ann = people[0]
    project = ann.load_project(30)
    ann.run(project, dry_run=True)
    assert ann.ok("GET", queue(project))["results"] == [], "a dry run leaves no drafts"
    job = ann.run(project)
    assert len(claim(ann, project)) == min(CLAIMED, job["successful_items"])
    ann.ok("POST", f"/auto-label-jobs/{job['uid']}/discard-drafts/")

    empty = ann.ok("GET", queue(project))

    assert (empty["results"], empty["next"], empty["remaining"]) == ([], None, {"count": 0, "is_exact": True})
    assert claim(ann, project) == []


def test_a_claim_of_twenty_costs_thirty_calls_of_the_table(people: list[System], drafted: tuple[str, Json]) -> None:
    """One of them for each draft; the others do not grow with the project."""
    ann, project = people[0], drafted[0]
    before = counts.calls_so_far()
    rows = claim(ann, project)
    calls = counts.calls_of(ann.stack, "Catalog", before)

    print(f"\n{len(rows)} drafts, {dict(calls)}")
    assert len(rows) == CLAIMED
    assert calls["UpdateItem"] <= CLAIMED + 1  # and one that counts the request
    assert calls.total() <= CLAIMED + 10


def test_a_foreign_queue_is_missing_and_bad_values_are_named(
    new_tenant: NewTenant, people: list[System], drafted: tuple[str, Json]
) -> None:
    """I10."""
    stranger, ann, project = new_tenant(), people[0], drafted[0]
    (row,) = claim(ann, project, count=1)
    calls: list[tuple[str, Json]] = [
        ("claim/", {}),
        ("renew/", {"items": [row["item"]]}),
        ("release/", {"items": [row["item"]]}),
        ("skip/", {"item": row["item"]}),
    ]
    own = stranger.load_project(1)
    for call, body in calls:
        assert_refused(stranger.api.post(queue(project, call), json=body), 404)
        assert_refused(ann.api.post(queue(project, call), json={**body, "isYours": True}), 400, naming="isYours")
    assert_refused(stranger.api.get(queue(project)), 404)
    lost = stranger.ok("POST", queue(own, "release/"), {"items": [row["item"]]})
    assert (lost["items"], lost["lost"]) == ([], [row["item"]])
    assert_refused(stranger.api.post(queue(own, "skip/"), json={"item": row["item"]}), 404)
    assert items(claim(ann, project, count=1)) == [row["item"]]
    orders = '"sequence", "newest", "random", "least_confident"'
    assert_refused(ann.api.get(f"{queue(project)}?order=best"), 400, naming=f"order: Must be one of {orders}")


def test_claiming_takes_the_right_key(new_tenant: NewTenant) -> None:
    slug = f"test-{uuid.uuid4()}"
    owner = new_tenant(slug=slug)
    reader = new_tenant("--scope", "projects.read", slug=slug)
    reviewer = new_tenant("--scope", "results.write", slug=slug)
    project = owner.load_project(1)

    assert_refused(reader.api.post(queue(project, "claim/"), json={}), 403, naming="results.write or projects.write")
    assert reviewer.ok("POST", queue(project, "claim/"), {}) == {"items": [], "claimed_until": None, "cursor": None}
    assert reader.ok("GET", queue(project))["results"] == []
    assert_refused(reviewer.api.get(queue(project)), 403)


def test_a_person_reviews_item_after_item_and_gets_each_draft_once(people: list[System]) -> None:
    ann, project = people[1], people[1].load_project(60)
    job, reviewed = ann.run(project), []
    for _ in itertools.count():
        rows = claim(ann, project, count=CLAIMED, order="random")
        if not rows:
            break
        for row in rows:
            ann.ok("POST", f"/results/{row['uid']}/accept/")
        reviewed += items(rows)

    assert sorted(reviewed) == sorted(items(ann.results(project, job["uid"])))
