"""Long-running processes of the stack: started, recorded, recognised again, ended.

A process is ours only if its pid *and* its start time are the ones we recorded: a pid alone may by now belong to
another process, and nothing here ever ends a process that it did not start.
"""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from local import settings
from local.errors import Unusable
from local.progress import step

STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Record:
    """What is kept of a started process."""

    pid: int
    started: float
    command: list[str]


@dataclass(frozen=True)
class Service:
    """One process of the stack. Its name is also that of its log."""

    name: str
    port: int
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path = settings.ROOT

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return settings.LOGS / f"{self.name}.log"


def start(service: Service) -> bool:
    """Starts the service unless it runs already with the same command. Says whether it started it.

    Raises:
        Unusable: another process has its port.
    """
    record = _recorded(service.name)
    if record and _process(record):
        if record.command == list(service.command):
            return False
        stop(service.name)
    if _is_taken(service.port):
        variable = f"AUTOLABEL_{service.name.upper()}_PORT"
        raise Unusable(f"Port {service.port} is taken by another process. Set {variable} to use another one.")
    for folder in (settings.LOGS, settings.RUN):
        folder.mkdir(parents=True, exist_ok=True)
    with service.log.open("wb") as log:
        child = subprocess.Popen(
            service.command,
            cwd=service.folder,
            env=dict(service.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal that ran `up` is not for the stack
        )
    started = psutil.Process(child.pid).create_time()
    _record_file(service.name).write_text(json.dumps(asdict(Record(child.pid, started, list(service.command)))))
    return True


def wait_until_ready(service: Service, ready: Callable[[], bool], seconds: float) -> None:
    """Polls `ready` until it holds.

    Raises:
        Unusable: the process ended, or the time is over. The text has the end of its log.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if not is_running(service.name):
            raise Unusable(f"{service.name} ended before it was ready.\n{_tail(service.log)}")
        if time.monotonic() > deadline:
            raise Unusable(f"{service.name} was not ready after {seconds:.0f} s.\n{_tail(service.log)}")
        time.sleep(0.05)


def is_running(name: str) -> bool:
    """Whether the process recorded under this name still lives."""
    record = _recorded(name)
    return record is not None and _process(record) is not None


def names() -> list[str]:
    """The names of all recorded processes."""
    return sorted(file.stem for file in settings.RUN.glob("*.json"))


def pid(name: str) -> int | None:
    """The pid of a recorded process, alive or not."""
    record = _recorded(name)
    return record.pid if record else None


def peak_mib(function: str) -> float:
    """The most memory that a Lambda's processes have had so far, the largest of them if there are several (Linux)."""
    return max((status["VmHWM"] for status in _memory(function)), default=0.0)


def own_mib(function: str) -> float:
    """The same without what is only the program: what is built for this machine is ten times what ships."""
    return max((status["VmHWM"] - status["RssFile"] for status in _memory(function)), default=0.0)


def forget_peaks(function: str) -> None:
    """From now on the most memory of a Lambda's processes is that since now (Linux)."""
    for child in _of(function):
        with suppress(OSError):
            Path(f"/proc/{child.pid}/clear_refs").write_text("5")  # proc(5)


def processor_seconds(function: str) -> dict[int, float]:
    """What each process of a Lambda has computed so far, by its pid."""
    used = {}
    for child in _of(function):
        with suppress(psutil.Error):
            times = child.cpu_times()
            used[child.pid] = float(times.user + times.system)
    return used


def _memory(function: str) -> Iterator[dict[str, float]]:
    """The memory of each process of a Lambda, MiB, by the kernel's names."""
    for child in _of(function):
        with suppress(OSError):
            lines = [line.split() for line in Path(f"/proc/{child.pid}/status").read_text().splitlines()]
            yield {line[0].rstrip(":"): int(line[1]) / 1_024 for line in lines if line[-1] == "kB"}


def _of(function: str) -> Iterator[psutil.Process]:
    """The processes of a Lambda."""
    emulator = _recorded("emulator")
    process = _process(emulator) if emulator else None
    for child in process.children(recursive=True) if process else []:
        with suppress(psutil.Error, OSError):
            if child.environ().get("AWS_LAMBDA_FUNCTION_NAME") == function:
                yield child


def stop(name: str) -> None:
    """Ends the recorded process and those that it started, and forgets it."""
    record = _recorded(name)
    process = _process(record) if record else None
    if process:
        step(f"stopping {name}")
        # The emulator's Lambda processes are its children; a handle knows a reused pid, too.
        family = [*process.children(recursive=True), process]
        process.terminate()
        psutil.wait_procs([process], timeout=STOP_SECONDS)
        for member in family:
            if member.is_running():
                member.kill()
        psutil.wait_procs(family, timeout=STOP_SECONDS)
    _record_file(name).unlink(missing_ok=True)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _record_file(name: str) -> Path:
    return settings.RUN / f"{name}.json"


def _recorded(name: str) -> Record | None:
    file = _record_file(name)
    return Record(**json.loads(file.read_text())) if file.exists() else None


def _process(record: Record) -> psutil.Process | None:
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.started) < 0.01
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _tail(log: Path, lines: int = 30) -> str:
    text = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join([f"--- the end of {log.relative_to(settings.ROOT)} ---", *text[-lines:]])
