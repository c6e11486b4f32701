# `make` shows what there is. Python 3.11 or later is all that a machine needs.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

VENV := .venv
DESK_VENV := .venv-label-studio
DATA ?= ../shared/data
PIP_FLAGS := --quiet --quiet --no-input --disable-pip-version-check --root-user-action=ignore --no-warn-script-location
LINTED := assets labeling pipelines serving training tests $(wildcard benchmarks)

# The first Python that is new enough; 3.11 to 3.13 first, because every locked version has a wheel for them.
PYTHON ?= $(shell for found in python3.11 python3.12 python3.13 python3 python; do \
	"$$found" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$found"; break; }; \
	done)

.PHONY: help demo install label-studio test lint format bench clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

demo: install label-studio ## Set everything up and play four weeks of a company's support messages
	@$(VENV)/bin/cxloop demo

install: $(VENV)/.installed ## Make .venv with the locked versions and cxloop itself

label-studio: $(DESK_VENV)/.installed ## Make .venv-label-studio with a real Label Studio

test: install label-studio ## Run every test, the end-to-end turn with Label Studio included
	@$(VENV)/bin/pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: install ## Check style, format, types and the direction of imports
	@$(VENV)/bin/ruff check $(LINTED)
	@$(VENV)/bin/ruff format --check $(LINTED)
	@$(VENV)/bin/pyright
	@$(VENV)/bin/lint-imports

format: install ## Put the code into the one format
	@$(VENV)/bin/ruff check --fix $(LINTED)
	@$(VENV)/bin/ruff format $(LINTED)

bench: $(VENV)/.benched ## Run every benchmark over the data sets in DATA (../shared/data)
	@for file in benchmarks/[a-z]*.py; do \
		name=$$(basename "$$file" .py); \
		echo "benchmark $$name"; \
		if grep -q '"--data"' "$$file"; then data=$(DATA); else data=; fi; \
		$(VENV)/bin/python -m "benchmarks.$$name" $${data:+--data "$$data"}; \
	done
	@$(VENV)/bin/python -m benchmarks.harness.document

clean: ## Remove the environments and what tools left; a home folder (.cxloop) stays
	rm -rf $(VENV) $(DESK_VENV) dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written last, so that an interrupted installation is taken up again by the next `make`.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(call make_environment,$(VENV),about 3 GB and some minutes)
	@$(VENV)/bin/pip install $(PIP_FLAGS) -r requirements.lock
	@$(VENV)/bin/pip install $(PIP_FLAGS) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.benched: $(VENV)/.installed bench.lock bench-onnx.lock
	@$(VENV)/bin/pip install $(PIP_FLAGS) -r bench.lock
	@$(VENV)/bin/pip install $(PIP_FLAGS) --no-deps --upgrade --target $(VENV)/onnx-peer -r bench-onnx.lock
	@touch $@

$(DESK_VENV)/.installed: label-studio.lock
	@$(call make_environment,$(DESK_VENV),about 1 GB and some minutes)
	@$(DESK_VENV)/bin/pip install $(PIP_FLAGS) -r label-studio.lock
	@touch $@

define make_environment
	if [ -z "$(PYTHON)" ]; then \
		echo "cxloop needs Python 3.11 or later and found none: install it, or name one with make PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	echo "Setting up $(1) with $(PYTHON) ($(2), once)"; \
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "cxloop needs Python 3.11 or later, found $$("$(PYTHON)" --version 2>&1 | head -n 1): name another with make PYTHON=/path/to/python" >&2; \
		exit 1; \
	}; \
	"$(PYTHON)" -m venv $(1)
endef
