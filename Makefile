# `make` lists the targets. Needs Python 3.11 or later, make, and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup test demo lint format docs docs-check docs-update bench clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: $(STAMP) ## Make .venv with Skerry, its engines and the development tools

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	    "Skerry needs Python 3.11 or later; name one: make setup PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' uv
	@# uv is quicker; pip knows every way of naming an index that this machine may be set up with.
	$(BIN)/uv pip install --quiet --python $(VENV) -e '.[all]' --group dev --group docs \
	    || $(BIN)/python -m pip install -e '.[all]' --group dev --group docs
	@touch $@

test: setup ## Run every test
	$(BIN)/pytest

demo: setup ## Analyse two property listings and a photo with local models
	$(BIN)/python examples/property_listing/demo.py

lint: setup ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## Let ruff format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-update: setup ## Write the generated pages of docs/
	$(BIN)/python docs/generate.py

docs-check: setup ## Fail where a generated page is not current
	$(BIN)/python docs/generate.py --check

bench: setup ## Measure speed and memory on this machine
	$(BIN)/python -m bench

clean: ## Remove what the targets made (the model store stays)
	rm -rf $(VENV) site dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests bench docs examples -name __pycache__ -type d -prune -exec rm -rf {} +
