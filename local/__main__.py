"""The commands of the local stack; `make` calls these."""

import argparse
import sys

from local.errors import Unusable


def main() -> int:
    """Runs one command and gives its exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start and deploy everything; prints the exports for clients last")
    commands.add_parser("down", help="stop everything and remove its state")
    commands.add_parser("status", help="say what runs")
    commands.add_parser("logs", help="print the logs").add_argument("--follow", action="store_true")
    project = commands.add_parser("project", help="create a project with the sample pictures; prints its uid last")
    project.add_argument("--items", type=int, help="so many items, the pictures repeated")
    keys = commands.add_parser("keys", help="administer API keys, as in: keys list --organization demo")
    keys.add_argument("arguments", nargs=argparse.REMAINDER)
    commands.add_parser("demo", help="run one job on the sample pictures, from key to drawn drafts")
    bench = commands.add_parser("bench", help="run jobs of several sizes; prints what they cost and how fast they were")
    bench.add_argument("--all", action="store_true", help="the runs too that take minutes each")
    bench.add_argument("--show", action="store_true", help="print the table of the last run instead")
    growth = commands.add_parser("growth", help="run a small job and a large one; prints and keeps what they cost")
    growth.add_argument("--items", type=int, default=100_000, help="of the large one")
    coverage = commands.add_parser("coverage", help="write which tests hold which decision of the contract")
    coverage.add_argument("--check", action="store_true", help="fail if that is not what the page says")
    commands.add_parser("emulator", help="(process of the stack) the emulator")
    commands.add_parser("proxy", help="(process of the stack) the proxy").add_argument("upstream")
    return _run(parser.parse_args())


def _run(arguments: argparse.Namespace) -> int:
    # Each command loads its own modules: the emulator's reads its environment when it is imported.
    match arguments.command:
        case "emulator":
            from local import emulator

            emulator.run()
        case "proxy":
            from local import proxy

            proxy.run(arguments.upstream)
        case "demo":
            from local import demo

            return demo.run()
        case "bench":
            from local import bench

            bench.show() if arguments.show else bench.run(arguments.all)
        case "growth":
            from local import growth

            growth.run(arguments.items)
        case "coverage":
            from local import coverage

            coverage.check() if arguments.check else coverage.write()
        case "project":
            from local import project

            print(project.create(project.connect(), arguments.items).uid)
        case "keys":
            from local import admin, up

            print(admin.run(up.required().outputs["TableName"], "keys", *arguments.arguments), end="")
        case "up":
            from local import up

            up.print_exports(up.up())
        case "down":
            from local import up

            up.down()
        case "status":
            from local import up

            return 0 if up.status() else 1
        case "logs":
            from local import up

            up.logs(arguments.follow)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unusable as error:
        sys.exit(f"error: {error}")
