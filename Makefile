# Everything a contributor and CI call. Needs python3 (3.11 or later) and make; all paths are relative to this file.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check
# The locks are whole. With --no-deps pip takes them as they stand; resolving again, it refuses a pinned package that another
# one asks for with an extra (coverage[toml]) as soon as a newer release of it is out.
FROM_LOCK := $(PIP_INSTALL) --require-hashes --no-deps --only-binary :all: -r
ITSELF := $(PIP_INSTALL) --no-deps --no-build-isolation -e .
UV_COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-strip-extras --custom-compile-command "make lock" -q

# For packages of the distribution.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo -n)

# For example: make demo DEMO_ARGS="--agents 50"; make test PYTEST_ARGS="-x -k ledger"
DEMO_ARGS ?=
UP_ARGS ?=
PYTEST_ARGS ?=
# Most of the real parts' time is waiting, so one process more than a small machine has cores.
TEST_PROCESSES ?= 3
WORKER_ARGS ?=
SANDBOX_ARGS ?=
BENCH_ARGS ?=
CRASH_ARGS ?=
CHAOS_ARGS ?=
SIMULATE_ARGS ?=
MUTANTS_ARGS ?=
USER_ID ?= $(shell $(PYTHON) -c 'import uuid; print(uuid.uuid4())')

##@ Start here

.PHONY: help
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' Makefile

.PHONY: setup
setup: .venv/.dev-stamp ## Make .venv with everything needed to work on jitprov, from the locks

.PHONY: demo
demo: .venv/.run-stamp ## The main job on this machine: embedded Redis, sandbox, sign-ins, checked (DEMO_ARGS)
	@$(BIN)/jitprov demo $(DEMO_ARGS)

.PHONY: up
up: .venv/.run-stamp ## The whole stack on this machine, until Ctrl-C (UP_ARGS)
	@$(BIN)/jitprov up $(UP_ARGS)

##@ Test

.PHONY: test
test: setup ## All tests, real Redis and real workers included; a file at a time in each of TEST_PROCESSES
	@$(PY) -m pytest -n $(TEST_PROCESSES) --dist loadfile $(PYTEST_ARGS)

.PHONY: test-unit
test-unit: setup ## Seconds: no network, no Redis, no sleeping
	@$(PY) -m pytest tests/unit tests/architecture $(PYTEST_ARGS)

.PHONY: test-integration
test-integration: setup ## Contracts of the ports, and real Redis with real workers
	@$(PY) -m pytest tests/contract tests/integration $(PYTEST_ARGS)

.PHONY: test-e2e
test-e2e: setup ## The commands as a user starts them
	@$(PY) -m pytest tests/e2e $(PYTEST_ARGS)

.PHONY: test-browser
test-browser: setup chromium ## Board and Flower in Debian's chromium, over real parts; two minutes
	@$(PY) -m pytest tests/browser $(PYTEST_ARGS)

.PHONY: screenshots
screenshots: setup chromium ## The same, with the pictures in docs/board made anew
	@$(PY) -m pytest tests/browser --screenshots docs/board $(PYTEST_ARGS)

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || { $(AS_ROOT) apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive $(AS_ROOT) apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

.PHONY: coverage
coverage: setup ## Branch coverage: 95 % in all, 100 % of domain and pipeline
	@$(PY) -m pytest -n $(TEST_PROCESSES) --dist loadfile --cov --cov-report=term $(PYTEST_ARGS)
	@$(PY) -m coverage report --include='jitprov/domain/*,jitprov/pipeline/*' --fail-under=100
	@$(PY) -m coverage report --fail-under=95 --format=total

.PHONY: simulate
simulate: setup ## Histories made up by chance, thousands a minute, for 3 minutes; prints its seeds (SIMULATE_ARGS)
	@PYTHONPATH=tests $(PY) -m simulation $(SIMULATE_ARGS)

.PHONY: fuzz
fuzz: export FUZZ_EXAMPLES ?= 20000
fuzz: setup ## Requests made up from the OpenAPI document, and broken events: FUZZ_EXAMPLES of each kind
	@FUZZ_EXAMPLES=$$((FUZZ_EXAMPLES / 40)) $(PY) -m pytest --timeout 3600 tests/integration/test_receiver_contract.py
	@$(PY) -m pytest --timeout 3600 tests/unit/receiver/test_body_mutations.py

.PHONY: mutants
mutants: setup ## Each protection switched off in a copy of the tree: who notices? (MUTANTS_ARGS="--sample 6" for a short form)
	@PYTHONPATH=tests $(PY) -m mutants $(MUTANTS_ARGS)

##@ Measure

.PHONY: bench
bench: setup ## The stampede of 2,000 agents beside what people write instead; under 20 minutes; build/bench.json and .png
	@$(PY) -m benchmarks $(BENCH_ARGS)

.PHONY: bench-quick
bench-quick: setup ## The same with 200 agents and the naive function alone
	@$(PY) -m benchmarks --quick $(BENCH_ARGS)

.PHONY: crash
crash: setup ## Each process killed at each thing it sends, a plain Celery chain beside it; goes on where it was stopped
	@PYTHONPATH=tests $(PY) -m reliability crash $(CRASH_ARGS)

.PHONY: crash-joined
crash-joined: setup ## The same only where a worker is at the two steps that join on demand
	@PYTHONPATH=tests $(PY) -m reliability crash --joined $(CRASH_ARGS)

.PHONY: crash-sample
crash-sample: setup ## The same at points drawn by seed, under 3 minutes (CRASH_ARGS="--seed 7")
	@PYTHONPATH=tests $(PY) -m reliability crash --sample 24 $(CRASH_ARGS)

.PHONY: chaos
chaos: setup ## 2,000 agents, 110 processes killed by seed, an API that fails in every way (CHAOS_ARGS="--seed 7")
	@PYTHONPATH=tests $(PY) -m reliability chaos $(CHAOS_ARGS)

.PHONY: chaos-quick
chaos-quick: setup ## The same with 150 agents and 12 kills, about a minute
	@PYTHONPATH=tests $(PY) -m reliability chaos --quick $(CHAOS_ARGS)

.PHONY: faults
faults: setup ## Redis cut, hung, full, slow, without a disk; bad messages; workers at odds: minutes
	@$(PY) -m pytest -m faults --record-faults tests/reliability $(PYTEST_ARGS)

.PHONY: reliability-report
reliability-report: setup ## docs/reliability.md from the last runs of the reliability suites
	@PYTHONPATH=tests $(PY) -m reliability report

##@ Keep clean

.PHONY: lint
lint: setup ## Ruff, formatting, types, import direction
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(PY) -m mypy
	@$(BIN)/lint-imports

.PHONY: format
format: setup ## Mend what can be mended by machine
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: check
check: lint test ## All that a commit needs

.PHONY: reference
reference: setup ## docs/reference.md from the code: commands, settings, metrics, error codes
	@$(PY) docs/reference.py

.PHONY: lock
lock: setup ## Write both lock files anew from pyproject.toml
	@$(UV_COMPILE) --extra embedded -o requirements.lock
	@$(UV_COMPILE) --extra dev -c requirements.lock -o requirements-dev.lock

.PHONY: audit
audit: setup ## Known vulnerabilities of what the locks name; fails also when it could not look
	@$(PY) deploy/audit.py

.PHONY: sbom
sbom: setup ## What jitprov consists of, as CycloneDX: build/sbom.cdx.json
	@mkdir -p build
	@$(PY) -W ignore -m cyclonedx_py requirements requirements.lock --pyproject pyproject.toml \
		--output-reproducible --of JSON -o build/sbom.cdx.json
	@echo "written: build/sbom.cdx.json"

.PHONY: test-meter
test-meter: setup ## Draw thousands of histories of the meter instead of the suite's few (METER_EXAMPLES)
	@METER_EXAMPLES=$${METER_EXAMPLES:-2000} $(PY) -m pytest -q --timeout=3600 tests/contract/test_budget_properties.py

.PHONY: clean
clean: ## Remove what make and the tools have made; data of `jitprov up` (.jitprov) stays
	@rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis \
		.coverage .coverage.* htmlcov
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

##@ One part each (settings: JITPROV_*, shown by `jitprov doctor`)

.PHONY: receiver
receiver: .venv/.run-stamp ## The webhook
	@$(BIN)/jitprov receiver

.PHONY: worker
worker: .venv/.run-stamp ## A Celery worker (WORKER_ARGS)
	@$(BIN)/jitprov worker $(WORKER_ARGS)

.PHONY: sandbox
sandbox: .venv/.run-stamp ## A stand-in Genesys Cloud (SANDBOX_ARGS)
	@$(BIN)/jitprov sandbox $(SANDBOX_ARGS)

.PHONY: smoke
smoke: .venv/.run-stamp ## Send one event through the running stack (USER_ID)
	@$(BIN)/jitprov send $(USER_ID)

# --- what the targets above stand on ----------------------------------------------------------------------------
# Debian and Ubuntu ship python3 without ensurepip.
define VENV_REMEDY
"$(PYTHON) -m venv" does not work here: this Python comes without ensurepip.
As root:  apt-get install python3-venv      then again:  make setup
Or with another Python, 3.11 or later:      make setup PYTHON=/path/to/python3
endef
export VENV_REMEDY

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "jitprov needs Python 3.11 or later: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv; \
	fi
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$$VENV_REMEDY" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.run-stamp: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing from requirements.lock into .venv, once per change of it"
	@$(FROM_LOCK) requirements.lock
	@$(ITSELF)
	@touch $@

.venv/.dev-stamp: requirements-dev.lock requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing from requirements-dev.lock into .venv, once per change of it"
	@$(FROM_LOCK) requirements-dev.lock
	@$(ITSELF)
	@touch .venv/.run-stamp $@
