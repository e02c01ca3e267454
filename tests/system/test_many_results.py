"""An item with thousands of results, as a camera or many rejections make them: each has a uid of its own."""

from local.aws import client
from tests.system.model import Model
from tests.system.system import Json, System

BOX = {
    "type": "bounding_box",
    "label": "car",
    "confidence": 0.9,
    "coordinates": {"x": 1, "y": 2, "width": 3, "height": 4},
}


def count_as(system: System, item: str, results: int) -> None:
    """As if the item had had so many; nothing short of a week makes them."""
    client("dynamodb").update_item(
        TableName=system.stack.outputs["TableName"],
        Key={"pk": {"S": f"ITEM#{item}"}, "sk": {"S": "ITEM"}},
        UpdateExpression="SET generation = :results",
        ExpressionAttributeValues={":results": {"N": str(results)}},
    )


def test_an_item_with_five_thousand_results_lists_shows_and_reviews_right(system: System, model: Model) -> None:
    model.says((200, {"annotations": [BOX]}))
    project = model.project(system, "car")
    item = system.items(project)[0]["uid"]
    seen: dict[str, str] = {}

    def drafted() -> Json:
        """The draft of another job, as it is listed and shown."""
        assert system.run(project)["successful_items"] == 1
        (draft,) = system.rows(f"/projects/{project}/results/")
        assert draft == system.ok("GET", f"/results/{draft['uid']}/")
        assert (draft["item"], draft["status"]) == (item, "draft")
        assert draft["uid"] not in seen, "a uid names one result"
        return draft

    # The 4,095th is the last one whose number fits between the version and the variant of its uid.
    for results in (4_094, 4_095, 4_999, 9_999):
        count_as(system, item, results)
        draft = drafted()
        rejected = system.ok("POST", f"/results/{draft['uid']}/reject/")
        seen[draft["uid"]] = rejected["status"]
        assert list(system.rows(f"/projects/{project}/results/")) == []

    last = drafted()
    shown = system.api.get(f"/results/{last['uid']}/")
    stale = system.api.post(f"/results/{last['uid']}/accept/", headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    accepted = system.api.post(f"/results/{last['uid']}/accept/", headers={"If-Match": shown.headers["ETag"]})
    assert (accepted.status_code, accepted.json()["status"]) == (200, "accepted")
    # The ones before it are still found, and are no one else's.
    for uid, status in seen.items():
        found = system.ok("GET", f"/results/{uid}/")
        assert (found["uid"], found["status"], found["item"]) == (uid, status, item)
