"""What is to be seen of a schedule once it is over, for `check.py` to judge. Plain values: a test can make them up."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

ACTIVE = ("pending", "running")
ENDED = ("completed", "failed", "cancelled")
COUNTERS = ("total", "successful", "failed", "skipped")


@dataclass(frozen=True)
class State:
    """A job at one moment."""

    status: str
    total: int
    successful: int
    failed: int
    skipped: int

    @property
    def processed(self) -> int:
        return self.successful + self.failed + self.skipped


@dataclass(frozen=True)
class Snapshot:
    """A project at one moment: its jobs and the holder of its lock, read in one transaction."""

    jobs: dict[str, State]
    holder: str | None


@dataclass(frozen=True)
class Line:
    """An item as a job has planned it: after so many changes of its file."""

    item: str
    changes: int = 0


@dataclass(frozen=True)
class JobSeen:
    """A job at its end."""

    uid: str
    state: State
    shown: Json  # by the API
    lines: list[Line]  # of the manifest
    chunks: dict[tuple[int, int], range]  # of the plan: indexes into `lines`
    receipts: dict[tuple[int, int], str]  # a letter for each item: see shared/src/domain/job/outcome.rs
    retry_of: str | None = None
    is_by_upload: bool = False

    @property
    def planned(self) -> list[str]:
        """Items."""
        return [line.item for line in self.lines]

    def outcomes(self) -> list[tuple[str, str]]:
        """(item, letter) of every receipt."""
        return [(line.item, letter) for line, letter in self.settled()]

    def settled(self) -> list[tuple[Line, str]]:
        """(line, letter) of every receipt."""
        return [
            (self.lines[index], letter)
            for chunk, letters in self.receipts.items()
            for index, letter in zip(self.chunks.get(chunk, range(0)), letters, strict=False)
        ]

    def tally(self) -> Counter[str]:
        return Counter("".join(self.receipts.values()))


@dataclass(frozen=True)
class Result:
    """An item's result: its status, the job that drafted it, and how often a person changed it."""

    status: str
    job: str | None
    revision: int
    packed: bytes = b""
    is_persons: bool = False  # a person made its annotations
    sweep: str | None = None  # that changed it last


@dataclass(frozen=True)
class ItemSeen:
    """An item at the end: its result, and those that were rejected."""

    uid: str
    result: Result | None
    rejected: list[Result] = field(default_factory=list)
    key: str = ""
    etag: str | None = None  # of its file, by the last event of S3
    is_deleted: bool = False
    changes: int = 0  # of its file

    @property
    def results(self) -> list[Result]:
        return [*self.rejected, *([self.result] if self.result else [])]


@dataclass(frozen=True)
class Reviewed:
    """What a person did to an item, as she was answered. `result` is what was stored of an item without a draft;
    `None`: she got no answer, and it may be done or not."""

    item: str
    deed: str
    result: bytes | None = b""


@dataclass(frozen=True)
class FileSeen:
    """A file below the project's prefix, and what was done to it."""

    etag: str | None  # `None`: it is deleted
    is_readable: bool
    has_changed: bool  # ever: other bytes that could be read, or a deletion
    is_new: bool  # it was written when there was no item of its key
    is_dead_letter: bool = False  # an event of it is a dead letter


@dataclass(frozen=True)
class DeliverySeen:
    """A delivery of a job's end: its record, and the bodies that came with its uid."""

    uid: str
    subscription: str
    job: str
    event: str
    status: str
    body: bytes
    received: list[bytes]
    is_dead_letter: bool


@dataclass(frozen=True)
class Cancelled:
    """A cancel that was answered with 204: what the model was asked once the time for in-flight calls was over."""

    job: str
    asked_after: list[str]


@dataclass(frozen=True)
class Evidence:
    """Everything about one schedule."""

    items: dict[str, ItemSeen]
    snapshots: list[Snapshot]  # in order; the last one after everything was repeated
    jobs: list[JobSeen]
    reviews: list[Reviewed]
    deliveries: list[DeliverySeen]
    subscriptions: list[str]
    cancels: list[Cancelled]
    created: list[str]  # jobs that a client was answered with 202
    undone: dict[str, bool] = field(
        default_factory=dict
    )  # jobs whose drafts were discarded; whether all were, as answered
    files: dict[str, FileSeen] = field(default_factory=dict)  # by the item's key
    undone_sweeps: list[str] = field(default_factory=list)  # as answered
    is_swept: bool = False  # all drafts were accepted or rejected, and that was perhaps undone
    labels_uploads: bool = False
    fired: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)  # by deed and HTTP status
    seconds: float = 0.0
