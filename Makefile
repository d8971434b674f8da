# Everyday commands. What needs the virtual environment depends on its stamp, so a warm start costs nothing.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup audit lab-up lab-down lab-status check lint types docs unit test lock

help: ## what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with the locked requirements

$(READY): requirements.txt requirements-lab.txt requirements-dev.txt
	python3 bin/setup

audit: lab-up ## start the lab when it is not up, and audit it
	$(BIN)/ansible-playbook audit.yml -i lab

lab-up: $(READY) ## start the embedded environment, or what died of it
	$(BIN)/python -m labkit up

lab-down: $(READY) ## end its processes, remove its files
	$(BIN)/python -m labkit down

lab-status: $(READY) ## say who runs
	$(BIN)/python -m labkit status

check: $(READY) ## lint, types, documentation and unit tests, in under a minute
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint types docs unit

lint:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/yamllint --strict .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint --offline --profile production

types:
	@mkdir -p build/mypy && ln -sfn ../.. build/mypy/policy_audit
	MYPYPATH=build/mypy $(BIN)/mypy -p policy_audit.module_utils -p policy_audit.library
	$(BIN)/mypy atom labkit

docs:
	$(BIN)/ansible-doc -t module $(notdir $(basename $(wildcard library/*.py))) > /dev/null
	$(BIN)/python bin/validate-modules

unit:
	$(BIN)/python -m pytest -q tests/unit tests/atom

test: check ## everything: the check, then the audit of a lab of the tests' own, its faults and violations
	$(BIN)/python -m pytest tests/labkit tests/integration tests/violations

lock: ## lock the requirements again, newest versions
	$(BIN)/uv pip compile --upgrade $(LOCK) -o requirements.txt requirements.in
	$(BIN)/uv pip compile --upgrade $(LOCK) -c requirements.txt -o requirements-lab.txt requirements-lab.in
	$(BIN)/uv pip compile --upgrade $(LOCK) -c requirements.txt -c requirements-lab.txt -o requirements-dev.txt requirements-dev.in
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header
