# Every supported target is listed by `make help`.
.DEFAULT_GOAL := help
.PHONY: help iso boot test lint unit boot-test bench clean

VARIANT ?= docker
OUTPUT  ?= out/floe-$(VARIANT).iso
ARGS    ?=
# One more than the two processors of CI's machines: machines that boot wait for something a quarter of their time.
WORKERS ?= 3
BIN     := .venv/bin

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

iso: ## build out/floe-docker.iso from source (VARIANT=linux for the base alone)
	@tools/setup.sh iso
	$(BIN)/remaster --variant $(VARIANT) --output $(OUTPUT) $(ARGS)

boot: ## start the ISO in QEMU on this terminal (Ctrl-] ends it)
	@tools/setup.sh boot
	$(BIN)/remaster --variant $(VARIANT) --output $(OUTPUT) $(ARGS)
	$(BIN)/remaster run $(OUTPUT)

test: lint ## all that CI runs: lint, unit, case, artefact and boot tests
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --every-tool tests

lint: ## ruff, mypy, import-linter, shellcheck
	@tools/setup.sh test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	tools/shell-files.sh | xargs shellcheck

unit: ## the tests that take seconds
	@tools/setup.sh test
	$(BIN)/pytest -m 'not boot and not build' tests

boot-test: ## the tests that boot machines
	@tools/setup.sh test
	$(BIN)/pytest -m boot tests

bench: ## time the main jobs beside named peers and print the ratios
	@tools/setup.sh bench
	$(BIN)/python -m bench

clean: ## remove what was made in this checkout (the cache in the home folder stays)
	rm -rf out .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
