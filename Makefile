# Every target works from a fresh clone as a single command. `make` alone lists them.

PYTHON ?= python3
# The tests start real servers; two of them at a time is what a small machine carries.
WORKERS ?= 2
TEST_ARGS ?=

BIN := .venv/bin
STAMP := .venv/installed
CLIENTS := tests/clients/node_modules/.package-lock.json
# What is checked: benchmarks only where they exist.
CODE := src tests $(wildcard benchmarks)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --only-binary :all: \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help install serve test check bench format lock

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile | expand -t 18

install: $(STAMP) $(CLIENTS) ## build .venv with everything pinned by hash

# Only wheels: an install runs no foreign code but the package's own build.
$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tocsin needs Python 3.11 or later: make PYTHON=python3.11 install")'
	$(PYTHON) -m venv .venv
	$(PIP) install --require-hashes --only-binary :all: --requirement requirements-dev.txt
	$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

# Vendors' own clients, which some tests run as they are published; nothing else needs Node.js.
$(CLIENTS): tests/clients/package.json tests/clients/package-lock.json
	@if command -v npm >/dev/null; then \
		npm ci --prefix tests/clients --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@; \
	else \
		echo "There is no npm here: the tests of the Node.js client are skipped. Node.js 18 or later has it."; \
	fi

serve: $(STAMP) ## start the server with its data in ./data
	$(BIN)/tocsin serve --data ./data

test: $(STAMP) $(CLIENTS) ## run all tests (WORKERS=n, TEST_ARGS="-k word")
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TEST_ARGS)

# The tests come last: their closing line is the last thing that is printed.
check: $(STAMP) $(CLIENTS) ## what CI runs: format, lint, types, architecture, tests
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TEST_ARGS)

bench: $(STAMP) ## measure and print the table of budgets
	$(BIN)/python -m benchmarks

format: $(STAMP) ## rewrite the code in the house format
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix-only $(CODE)

lock: $(STAMP) ## pin the newest versions that pyproject.toml allows
	$(COMPILE) --upgrade pyproject.toml --output-file requirements.txt
	$(COMPILE) --upgrade pyproject.toml --group dev --constraint requirements.txt --output-file requirements-dev.txt
