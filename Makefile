# One command from a fresh machine with Python 3.11 or newer: "make demo" or "make test".

PYTHON ?= python3
TORCH ?= torch==2.13.0
# Options for every "pip install", and more for that of torch alone: both often take --index-url.
PIP_ARGS ?=
TORCH_ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
PINS := $(VENV)/constraints.txt
INSTALL := $(PY) -m pip install --disable-pip-version-check -c $(PINS) $(PIP_ARGS)
READY := $(VENV)/.ready-$(subst =,-,$(notdir $(TORCH)))
READY_DOCS := $(VENV)/.ready-docs
READY_BROWSER := $(VENV)/.ready-browser

.DEFAULT_GOAL := help

# Small matrices: a second thread per test worker only costs.
gallery test slow browser docs: export OMP_NUM_THREADS ?= 1
# Two workers and many short processes import the package: let it be compiled once, whatever the machine is set to.
test slow: export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo gallery docs test slow browser lint types bench coverage clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 14
	@echo
	@echo '  PYTHON=python3.12   the Python that makes the environment in $(VENV)'
	@echo '  TORCH=torch==2.12   another torch, instead of the pinned one'
	@echo '  PIP_ARGS=...        options for pip, such as --index-url'
	@echo '  TORCH_ARGS=...      the same for torch alone, such as the index of a build without CUDA'

demo: $(READY) ## analyze a trained network; results in build/demo
	$(VENV)/bin/splinegraph analyze examples/digits_cnn.py --data examples/digits.npz --out build/demo

gallery: $(READY) ## make the figures and tables of the paper; in build/paper
	$(PY) -m examples.paper --out build/paper

docs: $(READY_DOCS) ## build the documentation site, with its notebook; in build/docs
	$(PY) -m sphinx -q -W --keep-going -b html docs build/docs

test: $(READY) ## run the tests and the examples in docstrings
	@$(PY) -m compileall -q -j 2 splinegraph
	$(PY) -m pytest -n 2 --dist loadfile -m "not slow and not browser"

slow: $(READY) ## run the tests that take longer
	$(PY) -m pytest -n 2 --dist loadfile -m "slow and not browser" tests

browser: $(READY_BROWSER) ## open reports in Chromium; fails where there is none
	SPLINEGRAPH_REQUIRE_BROWSER=1 $(PY) -m pytest -m browser tests/browser

lint: $(READY) ## check style and formatting
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(READY) ## check types
	$(PY) -m mypy

bench: $(READY) ## run the benchmarks
	$(PY) -m benchmarks

coverage: $(READY) ## trace over 400 models of public packages; takes about an hour
	$(PY) -m pip install --disable-pip-version-check --no-deps --upgrade --target build/models $(PIP_ARGS) \
	  -r benchmarks/coverage_requirements.txt
	$(PY) -m benchmarks.coverage --packages build/models --results build/coverage.jsonl

clean: ## remove what was built, but not the environment
	rm -rf build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find splinegraph tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# The mark is written last, so that an interrupted set-up starts again, and it carries the name of the torch.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'splinegraph needs Python 3.11 or newer, and "$(PYTHON)" is not: try PYTHON=python3.12' >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@rm -f $(VENV)/.ready*
	@{ grep -v '^torch==' constraints.txt; echo '$(TORCH)'; } > $(PINS)
	$(INSTALL) $(TORCH_ARGS) '$(TORCH)'
	$(INSTALL) -e '.[dev]'
	@touch $@

$(READY_DOCS): $(READY)
	$(INSTALL) -e '.[docs]'
	@touch $@

$(READY_BROWSER): $(READY)
	$(INSTALL) -e '.[browser]'
	@touch $@
