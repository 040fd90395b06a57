# `make demo` and `make test` need Python 3.10 or newer, make and a package index, and nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
WORKERS ?= auto
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo demo-env dev-env test bench check format core-test wheel-test matrix lock clean

help: ## what there is to do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo-env:
	@$(PYTHON) scripts/bootstrap.py demo --venv $(VENV)

dev-env:
	@$(PYTHON) scripts/bootstrap.py dev --venv $(VENV)

demo: demo-env ## the local identity provider, a web API, a Flask site and a Django site
	@exec $(BIN)/python demo_sites/run.py

test: dev-env ## the whole suite
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope $(PYTEST_ARGS)

bench: dev-env ## speed and memory beside real msal, as ratios; fails below a target
	@$(BIN)/python bench

check: dev-env ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing/public_api.py
	$(BIN)/basedpyright --level error --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: dev-env ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

core-test: ## the core's tests with neither Flask nor Django installed
	@$(PYTHON) scripts/installed_tests.py core

wheel-test: ## build the wheel, install it elsewhere, run the tests against it
	@$(PYTHON) scripts/installed_tests.py wheel

matrix: ## the suite on every supported Python that is installed, and on both Django lines
	@$(PYTHON) scripts/matrix.py

lock: ## pin requirements/*.in anew, with hashes (needs uv)
	@$(PYTHON) scripts/lock.py

clean: ## remove what the other targets made
	rm -rf .venv .venvs .demo dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
