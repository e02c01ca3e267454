"""2,000 uploads in bursts while a job has their project: one job follows, none missed, none twice, the cap held."""

from local import counts, settings
from tests.system import uploads
from tests.system.system import System

UPLOADS = 2_000
BURSTS = 4
CAP = 1_900
RUNNING_ITEMS = 1_000


def test_bursts_during_a_job_make_one_follow_up_job_within_the_days_cap(system: System) -> None:
    project = system.project(RUNNING_ITEMS)
    # One call at a time of 50 ms: a job that is there for longer than the bursts.
    provider = system.provider(project, settings.LOAD_ENDPOINT, max_concurrency=1)
    setting = {"quiet_seconds": 2, "max_items_per_day": CAP}
    system.ok("PATCH", f"/projects/{project}/", {"auto_label_on_upload": setting})
    running = system.start(project)["uid"]
    system.wait_for(running, processed=1)
    before = counts.calls_so_far()

    for burst in range(BURSTS):
        numbers = range(burst, UPLOADS, BURSTS)
        uploads.put(system, project, {f"{number:04}.png": uploads.a_picture(number) for number in numbers})
    uploads.items(system, project, RUNNING_ITEMS + UPLOADS)

    assert system.job(running)["status"] == "running", "the bursts were to come during the job"
    assert uploads.jobs(system, project) == []
    calls = counts.calls_of(system.stack, "Ingest", since=before).total()
    print(f"\n{calls / UPLOADS:.2f} calls of the table per uploaded object")
    assert calls <= 3 * UPLOADS

    config = {"endpoint_name": settings.LOAD_ENDPOINT, "region": settings.REGION, "max_concurrency": 16}
    system.ok("PATCH", f"/inference-providers/{provider}/", {"config": config})
    system.api.delete(f"/auto-label-jobs/{running}/")  # its end, the quicker way
    (follow_up,) = uploads.finished_jobs(system, project, taking=CAP)
    assert (follow_up["status"], follow_up["total_items"], follow_up["processed_items"]) == ("completed", CAP, CAP)

    # What the day has no room for waits; whoever looks does not take it.
    uploads.tell(system, ['{"source": "aws.events", "detail-type": "Scheduled Event", "time": "2026-11-22T10:00:00Z"}'])
    uploads.wait_until_heard(system)
    assert uploads.jobs(system, project) == [follow_up]
    taken = [line["item"] for line in system.rows(f"/auto-label-jobs/{follow_up['uid']}/items/")]
    assert len(taken) == len(set(taken)) == CAP
    assert set(taken) <= {item["uid"] for item in system.items(project)}
    assert system.ok("GET", f"/projects/{project}/")["item_count"] == RUNNING_ITEMS + UPLOADS
