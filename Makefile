# The commands of this project. Each sets up what it needs; a second start finds it done and begins at once.
#
#     PYTHON=python3.12    the interpreter (3.11 or newer) that .venv is made with
#     TORCH_INDEX=URL      where PyTorch comes from: by default its index for processors alone where no NVIDIA driver is
#     RUNS=DIR PORT=N      where "make demo" keeps its runs, and the port that the explorer is served on
#     APT=no               "make test" installs no package of the system (the tests of the page may then be skipped)
#     ARGS=...             more for pytest, as in: make test ARGS="-k copy -x"
#     SEED=N ROUNDS=N      what "make explore-tests" begins with (drawn at random unless given), and how often (once)

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test quick explore-tests check format web native clean

export PYTHON SEED ROUNDS

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile
	@sed -n 's/^#  *\([A-Z_]*=.*\)/     \1/p' Makefile

demo: ## Set up, train the example networks and show them in the explorer
	@scripts/install
	@exec .venv/bin/gatescope demo $(if $(RUNS),--runs "$(RUNS)") $(if $(PORT),--port "$(PORT)")

test: ## Set up and run every test, those of the page in a real browser included
	@scripts/install dev
	@scripts/install-browser
	@scripts/test-web
	.venv/bin/python -m pytest -n 2 -q $(ARGS)

quick: ## Lint and the fast laws, within a minute: the inner loop of an edit
	@scripts/install dev
	@scripts/quick $(ARGS)

explore-tests: ## Draw new examples for all property tests; SEED=N ROUNDS=N ARGS="tests/studies"
	@scripts/install dev
	@scripts/explore-tests $(ARGS)

check: ## Format, lint, types, layers, and that what is generated is fresh
	@scripts/install dev
	@scripts/check

format: ## Bring the sources into form, and repair what ruff can repair
	@scripts/install dev
	.venv/bin/ruff check --fix-only --quiet .
	.venv/bin/ruff format .
	@if [ -f web/package.json ]; then scripts/web npm run --silent format; fi

web: ## Build the page into the package (needs Node.js; the result is committed)
	@scripts/web npm run build

native: ## Compile what has changed of the native engine (every command above begins with that)
	@scripts/install

clean: ## Remove what the commands made here; runs stay
	rm -rf .venv web/node_modules dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -f src/gatescope/engine/_native.*.so
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
