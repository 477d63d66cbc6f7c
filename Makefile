# `make dev` runs ringtrip, `make test` runs every check. `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CARGO ?= cargo
TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
DEBUG_BINARY := $(TARGET_DIR)/debug/ringtrip
RELEASE_BINARY := $(TARGET_DIR)/release/ringtrip

# Options of `make dev` and `make bench`: make dev ARGS="--ephemeral --http 127.0.0.1:9000"
ARGS ?=
# Files of `make e2e`: make e2e TESTS="tests/hold.test.js"
TESTS ?=
# How many random runs `make soak` plays of everything that has a seed.
SEEDS ?= 20000

NPM_CI := npm ci --no-audit --no-fund
# Installed packages carry the hash of the lock file they came from: a changed lock installs anew, nothing else does.
hash = $(firstword $(shell sha256sum $(1)))
WEB_PACKAGES := web/node_modules/.lock-$(call hash,web/package-lock.json)
E2E_PACKAGES := e2e/node_modules/.lock-$(call hash,e2e/package-lock.json)
E2E_PYTHON := e2e/.venv/.lock-$(call hash,e2e/requirements.txt)
SCHEMATHESIS := e2e/schemathesis/.venv/.lock-$(call hash,e2e/schemathesis/requirements.txt)
WEB_SOURCES := $(shell find web \( -name node_modules -o -name dist \) -prune -o -type f -print)

# The compiler and cmake are for the cryptography, Chromium and the rest for the tests with real clients.
BUILD_NEEDS := cc:build-essential cmake:cmake
TEST_NEEDS := python3:python3
POSTGRES_NEEDS := $(TEST_NEEDS) postgres:postgresql setpriv:util-linux
E2E_NEEDS := chromium:chromium certutil:libnss3-tools openssl:openssl ip:iproute2 unshare:util-linux python-venv:python3-venv

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/make \1\t\2/' | expand -t 20

.PHONY: dev
dev: binary ## Build and run ringtrip on this machine
	@exec $(DEBUG_BINARY) dev $(ARGS)

.PHONY: build
build: build-needs web ## Build target/release/ringtrip
	@scripts/say 'Compiling for release. From nothing this takes about 15 minutes on two cores.'
	$(CARGO) build --release --package ringtrip-server
	@scripts/say 'Built $(RELEASE_BINARY)'

.PHONY: test
test: test-format test-lint test-rust test-postgres test-web test-e2e test-schemathesis ## Run every check that CI runs

.PHONY: test-format
test-format:
	$(CARGO) fmt --all --check

.PHONY: test-lint
test-lint: build-needs
	$(CARGO) clippy --workspace --all-targets -- --deny warnings

.PHONY: test-rust
test-rust: build-needs test-needs web
	$(CARGO) test --workspace --no-fail-fast

# What touches the database runs once more, on Postgres: the suites of the store and of the API, and of the other
# tests those that are named after Postgres or look at query plans.
ON_POSTGRES := $(filter-out group_commit,$(basename $(notdir $(wildcard crates/store/tests/*.rs)))) v2
NAMED_POSTGRES := idempotency kill9 operations postgres_outage webhook_courier
.PHONY: test-postgres test-postgres-suites test-postgres-named
test-postgres: test-postgres-suites test-postgres-named
test-postgres-suites: build-needs postgres-needs web
	scripts/with-postgres $(CARGO) test --workspace --no-fail-fast $(ON_POSTGRES:%=--test %)
test-postgres-named: build-needs postgres-needs web
	scripts/with-postgres $(CARGO) test --workspace --no-fail-fast --lib $(NAMED_POSTGRES:%=--test %) -- postgres plans::

.PHONY: test-web
test-web: $(WEB_PACKAGES) web
	cd web && npm run lint && npm run typecheck && npm run test

.PHONY: test-e2e
test-e2e: binary e2e-needs $(E2E_PACKAGES) $(E2E_PYTHON)
	RINGTRIP_E2E_BINARY=$(DEBUG_BINARY) node e2e/run.js $(TESTS)

# Thousands of requests made from the document; RINGTRIP_SCHEMATHESIS_SEED plays others.
.PHONY: test-schemathesis
test-schemathesis: binary e2e-needs $(SCHEMATHESIS)
	RINGTRIP_E2E_BINARY=$(DEBUG_BINARY) node e2e/schemathesis/run.js

.PHONY: e2e
e2e: test-e2e ## Run the tests with real clients only (TESTS="tests/hold.test.js" for some)

.PHONY: compatibility
compatibility: ## Run the official SDKs and write docs/compatibility.md
	@RINGTRIP_COMPATIBILITY=write $(MAKE) --no-print-directory test-e2e TESTS=tests/sdks.test.js

.PHONY: bench
bench: build ## Measure CPU per unit of work and print the table
	$(CARGO) build --release --package ringtrip-bench
	@scripts/need $(POSTGRES_NEEDS)
	@scripts/say 'Measuring, for about ten minutes. Other work on this machine would be in the figures.'
	ulimit -Sn $$(ulimit -Hn) && scripts/with-postgres $(TARGET_DIR)/release/ringtrip-bench --server $(RELEASE_BINARY) $(ARGS)

.PHONY: soak
soak: binary e2e-needs $(E2E_PACKAGES) $(E2E_PYTHON) ## Run what takes too long for `make test`: many seeds, and real clients again and again
	RINGTRIP_SEEDS=$(SEEDS) SIM_SEEDS=$(SEEDS) PROPTEST_CASES=$(SEEDS) $(CARGO) test --workspace --no-fail-fast -- --include-ignored
	for round in 1 2 3 4 5; do RINGTRIP_E2E_BINARY=$(DEBUG_BINARY) node e2e/run.js; done

.PHONY: openapi
openapi: build-needs web ## Write openapi/v2.json anew, after a change of the API
	RINGTRIP_WRITE_OPENAPI=1 $(CARGO) test --workspace --test v2 document::the_checked_in_document

.PHONY: fmt
fmt: ## Format the Rust code
	$(CARGO) fmt --all

# The binary as `make dev` and the tests use it. A test is named beside it, so that dependencies are compiled with
# the features that all tests need, once for both.
.PHONY: binary
binary: build-needs web
	@test -x $(DEBUG_BINARY) || scripts/say 'Compiling. The first time this takes about 8 minutes on two cores, later seconds.'
	$(CARGO) build --workspace --bin ringtrip --test layers

# The pages inside the binary.
.PHONY: web
web: web/dist/index.html

web/dist/index.html: $(WEB_SOURCES) | $(WEB_PACKAGES)
	@scripts/say 'Building the Phone page (about half a minute).'
	cd web && npm run build
	@touch $@

$(WEB_PACKAGES):
	@scripts/say 'Installing what the Phone page is built from.'
	cd web && $(NPM_CI)
	@touch $@

$(E2E_PACKAGES):
	@scripts/say 'Installing the official Node and browser SDKs for the tests.'
	cd e2e && $(NPM_CI) --ignore-scripts
	@touch $@

$(E2E_PYTHON): | e2e-needs
	@scripts/say 'Installing the official Python SDK for the tests.'
	rm -rf e2e/.venv
	python3 -m venv e2e/.venv
	e2e/.venv/bin/pip install --quiet --disable-pip-version-check --requirement e2e/requirements.txt
	@touch $@

$(SCHEMATHESIS): | e2e-needs
	@scripts/say 'Installing schemathesis for the tests.'
	rm -rf e2e/schemathesis/.venv
	python3 -m venv e2e/schemathesis/.venv
	e2e/schemathesis/.venv/bin/pip install --quiet --disable-pip-version-check --requirement e2e/schemathesis/requirements.txt
	@touch $@

.PHONY: build-needs
build-needs:
	@scripts/need $(BUILD_NEEDS)

.PHONY: test-needs
test-needs:
	@scripts/need $(TEST_NEEDS)

.PHONY: postgres-needs
postgres-needs:
	@scripts/need $(POSTGRES_NEEDS)

.PHONY: e2e-needs
e2e-needs:
	@scripts/need $(E2E_NEEDS)
