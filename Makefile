# Two commands for a new user: `make demo` and `make test`. Each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-faults check fmt bench bench-sound lock clean

demo: $(READY)  ## train and render on sounds made on the spot
	AMNST_STORE_URI=demo/store PREFECT_HOME=$(CURDIR)/demo/prefect $(BIN)/amnst demo demo

test: $(READY)  ## all tests
	$(BIN)/python -m pytest

test-faults: $(READY)  ## kill servers and workers in turn, and press Retry in a browser; needs postgresql, redis-server and chromium
	$(BIN)/python -m pytest -m 'faults or browser or slow'

check: $(READY)  ## lint, types, contracts, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

fmt: $(READY)  ## format, and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## every benchmark; see tests/benchmarks/README.md
	$(BIN)/python -m tests.benchmarks

bench-sound: $(READY)  ## is it a transfer? sixteen real pairs, all methods, and a page to listen to
	$(BIN)/python -m tests.benchmarks sound audition

lock:  ## pin all dependencies anew, for every supported Python
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
	  --output-file requirements.lock

clean:  ## remove the virtual environment and what the demo made
	rm -rf $(VENV) demo

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) and "Python 3.11 to 3.13 is needed; make PYTHON=python3.12 names one")'
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)
