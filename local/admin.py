"""The administration command, against the local stack's table."""

import subprocess

from local import settings
from local.errors import Unusable


def run(table: str, *arguments: str) -> str:
    """Runs the command and gives what it printed.

    Raises:
        Unusable: it failed; says why.
    """
    done = subprocess.run(
        [str(settings.ADMIN), *arguments],
        env=settings.aws_environment() | {"TABLE_NAME": table},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unusable(f"admin {' '.join(arguments[:2])} failed.\n{done.stdout}{done.stderr}")
    return done.stdout
