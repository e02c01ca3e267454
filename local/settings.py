"""Every port, folder and setting of the local stack.

All state lives in `.local/` below the project root; `down` removes it. Paths are absolute, since they are handed to
processes with other working directories. Several stacks run side by side if each has a number, `AUTOLABEL_STACK`: it
has ports and a folder of its own.
"""

import json
import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PORTS_PER_STACK: Final = 100
STACK: Final = int(os.environ.get("AUTOLABEL_STACK", "0"))
STATE: Final = ROOT / (f".local-{STACK}" if STACK else ".local")
LOGS: Final = STATE / "logs"
RUN: Final = STATE / "run"
KEY_FILE: Final = STATE / "key"
DEPLOYED_FILE: Final = STATE / "deployed.json"
AUTHORITY_FILE: Final = STATE / "authority.pem"
AUTHORITY_KEY_FILE: Final = STATE / "authority.key"
CDK_OUT: Final = STATE / "cdk.out"
CDK_OUTPUTS_FILE: Final = STATE / "outputs.json"
DYNAMODB_CALLS_FILE: Final = STATE / "dynamodb-calls.jsonl"

INFRA: Final = ROOT / "infra"
ENDPOINT: Final = ROOT / "examples" / "endpoint"
PICTURES: Final = ROOT / "examples" / "pictures"
SEED_QUICKSTART: Final = ROOT / "examples" / "quickstart" / "seed.py"
STATE_MACHINE: Final = ROOT / "statemachine.asl.json"
DEMO_OUTPUT: Final = ROOT / "demo-output"
# Mission Control as `make console` builds it, and the API reference as `make reference` does.
CONSOLE: Final = ROOT / "console" / "dist"
REFERENCE: Final = ROOT / "target" / "reference"

FUNCTIONS: Final = tuple(sorted(manifest.parent.name for manifest in ROOT.glob("functions/*/Cargo.toml")))


def _path(name: str, default: Path) -> Path:
    return Path(os.environ.get(f"AUTOLABEL_{name}", default)).resolve()


def _port(name: str, default: int) -> int:
    return int(os.environ.get(f"AUTOLABEL_{name}_PORT", default + PORTS_PER_STACK * STACK))


BINARIES: Final = _path("BINARIES", ROOT / "target" / "lambda")
ADMIN: Final = _path("ADMIN", BINARIES / "admin" / "bootstrap")

EMULATOR_PORT: Final = _port("EMULATOR", 4599)
ENDPOINT_PORT: Final = _port("ENDPOINT", 4601)
PROXY_PORT: Final = _port("PROXY", 8080)
WEBHOOK_PORT: Final = _port("WEBHOOK", 8090)

# Numeric, so that every AWS SDK addresses buckets by path and signed URLs need no name resolution.
EMULATOR_URL: Final = f"http://127.0.0.1:{EMULATOR_PORT}"
ENDPOINT_URL: Final = f"http://127.0.0.1:{ENDPOINT_PORT}"
BASE_URL: Final = f"http://localhost:{PROXY_PORT}/api/v1"
REFERENCE_URL: Final = f"http://localhost:{PROXY_PORT}/reference/"
CONSOLE_URL: Final = f"http://localhost:{PROXY_PORT}/"

ACCOUNT: Final = "000000000000"
REGION: Final = "us-east-1"

# The share of its delay that a retry of the state machine waits. A job has as many retries as on AWS.
RETRY_SCALE: Final = float(os.environ.get("AUTOLABEL_RETRY_SCALE", "0.25"))

ENDPOINT_LATENCY_MS: Final = 50
ENDPOINT_SLOTS: Final = 16
SAGEMAKER_ENDPOINTS: Final = {"yolo": "autolabel-yolo", "sam3": "autolabel-sam3"}
# Buckets that items may come from, by the organizations that may name them. A test that needs one creates it.
SOURCE_BUCKETS: Final = {"autolabel-demo-sources": ["demo"], "autolabel-foreign-sources": ["foreign"]}
LOAD_ENDPOINT: Final = "autolabel-load"
# Where the development server of a web page would be.
CORS_ORIGIN: Final = "http://localhost:5173"

# Settings of the construct that a run may be about (`make growth`); all others keep what infra/lib/settings.ts says.
LIMITS: Final = {
    setting: os.environ[variable]
    for setting, variable in (
        ("itemCap", "AUTOLABEL_ITEM_CAP"),
        ("inlineBatches", "AUTOLABEL_INLINE_BATCHES"),
        ("endpointFallback", "AUTOLABEL_ENDPOINT_FALLBACK"),
    )
    if variable in os.environ
}

# The settings of the construct on this machine. Retries and caches are short, so that a person (or a test)
# sees the second attempt, and a revoked key, within seconds. Limits are out of the way of tests that poll; a test that
# is about them has a key of its own.
CONTEXT: Final = {
    "binaries": str(BINARIES),
    # Built for this machine, whose C library may be newer than that of Lambda.
    "foreignBinaries": "allow",
    "stateMachineFile": str(STATE_MACHINE),
    "consoleFiles": str(CONSOLE),
    "referenceFiles": str(REFERENCE) if (REFERENCE / "index.html").exists() else "",
    **LIMITS,
    "sagemakerEndpoints": json.dumps(SAGEMAKER_ENDPOINTS),
    "sourceBuckets": json.dumps(SOURCE_BUCKETS),
    "publicBaseUrl": BASE_URL.removesuffix("/api/v1"),
    "loopbackHttp": "allow",
    "extraRoots": str(AUTHORITY_FILE),
    # Each invocation at once is a process of its own here. An organization has a quarter of them.
    "webhookConcurrency": "8",
    "overflowConcurrency": "4",
    "webhookRetrySeconds": "1,2,3,4,5",
    "keyCacheSeconds": "2",
    "requestsPerMinute": "1000000",
    "requestsPerSecond": "1000000",
    "unauthenticatedPerMinute": "1000000",
    "corsOrigin": CORS_ORIGIN,
    "settleScheduleMinutes": "1",
}

# The emulator's endpoint and its only credentials.
AWS: Final = {
    "AWS_ENDPOINT_URL": EMULATOR_URL,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
}


def aws_environment() -> dict[str, str]:
    """What an AWS client needs to reach the emulator, and nothing of the caller's own AWS set-up."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return inherited | AWS
