# `make help` lists the targets. All of them work in $(VENV), which is made when needed with $(PYTHON); packages are
# installed into it again only when pyproject.toml has changed.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first Python that is new enough; `make PYTHON=python3.12 demo` names another one.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
NAMED := $(filter-out file,$(origin PYTHON))
PYTHON := $(PYTHON)
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start Python hundreds of times, and each start would compile anew all that it imports.
unexport PYTHONDONTWRITEBYTECODE
# Stamps: what is installed, for which Python.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
SANDBOX := $(VENV)/.sandbox-$(VERSION)
SITE := $(VENV)/.site-$(VERSION)
DEV := $(VENV)/.dev-$(VERSION)
# Some tests look once more, and whole, at what is looked at elsewhere in less; `make test LONG=1` has them too.
LONG ?=
PYTEST := $(BIN)/python -m pytest $(if $(LONG),,-m "not long")
# Tests of real processes wait more than they compute: twice as many at a time as CI has processors.
WORKERS ?= 4
# Real processes on a busy machine: what fails is tried once more, and what is broken fails again; tests/conftest.py says
# which tests those are. Tests that share something large (an installed wheel, a Vault) name it as their group, and go to
# one worker.
PARALLEL := -n $(WORKERS) --dist loadgroup --reruns 1
# The longest first: two go at a time.
LINTERS := ansible-lint collect mypy runbooks yamllint ruff imports
# What `make unit PYTEST_ARGS='-k window'` adds.
PYTEST_ARGS ?=

.PHONY: help demo site test lint tests unit cli integration cluster molecule packaging collection bench test-matrix clean \
	$(LINTERS)

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(SANDBOX)  ## Update the sandbox under traffic; again: in the other direction
	@$(BIN)/python -m pyrunbook.sandbox.demo

site: $(SITE)  ## Build the HTML site of docs/ into site/: guides, runbooks in all languages, search, printable
	properdocs build --clean --config-file .config/properdocs.yml

# How long it takes is decided by the time of the processors.
test:  ## Run all that CI runs
	@TIMEFORMAT='make test took %R s, and of the processors %U s + %S s (user + system)'; \
	time $(MAKE) --no-print-directory lint tests

# --- tests ------------------------------------------------------------------------------------------------------

# All in one go: while one waits for a server to stop, another one computes.
tests: $(DEV)
	$(PYTEST) $(PARALLEL) tests $(PYTEST_ARGS)

unit: $(DEV)  ## Test the parts
	$(PYTEST) $(PARALLEL) tests/unit $(PYTEST_ARGS)

cli: $(DEV)  ## Test every command and exit code
	$(PYTEST) $(PARALLEL) tests/cli $(PYTEST_ARGS)

integration: $(DEV)  ## Test whole updates, faults and kills on the sandbox
	$(PYTEST) $(PARALLEL) tests/integration $(PYTEST_ARGS)

cluster: $(DEV)  ## Test Kubernetes: PYRUNBOOK_TEST_KUBECONFIG, or the stand-in under tests/cluster
	$(PYTEST) $(PARALLEL) tests/cluster $(PYTEST_ARGS)

molecule: $(DEV)  ## Run every role's scenario: check mode, converge, idempotence, verify
	$(PYTEST) $(PARALLEL) tests/molecule $(PYTEST_ARGS)

collection: $(DEV)  ## Build dist/pyrunbook-core-VERSION.tar.gz, which `ansible-galaxy collection install` takes
	$(BIN)/python -m build --quiet --wheel --outdir dist
	.ci/make-collection "$$(ls -t dist/*.whl | head -1)" dist

packaging: $(DEV)  ## Build the wheel and use it from a fresh environment
	$(PYTEST) tests/packaging $(PYTEST_ARGS)

# What `make bench BENCH_ARGS='--only 2 --json figures.json'` adds.
BENCH_ARGS ?=

bench: $(DEV)  ## Measure: failed requests, time to roll back, overheads; exits 1 when a bound is missed
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

test-matrix:  ## Test on the oldest and the newest pair of Python and ansible-core that is found here
	.ci/test-matrix $(PYTEST_ARGS)

# --- linters: one definition, used by `make lint`, by pre-commit and by CI ---------------------------------------

lint: $(DEV)  ## Run all linters
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target --keep-going $(LINTERS)

ruff: $(DEV)
	ruff check .
	ruff format --check .

mypy: $(DEV)
	mypy

imports: $(DEV)
	lint-imports --config pyproject.toml

yamllint: $(DEV)
	yamllint --strict --config-file .config/yamllint.yml .

# Ansible ignores the ansible.cfg of a directory that others may write to, unless it is named.
ansible-lint: export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# File by file: of a directory roles/x it would start one more ansible-playbook, for a syntax that the playbooks' own
# check has read. What it would say of the directory itself, its name, tests/unit/test_house.py asks.
ansible-lint: $(DEV)
	ansible-lint --config-file .config/ansible-lint.yml $$(find playbooks roles inventories -name '*.yml')

# Every module of tests can be imported; and pytest compiles them once, not in each of its workers.
collect: $(DEV)
	@said=$$($(BIN)/python -m pytest --collect-only -qq tests) || { echo "$$said"; exit 1; }

runbooks: $(DEV)
	pyrunbook lint --project . playbooks roles docs README.md CONTRIBUTING.md
	pyrunbook docs check --project .

# --- the environment --------------------------------------------------------------------------------------------

define install
@PYTHON='$(PYTHON)' NAMED='$(NAMED)' .ci/make-venv $(VENV)
@echo "Installing pyrunbook[$(1)] into $(VENV) (again only when pyproject.toml changes)"
@$(BIN)/python -m pip install --quiet --editable '.[$(1)]'
@touch $@
endef

$(SANDBOX): pyproject.toml
	$(call install,sandbox)

$(SITE): pyproject.toml
	$(call install,site)

$(DEV): pyproject.toml
	$(call install,dev)
	@touch $(SANDBOX) $(SITE)

clean:  ## Remove what make and the tests made; the sandbox and the journal stay
	rm -rf $(VENV) .venv-* dist build site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .ansible .cache
	find . -name __pycache__ -type d -not -path './.git/*' -exec rm -rf {} +
