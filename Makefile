# Everything a person or CI runs. `make help` lists it.
PYTHON ?= python3
PORT ?= 7860
ENGINE ?= torch
ENGINES ?= --engine $(ENGINE)
BENCH ?= encode clicks prompt_count everything folder startup memory photo_size
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder --max-worker-restart 0

.PHONY: help setup demo test test-slow test-lowest test-lowest-onnx fuzz bench lint types format check wheel wheel-test release audit clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make the environment in .venv (a torch that is there already is kept)

demo: $(STAMP) ## Serve the web page on http://127.0.0.1:7860 (PORT=7861 for another)
	$(BIN)/repvit-sam demo --port $(PORT)

test: $(DEV_STAMP) ## Run the tests but the slow ones (five minutes on two cores)
	$(PYTEST)

test-slow: $(DEV_STAMP) ## Run the slow tests: browser, Ray, training, killed processes (six minutes)
	$(PYTEST) -m slow

test-lowest: $(DEV_STAMP) ## Run the library's tests with the lowest supported versions, on Python 3.10 (downloads 3 GB)
	sh tests/lowest.sh $(BIN)/uv build/lowest tests/repvit_sam

test-lowest-onnx: $(DEV_STAMP) ## Segment with the lowest supported versions of all but torch (a minute, 200 MB)
	sh tests/lowest_onnx.sh $(BIN) build/lowest_onnx

fuzz: $(DEV_STAMP) ## Try 200,000 broken photos and checkpoints (ten minutes; pip install atheris)
	$(BIN)/python tests/fuzz/fuzz.py image -runs=100000 -max_len=8192 -artifact_prefix=build/
	$(BIN)/python tests/fuzz/fuzz.py checkpoint -runs=100000 -max_len=8192 -artifact_prefix=build/

bench: $(DEV_STAMP) ## Time everything on an idle machine (a quarter of an hour), write README's table; BENCH="encode clicks" for parts
	@for name in $(BENCH); do \
		case $$name in \
			encode) options="--checkpoint small --checkpoint repvit_sam_m2_3 --checkpoint tinyvit_sam $(ENGINES)" ;; \
			everything) options="--points-per-side 32 --engine $(ENGINE)" ;; \
			*) options="--engine $(ENGINE)" ;; \
		esac; \
		$(BIN)/python benchmarks/$$name.py $$options --json build/bench/$$name.json || exit 1; \
	done
	$(BIN)/python benchmarks/publish.py

lint: $(DEV_STAMP) ## Check style and order of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/biome check --colors=off app/static examples

types: $(DEV_STAMP) ## Check types
	sh tests/one_package.sh build/types
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache

format: $(DEV_STAMP) ## Put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/biome check --write app/static examples

check: lint types test test-slow test-lowest-onnx wheel-test ## All that CI checks

wheel: $(DEV_STAMP) ## Build source archive and wheel into dist/
	rm -rf build dist
	$(BIN)/python -m build

wheel-test: wheel ## Install the wheel in an environment of its own and use it outside the checkout
	sh tests/wheel.sh $(PYTHON) dist

release: wheel-test ## Put into dist/ what a release is: archive, wheel, checkpoints, sbom.json, SHA256SUMS
	sh .ci/release.sh $(BIN)/python dist

audit: $(DEV_STAMP) ## Look for known holes in the installed packages (asks OSV or PyPI)
	$(BIN)/python .ci/audit.py

clean: ## Remove the environment and what was built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
		{ echo "Python 3.10 or newer is needed; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "python3 cannot make environments here; on Debian: apt install python3-venv" >&2; exit 1; }

$(STAMP): pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[app]'
	@touch $@

$(DEV_STAMP): pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(STAMP)
