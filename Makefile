# Each target sets up what it needs in .venv, pinned by constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow lint bench bench-peers wheel-check clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV) || { apt-get update && apt-get install -y python3-venv && \
	  $(PYTHON) -m venv $(VENV); } || { echo "Debian: apt-get install python3-venv, then again"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/phyemu loop

# A test that hangs says where, and ends its worker, instead of holding everything up.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 \
  --timeout 600 --timeout-method thread

# It installs no system packages: what needs them skips. .ci/install-peers, as root, brings them.
test: $(STAMP)
	$(PYTEST) -m "not slow" $(TESTARGS)

# Those that take more than ten seconds each, whole systems and trainings among them.
test-slow: $(STAMP)
	$(PYTEST) -m slow $(TESTARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# What make bench compares with where it is installed. Sionna comes without its dependencies, so
# that it brings no second torch; what it needs is here already, but for importlib-resources.
bench-peers: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps sionna-no-rt==2.2.0 importlib-resources==7.1.0
	apt-get update && apt-get install -y --no-install-recommends gnuradio || \
	  echo "no GNU Radio: apt-get install gnuradio as root, or leave it out"

wheel-check: $(STAMP)
	$(BIN)/python tests/wheel_check.py

clean:
	rm -rf $(VENV) build dist *.egg-info
