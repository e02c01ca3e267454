"""The files of one schedule's project: written over, deleted and written again; and what must be known of them at the
end."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Lock

from tests.chaos.events import Events
from tests.chaos.evidence import FileSeen
from tests.chaos.faulty import Faults
from tests.chaos.schedule import Act, Deed
from tests.chaos.table import Table
from tests.system import uploads
from tests.system.system import System


@dataclass(frozen=True)
class File:
    """A file as it is now. `content` is `None` of one that is deleted."""

    content: bytes | None
    is_readable: bool = True
    has_changed: bool = False
    is_new: bool = False

    def seen(self, is_dead_letter: bool) -> FileSeen:
        etag = hashlib.md5(self.content).hexdigest() if self.content is not None else None
        return FileSeen(etag, self.is_readable, self.has_changed, self.is_new, is_dead_letter)


class Files:
    """One act at a time: S3 says in which order two writes of one file took effect, and nothing else does."""

    def __init__(self, table: Table, faults: Faults, events: Events, project: str, added: list[str]) -> None:
        self._table, self._faults, self._events, self._project = table, faults, events, project
        self._added = added  # keys of items that a call has added, and that have no file yet
        self._files: dict[str, File] = {}
        self._contents: Iterator[int] = iter(range(1, 65_536))
        self._lock = Lock()

    def begin(self, number: int) -> None:
        """Files that are there before anything goes wrong."""
        for n in range(number):
            self._put(f"file-{n}.png", File(self._content()))

    @property
    def keys(self) -> list[str]:
        return list(self._files)

    def seen(self, dead_letters: set[str]) -> dict[str, FileSeen]:
        with self._lock:
            return {key: file.seen(key in dead_letters) for key, file in self._files.items()}

    def do(self, act: Act) -> None:
        """What an act does to a file."""
        with self._lock:
            if act.deed == Deed.UPLOAD:
                self._upload(act)
                return
            key = list(self._files)[int(act.choice * len(self._files))]
            file = self._files[key]
            match act.deed:
                case Deed.DELETE if file.content is not None:
                    self._table.delete_file(self._project, key)
                    self._allow(key, True)
                    self._files[key] = replace(file, content=None, is_readable=True, has_changed=True)
                case Deed.REWRITE if file.content is not None:
                    self._put(key, file)
                case Deed.FORBID if file.content is not None:
                    self._allow(key, False)
                    self._put(key, replace(file, content=self._content(), is_readable=False))
                case Deed.OVERWRITE:
                    self._allow(key, True)
                    self._put(key, replace(file, content=self._content(), is_readable=True, has_changed=True))

    def send_again(self, system: System, act: Act) -> None:
        """All events of the project's files, twice and in no order."""
        bodies = self._events.of(self._project) * 2
        random.Random(act.choice).shuffle(bodies)
        uploads.send(system, bodies)

    def mark_end(self) -> None:
        """A last file: once it is an item, all earlier events have been read."""
        with self._lock:
            self._put("last.png", File(self._content(), is_new=True))

    def _upload(self, act: Act) -> None:
        """The first file of an item that a call has added, or a file that is no item yet."""
        if act.choice < 0.5 and self._added:
            self._put(self._added.pop(int(2 * act.choice * len(self._added))), File(self._content()))
        else:
            self._put(f"new-{len(self._files)}.png", File(self._content(), is_new=True))

    def _put(self, key: str, file: File) -> None:
        assert file.content is not None
        self._table.put_file(self._project, key, file.content)
        self._files[key] = file

    def _allow(self, key: str, may_be_read: bool) -> None:
        self._faults.forbid(self._project, self._table.path_of_file(self._project, key), not may_be_read)

    def _content(self) -> bytes:
        return uploads.a_picture(next(self._contents))
