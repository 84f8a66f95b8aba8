# Two commands for a new user: `make demo` and `make test`. Each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Both are created by the first command that needs them: see the end.
RUNTIME := $(VENV)/.runtime
TOOLS := $(VENV)/.tools
LOCK = uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

.PHONY: demo test quick test-faults check docs media fmt bench bench-sound soak sbom lock clean

demo: $(RUNTIME)  ## train and render with synthesised sounds
	AMNST_STORE_URI=demo/store PREFECT_HOME="$$PWD/demo/prefect" $(BIN)/amnst demo demo

# Three files at a time on two cores, because many tests wait for servers. Folders in order: the slow ones come first.
test: $(TOOLS)  ## all tests
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --durations=10 --durations-min=1

quick: $(TOOLS)  ## tests that need no server and no long computation; a minute and a half
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m 'not server and not heavy and not faults and not browser and not slow'

test-faults: $(TOOLS)  ## slow tests that kill servers and workers or press Retry in a browser; needs postgresql, redis-server and chromium
	$(BIN)/python -m pytest -m 'faults or browser or slow'

check: $(TOOLS)  ## lint, types, contracts, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

docs: $(TOOLS)  ## build the documentation into build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict --config-file docs/site/mkdocs.yml

media: $(TOOLS) demo  ## make the sounds, pictures and notebook of the documentation again; the screenshot needs chromium
	$(BIN)/python -m docs.site.media
	$(BIN)/python -m docs.site.notebook
	$(BIN)/python -m docs.site.screenshots

fmt: $(TOOLS)  ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(TOOLS)  ## every benchmark; see tests/benchmarks/README.md
	$(BIN)/python -m tests.benchmarks

bench-sound: $(TOOLS)  ## judge sixteen real pairs by all methods, and write a page to listen to
	$(BIN)/python -m tests.benchmarks sound audition

soak: $(TOOLS)  ## attack the store, the readers and the commands for half an hour; one table at the end
	$(BIN)/python -m tests.soak --minutes 30

sbom: $(RUNTIME)  ## check the lock and list what it installs, in CycloneDX's format
	$(BIN)/python -m deployments.sbom requirements.lock build/sbom.json

lock:  ## update the versions of all dependencies; needs uv
	$(LOCK) --extra build --extra cluster --output-file requirements.lock
	$(LOCK) --extra dev --output-file requirements-dev.lock --constraint requirements.lock

clean:  ## remove the virtual environment and the demo's files
	rm -rf $(VENV) demo

# Paths are relative, because a checkout's path may contain spaces and make's targets may not.
$(RUNTIME): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) and "Python 3.11 to 3.13 is needed; choose one, such as make PYTHON=python3.12")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo 'creating a virtual environment in $(VENV)'; $(PYTHON) -m venv --clear $(VENV); }
	@$(BIN)/python -m deployments.install requirements.lock
	@echo 'installing amnst itself, from this folder'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(TOOLS): $(RUNTIME) requirements-dev.lock
	@$(BIN)/python -m deployments.install requirements-dev.lock
	@touch $@
