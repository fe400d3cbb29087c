# Everything there is to run, on a fresh machine too: cargo, python3 (3.9 or newer) and make are
# all it takes. `make` alone lists the targets.
#
#   make test PYTHON=python3.13     another interpreter than python3
#   make test ARGS="-k list"        arguments for pytest
#
# Coheld is always built into a wheel and installed from it, so the tests see what users get.
# .venv holds the release build (demo, bench); .venvs/3.X holds the tests' build for Python 3.X.

PYTHON ?= python3
export PYTHON
VERSION := $(shell scripts/pythons default)
ifeq ($(VERSION),)
$(error no usable Python: set PYTHON to a CPython from 3.9 on)
endif

TARGET := $(or $(CARGO_TARGET_DIR),target)
VENV := .venv
TESTS := .venvs/$(VERSION)
# What maturin tells cargo about the interpreter; told by everybody, cargo has to build PyO3 once.
export PYO3_PYTHON := $(CURDIR)/$(TESTS)/bin/python
export PYO3_ENVIRONMENT_SIGNATURE := cpython-$(VERSION)-64bit
export PYO3_BUILD_EXTENSION_MODULE := 1
SANITIZED = cargo test --target $(shell rustc --print host-tuple) --lib --tests \
	--package coheld-shm --package coheld-store
# Those of programs that are not on by themselves.
FEATURES := --features coheld/tokio
LEFT_OUT = -- --skip limits_of_the_process
WORDS := $(TARGET)/release/examples/top_words
MDBOOK_VERSION := 0.5.4
MDBOOK := $(TARGET)/mdbook-$(MDBOOK_VERSION)/bin/mdbook
RUST_VERSION := $(shell sed -n 's/^rust-version = "\(.*\)"$$/\1/p' Cargo.toml)
SEMVER_VERSION := 0.51.0
SEMVER := $(TARGET)/semver-checks-$(SEMVER_VERSION)/bin/cargo-semver-checks
# What the interface of the crate has to stay compatible with: the last release; before the first
# one, the state that was reviewed last.
BASELINE ?= 68f8df9
# The command, of the tests' profile; the Python tests start it.
export COHELD_BINARY := $(abspath $(TARGET))/debug/coheld

SOURCES := $(shell find crates python -name '*.rs' -o -name '*.toml' -o -name '*.py' \
	-o -name '*.pyi' -o -name py.typed) \
	$(wildcard Cargo.toml Cargo.lock pyproject.toml rust-toolchain.toml)
PYTHON_SOURCES := python tests examples benches crates/coheld-wire/tests/python

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all interop check bench bench-field book msrv semver crash soak \
	fuzz fuzz-address loom sanitize shuttle fmt clean venv build \
	wheel test-rust check-format check-lints check-documents check-tidy check-python check-stubs

help:
	@echo 'usage: make TARGET, one of:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

# ---- What a user runs ---------------------------------------------------------------------------

demo: $(VENV)/installed $(WORDS) ## index a source tree with the stock manager and with Coheld
	$(VENV)/bin/python examples/index_sources.py --top-words $(WORDS) $(ARGS)

bench: $(VENV)/installed ## measure every operation beside the stock manager
	$(VENV)/bin/python benches/run.py --json docs/bench.json --plot docs/bench.svg $(ARGS)
	$(VENV)/bin/python benches/wire.py --json docs/wire-bench.json $(ARGS)
	$(VENV)/bin/python benches/proxy.py $(ARGS)
	cargo bench -p coheld-bench

bench-field: ## measure the Rust crate beside LMDB, ipc-channel and iceoryx2
	cd benches/field && cargo run --release

venv: $(VENV)/installed ## put Coheld, built for release, into .venv
	@echo 'Coheld is in $(VENV); for example: $(VENV)/bin/python'

wheel: $(VENV)/ready ## build the wheel for PYTHON into dist/
	$(VENV)/bin/maturin build --release --interpreter $(VENV)/bin/python --out dist

book: $(MDBOOK) ## the documentation as pages for a browser, in target/book
	$(MDBOOK) build docs --dest-dir $(abspath $(TARGET))/book
	@echo 'The book begins at $(TARGET)/book/index.html'

# ---- What a developer runs ----------------------------------------------------------------------

build: $(TESTS)/installed ## build the tests' version of Coheld

test: test-rust pytest-$(VERSION) ## run the tests of Rust and of Python

test-rust:
	cargo test --workspace --no-fail-fast $(FEATURES) \
		--exclude coheld-python --exclude coheld-tidy --exclude coheld-bench

# The other interpreters have a folder of their own for what cargo makes, see PYO3_PYTHON.
pytest-%: .venvs/%/installed $(COHELD_BINARY)
	.venvs/$*/bin/python -m pytest $(ARGS)

interop: $(TESTS)/installed ## every Python with plain ones, both ways; a table of what works
	cd tests && ../$(TESTS)/bin/python -m interop.matrix $(ARGS)

test-all: test-rust ## run the tests with every Python found
	$(MAKE) --keep-going $(addprefix pytest-,$(shell scripts/pythons))

check: check-format check-lints check-documents check-tidy check-python
check: check-stubs ## formatting, lints, documentation, stubs, tidiness

check-format:
	cargo fmt --check

check-lints: $(TESTS)/ready
	cargo clippy --workspace --all-targets $(FEATURES) -- --deny warnings

check-documents: $(TESTS)/ready
	RUSTDOCFLAGS='--deny warnings' \
		cargo doc --workspace --no-deps --document-private-items $(FEATURES)

check-tidy:
	cargo test --package coheld-tidy

check-python: $(TESTS)/checks
	$(TESTS)/bin/ruff format --check $(PYTHON_SOURCES)
	$(TESTS)/bin/ruff check $(PYTHON_SOURCES)

check-stubs: $(TESTS)/checks $(TESTS)/installed
	$(TESTS)/bin/python -m mypy.stubtest --ignore-disjoint-bases \
		--allowlist scripts/stubtest.txt coheld

msrv: export RUSTUP_TOOLCHAIN = $(RUST_VERSION)
msrv: export CARGO_TARGET_DIR = $(TARGET)/msrv
msrv: $(TESTS)/ready ## compile everything but the benchmarks with the oldest Rust that is promised
	rustup toolchain install $(RUST_VERSION) --profile minimal --no-self-update
	cargo check --workspace --all-targets $(FEATURES) --exclude coheld-bench
	cargo check --package coheld --no-default-features

semver: $(SEMVER) ## what programs of BASELINE would not find in the Rust crate any more
	$(SEMVER) semver-checks --package coheld --all-features --release-type minor \
		--baseline-rev $(BASELINE) $(ARGS)

fmt: $(TESTS)/checks ## format the sources
	cargo fmt
	$(TESTS)/bin/ruff format $(PYTHON_SOURCES)
	$(TESTS)/bin/ruff check --fix $(PYTHON_SOURCES)

crash: $(VENV)/installed ## kill operations at every instruction, then members at random
	cargo run --release --package coheld-crash
	$(VENV)/bin/python tests/kill_storm.py --kills 6000 $(ARGS)
	$(VENV)/bin/python tests/waiting_storm.py $(ARGS)
	$(VENV)/bin/python tests/mishap_storm.py $(ARGS)
	$(VENV)/bin/python tests/history_storm.py $(ARGS)
	$(VENV)/bin/python tests/proxy_storm.py --calls 1000000

soak: $(VENV)/installed ## a quarter of an hour of work while workers are killed, drawn
	$(VENV)/bin/python benches/soak.py --json docs/soak.json --plot docs/soak.svg $(ARGS)

# The dev profile, for its checks of overflow.
fuzz: ## change messages and damage segments at random and see what becomes of them
	cargo run --package coheld-fuzz -- $(ARGS)

# The runtime of the sanitizer comes with the stable toolchain; only its flag does not.
fuzz-address: ## the same under the address sanitizer, for reads and writes outside the segment
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$(TARGET)/address \
		cargo run --target $(shell rustc --print host-tuple) --package coheld-fuzz -- $(ARGS)

loom: ## check the locks and claims under every interleaving
	RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=$(TARGET)/loom \
		cargo test --package coheld-shm --lib loom

# The sanitizers are part of the stable compiler, but their flags have to be unlocked. Three things
# are left out: a test that limits the address space, of which the sanitizer needs much; leaks,
# which tests of deaths make on purpose; and undefined values, which CPython itself works with.
sanitize: $(TESTS)/installed ## the memory and what lies in it under two sanitizers and valgrind
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address' CARGO_TARGET_DIR=$(TARGET)/address \
		ASAN_OPTIONS=detect_leaks=0 $(SANITIZED) --package coheld-wire $(LEFT_OUT)
	RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$(TARGET)/thread \
		RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer' \
		TSAN_OPTIONS=suppressions=$(CURDIR)/scripts/thread-sanitizer.txt $(SANITIZED) $(LEFT_OUT)
	PYTHONMALLOC=malloc $(TESTS)/bin/python tests/memory_program.py \
		valgrind --quiet --undef-value-errors=no --error-exitcode=9

shuttle: ## check whatever waits under many schedules, for wake-ups that are lost
	RUSTFLAGS='--cfg shuttle' CARGO_TARGET_DIR=$(TARGET)/shuttle \
		cargo test --package coheld-store --test shuttle_models

clean: ## remove whatever was built
	cargo clean
	rm -rf .venv .venvs dist .pytest_cache .mypy_cache .ruff_cache

# ---- How it is built ----------------------------------------------------------------------------

$(WORDS): $(SOURCES)
	cargo build --release --package coheld --example top_words
	@touch $@

# Without the parts that watch the sources and serve the pages, which are most of it.
$(MDBOOK):
	cargo install mdbook --version $(MDBOOK_VERSION) --locked --no-default-features \
		--features search --root $(abspath $(TARGET))/mdbook-$(MDBOOK_VERSION)

$(SEMVER):
	cargo install cargo-semver-checks --version $(SEMVER_VERSION) --locked \
		--root $(abspath $(TARGET))/semver-checks-$(SEMVER_VERSION)

$(COHELD_BINARY): $(SOURCES)
	cargo build --package coheld-cli --package coheld --bins --examples $(FEATURES)
	@touch $@

$(VENV)/ready: requirements/build.txt
	scripts/virtualenv "$$(scripts/pythons $(VERSION))" $(VENV) $^
	@touch $@

$(VENV)/installed: $(VENV)/ready $(SOURCES)
	scripts/install $(VENV) release $(TARGET)
	@touch $@

.venvs/%/ready: requirements/build.txt requirements/test.txt
	scripts/virtualenv "$$(scripts/pythons $*)" .venvs/$* $^
	@touch $@

.venvs/%/checks: requirements/check.txt .venvs/%/ready
	.venvs/$*/bin/python -m pip install --quiet --requirement $<
	@touch $@

.venvs/%/installed: .venvs/%/ready $(SOURCES)
	scripts/install .venvs/$* dev $(if $(filter $*,$(VERSION)),$(TARGET),$(TARGET)/python-$*)
	@touch $@

# Keep the stamps that only a pattern names.
.SECONDARY:
