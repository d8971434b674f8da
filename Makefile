# Everyday commands. What needs the virtual environment depends on its stamp, so a warm start costs nothing.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup audit lab-up lab-down lab-status

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
