# `make quickstart` and `make test` do all the set-up they need; the second time it is instant.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.ready

.PHONY: setup quickstart results docs wheel test pytest lint
.DEFAULT_GOAL := setup

setup: $(STAMP)

$(STAMP): pyproject.toml
	@echo "installing into .venv, which takes some minutes"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e '.[dev]'
	@touch $@

quickstart: setup
	$(BIN)/promise sweep +sweeps=quickstart

results: setup
	$(BIN)/promise results

docs: setup
	$(BIN)/mkdocs build --strict

wheel: setup
	$(BIN)/python -m hatchling build -d dist

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Types are checked beside the tests: alone neither keeps two cores busy to its end.
test: setup
	$(MAKE) --no-print-directory -j2 pytest lint

pytest: setup
	OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --doctest-modules promise tests
