"""Every function starts with the environment that `make coldstart` gives it, and answers: a count needs an answer."""

import subprocess

from local import settings
from local.bench.direct import TARGET


def test_every_function_starts_and_answers_its_first_event() -> None:
    command = [TARGET / "debug" / "examples" / "coldstart", "--only-start", "--functions", settings.BINARIES]
    started = subprocess.run(
        [*map(str, command), "--direct", "none"], check=True, stdout=subprocess.PIPE, text=True, cwd=settings.ROOT
    )

    assert set(started.stdout.split()) == set(settings.FUNCTIONS)
