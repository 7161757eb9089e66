# `make` shows the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEST_PROCESSES ?= 3
PIP := $(BIN)/pip --disable-pip-version-check --quiet
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help setup extras dev run check lint types test check-image bench lock clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.runtime ## Build .venv with what serving needs, from the lock file

extras: $(VENV)/.extras ## Add what Redis and OpenTelemetry need

$(VENV)/.extras: $(VENV)/.runtime requirements/extras.lock
	$(PIP) install --require-hashes --requirement requirements/extras.lock
	touch $@

dev: $(VENV)/.dev ## Add what tests, lint and benchmarks need

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --requirement requirements/runtime.lock
	$(PIP) install --require-hashes --requirement requirements/build.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.lock
	$(PIP) install --require-hashes --requirement requirements/dev.lock
	touch $@

run: setup ## Serve on 127.0.0.1:8787 (settings come from the environment)
	exec $(BIN)/gunicorn -c gunicorn_conf.py

check: lint types test ## Everything that CI checks

lint: dev ## Style and forbidden calls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: dev ## Static types
	$(BIN)/mypy

test: dev ## All tests, side by side
	$(BIN)/pytest --numprocesses $(TEST_PROCESSES) --dist worksteal

check-image: dev ## Build the container image without an engine, and run it (as root; most of a minute)
	$(BIN)/pytest tests/deploy/built_image.py

lock: dev ## Resolve the dependencies again, with hashes
	$(PIP) install 'uv>=0.13,<0.14'
	sh requirements/lock.sh $(CURDIR)/$(BIN)/uv

include bench/targets.mk

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/out
