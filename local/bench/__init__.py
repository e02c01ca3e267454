"""`make bench`: how well a job keeps the model endpoint busy, and what it costs.

Times are of the direct run (bench/src/direct): the real binary of `infer` against stand-ins of DynamoDB, S3 and
SageMaker that are no bottleneck. Counts are of the system run: jobs on the local stack, from the call that creates one
to the delivery of its webhook. Both are printed in one table, and kept in bench/results.json.
"""

import json
import os
import time
from typing import Any, Final

from local import settings
from local.bench import direct, system, table
from local.bench.prices import Prices

RESULTS: Final = settings.ROOT / "bench" / "results.json"


def run(everything: bool = False) -> None:
    """Runs all of it, prints the table and keeps the results; `everything`: the cells too that take minutes each."""
    results: dict[str, Any] = {
        "taken_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processors": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
    }
    results |= direct.run(everything)
    results["system"] = [job.as_dict() for job in system.run()]
    results["prices"] = Prices.listed().as_dict()
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    show()


def show() -> None:
    """Prints the table of the last run."""
    for line in table.lines(json.loads(RESULTS.read_text())):
        print(line)
