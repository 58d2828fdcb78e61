# What a newcomer expects: `make demo`, `make test`. Everything lives in .venv and .cache beside this file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export FLOTILLA_CACHE ?= $(CURDIR)/.cache
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help demo test quick coverage shape picture pictures messages snapshot lint e2e release-rehearsal faults fuzz mutants corpus bench lock format clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: $(READY) ## release the example family on this machine and install what a user would get
	@$(BIN)/python examples/demo.py

test: $(READY) ## every test; those with containers run where a Docker engine is there
	$(BIN)/pytest

quick: $(READY) ## the tests without npm, Docker and whole releases: under a minute
	@start=$$(date +%s); $(BIN)/pytest -n 2 -q -m "not npm and not registry and not docker and not e2e and not faults and not fuzz and not slow" \
		&& echo "quick: passed in $$(( $$(date +%s) - start )) s"

coverage: $(READY) ## how much of the library the tests run
	$(BIN)/pytest -n 2 -q -m "not docker and not e2e and not faults and not fuzz" --cov --cov-report=term:skip-covered
	@echo "coverage: $$($(BIN)/coverage report --format=total) % of lines and branches"

shape: $(READY) ## how large and how deep the library is
	@$(BIN)/python -m tests.shape

picture: $(READY) ## draw the flow of data again, in docs/architecture.md
	@$(BIN)/python -m tests.picture

pictures: $(READY) ## draw the job summaries of docs/pictures again, from a rehearsed release (needs Chromium)
	@$(BIN)/python -m tests.summaries.pictures

messages: $(READY) ## write what users read to tests/messages and tests/init again
	@FLOTILLA_RENEW_MESSAGES=1 $(BIN)/pytest -q tests/messages tests/init && git diff --stat -- tests/messages tests/init

snapshot: $(READY) ## record the public interface, and say what its changes need
	@$(BIN)/python -m scripts.interface

lint: $(READY) ## the static checks
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/zizmor --offline --no-progress .github action.yml action-*/ examples
	$(BIN)/hadolint Dockerfile
	$(BIN)/actionlint .github/workflows/*.yml examples/*/.github/workflows/*.yml

e2e: $(READY) ## the example's workflow, in containers, against a simulated GitHub and a real registry
	$(BIN)/pytest -m e2e tests/e2e

release-rehearsal: $(READY) ## flotilla's own release on this machine: registry, failures, a backport, the pinned actions
	$(BIN)/python -m tests.release.rehearsal

faults: $(READY) ## break every request of a release, in every way that applies
	$(BIN)/python -m tests.faults

fuzz: $(READY) ## the fuzz tests, for long
	FLOTILLA_FUZZ_EXAMPLES=2000 $(BIN)/pytest -m fuzz --timeout 3600
	@if $(BIN)/python -c 'import atheris' 2> /dev/null; then $(BIN)/python tests/packing/coverage_fuzz.py 600; \
	else echo "fuzz: the coverage-guided part is left out; $(BIN)/pip install atheris brings it"; fi

mutants: $(READY) ## change the security modules in small ways, and print what no test notices (MODULES="text npm/oidc")
	$(BIN)/python -m tests.mutants $(MODULES)

corpus: $(READY) ## hold published packages of other families against their platforms
	$(BIN)/python -m tests.packing.published

bench: $(READY) ## speed and memory beside named alternatives
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.scale

lock: $(READY) ## renew the locks of the Python packages
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --quiet --upgrade \
		pyproject.toml --output-file requirements/runtime.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --quiet --upgrade \
		pyproject.toml --extra rehearsal --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt

format: $(READY) ## put the code into the house's form
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## remove what these commands made
	rm -rf $(VENV) .cache build

$(READY): requirements/dev.txt pyproject.toml Makefile
	@sh requirements/check-machine.sh $(PYTHON)
	@echo "Setting up $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
