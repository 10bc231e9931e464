# On a fresh machine begin with `make demo` or `make test`; `make` alone lists the rest.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_DIR ?= demo-out
# Processes that share the tests, a file of tests each.
WORKERS ?= auto

.PHONY: help demo test test-slow check lint format docs wheel bench clean

help:
	@echo "make demo       set up, then the whole line on synthesised sounds (about 4 minutes)"
	@echo "make test       set up, lint, type-check and run the tests"
	@echo "make test-slow  real training and full-size models as well"
	@echo "make check      ruff, mypy, import rules; make lint is the same"
	@echo "make format     let ruff mend and lay out the code"
	@echo "make docs       build the site, site/index.html; a dead link is an error"
	@echo "make wheel      build the wheel, install it in a clean place, run README's first example"
	@echo "make bench      the benchmarks that need no data of others"
	@echo "make clean      remove what these made"

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-installed: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.dev-installed: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.demo-installed

$(VENV)/.docs-installed: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

demo: $(VENV)/.demo-installed
	$(BIN)/humanclap demo --output $(DEMO_DIR)

check: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint: check

format: $(VENV)/.dev-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" -n $(WORKERS) --maxprocesses 8 --dist loadfile

test-slow: $(VENV)/.dev-installed
	$(BIN)/pytest

docs: $(VENV)/.docs-installed
	$(BIN)/python docs/site/build.py

wheel:
	$(PYTHON) tests/packaging/check_wheel.py

bench: $(VENV)/.dev-installed
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/hf_frontend.py
	$(BIN)/python benchmarks/scoring_speed.py
	$(BIN)/python benchmarks/bootstrap_speed.py
	$(if $(LAION_PYTHON),$(BIN)/python benchmarks/laion_clap_speed.py --laion-python $(LAION_PYTHON))
	$(BIN)/python benchmarks/cache_speed.py

clean:
	rm -rf $(VENV) $(DEMO_DIR) site .cache/site .mypy_cache .ruff_cache .pytest_cache
