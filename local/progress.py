"""What a person sees while something takes long. All of it goes to stderr: stdout is for what `eval` may take."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def step(text: str) -> None:
    """Says what happens now."""
    print(f"· {text}", file=sys.stderr, flush=True)


@contextmanager
def timed(text: str) -> Iterator[None]:
    """Says what happens now and, at its end, how long it took."""
    step(f"{text} …")
    started = time.monotonic()
    yield
    step(f"{text}: {time.monotonic() - started:.1f} s")
