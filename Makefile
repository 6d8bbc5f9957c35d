# `make run` plays the whole pipeline on this machine, `make test` proves it. Both set up .venv
# first; nothing has to be installed but Python (3.11 to 3.13) and make. Written for GNU make 3.81.

.DEFAULT_GOAL := help
.PHONY: help install run test lint types format test-fast test-slow coverage
.PHONY: test-image test-deploy test-up up down crash model fuzz mutation lock check-locks clean

# Bytecode is compiled once and kept; another environment's modules stay out.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH
unexport PYTHONHOME
export PYTHON

python := .venv/bin/python
# Tests run side by side; `make test WORKERS=4` on a larger machine.
WORKERS ?= 2
side_by_side := -n $(WORKERS) --dist worksteal

# How long the campaigns are, and where they begin; `make crash KILLS=20 SEED=7` for a short one.
KILLS ?= 500
STEPS ?= 200000
INPUTS ?= 1000000
SEED ?= 1

# Core is measured by its own tests: measuring it everywhere would cost minutes.
slow := slow and not long and not live

packages := flows tasks blocks core infra emulators tests scripts

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

install: ## Set up .venv from the lock (does nothing if it is there)
	@sh scripts/install.sh

run: install ## Play the whole pipeline on this machine, against emulators on loopback
	@$(python) -m emulators.demo

test: ## Everything: lint, types, fast tests, slow tests, coverage of core
	@$(MAKE) --no-print-directory install
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory test-fast
	@$(MAKE) --no-print-directory test-slow
	@$(MAKE) --no-print-directory coverage

lint: install ## Ruff (rules and format), hadolint, and the schema of compose.yaml
	$(python) -m ruff check $(packages)
	$(python) -m ruff format --check $(packages)
	.venv/bin/hadolint Dockerfile
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml

types: install ## mypy --strict
	$(python) -m mypy

format: install ## Put the code into its format, and fix what can be fixed
	$(python) -m ruff check --fix $(packages)
	$(python) -m ruff format $(packages)

test-fast: install ## The tests that take milliseconds
	$(python) -m pytest $(side_by_side) -m "not slow and not live" --cov=core --cov-report= --cov-fail-under=0

test-slow: install ## The tests that start servers, flows or other processes
	$(python) -m pytest $(side_by_side) -m "$(slow)" tests/core --cov=core --cov-append --cov-report= --cov-fail-under=0
	$(python) -m pytest $(side_by_side) -m "$(slow)" --ignore=tests/core

coverage: install
	$(python) -m coverage report

test-image: install ## The steps of the Dockerfile and what compose.yaml starts, without an engine (as root)
	@sh scripts/install_postgresql.sh >/dev/null
	$(python) -m pytest -m "long and not live" tests/test_image.py

test-deploy: install ## Workers and PostgreSQL: a long gap-fill with kills, schedules, alerts, work pools, secrets
	@sh scripts/install_postgresql.sh >/dev/null
	$(python) -m pytest -s -m "long and not live" tests/deployments tests/infra

test-up: install ## make up, a run, make down, and again: all of it goes on where it was
	$(python) -m pytest -m "long and not live" tests/emulators

up: install ## Keep it all running: emulators, Prefect server with its UI, deployments, a worker
	@$(python) -m emulators.up

down: ## Stop what `make up` started
	@$(python) -m emulators.down

crash: install ## Kill real flow processes, KILLS times; nothing may be lost or loaded twice (SEED)
	@$(python) -m tests.campaigns.crash --kills $(KILLS) --seed $(SEED)

model: install ## Extractors, loaders, crashes in every order against a model, for STEPS steps (SEED)
	@$(python) -m tests.campaigns.model --steps $(STEPS) --seed $(SEED)

fuzz: install ## Spoiled archives and manifests, INPUTS of them, through the readers (SEED)
	@$(python) -m tests.campaigns.fuzz --inputs $(INPUTS) --seed $(SEED) --workers $(WORKERS)

mutation: install ## Change the code of planning, manifest, archive and loader; the tests must notice
	@$(python) -m tests.campaigns.mutation --workers $(WORKERS)

lock: ## Resolve requirements*.in into requirements*.txt (UPGRADE=1: the newest of everything)
	@"$$(sh scripts/find_python.sh)" -m scripts.lock $(if $(UPGRADE),--upgrade)

check-locks: ## Prove that every pin has a wheel for every Python and platform (needs the network)
	@"$$(sh scripts/find_python.sh)" -m scripts.check_locks

clean: ## Remove .venv and what the tools left behind
	@if [ -f .stack/running.json ] && [ -x $(python) ]; then $(python) -m emulators.down; fi
	rm -rf .venv .lock-venv .stack .crash mutants .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
