"""Each worker of pytest-xdist has a local stack of its own, by its number: no test meets what another does to it."""

import os

os.environ.setdefault("AUTOLABEL_STACK", os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
