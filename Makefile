# Two commands need no preparation but Python >= 3.11, git and pip:
#
#     make demo    the whole story on real data
#     make test    the tests
#
# Everything is installed into .venv from hashed locks; nothing outside this folder is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := .venv-uv/bin/uv
DEMO ?= demo
TESTS ?= tests
export PYTHONUTF8 := 1
export UV_LINK_MODE := copy
# The certificates that this machine trusts, as pip and git do.
export UV_SYSTEM_CERTS := 1

.PHONY: demo test check lock bench services clean

demo: $(VENV)
	rm -rf $(DEMO)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/anchored demo $(DEMO)

test: $(VENV) services
	$(BIN)/python -m pytest -n 4 --dist worksteal $(TESTS)

check: $(VENV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)
	$(BIN)/python benchmarks/run_against_by_hand.py
	$(BIN)/python benchmarks/restore.py
	$(BIN)/python benchmarks/audit.py
	$(BIN)/python benchmarks/hostile.py

# Real servers that tests run against and that are no Python libraries of ours.
services: $(VENV)
	UV=$(CURDIR)/$(UV) sh tests/services/install.sh

$(VENV): $(VENV)/.ready

$(VENV)/.ready: requirements/dev.txt pyproject.toml $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python requirements/dev.txt
	$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	touch $@

# With pip alone: a Python without ensurepip cannot make a virtual environment, uv can.
$(UV): requirements/uv.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --target .venv-uv -r requirements/uv.txt
	touch $@

# Universal: one lock for Linux and macOS, Python 3.11 to 3.13. No host names in it.
LOCK := pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11
lock: $(UV)
	$(UV) $(LOCK) --upgrade requirements/uv.in -o requirements/uv.txt
	$(UV) $(LOCK) --upgrade pyproject.toml --group dev --extra s3 --extra ssh --extra uv --extra server --extra wandb -o requirements/dev.txt
	$(UV) $(LOCK) --upgrade requirements/services.in -o requirements/services.txt

clean:
	rm -rf $(VENV) .venv-uv .venv-services $(DEMO)
