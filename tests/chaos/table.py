"""The table and the bucket as the checker reads them: what the API does not show, or not all at one moment."""

import json
import re
import zlib
from typing import Any

from local.aws import client
from local.up import Stack
from tests.chaos.evidence import COUNTERS, ItemSeen, Line, Result, Snapshot, State

Json = dict[str, Any]
Row = dict[str, Any]

RECEIPT = re.compile(r"RECEIPT#(\d+)#(\d+)")


class Table:
    """One lane's reader."""

    def __init__(self, stack: Stack) -> None:
        self._name = stack.outputs["TableName"]
        self._bucket = stack.outputs["BucketName"]
        self._dynamodb, self._s3 = client("dynamodb"), client("s3")

    def snapshot(self, project: str, jobs: list[str]) -> Snapshot:
        """These jobs and the project's lock, as of one moment."""
        keys = [key(f"PROJECT#{project}", "LOCK"), *(key(f"JOB#{uid}", "JOB") for uid in jobs)]
        gets = [{"Get": {"TableName": self._name, "Key": one}} for one in keys]
        lock, *rows = self._dynamodb.transact_get_items(TransactItems=gets)["Responses"]
        states = {uid: state_of(row["Item"]) for uid, row in zip(jobs, rows, strict=True)}
        return Snapshot(states, lock["Item"]["job"]["S"] if "Item" in lock else None)

    def jobs_of(self, project: str) -> list[str]:
        """Every job that the project has had, the oldest first."""
        return [str(row["listing_sk"]["S"]) for row in self._listing(f"PROJECT#{project}#JOBS")]

    def rows_of_job(self, uid: str) -> dict[str, Row]:
        """All rows of the job, by sort key."""
        rows = self._query(KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": f"JOB#{uid}"}})
        return {row["sk"]["S"]: row for row in rows}

    def deliveries_since(self, organization: str, at: float) -> list[Row]:
        """The deliveries recorded since then (seconds since 1970)."""
        found = self._listing(f"ORG#{organization}#DELIVERIES", f"{int(at * 1e6):016}")
        keys = [{"pk": row["pk"], "sk": row["sk"]} for row in found]
        return self._rows(keys)

    def items_of(self, organization: str, project: str) -> list[str]:
        """Every item of the project."""
        rows = self._listing(f"ORG#{organization}#ITEMS", f"{project}#", f"{project}#~")
        return [row["pk"]["S"].removeprefix("ITEM#") for row in rows]

    def items(self, uids: list[str]) -> dict[str, ItemSeen]:
        """The items, with every result that each has had."""
        rows = self._rows([key(f"ITEM#{uid}", "ITEM") for uid in uids])
        return {uid: self._item(uid, row) for row in rows for uid in [row["pk"]["S"].removeprefix("ITEM#")]}

    def result(self, item: str) -> bytes | None:
        """What is stored of the item's result; `None`: it has none."""
        (row,) = self._rows([key(f"ITEM#{item}", "ITEM")])
        return result_of(row["result"]["M"]).packed if "result" in row else None

    def age_in_outbox(self, delivery: str) -> None:
        """Makes the delivery due, as if no worker had claimed it for long; not one that was claimed meanwhile."""
        try:
            self._dynamodb.update_item(
                TableName=self._name,
                Key=key(f"DELIVERY#{delivery}", "DELIVERY"),
                UpdateExpression="SET active_sk = :due",
                ConditionExpression="attribute_exists(active_pk)",
                ExpressionAttributeValues={":due": {"S": f"{0:016}#{delivery}"}},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return

    def put_file(self, project: str, key_of_item: str, content: bytes) -> None:
        """Writes a file below the project's prefix, past the API."""
        self._s3.put_object(Bucket=self._bucket, Key=f"projects/{project}/{key_of_item}", Body=content)

    def delete_file(self, project: str, key_of_item: str) -> None:
        """Deletes one."""
        self._s3.delete_object(Bucket=self._bucket, Key=f"projects/{project}/{key_of_item}")

    def path_of_file(self, project: str, key_of_item: str) -> str:
        """As the proxy sees it."""
        return f"/{self._bucket}/projects/{project}/{key_of_item}"

    def planned(self, plan: Json) -> tuple[list[Line], dict[tuple[int, int], range]]:
        """The lines of a plan in the manifest's order, and which of them each chunk has."""
        items: list[Line] = []
        chunks: dict[tuple[int, int], range] = {}
        for batch in plan["batches"]:
            body = self._s3.get_object(Bucket=self._bucket, Key=batch["manifest"])["Body"].read()
            lines = body[batch["offset"] : batch["offset"] + batch["length"]].decode().splitlines()
            size = batch["chunk_items"]
            for number, start in enumerate(range(0, len(lines), size)):
                first = len(items) + start
                chunks[batch["batch"], number] = range(first, min(first + size, len(items) + len(lines)))
            read = [json.loads(line) for line in lines]
            items += [Line(line["uid"], line.get("changes", 0)) for line in read]
        return items, chunks

    def _item(self, uid: str, row: Row) -> ItemSeen:
        result = result_of(row["result"]["M"]) if "result" in row else None
        rejected: list[Result] = []
        if int(row["generation"]["N"]) > (result is not None):
            values = {":pk": {"S": f"ITEM#{uid}"}, ":sk": {"S": "RESULT#"}}
            old = self._query(
                KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)", ExpressionAttributeValues=values
            )
            rejected = [result_of(one["result"]["M"]) for one in old]
        file = row["file"]["M"] if "file" in row else {}
        return ItemSeen(
            uid,
            result,
            rejected,
            key=row["key"]["S"],
            etag=file["e"]["S"] if file else None,
            is_deleted=file.get("d", {}).get("BOOL", False),
            changes=int(row.get("changes", {"N": "0"})["N"]),
        )

    def _listing(self, partition: str, since: str = "", until: str = "~") -> list[Row]:
        names = "listing_pk = :list" + (" AND listing_sk BETWEEN :since AND :until" if since else "")
        bounds = {":since": {"S": since}, ":until": {"S": until}} if since else {}
        values = {":list": {"S": partition}, **bounds}
        return self._query(IndexName="listing", KeyConditionExpression=names, ExpressionAttributeValues=values)

    def _query(self, **query: Any) -> list[Row]:
        rows: list[Row] = []
        if "IndexName" not in query:
            query["ConsistentRead"] = True
        for page in self._dynamodb.get_paginator("query").paginate(TableName=self._name, **query):
            rows += page["Items"]
        return rows

    def _rows(self, keys: list[Row]) -> list[Row]:
        rows: list[Row] = []
        for start in range(0, len(keys), 100):
            wanted = {self._name: {"Keys": keys[start : start + 100], "ConsistentRead": True}}
            rows += self._dynamodb.batch_get_item(RequestItems=wanted)["Responses"][self._name]
        return rows


def key(pk: str, sk: str) -> Row:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def state_of(row: Row) -> State:
    return State(row["status"]["S"], *(int(row[name]["N"]) for name in COUNTERS))


def result_of(row: Row) -> Result:
    job = row["job"]["S"] if "job" in row else None
    revision, content = int(row.get("revision", {"N": "0"})["N"]), unpacked(row["packed"])
    is_persons, sweep = content["source"] == "human", content.get("sweep")
    return Result(row["status"]["S"], job, revision, bytes(row["packed"]["B"]), is_persons, sweep)


def receipts_of(rows: dict[str, Row]) -> dict[tuple[int, int], str]:
    """The letters of each chunk that is committed."""
    found = {RECEIPT.fullmatch(name): row for name, row in rows.items()}
    return {(int(m[1]), int(m[2])): unpacked(row["receipt"])["outcomes"] for m, row in found.items() if m}


def unpacked(packed: Row) -> Json:
    """JSON that was deflated."""
    return dict(json.loads(zlib.decompress(bytes(packed["B"]), wbits=-zlib.MAX_WBITS)))
