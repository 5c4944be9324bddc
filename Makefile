# Each target makes .venv first, if need be, with what it wants in it.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test lint bench clean

train: .venv/with-plot
	$(BIN)/python scripts/train.py $(OPTIONS)

test: .venv/with-test
	$(BIN)/python -m pytest

lint: .venv/with-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/with-bench .venv/with-plot
	$(BIN)/python scripts/benchmark.py --threads 1 2 $(OPTIONS)

# .venv/with-EXTRA stands for an installation with that extra, newer than setup.cfg.
.venv/with-%: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf .venv
