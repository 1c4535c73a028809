# Everything runs from .venv, which is built from a lock file; PYTHON says with which interpreter.
PYTHON ?= python3
UV ?= uv

VENV := .venv
LOCK := requirements/airflow-3.3.txt
# Tests wait more than they work.
TESTERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
DOWNLOAD = $(if $(findstring airflow,$(LOCK)),160 MB,25 MB)
BIN = $(VENV)/bin
BIOME = node_modules/.bin/biome
# Commands that a script starts by name, such as airflow, come from the same environment.
RUN = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m

# The packages of Airflow 3.2 as of this day; later ones break it (requirements/airflow-3.2.in).
AIRFLOW_3_2_DAY := 2026-06-15

.PHONY: help demo up cluster cluster-test test test-3.2 pytest coverage lint lint-pages bench faults simulate docs tables package lock clean
.NOTPARALLEL:

help:
	@echo "make demo          send a campaign from a throw-away Airflow to the sandbox; RESUME=1 runs the last one again"
	@echo "make up            Airflow with the example Dags and the sandbox, on 127.0.0.1, until Ctrl-C; PORT=8081 if 8080 is taken"
	@echo "make cluster       the same with CeleryExecutor, two workers, Redis and PostgreSQL (docs/cluster.md)"
	@echo "make cluster-test  20,000 recipients over two workers, one of which is killed half-way"
	@echo "make test          linters and all tests, with Airflow 3.3"
	@echo "make test-3.2      all tests, with Airflow 3.2"
	@echo "make coverage      which lines and branches the unit and integration tests reach"
	@echo "make lint          linters alone; those of JavaScript and CSS need npm"
	@echo "make bench         measure what is claimed about speed"
	@echo "make faults        campaigns under faults by chance; N=20 rounds, SEED=7 DATABASE=mysql that one again (tests/faults/README.md)"
	@echo "make simulate      campaigns in virtual time by chance, on all processors; N=10000 of them, SEED=7 STORY=1 tells one (tests/simulation/README.md)"
	@echo "make docs          build the documentation into site/, strictly"
	@echo "make tables        write the tables of docs/ that come from the code anew"
	@echo "make package       wheel and sdist of the last commit into dist/, and twine's check of them"
	@echo "make lock          resolve requirements/*.txt anew"
	@echo "make clean         remove environments, what demo and up keep, caches and build results"

demo: $(VENV)/installed
	@RESUME="$(RESUME)" $(RUN) scripts.demo

up: $(VENV)/installed
	@$(RUN) scripts.up

cluster: $(VENV)/installed
	@$(RUN) scripts.cluster

# -rP prints the figures; CI: without Redis or PostgreSQL it fails and does not skip.
cluster-test: $(VENV)/installed
	@CI=true CAIXIN_CLUSTER_RECIPIENTS=20000 $(RUN) pytest tests/system/test_cluster.py -rP

bench: $(VENV)/installed
	@$(RUN) benchmarks

faults: $(VENV)/installed
	@$(RUN) tests.faults $(N:%=--rounds=%) $(SEED:%=--seed=%) $(DATABASE:%=--database=%) $(SCENARIO:%=--scenario=%) \
	  $(VERBOSE:%=--verbose)

simulate: $(VENV)/installed
	@$(RUN) tests.simulation $(N:%=--number=%) $(SEED:%=--seed=%) $(STORY:%=--story)

# pytest comes last: its closing line is what CI reads.
test: lint pytest

# Another environment and lock for the same tests. The linters' answers belong to the newest Airflow's types.
test-3.2:
	@$(MAKE) --no-print-directory pytest VENV=.venv-3.2 LOCK=requirements/airflow-3.2.txt

# loadgroup: the tests that share a live Airflow stay in one process, which starts one.
pytest: $(VENV)/installed
	$(RUN) pytest -n $(TESTERS) --dist loadgroup $(TESTS)

# --cov stands before another option: it would take a folder behind it for what to measure.
coverage: $(VENV)/installed
	$(RUN) pytest --cov -n $(TESTERS) --dist loadgroup $(or $(TESTS),tests/unit tests/integration)

lint: $(VENV)/installed lint-pages
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# JavaScript and CSS. Where npm is missing, a person goes on without; CI has it, and does not.
lint-pages:
	@if command -v npm >/dev/null; then $(MAKE) -s --no-print-directory node_modules/installed && $(BIOME) check --error-on-warnings; \
	else echo "JavaScript and CSS were not checked: that needs npm, which comes with Node.js 20 or newer." >&2; \
	  test "$(CI)" != true; fi

# From an environment of its own: what sends messages needs none of these packages.
docs:
	@$(MAKE) --no-print-directory .venv-docs/locked VENV=.venv-docs LOCK=requirements/docs.txt
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet
	@echo "Built into site/: open site/index.html."

# From what is committed: whatever else lies here, such as somebody's audience, would be published with it.
package:
	@$(MAKE) --no-print-directory .venv-package/locked VENV=.venv-package LOCK=requirements/package.txt
	@rm -rf dist && mkdir -p dist/source
	@git archive HEAD | tar -x -C dist/source
	@cd dist/source && ../../.venv-package/bin/python -m hatchling build -d ..
	@rm -rf dist/source
	@.venv-package/bin/python -m twine check --strict dist/*

tables: $(VENV)/installed
	@$(RUN) scripts.tables

# Entry points and version are metadata that an editable install copies, so a new pyproject.toml means a new install.
$(VENV)/installed: $(VENV)/locked pyproject.toml README.md airflow_provider_caixin/__init__.py
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/installed: package-lock.json
	@npm ci --loglevel=error
	@touch $@

# From scratch whenever the lock changes: what an older lock had and this one lacks must not stay behind.
$(VENV)/locked: $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	    "Name another, such as PYTHON=python3.12." >&2; exit 1; }
	@rm -rf $(VENV)
	@echo "Installing $(LOCK) into $(VENV): some $(DOWNLOAD) to download, once."
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "$(PYTHON) cannot make a virtual environment: install its venv module" \
	    "(Debian and Ubuntu: apt install python3-venv) or name another, such as PYTHON=python3.12." >&2; \
	  exit 1; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --only-binary :all: --requirement $(LOCK)
	@$(BIN)/python -m pip check
	@touch $@

lock:
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pip install uv, or UV=/path/to/uv" >&2; exit 1; }
	$(call resolve,3.3)
	$(call resolve,3.2,--exclude-newer $(AIRFLOW_3_2_DAY))
	@{ echo "# Written by make lock from pyproject.toml: what make docs needs."; \
	  $(COMPILE) --group docs; } > requirements/docs.txt
	@{ echo "# Written by make lock from pyproject.toml: what make package needs."; \
	  $(COMPILE) --group package; } > requirements/package.txt

# Without the local configuration of uv, so that the result is the same on every machine.
COMPILE = $(UV) pip compile --quiet --no-config --universal --python-version 3.11 --no-header --no-annotate

define resolve
@{ echo "# Written by make lock from requirements/airflow-$(1).in and pyproject.toml."; \
  grep '^#' requirements/airflow-$(1).in; \
  $(COMPILE) --all-extras --group dev $(2) requirements/airflow-$(1).in pyproject.toml; } > requirements/airflow-$(1).txt
endef

clean:
	rm -rf .venv .venv-3.2 .venv-docs .venv-package node_modules .demo .up .cluster .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* build dist site
	find . -name __pycache__ -prune -exec rm -rf {} +
