"""`make advisories` on a machine that cannot reach github.com."""

import os
import subprocess
from pathlib import Path

from local import settings

NOWHERE = "http://127.0.0.1:9"


def test_it_fails_and_says_what_it_needs(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment |= {"https_proxy": NOWHERE, "HTTPS_PROXY": NOWHERE, "CARGO_HOME": str(tmp_path)}
    # The packages are there: the test runs on them.
    command = ["make", "--old-file", ".venv/.installed", "advisories"]

    ended = subprocess.run(command, cwd=settings.ROOT, env=environment, capture_output=True, text=True, check=False)

    assert ended.returncode != 0
    assert "make advisories needs github.com, where RustSec's database of known holes is." in ended.stderr
