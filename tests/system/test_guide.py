"""docs/guide, docs/uploads.md and README.md say what is so. Every example runs on the stack and prints what its page
shows. The tables of the guide are whole.

The blocks of a page run in their order: those of `sh` in one bash, those of `python` in one interpreter, which sees
what bash has exported. A block of `text` or `json` right after one is its output, compared by shape: numbers, uids,
times and keys may be others, and "…" stands for anything. `test_the_three_languages_verify_a_delivery` runs the blocks
that are marked `verify`, those of `rust` among them.
"""

import contextlib
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

from local import demo, settings
from local.up import Stack, exports
from tests.system.conftest import Subscription
from tests.system.system import System

pytestmark = pytest.mark.takes(60)

GUIDE: Final = settings.ROOT / "docs" / "guide"
PAGES: Final = sorted(page.name for page in GUIDE.glob("*.md"))
# Two more pages, from the guide's folder.
UPLOADS: Final = str(Path("..", "uploads.md"))
README: Final = str(Path("..", "..", "README.md"))
# All pages whose examples run. Those that export the stack's variables themselves begin without.
RUNNING: Final = (*PAGES, UPLOADS, README)
EXPORTING: Final = ("start.md", UPLOADS, README)
OPENAPI: Final = settings.ROOT / "docs" / "openapi.json"
DOMAIN: Final = settings.ROOT / "shared" / "src" / "domain"
RUN: Final = ("sh", "python", "typescript", "rust")
SHOWN: Final = ("json", "text")

# Page and first line of each block that is marked `no-run`, and why it cannot run here.
NOT_RUN: Final = {
    ("deploy.md", "make release"): "builds for AWS, for minutes",
    ("deploy.md", "cd infra && npm ci"): "needs an AWS account",
    (
        README,
        "make demo                # labels real pictures; the first build takes minutes",
    ): "takes minutes",
    (UPLOADS, "aws s3api put-bucket-notification-configuration --bucket my-pictures \\"): "is about a bucket of yours",
    ("deploy.md", "TABLE_NAME=… cargo run -p admin -- keys create --organization acme --name ci"): "the same",
    (
        "datasets.md",
        'avala datasets upload --source pictures/ --name "Street scenes" --slug street-scenes --data-type image --wait',
    ): "uploads to hosts of AWS alone; tests/system/test_dataset_uploads.py runs it through a bridge",
    ("datasets.md", "import avala"): "the same",
}

# The stack that is tested is built and installed: `make` is to build nothing.
MAKE: Final = 'make() { command make -o setup -o build -o reference "$@"; }'


@dataclass(frozen=True)
class Block:
    """A fenced block that runs."""

    page: str
    line: int
    language: str
    mark: str
    text: str
    output: tuple[str, str] | None = None


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page that run, each with its output."""
    text = (GUIDE / page).read_text()
    block, end = None, 0
    for found in re.finditer(r"^( *)```([a-z]+) ?([^\n]*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
        language, mark, content = found[2], found[3], textwrap.dedent(found[4])
        line = text.count("\n", 0, found.start()) + 1
        if language in SHOWN and mark == "no-run":
            continue  # an example of JSON, of which it is not said what prints it
        if language in SHOWN:
            assert block and not text[end : found.start()].strip(), f"{page}:{line} is the output of no block"
            yield Block(block.page, block.line, block.language, block.mark, block.text, (language, content))
            block = None
        else:
            assert language in RUN, f"{page}:{line}: a block of no known language"
            if block:
                yield block
            block = Block(page, line, language, mark, content)
        end = found.end()
    if block:
        yield block


class Shell:
    """The bash of a page."""

    END = "end of the block"

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._errors = (folder / "errors").open("w+")
        self._bash = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=settings.ROOT,
            env=environment,
        )
        self.run(f"set -euo pipefail\n{MAKE}\n")

    def run(self, text: str) -> str:
        """What the block prints. A command of it that fails ends the shell."""
        assert self._bash.stdin
        assert self._bash.stdout
        file = self._folder / "block.sh"
        file.write_text(text)
        self._bash.stdin.write(f". {file} < /dev/null\nprintf '\\n%s\\n' '{self.END}'\n")
        self._bash.stdin.flush()
        printed: list[str] = []
        for line in self._bash.stdout:
            if line == f"{self.END}\n":
                return "".join(printed).removesuffix("\n")
            printed.append(line)
        self._errors.seek(0)
        raise AssertionError(f"{text}\nfailed, having printed:\n{''.join(printed)}\n{self._errors.read()}")

    def exported(self) -> dict[str, str]:
        """Its environment."""
        printed = self.run("env -0")
        return dict(variable.split("=", 1) for variable in printed.strip("\0\n").split("\0"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bash.kill()
        self._bash.communicate()
        self._errors.close()


def run_python(block: Block, names: dict[str, Any]) -> str:
    """What the block prints, in the interpreter of its page: these names."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * block.line + block.text, str(GUIDE / block.page), "exec"), names)
    return printed.getvalue()


def run_typescript(text: str, folder: Path, *arguments: str) -> str:
    """What the program prints."""
    file = folder / "block.ts"
    file.write_text(text)
    tsx = settings.INFRA / "node_modules" / ".bin" / "tsx"
    return printed_by([str(tsx), str(file), *arguments])


def printed_by(command: list[str]) -> str:
    """What a program prints that succeeds."""
    done = subprocess.run(command, cwd=settings.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", RUNNING)
def test_the_examples_of_a_page_print_what_it_shows(
    stack: Stack, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shutil.which("jq"), "The guide's examples need jq."
    begun = {name: value for name, value in os.environ.items() if not name.startswith(("AVALA_", "AWS_"))}
    if page not in EXPORTING:
        begun |= exports(stack)
    names: dict[str, Any] = {"__name__": "guide"}
    monkeypatch.chdir(settings.ROOT)
    with Shell(tmp_path, begun) as shell:
        for block in blocks(page):
            if block.mark == "no-run" or block.language == "rust":
                continue
            if block.language == "sh":
                printed = shell.run(block.text)
            else:
                for name, value in shell.exported().items():
                    monkeypatch.setenv(name, value)
                printed = (
                    run_python(block, names) if block.language == "python" else run_typescript(block.text, tmp_path)
                )
            if block.output:
                assert_shown(printed, *block.output, f"{page}:{block.line}")


# Outputs


def assert_shown(printed: str, kind: str, shown: str, where: str) -> None:
    """That the output is what the page shows, by its shape."""
    if kind == "json":
        try:
            body = json.loads(printed)
        except ValueError as error:
            raise AssertionError(f"{where}: no JSON: {printed!r}") from error
        wrong = list(differences(json.loads(shown), body, ""))
        assert not wrong, f"{where}: {wrong}\nprinted: {printed}"
    else:
        assert is_alike(shown.strip(), printed.strip()), f"{where}: {printed!r}"


def differences(shown: Any, printed: Any, path: str) -> Iterator[str]:
    """Where JSON has another shape than the page shows."""
    if isinstance(shown, dict) and isinstance(printed, dict):
        for name in sorted(shown.keys() ^ printed.keys()):
            yield f"{path}.{name}: only {'on the page' if name in shown else 'printed'}"
        for name in shown.keys() & printed.keys():
            yield from differences(shown[name], printed[name], f"{path}.{name}")
    elif isinstance(shown, list) and isinstance(printed, list):
        if len(shown) != len(printed):
            yield f"{path}: {len(printed)} entries"
        for n, (one, other) in enumerate(zip(shown, printed, strict=False)):
            yield from differences(one, other, f"{path}[{n}]")
    elif isinstance(shown, str) and isinstance(printed, str):
        if not is_alike(shown, printed):
            yield f"{path}: {printed!r}"
    elif is_number(shown) and is_number(printed):
        pass
    elif shown != printed:
        yield f"{path}: {printed!r}"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


VARYING: Final = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"(avk|whsec)_[\w…-]+", "SECRET"),
    (r"\d+(\.\d+)?", "NUMBER"),
)


def is_alike(shown: str, printed: str) -> bool:
    """Whether two texts are the same but for what varies."""
    for pattern, word in VARYING:
        shown, printed = re.sub(pattern, word, shown), re.sub(pattern, word, printed)
    pieces = [re.escape(piece) for piece in shown.split("…")]
    return re.fullmatch(".*".join(pieces), printed, re.DOTALL) is not None


def test_an_output_is_compared_by_its_shape() -> None:
    assert is_alike("3 of 9 at 0.5, avk_x…", "7 of 9 at 0.25, avk_1-_2")
    assert not is_alike("3 done", "3 failed")
    assert list(differences({"a": 1, "b": ["x"]}, {"a": 2, "b": ["x"]}, "")) == []
    assert list(differences({"a": None}, {"a": "x", "b": 1}, "")) == [".b: only printed", ".a: 'x'"]
    assert list(differences([True], [False], "")) == ["[0]: False"]


# Webhooks in three languages

PYTHON_MAIN: Final = """
import sys

for line in open(sys.argv[1]):
    secret, body, signature = line.rstrip("\\n").split("\\t")
    print(str(verify(secret, bytes.fromhex(body), signature)).lower())
"""

TYPESCRIPT_MAIN: Final = """
import { readFileSync } from 'node:fs';

for (const line of readFileSync(process.argv[2]!, 'utf8').split('\\n').slice(0, -1)) {
  const [secret, body, signature] = line.split('\\t') as [string, string, string];
  console.log(verify(secret, Buffer.from(body, 'hex'), signature));
}
"""

RUST_TARGET: Final = "x86_64-unknown-linux-gnu"
RUST_MAIN: Final = """
fn main() {
    let file = std::env::args().nth(1).unwrap();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let fields: Vec<&str> = line.split('\\t').collect();
        println!("{}", verify(fields[0], &hex::decode(fields[1]).unwrap(), fields[2]));
    }
}
"""


def verifier(language: str) -> str:
    """The page's function in this language."""
    (block,) = (block for block in blocks("webhooks.md") if (block.language, block.mark) == (language, "verify"))
    return block.text


def run_rust(text: str, folder: Path, argument: str) -> str:
    """What the program prints. It has the crates that the page names, as the workspace has locked them."""
    crates = re.findall(r"`(\w+)` (\d+\.\d+)", (GUIDE / "webhooks.md").read_text())
    dependencies = "".join(f'{name} = "{version}"\n' for name, version in crates)
    package = '[package]\nname = "guide"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n'
    (folder / "src").mkdir()
    (folder / "src" / "main.rs").write_text(text)
    (folder / "Cargo.toml").write_text(package + dependencies)
    shutil.copy(settings.ROOT / "Cargo.lock", folder)
    manifest, target = folder / "Cargo.toml", settings.ROOT / "target" / "guide"
    options = [
        "--quiet",
        "--offline",
        "--manifest-path",
        str(manifest),
        "--target-dir",
        str(target),
        "--target",
        RUST_TARGET,
    ]
    printed_by(["cargo", "build", *options])
    return printed_by([str(target / RUST_TARGET / "debug" / "guide"), argument])


def test_the_three_languages_verify_a_delivery(system: System, subscription: Subscription, tmp_path: Path) -> None:
    delivery = subscription.receiver.of_job(system.run(system.project())["uid"])
    assert delivery is not None
    secret, body, signature = subscription.secret, delivery.body, delivery.signature
    cases = [
        (secret, body, signature),
        (secret, body + b" ", signature),
        (secret + "x", body, signature),
        (secret, body, signature[::-1]),
        (secret, body, signature[:-2]),
        (secret, body, "not hex"),
        (secret, body, ""),
    ]
    file = tmp_path / "cases"
    file.write_text("".join(f"{secret}\t{body.hex()}\t{signature}\n" for secret, body, signature in cases))

    python = printed_by([sys.executable, "-c", verifier("python") + PYTHON_MAIN, str(file)])
    typescript = run_typescript(verifier("typescript") + TYPESCRIPT_MAIN, tmp_path, str(file))
    rust = run_rust(verifier("rust") + RUST_MAIN, tmp_path, str(file))

    expected = ["true", *["false"] * (len(cases) - 1)]
    assert (python.split(), typescript.split(), rust.split()) == (expected, expected, expected)


# Tables


def section(page: str, heading: str) -> str:
    """The text under a heading, up to the next one."""
    _, _, text = (GUIDE / page).read_text().partition(f"\n{heading}\n")
    assert text, f"{page} has no {heading}"
    return re.split(r"\n#+ ", text)[0]


def test_every_code_is_listed_with_its_status() -> None:
    source = (DOMAIN / "kernel" / "error.rs").read_text()
    codes = dict(re.findall(r'^ +\(E::\w+, "(\w+)", (\d+),', source, re.MULTILINE))
    listed = re.findall(r"^\| `(\w+)` \| (\d+) \|", section("errors.md", "## Codes"), re.MULTILINE)

    assert codes
    assert sorted(listed) == sorted(codes.items())


def test_every_scope_is_listed() -> None:
    source = (DOMAIN / "access" / "api_key.rs").read_text()
    scopes = re.findall(r'rename = "([a-z]+\.[a-z]+)"', source)

    assert scopes
    assert re.findall(r"^\| `([a-z.]+)` \|", section("limits.md", "## Scopes"), re.MULTILINE) == scopes


# A part of each row of the table of sizes, and the constants that it has.
SIZES: Final = {
    "items of one call": ("ITEMS_PER_CALL",),
    "rows of a page": ("PAGE",),
    "key of an item": ("ITEM_KEY_BYTES",),
    "URL of an item": ("FILE_URL_CHARS",),
    "sides of a picture": ("PIXELS_PER_SIDE",),
    "labels of a project or a job": ("LABELS", "LABEL_CHARS", "LABELS_CHARS"),
    "prompt of a label": ("PROMPT_CHARS",),
    "predictions read of one answer": ("PREDICTIONS",),
    "name of a project or provider": ("NAME_CHARS",),
    "webhooks of an organization": ("WEBHOOKS",),
    "active subscriptions of these to the events of one review": ("VERDICT_DELIVERIES",),
    "projects of an export": ("EXPORT_PROJECTS",),
    "file of an import": ("IMPORT_BYTES",),
    "body of a request": ("BODY_BYTES", "ITEMS_BODY_BYTES", "CORRECTION_BODY_BYTES"),
    "file of an item": ("UPLOAD_BYTES",),
    "draft of an item": ("DRAFT_JSON_BYTES",),
    "annotations of a person, in a correction or by hand": ("DRAFT_JSON_BYTES",),
}
UNITS: Final = (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))


def test_the_sizes_are_those_of_the_code() -> None:
    source = (DOMAIN / "kernel" / "limits.rs").read_text()
    constants = dict(re.findall(r"^pub const (\w+): \w+ = ([\d_* ]+);", source, re.MULTILINE))
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", section("limits.md", "## Sizes"), re.MULTILINE))

    for row, names in SIZES.items():
        for name in names:
            value = math.prod(int(factor) for factor in constants[name].split("*"))
            unit, size = next(((u, s) for u, s in UNITS if name.endswith("BYTES") and value % s == 0), ("", 1))
            assert f"{value // size:,} {unit}".strip() in rows[row], row


def test_every_event_is_listed() -> None:
    source = (DOMAIN / "webhook" / "mod.rs").read_text()
    constants = source[: source.index("pub struct Webhook")] + source[source.index("const TEST") :].split("\n")[0]
    events = re.findall(r'"([a-z_]+\.[a-z]+)"', constants)

    assert sorted(re.findall(r"`([a-z_]+\.[a-z]+)`", section("webhooks.md", "## Events"))) == sorted(set(events))


def test_every_reason_of_an_outcome_is_listed() -> None:
    schemas = json.loads(OPENAPI.read_text())["components"]["schemas"]
    text = section("jobs.md", "## Outcomes")
    listed = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", text, re.MULTILINE)

    skipped, failed = ({code for kind, code in listed if kind == outcome} for outcome in ("skipped", "failed"))
    assert skipped == set(schemas["SkipReason"]["enum"])
    assert failed | {"unlikely_coordinates"} == set(schemas["FailureCode"]["enum"])
    assert "`unlikely_coordinates`" in text


def test_the_index_has_every_page() -> None:
    index = (GUIDE / "README.md").read_text()

    assert {*re.findall(r"\]\(([a-z-]+\.md)\)", index), "README.md"} == set(PAGES)


def test_the_next_steps_of_the_demo_work_when_pasted(system: System, tmp_path: Path) -> None:
    project = system.pictures(3).uid
    system.run(project, confidence_threshold=demo.THRESHOLD)
    steps = demo.next_steps(project)
    begun = {name: value for name, value in os.environ.items() if not name.startswith(("AVALA_", "AWS_"))}
    printed = []
    for _, line in steps:  # each in a shell of its own
        with Shell(tmp_path, begun) as shell:
            printed.append(shell.run(line))

    assert len(steps) == 3
    assert len(json.loads(printed[0])["results"]) == 1
    assert "upload: " in printed[1]
    assert "Auto-label job created" in printed[2]


def test_what_does_not_run_is_listed_with_its_reason() -> None:
    marked = [block for page in RUNNING for block in blocks(page) if block.mark]

    assert {block.mark for block in marked} <= {"no-run", "verify"}
    skipped = {(block.page, block.text.split("\n")[0]) for block in marked if block.mark == "no-run"}
    assert skipped == set(NOT_RUN)
