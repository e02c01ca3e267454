"""The direct run, and the scripts beside it: measured by bench/src/direct, a line of JSON for each."""

import json
import subprocess
import sys
from typing import Any, Final

from local import settings
from local.errors import Unusable
from local.progress import step

TARGET: Final = settings.ROOT / "target" / "x86_64-unknown-linux-gnu"
# As it ships: built by `make bench`.
RELEASE: Final = TARGET / "release"
# Runs of at least this many seconds are left out unless all are wanted.
LONGEST_SECONDS: Final = 70


def run(everything: bool) -> dict[str, list[dict[str, Any]]]:
    """The runs by kind: `direct`, `changing` and `peer`."""
    longest = 10_000 if everything else LONGEST_SECONDS
    command = [str(RELEASE / "direct"), "--infer", str(RELEASE / "infer"), "--python", sys.executable]
    command += ["--longest-seconds", str(longest)]
    runs: dict[str, list[dict[str, Any]]] = {"direct": [], "changing": [], "peer": []}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            measured = json.loads(line)
            runs[measured["kind"]].append(measured)
            step(_summary(measured))
    if process.returncode:
        raise Unusable(f"The direct run failed with status {process.returncode}.")
    return runs


def one(items: int, latency_ms: int, slots: int) -> dict[str, Any]:
    """One run of the binaries that the local stack runs: for its counts, its times are none to speak of."""
    command = [TARGET / "debug" / "direct", "--infer", settings.BINARIES / "infer" / "bootstrap"]
    only = ["--python", sys.executable, "--only", str(items), str(latency_ms), str(slots)]
    return dict(json.loads(subprocess.run([*map(str, command), *only], check=True, stdout=subprocess.PIPE).stdout))


def _summary(measured: dict[str, Any]) -> str:
    of = f"{measured.get('script', measured['kind'])}: {measured['items']:,} items, {measured['latency_ms']} ms"
    return f"{of}, {measured['slots']} slots: {measured['efficiency']:.3f}"
