"""The commands of the local stack; `make` calls these."""

import argparse
import importlib
import sys
from collections.abc import Callable
from typing import Any

from local.errors import Unusable

Run = Callable[[argparse.Namespace], int | None]


def main() -> int:
    """Runs one command and gives its exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text)
        added.set_defaults(run=run)
        return added

    command(
        "up", lambda _: _of("up").print_exports(_of("up").up()), "start and deploy all; prints exports for clients last"
    )
    command("down", lambda _: _of("up").down(), "stop everything and remove its state")
    command("status", lambda _: int(not _of("up").status()), "say what runs")
    logs = command("logs", lambda given: _of("up").logs(given.follow), "print the logs")
    logs.add_argument("--follow", action="store_true")
    project = command("project", _project, "create a project with the sample pictures; prints its uid last")
    project.add_argument("--items", type=int, help="so many items, the pictures repeated")
    keys = command("keys", _keys, "administer API keys, as in: keys list --organization demo")
    keys.add_argument("arguments", nargs=argparse.REMAINDER)
    command("demo", lambda _: _of("demo").run(), "run one job on the sample pictures, from key to drawn drafts")
    bench = command("bench", _bench, "run jobs of several sizes; prints what they cost and how fast they were")
    bench.add_argument("--all", action="store_true", help="the runs too that take minutes each")
    bench.add_argument("--show", action="store_true", help="print the table of the last run instead")
    growth = command(
        "growth", lambda given: _of("growth").run(given.items), "run a small and a large job; keeps their costs"
    )
    growth.add_argument("--items", type=int, default=100_000, help="of the large one")
    exports = command(
        "exports", lambda given: _of("exports").run(given.items), "run small and large exports; keeps their costs"
    )
    exports.add_argument("--items", type=int, default=100_000, help="of the large ones")
    coverage = command("coverage", _coverage, "write which tests hold which decision of the contract")
    coverage.add_argument("--check", action="store_true", help="fail if that is not what the page says")
    command("emulator", lambda _: _of("emulator").run(), "(process of the stack) the emulator")
    proxy = command("proxy", lambda given: _of("proxy").run(given.upstream), "(process of the stack) the proxy")
    proxy.add_argument("upstream")
    given = parser.parse_args()
    return given.run(given) or 0


def _of(module: str) -> Any:
    """Loaded for its command alone: the emulator's reads its environment when it is imported."""
    return importlib.import_module(f"local.{module}")


def _project(given: argparse.Namespace) -> None:
    project = _of("project")
    print(project.create(project.connect(), given.items).uid)


def _keys(given: argparse.Namespace) -> None:
    table = _of("up").required().outputs["TableName"]
    print(_of("admin").run(table, "keys", *given.arguments), end="")


def _bench(given: argparse.Namespace) -> None:
    bench = _of("bench")
    bench.show() if given.show else bench.run(given.all)


def _coverage(given: argparse.Namespace) -> None:
    coverage = _of("coverage")
    coverage.check() if given.check else coverage.write()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unusable as error:
        sys.exit(f"error: {error}")
