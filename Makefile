# Everything that is done with this project. `make` alone lists it.
# Written for GNU make 3.81 and later (that of macOS).

# The folder of all state; set it to work elsewhere.
GORAL_HOME ?= $(CURDIR)/.goral
export GORAL_HOME

# The interpreter that .venv is made with; empty: the newest supported one on PATH.
PYTHON ?=
PYTHONS := $(PYTHON) python3.13 python3.12 python3.11 python3
SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

VENV := .venv
DLT := .venv-dlt
DATACONTRACT := .venv-datacontract
SPARK := .venv-spark
AZURITE := .azurite
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.goral-installed
MANIFEST := dbt_project/target/manifest.json
# In full: seeds are found by the path they were parsed under.
DBT := --project-dir $(CURDIR)/dbt_project --profiles-dir $(CURDIR)/dbt_project
# As a run has it, so that what is parsed here serves there.
BUILDING := GORAL_WAREHOUSE_BUILD=building.duckdb
# Its templater is dbt, which connects to the warehouse it would build: to none, here.
SQLFLUFF := GORAL_WAREHOUSE_BUILD=:memory: $(BIN)/sqlfluff
# What dbt's manifest is made from.
DBT_FILES := $(shell find dbt_project -type f \
	! -path 'dbt_project/target/*' ! -path 'dbt_project/logs/*' ! -name '.*' 2>/dev/null)

WORKERS ?= 2
# Compiled, whatever the environment says: else each start of Dagster and dbt would do it again.
PIP := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pip --disable-pip-version-check --no-input
# Wheels only: nothing is built, so nothing unpinned is fetched to build it with.
PIP_FLAGS ?= --only-binary :all: --compile
LOCK_FLAGS ?=

export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test bench dev lint format generate lock clean clean-data

help: ## List what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

install: $(MANIFEST) ## Make .venv from requirements.lock and prepare dbt; nothing to do the second time

$(BIN)/python:
	@for python in $(PYTHONS); do \
		if $$python -c '$(SUPPORTED)' >/dev/null 2>&1; then \
			echo "Making $(VENV) with $$($$python --version) ($$python)"; \
			exec $$python -m venv --clear $(VENV); \
		elif [ "$$python" = "$(PYTHON)" ]; then \
			echo "PYTHON=$$python is not a Python 3.11 to 3.13 with venv and ensurepip." >&2; exit 2; \
		fi; \
	done; \
	echo "No Python 3.11 to 3.13 with venv and ensurepip on PATH: install one (on Debian also" >&2; \
	echo "python3-venv), or name one: make install PYTHON=/path/to/python3.12" >&2; exit 2

$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/python
	@$(BIN)/python -c '$(SUPPORTED)' || { \
		echo "$(VENV) is not of Python 3.11 to 3.13: remove it and make install again." >&2; exit 2; }
	@echo "Installing requirements.lock; this takes a minute or two"
	@$(PIP) install --quiet --require-hashes --no-deps $(PIP_FLAGS) -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# touch: dbt may leave a manifest alone that would come out the same.
$(MANIFEST): $(INSTALLED) $(DBT_FILES)
	@echo "Parsing dbt_project"
	@$(BUILDING) $(BIN)/dbt --quiet --no-partial-parse parse $(DBT)
	@touch $@

run: install ## Run the whole pipeline once on the demo's deliveries
	$(BIN)/goral demo run

test: install ## Run the tests, but for the slow ones
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow"

bench: install $(DLT)/.installed ## Measure speed and memory beside others, into benchmarks/results.json
	$(BIN)/python -m benchmarks

# What is measured beside, and what tests contracts: each has requirements of its own.
$(DLT)/.installed: benchmarks/dlt.lock $(INSTALLED)
	$(ISOLATED)

$(DATACONTRACT)/.installed: tests/datacontract.lock $(INSTALLED)
	$(ISOLATED)

# There is no wheel of pyspark.
$(SPARK)/.installed: PIP_FLAGS := --no-compile
$(SPARK)/.installed: tests/spark.lock $(INSTALLED)
	$(ISOLATED)

# Azure's storage on this machine, a program of Node.
$(AZURITE)/.installed: tests/azurite/package-lock.json
	@rm -rf $(AZURITE) && mkdir $(AZURITE) && cp tests/azurite/package*.json $(AZURITE)
	@npm ci --prefix $(AZURITE) --no-audit --no-fund --ignore-scripts --silent
	@touch $@

# An environment in the folder of the target, of the lock that it is made from.
define ISOLATED
@$(BIN)/python -m venv --clear $(@D)
@env -u PYTHONDONTWRITEBYTECODE $(@D)/bin/python -m pip --disable-pip-version-check --no-input \
	install --quiet --require-hashes --no-deps $(PIP_FLAGS) -r $<
@touch $@
endef

dev: install ## Start Dagster's web interface
	$(BIN)/goral dev

lint: install ## Check style, types, layers, SQL and that generated files are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(SQLFLUFF) lint --disable-progress-bar dbt_project/models
	$(BIN)/python -m goral_pipeline.contracts.generate --check
	$(BIN)/python -m goral_pipeline.publishing.generate --check

format: install ## Put code and SQL in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(SQLFLUFF) fix --disable-progress-bar dbt_project/models

generate: $(INSTALLED) ## Write what is generated from the contracts and the manifest's classes
	$(BIN)/python -m goral_pipeline.contracts.generate
	$(BIN)/python -m goral_pipeline.publishing.generate

lock: $(INSTALLED) ## Write the locks from pyproject.toml and the .in files; LOCK_FLAGS=--upgrade for newer versions
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--fork-strategy fewest --generate-hashes --no-annotate --no-header --quiet \
		$(LOCK_FLAGS) --output-file requirements.lock
	$(BIN)/uv pip compile benchmarks/dlt.in --universal --python-version 3.11 \
		--fork-strategy fewest --generate-hashes --no-annotate --no-header --quiet \
		$(LOCK_FLAGS) --output-file benchmarks/dlt.lock
	$(BIN)/uv pip compile tests/datacontract.in --universal --python-version 3.11 \
		--fork-strategy fewest --generate-hashes --no-annotate --no-header --quiet \
		$(LOCK_FLAGS) --output-file tests/datacontract.lock
	$(BIN)/uv pip compile tests/spark.in --universal --python-version 3.11 \
		--fork-strategy fewest --generate-hashes --no-annotate --no-header --quiet \
		$(LOCK_FLAGS) --output-file tests/spark.lock

clean: ## Remove what builds, tests and tools left; not .venv, not the data
	rm -rf build dist *.egg-info dbt_project/target dbt_project/logs logs
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov
	rm -rf .tmp_dagster_home_*
	find goral_pipeline tests dbt_project -type d -name __pycache__ -prune -exec rm -rf {} + || true

clean-data: ## Remove ./.goral with all deliveries, staged data and drops; never another GORAL_HOME
	rm -rf .goral
