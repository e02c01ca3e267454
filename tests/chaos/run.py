"""Plays seeded fault schedules on the running stack, several at once, and checks the invariants after each.

python -m tests.chaos.run --schedules 1000 --seed 1    # seeds 1 to 1000
python -m tests.chaos.run --schedules 1 --seed 407     # one of them again
"""

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from queue import SimpleQueue

from local import up
from local.up import Stack
from tests.chaos.check import violations
from tests.chaos.events import UploadDeadLetters, overheard
from tests.chaos.evidence import Evidence
from tests.chaos.faulty import Faults, faulty
from tests.chaos.play import DeadLetters, Lane, Play, lane
from tests.chaos.schedule import Schedule, schedule_of

LANES = 8
SEED = 1


@dataclass(frozen=True)
class Outcome:
    """A schedule, what came of it, and what is wrong with that."""

    schedule: Schedule
    evidence: Evidence | None
    wrong: list[str]

    def __str__(self) -> str:
        history = [str(snapshot) for snapshot in self.evidence.snapshots] if self.evidence else []
        fired = [f"fired: {self.evidence.fired}"] if self.evidence else []
        return "\n    ".join([f"{self.schedule}", *self.wrong, *fired, *history])


@dataclass
class Report:
    """What a run came to."""

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def broken(self) -> list[Outcome]:
        return sorted((one for one in self.outcomes if one.wrong), key=lambda one: one.schedule.seed)

    @property
    def fired(self) -> Counter[str]:
        return Counter(name for evidence in self._evidence() for name in evidence.fired)

    @property
    def statuses(self) -> Counter[str]:
        return Counter(job.state.status for evidence in self._evidence() for job in evidence.jobs)

    @property
    def deeds(self) -> Counter[str]:
        return Counter(act.deed.value for one in self.outcomes for act in one.schedule.acts)

    @property
    def files(self) -> Counter[str]:
        seen = [file for evidence in self._evidence() for file in evidence.files.values()]
        uploaded = sum(job.is_by_upload for evidence in self._evidence() for job in evidence.jobs)
        counts = {
            "files": len(seen),
            "changed": sum(file.has_changed for file in seen),
            "unreadable": sum(not file.is_readable for file in seen),
            "given up": sum(file.is_dead_letter for file in seen),
            "jobs by uploads": uploaded,
        }
        return Counter(counts)

    @property
    def answers(self) -> Counter[str]:
        return sum((evidence.answers for evidence in self._evidence()), Counter())

    def _evidence(self) -> Iterator[Evidence]:
        yield from (one.evidence for one in self.outcomes if one.evidence)

    def __str__(self) -> str:
        seconds = sorted(evidence.seconds for evidence in self._evidence()) or [0.0]
        deliveries = Counter(one.status for evidence in self._evidence() for one in evidence.deliveries)
        lines = [
            f"{len(self.outcomes)} schedules in {self.seconds:.0f} s, {len(self.broken)} with violations",
            f"seconds of one: median {seconds[len(seconds) // 2]:.1f}, longest {seconds[-1]:.1f}",
            f"faults fired: {dict(self.fired.most_common())}",
            f"deeds: {dict(self.deeds.most_common())}",
            f"jobs by final status: {dict(self.statuses.most_common())}",
            f"deliveries by final status: {dict(deliveries.most_common())}",
            f"files: {dict(self.files)}",
            f"answers: {dict(sorted(self.answers.items()))}",
        ]
        return "\n".join([*(f"\n{one}" for one in self.broken), "", *lines])


def run(stack: Stack, schedules: int, seed: int, lanes: int = LANES, *, show: bool = False) -> Report:
    """Plays the schedules of `seed` and the seeds after it."""
    report, began = Report(), time.monotonic()
    with ExitStack() as undone:
        dead = DeadLetters(stack.outputs["DeadLetterQueueUrl"])
        dead.uids()
        dead_uploads = UploadDeadLetters(stack.outputs["UploadDeadLetterQueueUrl"])
        events = undone.enter_context(overheard(stack))
        free: SimpleQueue[Lane] = SimpleQueue()
        for _ in range(min(lanes, schedules)):
            free.put(undone.enter_context(lane(stack, dead, dead_uploads, events)))
        faults = undone.enter_context(faulty(stack))

        def play(number: int) -> Outcome:
            mine = free.get()
            try:
                return played(mine, faults, schedule_of(number))
            finally:
                free.put(mine)

        with ThreadPoolExecutor(lanes) as pool:
            for outcome in pool.map(play, range(seed, seed + schedules)):
                report.outcomes.append(outcome)
                if show and (outcome.wrong or schedules == 1):
                    print(outcome, flush=True)
                elif show and len(report.outcomes) % 50 == 0:
                    print(f"{len(report.outcomes)} schedules, {time.monotonic() - began:.0f} s", flush=True)
    report.seconds = time.monotonic() - began
    return report


def played(mine: Lane, faults: Faults, schedule: Schedule) -> Outcome:
    """Plays and judges. What the play itself stumbles over is no less wrong."""
    try:
        evidence = Play(mine, faults, schedule).play()
    except Exception:
        return Outcome(schedule, None, [traceback.format_exc()])
    return Outcome(schedule, evidence, violations(evidence))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--schedules", type=int, default=100)
    parser.add_argument("--seed", type=int, default=SEED, help="of the first; each further one has the next")
    parser.add_argument("--lanes", type=int, default=LANES, help="schedules at once")
    arguments = parser.parse_args()
    report = run(up.required(), arguments.schedules, arguments.seed, arguments.lanes, show=True)
    print(report)
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
