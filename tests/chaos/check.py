"""The invariants I1 to I7 and I12 (ARCHITECTURE.md), R1, that a sweep is undone, and U1, that no upload is missed. Each
is a function that gives a sentence for each violation that it finds in the evidence."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from tests.chaos.evidence import ACTIVE, ENDED, DeliverySeen, Evidence, FileSeen, ItemSeen, JobSeen, State

# The letters of receipts: shared/src/domain/job/outcome.rs.
SUCCESSFUL, FAILED, BELOW_THRESHOLD, LABELED, FILE_CHANGED, UNPROCESSED = "s", "f", "b", "l", "c", "-"
COUNTED = {"successful": SUCCESSFUL, "failed": FAILED, "skipped": BELOW_THRESHOLD + LABELED + FILE_CHANGED}
REPORTED = ("total_items", "successful", "failed", "skipped")
EVENTS = {"completed": "auto_label.completed", "failed": "auto_label.failed"}


def violations(evidence: Evidence) -> list[str]:
    """All that is wrong, each with the invariant's number."""
    return [f"{check.__name__.partition('_')[0].upper()}: {wrong}" for check in INVARIANTS for wrong in check(evidence)]


def i1_one_outcome_per_item(evidence: Evidence) -> Iterator[str]:
    """In one job each planned item gets exactly one outcome, and at most one draft."""
    for job in evidence.jobs:
        for item, number in Counter(job.planned).items():
            if number != 1:
                yield f"item {item} is planned {number} times in job {job.uid}"
        for chunk, letters in job.receipts.items():
            if len(letters) != len(job.chunks.get(chunk, ())):
                yield f"the receipt {chunk} of job {job.uid} has {len(letters)} outcomes"
        outcomes = dict(job.outcomes())
        for item in job.planned if job.state.status == "completed" else ():
            if outcomes.get(item, UNPROCESSED) == UNPROCESSED:
                yield f"item {item} has no outcome in the completed job {job.uid}"
        for uid, seen in evidence.items.items():
            drafts = sum(result.job == job.uid for result in seen.results)
            if drafts > (outcomes.get(uid) == SUCCESSFUL):  # fewer: see I12
                yield f"item {uid} has {drafts} drafts of job {job.uid}, and the outcome {outcomes.get(uid)}"

    yield from _recovered_rightly(evidence)


def _recovered_rightly(evidence: Evidence) -> Iterator[str]:
    """A retry has what is left of the job that it retries, and an undone one no draft that no person has touched."""
    jobs = {job.uid: job for job in evidence.jobs}
    for job in evidence.jobs:
        retried = jobs.get(job.retry_of or "")
        while retried and not retried.planned:
            retried = jobs.get(retried.retry_of or "")
        # After a cancel the retry may have been planned before the last outcome was there.
        if retried is None or retried.state.status == "cancelled":
            continue
        outcomes = dict(retried.outcomes())
        for item in job.planned:
            if outcomes.get(item, UNPROCESSED if item in retried.planned else None) not in (FAILED, UNPROCESSED):
                yield f"item {item} is retried in job {job.uid}, and was {outcomes.get(item)} in {retried.uid}"
    for uid, seen in evidence.items.items():
        is_draft = seen.result and seen.result.status == "draft" and not seen.result.is_persons
        if seen.result and is_draft and evidence.undone.get(seen.result.job or ""):
            yield f"item {uid} has a draft of job {seen.result.job}, which was undone"


def i2_counters_are_exact(evidence: Evidence) -> Iterator[str]:
    """Each counter is the number of recorded outcomes, whenever a client reads it; counters never go down."""
    for before, now in pairwise(evidence.snapshots):
        for uid, state in now.jobs.items():
            yield from _moved_rightly(uid, before.jobs.get(uid), state)
    for job in evidence.jobs:
        tally = job.tally()
        for counter, letters in COUNTED.items():
            recorded = sum(tally[letter] for letter in letters)
            if getattr(job.state, counter) != recorded:
                yield f"job {job.uid} has {recorded} outcomes {counter}, and counts {getattr(job.state, counter)}"
        shown = [job.shown[f"{name}_items"] for name in ("total", "successful", "failed", "skipped", "processed")]
        state = job.state
        if shown != [state.total, state.successful, state.failed, state.skipped, state.processed]:
            yield f"job {job.uid} is {state}, and is shown with {shown}"
        if state.status == "completed" and not state.total == state.processed == len(job.planned):
            yield f"job {job.uid} is completed, and has {state.processed} of {len(job.planned)} items"


def _moved_rightly(uid: str, before: State | None, now: State) -> Iterator[str]:
    if now.status != "pending" and now.processed > now.total:
        yield f"job {uid} has {now.processed} outcomes of {now.total} items"
    for counter in COUNTED if before else ():
        if getattr(now, counter) < getattr(before, counter):
            yield f"{counter} of job {uid} went down: {before} -> {now}"


def i3_never_over_a_persons_work(evidence: Evidence) -> Iterator[str]:
    """An item that has a result at commit time is never changed by a job."""
    reopened = {review.item for review in evidence.reviews if review.deed == "reopen"}
    for review in evidence.reviews:
        seen = evidence.items[review.item]
        current = seen.result
        if review.result is None:
            continue
        if review.deed == "reopen":
            yield from _reopened_rightly(evidence, seen)
            continue
        if review.item in reopened or (evidence.is_swept and review.deed != "label"):
            continue  # it is a draft again, or was one when another person took it up
        if review.deed == "label":
            if current is None or current.job is not None or current.packed != review.result:
                yield f"item {review.item} was labeled by a person, and has {current}"
        elif review.deed == "reject":
            if not any(result.status == "rejected" for result in seen.rejected):
                yield f"the draft of item {review.item} was rejected, and is not kept as such"
        elif not any(result.status in ("accepted", "rejected") and result.revision for result in seen.results):
            yield f"the draft of item {review.item} was reviewed ({review.deed}), and is {current}"
    touched = {review.item for review in evidence.reviews}
    for job in evidence.jobs:
        for item, letter in job.outcomes():
            drafted_before = any(result.job not in (None, job.uid) for result in evidence.items[item].results)
            # A draft that stood in the way may have gone with its file's bytes since.
            may_be = item in touched or drafted_before or evidence.undone or _has_changed(evidence, item)
            if letter == LABELED and not may_be:
                yield f"item {item} counts as labeled meanwhile in job {job.uid}, and no one labeled it"


def _reopened_rightly(evidence: Evidence, seen: ItemSeen) -> Iterator[str]:
    """A reopened result goes on under its uid, with one revision more than its verdict; only a draft of a model may be
    discarded then, or withdrawn."""
    may_be_gone = evidence.undone or _has_changed(evidence, seen.uid)
    if not may_be_gone and not any(result.revision >= 2 for result in seen.results):
        yield f"a result of item {seen.uid} was reopened, and there is {seen.result}"


def i4_one_active_job(evidence: Evidence) -> Iterator[str]:
    """One active job per project, also when two creates arrive at once."""
    for snapshot in evidence.snapshots:
        active = [uid for uid, state in snapshot.jobs.items() if state.status in ACTIVE]
        if len(active) > 1:
            yield f"two jobs are active at once: {', '.join(active)}"
        if active and snapshot.holder not in active:
            yield f"job {active[0]} is active, and the project belongs to {snapshot.holder}"


def i5_every_job_ends(evidence: Evidence) -> Iterator[str]:
    """A job ends, once, and frees its project."""
    last = evidence.snapshots[-1]
    for uid, state in last.jobs.items():
        if state.status not in ENDED:
            yield f"job {uid} is still {state.status}"
    for before, now in pairwise(evidence.snapshots):
        for uid, state in before.jobs.items():
            yield from _went_on_rightly(uid, state.status, now.jobs.get(uid))
    if last.holder is not None:
        yield f"the project still belongs to {last.holder}"
    for uid in evidence.created:
        if uid not in last.jobs:
            yield f"job {uid} was promised, and is nowhere"


def _went_on_rightly(uid: str, before: str, now: State | None) -> Iterator[str]:
    if now is None:
        yield f"job {uid} was {before}, and is gone"
    elif before in ENDED and now.status != before:
        yield f"job {uid} was {before}, and then {now.status}"
    elif before == "running" and now.status == "pending":
        yield f"job {uid} went back to pending"


def i6_every_finished_job_notifies(evidence: Evidence) -> Iterator[str]:
    """Exactly one event per subscription and finished job; delivered or visibly failed; the same bytes each time."""
    for job in evidence.jobs:
        times = Counter(delivery.subscription for delivery in evidence.deliveries if delivery.job == job.uid)
        wanted = 1 if job.state.status in EVENTS else 0
        for subscription in evidence.subscriptions:
            if times[subscription] != wanted:
                yield f"job {job.uid} is {job.state.status}, and has {times[subscription]} deliveries to {subscription}"
    jobs = {job.uid: job for job in evidence.jobs}
    for delivery in evidence.deliveries:
        yield from _delivered_rightly(delivery)
        state = jobs[delivery.job].state
        if delivery.event != EVENTS.get(state.status):
            yield f"job {delivery.job} is {state.status}, and its event is {delivery.event}"
        payload = json.loads(delivery.body)["payload"]
        counted = State(payload["status"], *(payload[name] for name in REPORTED))
        if counted != state:
            yield f"job {delivery.job} is {state}, and its event reports {counted}"


def _delivered_rightly(delivery: DeliverySeen) -> Iterator[str]:
    if any(body != delivery.body for body in delivery.received):
        yield f"delivery {delivery.uid} came with other bytes than are recorded"
    if delivery.status == "pending":
        yield f"delivery {delivery.uid} is still pending"
    if delivery.status == "delivered" and not delivery.received:
        yield f"delivery {delivery.uid} is delivered, and its receiver does not know it"
    if delivery.status == "failed" and not delivery.is_dead_letter:
        yield f"delivery {delivery.uid} failed, and is not among the dead letters"


def i7_cancel_means_stop(evidence: Evidence) -> Iterator[str]:
    """After the 204 no new item is sent to the model beyond those in flight; what was processed stays."""
    for cancel in evidence.cancels:
        if cancel.asked_after:
            yield f"job {cancel.job} was cancelled, and asked about {len(cancel.asked_after)} more items"
        if evidence.snapshots[-1].jobs[cancel.job].status != "cancelled":
            yield f"job {cancel.job} was cancelled, and is {evidence.snapshots[-1].jobs[cancel.job].status}"


def i12_no_work_is_lost(evidence: Evidence) -> Iterator[str]:
    """A draft goes only when its file's bytes have changed, or a person asks; what leaves the bytes is no change."""
    for job in evidence.jobs:
        for item, letter in job.outcomes():
            has_changed = _has_changed(evidence, item)
            drafts = sum(result.job == job.uid for result in evidence.items[item].results)
            if letter == SUCCESSFUL and not (drafts or has_changed or job.uid in evidence.undone):
                yield f"item {item} has no draft of job {job.uid}, and its outcome is successful"
            if letter == FILE_CHANGED and not has_changed:
                yield f"item {item} was skipped in job {job.uid} for a changed file, and its bytes are the same"
    for uid, seen in evidence.items.items():
        file = evidence.files.get(seen.key)
        if file and not file.has_changed and (seen.changes or seen.is_deleted):
            yield f"the file of item {uid} has the same bytes, and counts as changed {seen.changes} times"


def r1_a_sweep_is_undone(evidence: Evidence) -> Iterator[str]:
    """Nothing is accepted any more by a sweep that was undone."""
    for uid, seen in evidence.items.items():
        for result in seen.results:
            if result.status == "accepted" and result.sweep in evidence.undone_sweeps:
                yield f"item {uid} is still accepted by the sweep {result.sweep}, which was undone"


def _has_changed(evidence: Evidence, item: str) -> bool:
    file = evidence.files.get(evidence.items[item].key)
    return file is not None and file.has_changed


def u1_no_upload_is_missed(evidence: Evidence) -> Iterator[str]:
    """An item knows the last event of its file, however late, often and out of order events came. A project that labels
    uploads has labeled the item, or a job's report says why not."""
    items = {item.key: item for item in evidence.items.values()}
    for key, file in evidence.files.items():
        item = items.get(key)
        if not is_heard(file, item):
            known = f"item {item.uid} has {item.etag}{' deleted' * item.is_deleted}" if item else "is no item"
            yield f"file {key} is {file.etag or 'deleted'}, and {known}"
            continue
        is_done = item is None or is_labeled(item, evidence.jobs) or evidence.undone or not waits_for_labels(file)
        if evidence.labels_uploads and not is_done:
            yield f"file {key} was uploaded, and its item has no result and no outcome"


def waits_for_labels(file: FileSeen) -> bool:
    return file.etag is not None and file.is_readable and not file.is_dead_letter


def is_labeled(item: ItemSeen, jobs: list[JobSeen]) -> bool:
    """An uploaded item has a result, or an outcome of its bytes, or a job by uploads has taken it and ended before."""
    if item.results:
        return True
    settled = (line for job in jobs for line, letter in job.settled() if letter not in (UNPROCESSED, FILE_CHANGED))
    taken = (line for job in jobs if job.is_by_upload for line in job.lines)
    return any((line.item, line.changes) == (item.uid, item.changes) for line in (*settled, *taken))


def is_heard(file: FileSeen, item: ItemSeen | None) -> bool:
    """The item knows what its file is."""
    # Otherwise its owner finds the reason in a list, or the operator in the dead letters.
    if not file.is_readable or file.is_dead_letter:
        return True
    if file.etag is None:
        # A deletion that is heard while its upload is being read: the item's next job fails it (decision 0021).
        return item is None or item.is_deleted or file.is_new
    return item is not None and item.etag == file.etag and not item.is_deleted


INVARIANTS = (
    i1_one_outcome_per_item,
    i2_counters_are_exact,
    i3_never_over_a_persons_work,
    i4_one_active_job,
    i5_every_job_ends,
    i6_every_finished_job_notifies,
    i7_cancel_means_stop,
    i12_no_work_is_lost,
    r1_a_sweep_is_undone,
    u1_no_upload_is_missed,
)
