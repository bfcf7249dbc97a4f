# make demo: train, test and draw a detector. make test: the tests. Both install what they need.
# make docs: the site of docs/ and the API, in site/, in an environment of its own.
# STACK=openmmlab does the same with OpenMMLab's last releases, in an environment of its own.
STACK ?= onedl
VENV := .venv$(if $(filter-out onedl,$(STACK)),-$(STACK))
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

DOCS := .venv-docs

DIGITS := data/digits
DEMO_CONFIG := configs/digits/ssd_hardnet_digits.py
SEED ?= 0
DEMO_DIR := work_dirs/demo-$(STACK)-seed$(SEED)

# install.sh leaves compiling to the first import; without this, where it is set, every start of Python
# would compile PyTorch and the toolboxes again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo docs test test-cpus test-slow backbone gpu gpu-wheels lock sbom lint format clean

demo: $(INSTALLED) $(DIGITS)/digits.json
	$(BIN)/python tools/demo.py $(DEMO_CONFIG) --work-dir $(DEMO_DIR) --seed $(SEED)

# Two processes with a thread each: most of the time goes to Python, which uses one core.
# tests/conftest.py orders the files.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(INSTALLED)
	$(PYTEST) -m 'not slow' --durations 20 tests

# What computes otherwise on other CPUs, on this one with its capabilities taken away: a process each,
# two of them at a time.
CPU_TESTS := $(BIN)/python -m pytest -q -m 'cpu and not slow' tests/kernels tests/deploy/test_deploy.py
LACKING := vector-registers bfloat16 onednn-convolutions onednn

test-cpus: $(INSTALLED)
	@$(MAKE) --no-print-directory --jobs 2 $(LACKING:%=test-cpu-without-%)

test-cpu-without-vector-registers:
	ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=1 $(CPU_TESTS)

test-cpu-without-%:
	OMP_NUM_THREADS=$(if $(filter onednn,$*),2,1) $(CPU_TESTS) --lacking $*

test-slow: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --no-compile -r requirements/slow.txt
	$(PYTEST) -m slow --durations 20 tests

# The backbones with another PyTorch, and mmcv-lite for all of OpenMMLab: make backbone TORCH=2.5.1
# PYTHON=python3.10 (the interpreter, python3 otherwise).
TORCH ?= 2.5.1

backbone:
	requirements/backbone.sh $(TORCH)

# On a machine with a GPU: tests, speed and the demo, in under nine minutes. It takes the Python that
# is there (make gpu PYTHON=...), and packages from wheels/, which may be made on another machine.
GPU_DIR := work_dirs/gpu

gpu:
	tools/gpu_check.sh --wheels wheels --out-dir $(GPU_DIR)

# The wheels, for a machine with this Python on Linux and x86-64 that has no package index.
GPU_PYTHON ?= 3.12

gpu-wheels: $(INSTALLED)
	PYTHON=$(BIN)/python requirements/wheels.sh wheels $(GPU_PYTHON)

# Strictly: a link or an anchor that leads nowhere ends it, as does a docstring that cannot be read.
docs: $(DOCS)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict
	@echo "site/index.html (its search wants a server: $(DOCS)/bin/mkdocs serve)"

$(DOCS)/.installed: requirements/docs.txt requirements/install.sh
	@requirements/install.sh docs $(DOCS)

# requirements/onedl.lock: the hashes of the default stack's files, from the package index.
TOOLS := .venv-tools

lock: $(TOOLS)/.installed
	PATH=$(CURDIR)/$(TOOLS)/bin:$$PATH requirements/lock.sh onedl

# What is installed, with versions and licences: sbom.json for machines (CycloneDX), and a table. Of a
# licence that is a whole text, the table has the first line.
sbom: $(INSTALLED) $(TOOLS)/.installed
	$(if $(wildcard sbom.json),$(error sbom.json is there already: move it away, or delete it))
	$(TOOLS)/bin/cyclonedx-py environment $(BIN)/python --output-format JSON --output-file sbom.json.part
	mv sbom.json.part sbom.json
	$(TOOLS)/bin/pip-licenses --python=$(BIN)/python --from=mixed --with-system \
		--format=markdown --order=license | grep --invert-match '^|  *|'

$(TOOLS)/.installed: requirements/tools.txt
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet -r requirements/tools.txt
	@touch $@

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): $(wildcard requirements/$(STACK).txt requirements/$(STACK).lock) requirements/install.sh setup.py
	@requirements/install.sh $(STACK) $(VENV)

$(DIGITS)/digits.json: | $(INSTALLED)
	$(BIN)/python tools/dataset_converters/digits.py --out-dir $(DIGITS) --tasks detection

clean:
	rm -rf $(VENV) .venv-torch-* $(DOCS) $(TOOLS) site $(DIGITS) $(DEMO_DIR) wheels
