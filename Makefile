# `make help` lists what there is. Everything works in an empty environment and installs into .venv only.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
RUNTIME := .venv/.runtime
DEV := .venv/.dev
INSTALLED_FROM := pyproject.toml src/kokino/__init__.py scripts/bootstrap

# A copied tree brings a .venv whose programs start the interpreter of the old place: it is made anew.
$(shell grep -qsF "$(CURDIR)/.venv/bin/" .venv/bin/pip || rm -f $(RUNTIME) $(DEV))

.PHONY: help run demo test test-nightly lint docs bench build lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: $(RUNTIME) ## start the broker with this folder as its home
	@scripts/install-debian-packages run
	$(BIN)/kokino serve --home .

demo: $(RUNTIME) ## watch an outage being noticed, paged, repaired and written down
	@scripts/install-debian-packages run
	$(BIN)/kokino demo

test: $(DEV) ## run all tests; one that is skipped fails
	@scripts/install-debian-packages test
	@# Two workers more than there are cores: most tests wait for processes now and then.
	KOKINO_NO_SKIPS=1 $(BIN)/pytest -n $$(($$(nproc) + 2)) --dist loadfile --no-loadscope-reorder --junit-xml=build/tests.xml

test-nightly: $(DEV) ## what luck may miss, at length: 200 rounds of the kill loop, many examples of each property
	HYPOTHESIS_PROFILE=nightly $(BIN)/pytest -n 2 tests/unit
	KOKINO_KILL_ROUNDS=200 $(BIN)/pytest -s tests/acceptance/test_kill_loop.py

lint: $(DEV) ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(DEV) ## write the reference pages and monitoring/ from the code
	$(BIN)/python scripts/reference.py
	$(BIN)/python scripts/metrics_page.py

bench: $(DEV) ## measure what the broker costs, as ratios
	$(BIN)/python -m benchmarks

build: $(DEV) ## make dist/: the sdist, and the wheel from it
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .

lock: $(DEV) ## write the lock files from pyproject.toml; UPGRADE=--upgrade takes the newest
	scripts/lock $(UPGRADE)

clean: ## remove what the targets above made, but no broker's data
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): requirements.lock $(INSTALLED_FROM)
	scripts/bootstrap requirements.lock
	@touch $@

# The larger lock holds the smaller one, so it satisfies both.
$(DEV): requirements-dev.lock requirements.lock $(INSTALLED_FROM)
	scripts/bootstrap requirements-dev.lock
	@touch $(RUNTIME) $@
