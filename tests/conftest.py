"""Tests side by side: each worker of pytest-xdist has a local stack of its own, by its number, and the longest tests
begin first. So no test meets what another one does to its stack, and no worker ends long after the others.

The workers' stacks are numbered from `AUTOLABEL_STACK` on.
"""

import os

import pytest

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    first = int(os.environ.get("AUTOLABEL_STACK", "0"))
    os.environ["AUTOLABEL_STACK"] = str(first + int(worker.removeprefix("gw")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups for `--dist loadgroup`: a module is one, and so is a test that is marked with its seconds."""
    for item in items:
        is_marked = any(mark.name == "takes" for mark in item.own_markers)
        item.add_marker(pytest.mark.xdist_group(item.name if is_marked else item.path.stem))
    items.sort(key=seconds, reverse=True)


def seconds(item: pytest.Item) -> float:
    """What the test, or else its module, is marked with."""
    mark = item.get_closest_marker("takes")
    return float(mark.args[0]) if mark else 0.0
