"""The public bug reports of `tests/cases`, each played as it came. Several at once: most of their time is waiting."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from local import settings
from tests.system.conftest import NewTenant

pytestmark = pytest.mark.takes(150)

FOLDER = settings.ROOT / "tests" / "cases"
CASES = sorted(script.parent for script in FOLDER.glob("*/repro.py"))
AT_ONCE = 6
# Some two minutes, one minute and one minute: they begin first.
LONGEST = ("11-", "10-", "18-")
VERDICTS = ("ok:", "FAILS:")
# The address of the first stack's emulator, as the scripts have it.
EMULATOR_URL = "http://127.0.0.1:4599"


@pytest.fixture(scope="module")
def played(new_tenant: NewTenant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[str]]]:
    """What each case prints, by its name. Each has an organization of its own: events of one must not reach another."""
    stack = tmp_path_factory.mktemp("stack")
    (stack / ".local").symlink_to(settings.STATE)
    (stack / "target").symlink_to(settings.ROOT / "target")
    shutil.copytree(FOLDER, stack / "cases")
    for script in (stack / "cases").rglob("*.py"):
        script.write_text(script.read_text().replace(EMULATOR_URL, settings.EMULATOR_URL))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {case.name: pool.submit(play, stack, case.name, new_tenant().stack.key) for case in longest_first()}


def longest_first() -> list[Path]:
    return sorted(CASES, key=lambda case: not case.name.startswith(LONGEST))


def play(stack: Path, case: str, key: str) -> str:
    own = {"STACK": str(stack), "AVALA_BASE_URL": settings.BASE_URL, "AVALA_API_KEY": key}
    done = subprocess.run(
        [sys.executable, "repro.py"],
        cwd=stack / "cases" / case,
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return f"{done.stdout}exit status {done.returncode}\n"


def test_there_are_all_seventeen() -> None:
    assert len(CASES) == 17


@pytest.mark.parametrize("case", [case.name for case in CASES])
def test_a_reported_fault_is_none_any_more(case: str, played: dict[str, Future[str]]) -> None:
    printed = played[case].result()
    print(printed)

    verdicts = [line for line in printed.splitlines() if line.startswith(VERDICTS)]
    assert verdicts, printed
    assert not [line for line in verdicts if line.startswith("FAILS:")], printed
    assert printed.endswith("exit status 0\n"), printed
