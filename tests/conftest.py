"""Each worker of pytest-xdist has a local stack of its own, by its number: no test meets what another does to it."""

import os

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["AUTOLABEL_STACK"] = worker.removeprefix("gw")
