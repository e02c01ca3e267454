"""Requests made up from the API's description, sent to the running stack with the keys of two tenants (schemathesis).

It fails on a 5xx, on a status, header or body that the description does not have, and when a tenant sees anything of
the other one. `make fuzz` runs it long; tests/system/test_fuzz.py runs it short.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from local import admin, project, settings, up
from local.project import checked
from local.up import Stack

# Not threads: Python 3.11's parser, which the generators use, fails in them now and then.
PROCESSES = 4
SEED = 20_260_101
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "tenants_do_not_see_each_other",
)
SHORT, LONG = "examples,fuzzing", "examples,coverage,fuzzing,stateful"
SEEDED = 6  # of each object
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Report:
    """What a run came to."""

    passed: bool
    output: str  # of schemathesis
    answers: dict[str, Counter[int]]  # how many by operation and status

    @property
    def requests(self) -> int:
        return sum(counter.total() for counter in self.answers.values())

    @property
    def statuses(self) -> Counter[int]:
        return sum(self.answers.values(), Counter())

    @property
    def never_succeeded(self) -> list[str]:
        """Operations that were only ever refused: of these the run says little."""
        return sorted(name for name, counter in self.answers.items() if not any(status < 400 for status in counter))


def run(stack: Stack, examples: int, *, phases: str, seed: int = SEED) -> Report:
    """Sends each operation up to so many made-up requests in each phase."""
    folder = settings.STATE / "fuzz"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tenants = [tenant(stack, name) for name in ("left", "right")]
    description = checked(httpx.get(f"{stack.base_url}/openapi.json", headers={"X-Avala-Api-Key": tenants[0]["key"]}))
    (folder / "openapi.json").write_text(json.dumps(description))
    (folder / "tenants.json").write_text(json.dumps(tenants))
    options = [
        *("--url", stack.base_url, "--workers", "1", "--seed", str(seed), "--phases", phases),
        *("--max-examples", str(examples), "--checks", ",".join(CHECKS), "--continue-on-failure", "--no-shrink"),
        *("--request-timeout", "30", "--suppress-health-check", "all", "--no-color", "--warnings", "off"),
        *("--generation-with-security-parameters", "false", "--generation-database", "none"),
    ]
    with ThreadPoolExecutor(PROCESSES) as pool:
        shares = pool.map(partial(_share, folder, options), count(), _dealt(description))
        passed, outputs = zip(*shares, strict=True)
    answers: dict[str, Counter[int]] = {}
    for file in folder.glob("counts-*.json"):
        for name, number in json.loads(file.read_text()).items():
            operation, _, status = name.rpartition(" ")
            answers.setdefault(operation, Counter())[int(status)] += number
    return Report(all(passed), "\n".join(outputs), answers)


def _dealt(description: dict[str, Any]) -> list[list[str]]:
    """The operations, dealt out to the processes: those of one resource together, since they make what they need."""
    resources: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        resource = path.strip("/").split("/")[-1 if path.endswith("auto-label/") else 0]
        resource = {"auto-label": "auto-label-jobs", "users": "projects"}.get(resource, resource)
        resources.setdefault(resource, []).extend(operation["operationId"] for operation in operations.values())
    hands: list[list[str]] = [[] for _ in range(PROCESSES)]
    for operations in sorted(resources.values(), key=len, reverse=True):
        min(hands, key=len).extend(operations)
    return [hand for hand in hands if hand]


def _share(folder: Path, options: list[str], number: int, operations: list[str]) -> tuple[bool, str]:
    """One process's part: whether it found nothing, and what it printed."""
    included = [part for operation in operations for part in ("--include-operation-id", operation)]
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", str(folder / "openapi.json")),
            *(*options, *included),
        ],
        cwd=folder,
        env=os.environ
        | {
            "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
            "PYTHONPATH": str(settings.ROOT),
            "FUZZ_TENANTS": str(folder / "tenants.json"),
            "FUZZ_COUNTS": str(folder / f"counts-{number}.json"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


def tenant(stack: Stack, name: str) -> dict[str, Any]:
    """A new organization with some of everything. Every name says whose it is."""
    canary = f"canary-{name}-{uuid.uuid4().hex[:8]}"
    key = admin.run(stack.outputs["TableName"], "keys", "create", "--organization", canary, "--name", canary).strip()
    made: dict[str, list[str]] = {
        kind: [] for kind in ("project", "job", "provider", "webhook", "delivery", "result", "export")
    }
    with project.client_of(replace(stack, key=key)) as api:

        def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
            return checked(api.post(path, json=body))

        def rows(path: str) -> list[dict[str, Any]]:
            return list(checked(api.get(path))["results"])

        for number in range(SEEDED):
            own = post("/projects/", {"name": f"{canary} {number}", "labels": [canary, "car"]})["uid"]
            entries = [
                {"key": f"{canary}/{n}.jpg", "asset_type": "image", "width": 640, "height": 480} for n in range(4)
            ]
            post(f"/projects/{own}/items/", {"items": entries})
            config = {"endpoint_name": settings.LOAD_ENDPOINT, "region": settings.REGION}
            provider = {"name": canary, "provider_type": "sagemaker", "config": config, "project": own}
            made["provider"].append(post("/inference-providers/", provider)["uid"])
            hook = {"target_url": f"http://localhost:9/{canary}", "events": ["task.completed"]}
            made["webhook"].append(post("/webhooks/", hook)["uid"])
            made["delivery"].append(post(f"/webhooks/{made['webhook'][-1]}/test/", {})["delivery"])
            made["job"].append(post(f"/projects/{own}/auto-label/", {"confidence_threshold": 0.0})["uid"])
            made["export"].append(post("/exports/", {"project": own})["uid"])
            made["project"].append(own)
        for job in made["job"]:
            while checked(api.get(f"/auto-label-jobs/{job}/"))["status"] in ("pending", "running"):
                time.sleep(POLL_SECONDS)
        for own in made["project"]:
            made["result"] += [result["uid"] for result in rows(f"/projects/{own}/results/")]
        made["item"] = [item["uid"] for own in made["project"] for item in rows(f"/projects/{own}/items/")]
        datasets = rows("/datasets/")
        made["dataset"] = [dataset["uid"] for dataset in datasets]
        made["owner"] = [dataset["owner_name"] for dataset in datasets]
        made["slug"] = [dataset["slug"] for dataset in datasets]
    return {"key": key, "canaries": [canary], "objects": made}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("--examples", type=int, default=360, help="requests to each operation, about")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    report = run(up.required(), arguments.examples, phases=LONG, seed=arguments.seed)
    print(report.output)
    for operation, counter in sorted(report.answers.items()):
        print(f"{operation:60} {dict(sorted(counter.items()))}")
    print(f"\nseed {arguments.seed}: {report.requests:,} requests to {len(report.answers)} operations")
    print(f"statuses: {dict(sorted(report.statuses.items()))}")
    print(f"never succeeded: {', '.join(report.never_succeeded) or 'none'}")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
