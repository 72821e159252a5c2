# Every command sets up what it needs in .venv and build/, once; nothing is repeated while nothing changed.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input
BUILD_TOOLS := scikit-build-core pybind11 cmake ninja
NATIVE := $(shell find csrc cmake -name '*.cpp' -o -name '*.h' -o -name '*.cmake') CMakeLists.txt
CPP := $(shell find csrc tests -name '*.cpp' -o -name '*.h')
PY := vdb bench tests
FAST := not slow and not recall and not crash and not bench

export PATH := $(abspath $(BIN)):$(PATH)

.DEFAULT_GOAL := check
.DELETE_ON_ERROR:
.PHONY: help dev demo test check format-check lint types fast fix doctest cpp-test asan tsan fuzz bench bench-smoke bench-arxiv clean

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "make %-13s %s\n", $$1, $$2 }'

demo: $(VENV)/test.stamp ## Build a database from real data and search it; ARGS="--data DIR" chooses the data
	$(BIN)/python -m vdb demo $(ARGS)

# The C++ tests are linked with the core that was just built for Python.
test: $(VENV)/test.stamp doctest ## Run every test, C++ and Python; ARGS are passed to pytest
	$(call run_cpp_tests,cpp,-DCMAKE_BUILD_TYPE=Release -DVDB_CORE="$$(ls -t $(CURDIR)/build/cp3*/libvdb_core.a | head -n 1)")
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

dev: $(VENV)/dev.stamp ## Editable install with every tool, and compile_commands.json for the editor
	@ln -sf build/cp*/compile_commands.json compile_commands.json

# The loop

check: format-check lint types fast ## The default: format, lint, types and the fast tests, under a minute

format-check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check $(PY)
	$(BIN)/clang-format --dry-run --Werror $(CPP)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check $(PY)

types: $(VENV)/dev.stamp
	$(BIN)/mypy

fast: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -q -m "$(FAST)" $(ARGS)

fix: $(VENV)/dev.stamp ## Format everything and apply the safe lint fixes
	$(BIN)/ruff check --fix $(PY) || true
	$(BIN)/ruff format $(PY)
	$(BIN)/clang-format -i $(CPP)

# The core by itself: build/<folder>, options

# The header of the C++ tests is the one thing that pip does not have.
doctest: FOUND = echo '\#include <doctest/doctest.h>' | $(CXX) -x c++ -E - >/dev/null 2>&1
doctest: INSTALL = apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq doctest-dev >/dev/null
doctest:
	@$(FOUND) || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo 'installing doctest-dev' && $(INSTALL); } || \
	  { echo 'the C++ tests need doctest; Debian: apt-get install doctest-dev, macOS: brew install doctest'; exit 1; }

define run_cpp_tests
	@mkdir -p build
	@$(BIN)/cmake -S . -B build/$(1) -G Ninja --log-level=WARNING -DVDB_PYTHON=OFF -DVDB_TESTS=ON $(2) > build/$(1).log || \
	  { cat build/$(1).log; exit 1; }
	$(BIN)/cmake --build build/$(1)
	$(BIN)/ctest --test-dir build/$(1) --output-on-failure --parallel 2
endef

cpp-test: $(VENV)/tools.stamp doctest ## The C++ tests
	$(call run_cpp_tests,cpp,-DCMAKE_BUILD_TYPE=Release -DVDB_CORE=)

asan: $(VENV)/tools.stamp doctest ## The C++ tests under the address and undefined-behaviour sanitizers
	$(call run_cpp_tests,asan,-DCMAKE_BUILD_TYPE=RelWithDebInfo -DVDB_SANITIZE=address$(comma)undefined)

tsan: $(VENV)/tools.stamp doctest ## The C++ tests under the thread sanitizer
	$(call run_cpp_tests,tsan,-DCMAKE_BUILD_TYPE=RelWithDebInfo -DVDB_SANITIZE=thread)

# libFuzzer is Clang's, which is to be of version 16 or newer.
FUZZ_CXX ?= clang++
LOADER ?= hnsw
RUNS ?= 1000000

fuzz: $(VENV)/tools.stamp ## A loader of files under libFuzzer and sanitizers; LOADER=hnsw RUNS=1000000: tests/fuzz/README.md
	@mkdir -p build
	@$(BIN)/cmake -S . -B build/fuzz -G Ninja --log-level=WARNING -DCMAKE_CXX_COMPILER=$(FUZZ_CXX) -DVDB_PYTHON=OFF -DVDB_FUZZ=ON \
	  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DVDB_SANITIZE=address$(comma)undefined > build/fuzz.log || { cat build/fuzz.log; exit 1; }
	$(BIN)/cmake --build build/fuzz
	build/fuzz/tests/fuzz/vdb_fuzz_seeds build/fuzz/seeds
	@mkdir -p build/fuzz/corpus/$(LOADER)
	build/fuzz/tests/fuzz/vdb_fuzz_$(LOADER) $(FUZZ_LIMITS) -runs=$(RUNS) -artifact_prefix=build/fuzz/ build/fuzz/corpus/$(LOADER) \
	  build/fuzz/seeds/$(LOADER)

# What a loader may take: of a file of 16 KB, memory in pieces of at most 8 MB.
FUZZ_LIMITS := -max_len=16384 -malloc_limit_mb=8 -timeout=20
comma := ,

# Benchmarks

bench-smoke: $(VENV)/dev.stamp ## Counters against bench/baseline.json, times recorded, every peer on a tiny set
	$(BIN)/python bench/counters.py
	$(BIN)/python -m pytest -q tests/speed --benchmark-json build/bench-times.json > /dev/null
	$(BIN)/python bench/run.py smoke --out build/bench-smoke.json $(ARGS)
	$(BIN)/python bench/run.py filtered_smoke --fresh --out build/bench-filtered-smoke.json $(ARGS)
	$(BIN)/python bench/report.py build/bench-filtered-smoke.json --page > /dev/null
	$(BIN)/python bench/run.py ivf_smoke --fresh --out build/bench-ivf-smoke.json $(ARGS)

bench: $(VENV)/dev.stamp ## The comparison with the peers on the real set (half an hour)
	$(BIN)/python bench/run.py workloads/hnsw_100k.toml $(ARGS)

bench-arxiv: $(VENV)/dev.stamp ## The paper's three filters on the real papers: every peer, tables, plots and a page (40 minutes)
	$(BIN)/python bench/run.py arxiv_100k $(ARGS)
	$(BIN)/python bench/solo.py arxiv_100k --queries 300 $(ARGS)
	$(BIN)/python bench/report.py bench/results/arxiv_100k.json bench/results/arxiv_100k_solo.json --page

clean: ## Remove everything that was built; data/cache stays
	rm -rf build dist $(VENV) compile_commands.json .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find vdb bench tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up. test.stamp holds what tests and the demo need, dev.stamp everything; the names are extras of pyproject.toml.

$(VENV)/tools.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo 'vdb needs Python 3.10 or newer'; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV) || \
	  { echo 'cannot make $(VENV); on Debian: apt-get install python3-venv python3-dev'; exit 1; }
	@echo 'installing the build tools into $(VENV)'
	@$(PIP) install $(BUILD_TOOLS)
	@mkdir -p build
	@touch $@

$(VENV)/test.stamp $(VENV)/dev.stamp: $(VENV)/%.stamp: $(VENV)/tools.stamp pyproject.toml $(NATIVE)
	@echo 'building vdb[$*] into $(VENV)'
	@$(PIP) install --no-build-isolation --editable '.[$*]'
	@touch $@
