"""The official Python package, unmodified: its two clients under one interface, and its command line."""

import asyncio
import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import avala
from click.testing import CliRunner, Result

from local.up import Stack

# Its tables are as wide as the terminal; the package reads this when it is imported.
os.environ["COLUMNS"] = "250"


class Blocking:
    """The asynchronous client, called like the synchronous one: every coroutine is run to its end."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self._target = target
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if inspect.iscoroutinefunction(found):
            return lambda *args, **kwargs: self._runner.run(found(*args, **kwargs))
        return Blocking(found, self._runner) if type(found).__module__.startswith("avala.resources") else found


@contextmanager
def client_of(kind: str, stack: Stack) -> Iterator[Any]:
    """A client of this stack: `sync` or `async`, both called alike."""
    os.environ["AVALA_ALLOW_INSECURE_BASE_URL"] = "true"
    if kind == "sync":
        with avala.Client(api_key=stack.key, base_url=stack.base_url) as client:
            yield client
        return
    with asyncio.Runner() as runner:
        client = avala.AsyncClient(api_key=stack.key, base_url=stack.base_url)
        yield Blocking(client, runner)
        runner.run(client.close())


def command(stack: Stack, *arguments: str, typed: str = "") -> Result:
    """Runs `avala` with these arguments, in this process: its start alone takes a second. `typed` answers questions."""
    from avala.cli import main  # after COLUMNS is set

    environment = {
        "AVALA_BASE_URL": stack.base_url,
        "AVALA_API_KEY": stack.key,
        "AVALA_ALLOW_INSECURE_BASE_URL": "true",
    }
    return CliRunner().invoke(main, list(arguments), env=environment, input=typed)
