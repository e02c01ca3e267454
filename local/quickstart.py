"""The quickstart script of examples/quickstart, run as it stands: only host, key and project are put in."""

import os
import subprocess
import sys
from collections.abc import Iterator

from local import settings

HOST = "https://api.avala.ai/api/v1"
KEY = "avk_..."
PROJECT = "proj_abc123"


def script(base_url: str, key: str, project: str) -> str:
    """The script's text for this host, key and project."""
    text = settings.SEED_QUICKSTART.read_text(encoding="utf-8")
    for placeholder, value in ((HOST, base_url), (KEY, key), (PROJECT, project)):
        text = text.replace(placeholder, value)
    return text


def run(base_url: str, key: str, project: str) -> Iterator[str]:
    """Runs the script as a child and gives its lines as it prints them.

    Raises:
        CalledProcessError: the script failed; its own error is on stderr.
    """
    # Handed over on stdin, so that the key is in no file and no process list.
    command = [sys.executable, "-u", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ) as child:
        assert child.stdin and child.stdout  # both are pipes
        child.stdin.write(script(base_url, key, project))
        child.stdin.close()
        for line in child.stdout:
            yield line.rstrip("\n")
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
