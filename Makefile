# The words that README and CI use. Everything runs in .venv, which `setup` makes and keeps current.

VENV   := .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DATA   ?= taxon-data
WATCH  ?=
DEMO    = $(dir $(abspath $(DATA)))demo-pictures
PIP    := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -qq --no-input

.PHONY: help setup run test test-slow check format defaults bench

help:
	@echo 'make setup                     install everything into $(VENV)'
	@echo 'make run [WATCH=DIR] [DATA=DIR]  the agent; without WATCH on a stream of handwritten digits'
	@echo 'make test | test-slow          checks and quick tests | all tests'
	@echo 'make check | format            lint, types, imports | rewrite the layout of the code'
	@echo 'make defaults                  write configs/default.yaml anew from agent/config.py'
	@echo 'make bench                     measure speed and quality'

setup: $(STAMP)
	@:

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'installing into $(VENV); the first time takes minutes, because torch is large'
	@$(PIP) --editable '.[dev]'
	@touch $@

# Ctrl-C reaches the whole process group: the agent stops by itself, and then the shell ends the camera.
run: setup
ifeq ($(strip $(WATCH)),)
	@trap 'kill $$camera 2>/dev/null' EXIT; trap : INT TERM; \
	mkdir -p '$(DEMO)'; $(BIN)/python run_agent.py demo --out '$(DEMO)' >/dev/null & camera=$$!; \
	$(BIN)/python run_agent.py run --watch '$(DEMO)' --data '$(DATA)'
else
	@$(BIN)/python run_agent.py run $(foreach folder,$(WATCH),--watch '$(folder)') --data '$(DATA)'
endif

test: setup check
	@$(BIN)/python -m pytest -q -m 'not slow'

test-slow: setup
	@$(BIN)/python -m pytest -q

check: setup
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

format: setup
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

defaults: setup
	@{ sed '/^$$/q' configs/default.yaml; env -i $(BIN)/python run_agent.py config show; } >configs/.default.tmp
	@mv configs/.default.tmp configs/default.yaml

bench: setup
	@$(BIN)/python -m benchmarks
