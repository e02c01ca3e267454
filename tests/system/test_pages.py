"""Every list in pages, as the official clients go through it: by the cursor alone (contract, 4)."""

import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from avala import errors

from tests.system.system import Json, System, assert_refused

LISTS = ("jobs", "providers", "webhooks", "deliveries", "projects", "tasks", "datasets")
PATHS = {
    "jobs": "/auto-label-jobs/",
    "providers": "/inference-providers/",
    "webhooks": "/webhooks/",
    "deliveries": "/webhook-deliveries/",
    "projects": "/projects/",
    "tasks": "/tasks/",
    "datasets": "/datasets/",
}


class Maker:
    """Makes rows of each list, all in one organization; each gives the uid of the new row."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._project = system.project()
        self._webhook = self.webhooks()

    def jobs(self) -> str:
        return str(self._system.run(self._project)["uid"])

    def providers(self) -> str:
        return self._system.provider(self._project, "some-endpoint")

    def webhooks(self) -> str:
        hook = {"target_url": "https://receiver.example/hook", "events": ["task.completed"]}
        return str(self._system.ok("POST", "/webhooks/", hook, expect=201)["uid"])

    def deliveries(self) -> str:
        # No server is at the address: the test fails, and is on record all the same.
        return str(self._system.ok("POST", f"/webhooks/{self._webhook}/test/")["delivery"])

    @property
    def tasks_project(self) -> str:
        """Whose items the tasks and the jobs are."""
        return self._project

    def projects(self) -> str:
        return self._system.project()

    def datasets(self) -> str:
        return self.projects()

    def tasks(self) -> str:
        item = {"key": str(uuid.uuid4()), "asset_type": "point_cloud"}
        added = self._system.ok("POST", f"/projects/{self._project}/items/", {"items": [item]}, expect=201)
        return str(added["results"][0]["uid"])

    def one(self, name: str) -> str:
        """A new row of the list of this name."""
        return str(getattr(self, name)())


@pytest.fixture(scope="module")
def maker(own: System) -> Maker:
    return Maker(own)


@pytest.fixture(scope="module")
def rows(own: System, maker: Maker) -> dict[str, list[str]]:
    """The uids of each list, newest first; at least three of each."""
    for name in LISTS:
        for _ in range(3):
            maker.one(name)
    return {name: [row["uid"] for row in own.ok("GET", PATHS[name])["results"]] for name in LISTS}


def lister(client: Any, name: str) -> Any:
    resource = {"jobs": "auto_label_jobs", "providers": "inference_providers", "deliveries": "webhook_deliveries"}
    return getattr(client, resource.get(name, name)).list


@pytest.mark.contract("D6")
@pytest.mark.parametrize("name", LISTS)
def test_the_client_goes_on_by_the_cursor_alone(client: Any, rows: dict[str, list[str]], name: str) -> None:
    list_page = lister(client, name)

    page = list_page(limit=2)
    pages = [[row.uid for row in page.items]]
    while page.has_more:
        page = list_page(cursor=page.next_cursor)
        pages.append([row.uid for row in page.items])

    assert pages == [rows[name][start : start + 2] for start in range(0, len(rows[name]), 2)]


@pytest.mark.contract("D6")
@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_whole_without_a_limit_and_an_odd_limit_counts_as_none(
    own: System, rows: dict[str, list[str]], name: str
) -> None:
    for query in ("", "?limit=0", "?limit=-3", "?limit=many", "?limit=100000", "?cursor=", "?page=2"):
        page = own.ok("GET", PATHS[name] + query)
        assert [row["uid"] for row in page["results"]] == rows[name], query
        assert (page["next"], page["previous"]) == (None, None), query


@pytest.mark.parametrize("name", LISTS)
def test_the_oldest_comes_first_if_asked(own: System, rows: dict[str, list[str]], name: str) -> None:
    def listed(ordering: str) -> list[str]:
        return [row["uid"] for row in own.rows(f"{PATHS[name]}?ordering={ordering}&limit=2")]

    assert listed("created_at") == rows[name][::-1]
    assert listed("-created_at") == rows[name]
    assert listed("name") == rows[name], "any other ordering counts as none"


@pytest.mark.contract("D6")
@pytest.mark.parametrize("name", LISTS)
def test_next_is_an_absolute_url_with_all_that_was_asked(own: System, rows: dict[str, list[str]], name: str) -> None:
    """TypeScript parses it as it is, and takes the cursor out of it."""
    del rows
    url = own.ok("GET", f"{PATHS[name]}?limit=2")["next"]

    assert url.startswith(f"{own.stack.base_url}{PATHS[name]}?")
    query = parse_qs(urlsplit(url).query)
    assert query["limit"] == ["2"]
    assert query["cursor"][0].replace("-", "").replace("_", "").isalnum(), "safe in any URL, however it is decoded"


@pytest.mark.contract("D6")
def test_a_cursor_keeps_the_filters_and_what_is_asked_beside_it_wins(own: System, rows: dict[str, list[str]]) -> None:
    project = own.ok("GET", "/auto-label-jobs/?limit=1")["results"][0]["project"]
    url = own.ok("GET", f"/auto-label-jobs/?project={project}&status=completed&limit=1")["next"]
    (cursor,) = parse_qs(urlsplit(url).query)["cursor"]

    kept = own.ok("GET", f"/auto-label-jobs/?cursor={cursor}")
    wider = own.ok("GET", f"/auto-label-jobs/?cursor={cursor}&limit=9")
    other = own.ok("GET", f"/auto-label-jobs/?cursor={cursor}&status=failed&limit=9")

    assert [job["uid"] for job in kept["results"]] == rows["jobs"][1:2]
    assert [job["uid"] for job in wider["results"]] == rows["jobs"][1:]
    assert other["results"] == []


@pytest.mark.contract("D6")
# Tasks come project by project, so a new one is not always on top.
@pytest.mark.parametrize("name", [name for name in LISTS if name != "tasks"])
def test_rows_that_come_meanwhile_are_on_top_and_do_not_shift_later_pages(own: System, maker: Maker, name: str) -> None:
    def listed() -> list[str]:
        return [row["uid"] for row in own.ok("GET", PATHS[name])["results"]]

    earlier = [maker.one(name) for _ in range(3)]
    first = own.ok("GET", f"{PATHS[name]}?limit=2")

    newcomer = maker.one(name)

    assert [row["uid"] for row in first["results"]] == earlier[:0:-1]
    assert next(own.rows(first["next"]))["uid"] == earlier[0]
    assert listed()[:4] == [newcomer, *reversed(earlier)]


@pytest.mark.contract("D6")
@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("cursor", ["x", "%00", "AAAA", "eyJhIjoxfQ", "%F0%9F%90%B4", "x" * 5_000])
def test_a_cursor_that_is_not_ours_is_not_found(own: System, name: str, cursor: str) -> None:
    assert_refused(own.api.get(f"{PATHS[name]}?cursor={cursor}"), 404, naming="Invalid cursor", code="invalid_cursor")


def test_the_client_shows_a_bad_cursor_as_not_found(client: Any) -> None:
    with pytest.raises(errors.NotFoundError, match="Invalid cursor"):
        client.webhooks.list(cursor="not-ours")


def uids(page: Any) -> list[str]:
    return [row.uid for row in page.items]


@pytest.mark.contract("D6")
@pytest.mark.parametrize("name", LISTS)
def test_the_client_goes_back_by_the_cursor_alone_and_forth_again(
    client: Any, rows: dict[str, list[str]], name: str
) -> None:
    list_page = lister(client, name)
    page = list_page(limit=2)
    assert page.previous_cursor is None, "there is nothing before the first page"
    while page.has_more:
        page = list_page(cursor=page.next_cursor)

    back = [page]
    while back[0].previous_cursor is not None:
        back.insert(0, list_page(cursor=back[0].previous_cursor))
    forth = [back[0]]
    while forth[-1].has_more:
        forth.append(list_page(cursor=forth[-1].next_cursor))

    pages = [rows[name][start : start + 2] for start in range(0, len(rows[name]), 2)]
    assert [uids(page) for page in back] == pages
    assert [uids(page) for page in forth] == pages


def walked(system: System, page: Json, link: str) -> list[Json]:
    """The pages from this one on, by their own links."""
    pages = [page]
    while pages[-1][link] is not None:
        pages.append(system.ok("GET", pages[-1][link]))
        assert len(pages) < 50, "a list without an end"
    return pages


def test_a_narrowed_list_has_the_same_rows_in_both_directions(
    own: System, maker: Maker, rows: dict[str, list[str]]
) -> None:
    del rows
    project = maker.tasks_project
    paths = [
        f"/projects/{project}/items/?limit=1",
        f"/tasks/?project={project}&status=pending&limit=2",
        f"/tasks/?project={project}&status=completed&limit=2",
        f"/auto-label-jobs/?project={project}&status=completed&limit=1",
        "/webhook-deliveries/?event_type=webhook.test&limit=2",
        "/webhook-deliveries/?event_type=webhook.test&limit=2&ordering=created_at",
        "/datasets/?data_type=lidar&limit=2",
    ]
    for path in paths:
        forth = walked(own, own.ok("GET", path), "next")
        back = walked(own, forth[-1], "previous")
        again = walked(own, back[-1], "next")

        def listed(pages: list[Json]) -> list[str]:
            return [row["uid"] for page in pages for row in page["results"]]

        assert listed(back[::-1]) == listed(forth), path
        assert listed(again) == listed(forth), path


def test_rows_that_are_added_meanwhile_come_before_the_first_page(own: System, maker: Maker) -> None:
    path = f"/projects/{maker.tasks_project}/items/?limit=2"
    before = [row["uid"] for page in walked(own, own.ok("GET", path), "next") for row in page["results"]]
    last = walked(own, own.ok("GET", path), "next")[-1]

    added = [maker.tasks() for _ in range(3)]
    back = walked(own, last, "previous")

    assert [row["uid"] for page in back[::-1] for row in page["results"]] == added[::-1] + before
    assert back[-1]["previous"] is None
