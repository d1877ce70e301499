# The commands of this project. Each first sets up what it needs; the next call starts at once.
#
#     PYTHON=python3.12    the interpreter of .venv (3.11 or newer)
#     TORCH_INDEX=URL      the index of PyTorch; by default its CPU index if there is no NVIDIA driver
#     RUNS=DIR PORT=N      the folder of the runs of "make demo", and the port of the explorer
#     APT=no               let "make test" install no system packages (it may then skip tests of the page)
#     ARGS=...             arguments for pytest, as in: make test ARGS="-k copy -x"
#     SEED=N ROUNDS=N      the first seed of "make explore-tests" (random by default) and the number of rounds (1)

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test quick explore-tests check format site web native clean

export PYTHON SEED ROUNDS

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile
	@sed -n 's/^#  *\([A-Z_]*=.*\)/     \1/p' Makefile

demo: ## Set up, train the example networks and show them in the explorer
	@scripts/install
	@exec .venv/bin/gatescope demo $(if $(RUNS),--runs "$(RUNS)") $(if $(PORT),--port "$(PORT)")

test: ## Set up and run every test, including those in a real browser
	@scripts/install dev
	@scripts/install-browser
	@scripts/test-web
	.venv/bin/python -m pytest -n 2 -q $(ARGS)

quick: ## Lint and run the fast tests, within a minute: the inner loop of an edit
	@scripts/install dev
	@scripts/quick $(ARGS)

explore-tests: ## Run the property tests on new examples; SEED=N ROUNDS=N ARGS="tests/studies"
	@scripts/install dev
	@scripts/explore-tests $(ARGS)

check: ## Check format, lint, types, layers, and that generated files are fresh
	@scripts/install dev
	@scripts/check

format: ## Format the sources, and apply ruff's fixes
	@scripts/install dev
	.venv/bin/ruff check --fix-only --quiet . $$(grep -l '^#!.*python' scripts/*)
	.venv/bin/ruff format . $$(grep -l '^#!.*python' scripts/*)
	@if [ -f web/package.json ]; then scripts/web npm run --silent format; fi

site: ## Write the playground and the runs of RUNS (default: those of the demo) as a static site into site/
	@scripts/install
	@scripts/make-site $(or $(RUNS),runs/demo)

web: ## Build the page into the package (needs Node.js; the result is committed)
	@scripts/web npm run build

native: ## Compile the native engine if it has changed (every command above does)
	@scripts/install

clean: ## Remove everything that the commands made, except runs
	rm -rf .venv web/node_modules dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -f src/gatescope/engine/_native.*.so
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
