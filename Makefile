# Every target does its own set-up in .venv; a second run finds it done.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
WORKDIR ?= runs/quickstart

.PHONY: quickstart demonstration test test-all test-compilers site lint env test-env clean

quickstart: env  ## Train both models on generated text, evaluate, and show what was found.
	$(BIN)/python -m toner_jax.main --config=configs/quickstart.py --workdir=$(WORKDIR)

# The model that the package brings. WNUT17 is the folder of that set, on which it is evaluated too.
demonstration: quickstart
	$(BIN)/python scripts/make_demonstration.py --workdir=$(WORKDIR) --wnut17=$(WNUT17)

# XLA's costly passes would take most of the time of programs that run once; `make test-all` compiles as users do.
test: test-env  ## Unit and integration tests, a few minutes.
	JAX_DISABLE_MOST_OPTIMIZATIONS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not long and not trained"

test-all: test-env  ## The long ones too.
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

# The compilers lie apart: where they are installed, JAX looks for their devices whenever it starts.
test-compilers: .venv/compilers/.installed  ## One-layer programs for accelerators that are not here; the compilers are 1 GB.
	PYTHONPATH=.venv/compilers:$$PYTHONPATH $(BIN)/python -m pytest -q -n 2 tests/compiling/test_accelerators.py $(ONLY)

site: test-env  ## The documentation as a site; its tutorial is run.
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/site
	@echo "build/site/index.html"

lint: test-env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

env: .venv/.installed

test-env: .venv/.test-installed

.venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing toner-jax into .venv (a few minutes the first time)"
	$(PIP) install -e .
	touch $@

# PyTorch is the reference that the tests compare with, so they name its exact version. seqeval is published as
# source alone, and its isolated build fetches a build tool without that tool's own dependencies: it is built here.
.venv/.test-installed: .venv/.installed
	$(PIP) install torch==2.13.0
	$(PIP) install setuptools setuptools-scm wheel
	$(PIP) install --no-build-isolation 'seqeval>=1.2.2'
	$(PIP) install -e '.[test]'
	touch $@

.venv/compilers/.installed: .venv/.test-installed
	jax=$$($(BIN)/python -c 'import jaxlib; print(jaxlib.__version__)'); \
	$(PIP) install --no-deps --target .venv/compilers jax-cuda12-plugin==$$jax jax-cuda12-pjrt==$$jax \
	  'nvidia-cuda-nvcc-cu12>=12.9.86' 'libtpu>=0.0.42'
	touch $@

clean:
	rm -rf .venv runs
