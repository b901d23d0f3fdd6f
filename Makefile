# `make demo` runs the main job, `make test` the tests; each sets up what it needs.

UV_VERSION := 0.13.9
GLIBC := $(shell getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/[^0-9.]//g')
# The newest dependency lane this host can install (WORKSPACE.md, "Dependencies").
LANE ?= $(shell printf '%s\n' 2.39 "$(GLIBC)" | sort -VC && echo tfx-1.21 || echo tfx-1.16)
PYTHON_VERSION := $(if $(filter tfx-1.21,$(LANE)),3.13,3.10)
LOCK := requirements/$(LANE).lock
EXTRAS := --extra pipelines --extra worker --extra dev
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
BIN := .venv/bin
# Two gigabytes of memory a process; one more than processors, as tests wait for others'
# processes too, and more than four find nothing left to do.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 4 ? n + 1 : 4)))

.PHONY: demo test test-current install-current lint format install install-gpu lock benchmarks clean help
.DEFAULT_GOAL := help

demo: install  ## Mine, train, evaluate, push and compress, on bundled photographs
	$(BIN)/hardmine demo --workdir runs/demo

test: install  ## Run the tests; with HARDMINE_ALL_TESTS=1 the slow ones too
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  $(if $(HARDMINE_ALL_TESTS),,-m "not slow")

# Where the host itself has the newest lane, this is `test`.
test-current: $(if $(filter tfx-1.21,$(LANE)),test)  ## Run them on the newest lane, in a Debian 13 root if need be
	$(if $(filter tfx-1.21,$(LANE)),,.ci/debian13 make test)

# What `test-current` would install first, if that is not what this host has.
install-current:
	$(if $(filter tfx-1.21,$(LANE)),,.ci/debian13 make install)

lint: install  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: install  ## Rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: install  ## Time us against a reference, both in the same run
	for file in benchmarks/[!_]*.py; do $(BIN)/python $$file || exit 1; done

install: .venv/.$(LANE)  ## Fill .venv from the lane's lock file

.venv/.$(LANE): $(LOCK) setup.py Makefile | $(UV)
	@echo "hardmine: lane $(LANE), Python $(PYTHON_VERSION) (glibc $(GLIBC))"
	$(UV) venv --quiet --allow-existing --python $(PYTHON_VERSION) .venv
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python $(LOCK)
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@rm -f .venv/.tfx-* && touch $@

.tools/bin/uv:
	python3 -m venv .tools
	.tools/bin/python -m pip install --quiet uv==$(UV_VERSION)

install-gpu: install  ## Add CUDA to .venv
	$(UV) pip install --quiet --python $(BIN)/python --constraint $(LOCK) --no-build-isolation --editable '.[gpu]'

# Pins both lanes again from setup.py.
lock: | $(UV)  ## Resolve both lock files anew
	$(UV) pip compile setup.py --quiet $(EXTRAS) --no-header --no-annotate \
	  --python-version 3.10 --python-platform x86_64-manylinux_2_28 --output-file requirements/tfx-1.16.lock
	$(UV) pip compile setup.py --quiet $(EXTRAS) --no-header --no-annotate \
	  --python-version 3.13 --python-platform x86_64-manylinux_2_39 --output-file requirements/tfx-1.21.lock

clean:  ## Remove what `make` made
	rm -rf .venv .tools runs build dist *.egg-info

help:  ## Print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
