"""`up`, `down`, `status`: the stack as a whole."""

import hashlib
import json
import os
import shlex
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from local import admin, authority, aws, emulator, processes, settings
from local.errors import Unusable
from local.processes import Service
from local.progress import step, timed

READY_SECONDS = 30.0
# Loopback has no TLS. By default each call would read all public roots: 20 ms of the processor, twenty times a second.
NO_ROOTS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True)
class Stack:
    """A running stack: where it is, the key that opens it, and what its template gave out."""

    base_url: str
    key: str
    outputs: dict[str, str]


def up() -> Stack:
    """Brings the stack up, or up to date. What runs already and is unchanged stays as it is."""
    _check_prerequisites()
    authority.of_stack()
    fresh = _start_emulator()
    _start_endpoint()
    outputs = _deploy(fresh)
    _start_proxy(outputs["ApiId"])
    step(f"Mission Control, a page to review drafts: {settings.CONSOLE_URL}")
    return Stack(settings.BASE_URL, _key(outputs["TableName"]), outputs)


def running() -> Stack | None:
    """The stack if all of it runs and its key works; nothing is started."""
    if not all(processes.is_running(name) for name in ("emulator", "endpoint", "proxy")):
        return None
    key = _working_key()
    return Stack(settings.BASE_URL, key, _deployed().get("outputs", {})) if key else None


def required() -> Stack:
    """The running stack.

    Raises:
        Unusable: it does not run.
    """
    stack = running()
    if stack is None:
        raise Unusable("The local stack does not run. Start it with: make up")
    return stack


def exports(stack: Stack) -> dict[str, str]:
    """What Avala's clients and the AWS command line need. An empty session token hides one of the caller's own."""
    return {
        "AVALA_BASE_URL": stack.base_url,
        "AVALA_API_KEY": stack.key,
        "AVALA_ALLOW_INSECURE_BASE_URL": "true",
        "BUCKET": stack.outputs["BucketName"],
        **settings.AWS,
        "AWS_SESSION_TOKEN": "",
    }


def print_exports(stack: Stack) -> None:
    """Prints the lines that `eval "$(make -s up)"` takes. The addresses, for people, go to stderr."""
    step(f"API at {stack.base_url}, its reference at {settings.REFERENCE_URL}")
    for name, value in exports(stack).items():
        print(f"export {name}={shlex.quote(value)}")


def down() -> None:
    """Ends every process of the stack and removes its state."""
    for name in processes.names():
        processes.stop(name)
    shutil.rmtree(settings.STATE, ignore_errors=True)


def status() -> bool:
    """Prints each process and whether it lives; true if the whole stack is usable."""
    for name in processes.names():
        print(f"{name:10} pid {processes.pid(name)} {'running' if processes.is_running(name) else 'ended'}")
    stack = running()
    print(f"usable at {stack.base_url}" if stack else "not usable; start it with: make up")
    return stack is not None


def logs(follow: bool) -> None:
    """Prints the logs of all processes."""
    files = sorted(str(file) for file in settings.LOGS.glob("*.log"))
    if files:
        os.execvp("tail", ["tail", "-n", "200", *(["-F"] if follow else []), *files])


def _check_prerequisites() -> None:
    missing = [name for name in settings.FUNCTIONS if not (settings.BINARIES / name / "bootstrap").exists()]
    if missing:
        raise Unusable(f"Not built: {', '.join(missing)} (below {settings.BINARIES}). Run: make build")
    for folder in (settings.INFRA, settings.ENDPOINT):
        if not (folder / "node_modules").exists():
            raise Unusable(f"{folder.relative_to(settings.ROOT)} is not installed. Run: make setup")
    if not (settings.CONSOLE / "index.html").exists():
        raise Unusable("Mission Control is not built. Run: make setup")
    if not settings.ADMIN.exists():
        raise Unusable("The admin command is not built. Run: make build")


def _start_emulator() -> bool:
    service = Service(
        "emulator", settings.EMULATOR_PORT, [sys.executable, "-m", "local", "emulator"], emulator.environment()
    )
    if not processes.is_running("emulator"):
        # It keeps nothing over a restart, so what we know of the old one is void.
        for stale in (settings.DEPLOYED_FILE, settings.KEY_FILE, settings.DYNAMODB_CALLS_FILE):
            stale.unlink(missing_ok=True)
        Path(service.environment["TMPDIR"]).mkdir(parents=True, exist_ok=True)
    started = processes.start(service)
    if started:
        step(f"emulator on port {settings.EMULATOR_PORT}")
    url = f"{settings.EMULATOR_URL}/_ministack/ready"
    processes.wait_until_ready(service, lambda: _answers(url) == httpx.codes.OK, READY_SECONDS)
    return started


def _start_endpoint() -> None:
    service = Service(
        "endpoint",
        settings.ENDPOINT_PORT,
        [
            *("node", "server.mjs", "--port", str(settings.ENDPOINT_PORT)),
            *("--latency", str(settings.ENDPOINT_LATENCY_MS), "--slots", str(settings.ENDPOINT_SLOTS)),
        ],
        os.environ,
        folder=settings.ENDPOINT,
    )
    if processes.start(service):
        step(f"model endpoint on port {settings.ENDPOINT_PORT}")
    url = f"{settings.ENDPOINT_URL}/ping"
    processes.wait_until_ready(service, lambda: _answers(url) == httpx.codes.OK, READY_SECONDS)


def _deploy(fresh: bool) -> dict[str, str]:
    """Deploys if binaries, template or settings changed since the last time. Gives the stack's outputs."""
    fingerprint = _fingerprint()
    deployed = _deployed()
    if deployed.get("fingerprint") == fingerprint:
        step("deployed already, nothing changed")
    else:
        if fresh or not _is_bootstrapped():
            with timed("cdk bootstrap"):
                # In a folder without an app, which would be synthesized for nothing.
                _cdk(settings.STATE, "bootstrap", f"aws://{settings.ACCOUNT}/{settings.REGION}")
        with timed("cdk deploy"):
            _share_zipped_binaries()
            _cdk(
                settings.INFRA,
                *("deploy", "--all", "--require-approval", "never", "--ci"),
                *("--outputs-file", str(settings.CDK_OUTPUTS_FILE)),
                *("--output", str(settings.CDK_OUT)),
                *(part for name, value in settings.CONTEXT.items() for part in ("--context", f"{name}={value}")),
            )
        (outputs,) = json.loads(settings.CDK_OUTPUTS_FILE.read_text()).values()
        deployed = {"fingerprint": fingerprint, "outputs": outputs}
        settings.DEPLOYED_FILE.write_text(json.dumps(deployed))
    return dict(deployed["outputs"])


def _deployed() -> dict[str, Any]:
    file = settings.DEPLOYED_FILE
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _fingerprint() -> str:
    """A digest of all that decides what is deployed."""
    digest = hashlib.sha256(json.dumps(settings.CONTEXT, sort_keys=True).encode())
    for file in _deployed_files():
        with file.open("rb") as content:
            digest.update(f"{file.name} {hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _deployed_files() -> Iterator[Path]:
    yield from (settings.BINARIES / name / "bootstrap" for name in settings.FUNCTIONS)
    yield settings.STATE_MACHINE
    yield settings.AUTHORITY_FILE
    yield from sorted(settings.INFRA.glob("*.json"))
    yield from sorted(file for folder in ("bin", "lib") for file in (settings.INFRA / folder).rglob("*.[tj]s"))
    yield settings.CONSOLE.parent / "headers.json"
    yield from sorted(file for folder in (settings.CONSOLE, settings.REFERENCE) for file in folder.rglob("*.*"))


def _is_bootstrapped() -> bool:
    stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
    return any(stack["StackName"] == "CDKToolkit" for stack in stacks)


def _cdk(folder: Path, *arguments: str) -> None:
    """Runs the stock CLI in this folder. Its output is shown only if it fails.

    The CDK's own validation of the template, half the time of a synthesis, gives warnings, which no one would see here:
    `make test-infra` shows them.
    """
    log = settings.LOGS / f"cdk-{arguments[0]}.log"
    with log.open("wb") as output:
        done = subprocess.run(
            ["node", str(settings.INFRA / "node_modules" / "aws-cdk" / "bin" / "cdk"), *arguments],
            cwd=folder,
            env=settings.aws_environment() | {"CDK_DISABLE_VERSION_CHECK": "1", "CDK_VALIDATION": "false"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise Unusable(f"cdk {arguments[0]} failed.\n{log.read_text(errors='replace')[-6000:]}")


def _share_zipped_binaries() -> None:
    """The CLI zips an asset once for all stacks and keeps the zip, by a digest, when a stack is removed."""
    zipped, own = settings.INFRA / "cdk.out" / ".cache", settings.CDK_OUT / ".cache"
    if not own.exists():
        for folder in (zipped, own.parent):
            folder.mkdir(parents=True, exist_ok=True)
        own.symlink_to(zipped)


def _start_proxy(api_id: str) -> None:
    upstream = f"{settings.EMULATOR_URL}/_aws/execute-api/{api_id}/$default"
    service = Service("proxy", settings.PROXY_PORT, [sys.executable, "-m", "local", "proxy", upstream], os.environ)
    if processes.start(service):
        step(f"proxy on port {settings.PROXY_PORT}")
    # Without a key the API refuses; that it does so is the sign that the whole way through works.
    url = f"{settings.BASE_URL}/projects/"
    processes.wait_until_ready(service, lambda: _answers(url) == httpx.codes.UNAUTHORIZED, READY_SECONDS)


def _answers(url: str, key: str | None = None) -> int | None:
    headers = {"X-Avala-Api-Key": key} if key else {}
    try:
        return httpx.get(url, headers=headers, timeout=10, verify=NO_ROOTS).status_code
    except httpx.TransportError:
        return None


def _key(table: str) -> str:
    key = _working_key()
    if key is None:
        step("creating an API key")
        key = admin.run(table, "keys", "create", "--organization", "demo", "--name", "demo").strip()
        settings.KEY_FILE.touch(mode=0o600)
        settings.KEY_FILE.write_text(key)
    return key


def _working_key() -> str | None:
    if not settings.KEY_FILE.exists():
        return None
    key = settings.KEY_FILE.read_text()
    return key if _answers(f"{settings.BASE_URL}/projects/?limit=1", key) == httpx.codes.OK else None
