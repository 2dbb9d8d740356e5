# All targets need only make and Python >= 3.11. PYTHON=python3.12 selects an interpreter,
# VENV=/x/venv another folder. ARGS="..." is passed to the command of a target.

PYTHON  ?= python3
VENV    ?= .venv
WORKERS ?= 2
TESTS   ?=
ARGS    ?=

BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
PINS  := requirements.lock constraints.txt

.DEFAULT_GOAL := help
.PHONY: help dev test check chaos bench scale nightly format

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: $(STAMP) ## Start everything: database, Kafka, govid on http://127.0.0.1:8000
	@exec $(BIN)/govid dev $(ARGS)

test: $(STAMP) ## Run all tests (WORKERS=2 processes, TESTS=tests/unit for a part)
	@$(BIN)/python -m pytest $(or $(TESTS),tests --ignore=tests/hostile) -n $(WORKERS) $(ARGS)

check: $(STAMP) ## Check format, lint, types, import boundaries and unit tests, as before each commit
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/unit -q -n $(WORKERS)

chaos: $(STAMP) ## Inject random faults and count losses: SEEDS=200 runs, or SEED=42 to repeat one
	@exec $(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

bench: $(STAMP) ## Measure every figure that govid promises; prints JSON
	@exec $(BIN)/python -m bench $(ARGS)

scale: $(STAMP) ## Measure the cost of statements with many accounts: ACCOUNTS=1000000; prints JSON
	@exec $(BIN)/python -m bench.scale $(if $(ACCOUNTS),--accounts $(ACCOUNTS)) $(ARGS)

nightly: $(STAMP) ## Run what takes too long for each change: 50 chaos seeds, a million accounts, bench
	@$(BIN)/python -m tests.chaos --seeds 50
	@$(BIN)/python -m bench.scale --accounts 1000000
	@exec $(BIN)/python -m bench $(ARGS)

format: $(STAMP) ## Format all code and apply the automatic fixes of ruff
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

# Installs again only if pyproject.toml or a list of pins has changed.
$(STAMP): pyproject.toml $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "govid needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "no virtual environment: install the venv package of your Python" >&2; exit 1; }
	@echo "Installing the packages, once: this takes a minute or two" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e '.[dev]'
	@touch $@
