# Everything runs from .venv, which is built from a lock file; PYTHON says with which interpreter.
PYTHON ?= python3
UV ?= uv

VENV := .venv
LOCK := requirements/airflow-3.3.txt
BIN = $(VENV)/bin
# Commands that a script starts by name, such as airflow, come from the same environment.
RUN = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m

# The packages of Airflow 3.2 as of this day; later ones break it (requirements/airflow-3.2.in).
AIRFLOW_3_2_DAY := 2026-06-15

.PHONY: help demo up test test-3.2 pytest lint bench lock clean
.NOTPARALLEL:

help:
	@echo "make demo      send a campaign from a throw-away Airflow to the sandbox; RESUME=1 runs the last one again"
	@echo "make up        Airflow with the example Dags and the sandbox, on 127.0.0.1, until Ctrl-C; PORT=8081 if 8080 is taken"
	@echo "make test      linters and all tests, with Airflow 3.3"
	@echo "make test-3.2  all tests, with Airflow 3.2"
	@echo "make lint      linters alone"
	@echo "make bench     measure what is claimed about speed"
	@echo "make lock      resolve requirements/*.txt anew"
	@echo "make clean     remove environments, what demo and up keep, caches and build results"

demo: $(VENV)/installed
	@RESUME="$(RESUME)" $(RUN) scripts.demo

up: $(VENV)/installed
	@$(RUN) scripts.up

bench: $(VENV)/installed
	@$(RUN) benchmarks

# pytest comes last: its closing line is what CI reads.
test: lint pytest

# Another environment and lock for the same tests. The linters' answers belong to the newest Airflow's types.
test-3.2:
	@$(MAKE) --no-print-directory pytest VENV=.venv-3.2 LOCK=requirements/airflow-3.2.txt

# loadgroup: the tests that share a live Airflow stay in one process, which starts one.
pytest: $(VENV)/installed
	$(RUN) pytest -n auto --dist loadgroup

lint: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Entry points and version are metadata that an editable install copies, so a new pyproject.toml means a new install.
$(VENV)/installed: $(VENV)/locked pyproject.toml README.md airflow_provider_caixin/__init__.py
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# From scratch whenever the lock changes: what an older lock had and this one lacks must not stay behind.
$(VENV)/locked: $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	    "Name another, such as PYTHON=python3.12." >&2; exit 1; }
	@rm -rf $(VENV)
	@echo "Installing $(LOCK) into $(VENV): some 90 MB to download, about a minute, once."
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

# Without the local configuration of uv, so that the result is the same on every machine.
define resolve
@{ echo "# Written by make lock from requirements/airflow-$(1).in and pyproject.toml."; \
  grep '^#' requirements/airflow-$(1).in; \
  $(UV) pip compile --quiet --no-config --universal --python-version 3.11 --no-header --no-annotate --all-extras --group dev \
    $(2) requirements/airflow-$(1).in pyproject.toml; } > requirements/airflow-$(1).txt
endef

clean:
	rm -rf .venv .venv-3.2 .demo .up .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
