"""A thread pool that does nothing but ask; what came of it is written and counted beside it, 25 items at a time.

There are twice as many threads as slots, so that one prepares its question while another one's is answered.
"""

from concurrent.futures import ThreadPoolExecutor, as_completed

from common import DYNAMODB, SLOTS, TABLE, Item, count, items, outcome, predictions

BATCH = 25


def ask(item: Item) -> Item:
    """What became of an item."""
    return outcome(item, predictions(item))


def write(outcomes: list[Item]) -> None:
    """A call for up to 25 rows, until none is left over, and one for the counters."""
    left = {TABLE: [{"PutRequest": {"Item": row}} for row in outcomes]}
    while left:
        left = DYNAMODB.batch_write_item(RequestItems=left)["UnprocessedItems"]
    drafts = sum(row["status"]["S"] == "draft" for row in outcomes)
    count(successful=drafts, skipped=len(outcomes) - drafts)


with ThreadPoolExecutor(2 * SLOTS) as asking, ThreadPoolExecutor(2) as writing:
    waiting: list[Item] = []
    writes = []
    for asked in as_completed([asking.submit(ask, item) for item in items()]):
        waiting.append(asked.result())
        if len(waiting) == BATCH:
            writes.append(writing.submit(write, waiting))
            waiting = []
    if waiting:
        writes.append(writing.submit(write, waiting))
    for written in writes:
        written.result()
