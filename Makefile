# `make demo` and `make test` set up all they need in .venv; the second time they start at once.
# What is installed is pinned in constraints.txt. Only git, Python >= 3.11 and make must be there.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo runbook test lint types layers docs site format coverage bench campaign git-suite test-newest-duckdb
.PHONY: pins clean

VENV := .venv
NEWEST := .venv-newest-duckdb
PY := $(VENV)/bin/python
PYTHON ?=
ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PIP_FLAGS := -qq --no-input --no-compile -c constraints.txt
NODEPS := requirements-nodeps.txt
INPUTS := pyproject.toml constraints.txt

# An environment belongs to the folder it was made for: after a move or a copy it would run the code of
# the old one. So the stamps go when the folder is another.
ifneq ($(shell cat $(VENV)/.folder 2>/dev/null),$(CURDIR))
$(shell rm -f $(VENV)/.core $(VENV)/.all $(NEWEST)/.stamp)
endif

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-20s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.core ## Set up the core and run the main job on real input (a minute the first time)
	@$(PY) tools/demo.py $(ARGS)

runbook: $(VENV)/.core ## The gates' verdicts and the checklist before a run is final (ARGS=/path/to/repository)
	@$(PY) tools/runbook.py $(ARGS)

test: $(VENV)/.all ## Set up everything and run the whole suite (ARGS="-k name" for a part)
	@$(PY) -m pytest $(ARGS)

lint: $(VENV)/.all ## Style, format, layers and docs
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(MAKE) --no-print-directory layers docs

format: $(VENV)/.all ## Rewrite the code in the house format
	@$(PY) -m ruff check --fix-only .
	@$(PY) -m ruff format .

types: $(VENV)/.all ## The strict type checker
	@$(PY) -m basedpyright --warnings

layers: $(VENV)/.all ## Which package may import which
	@$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-cache

docs: $(VENV)/.all ## Links and commands in the documents, that what is generated is current, and the site
	@$(PY) tools/check_docs.py
	@for name in cli schema configuration verdict promise python terminal; do $(PY) tools/generate_$${name}_docs.py --check || exit 1; done
	@$(MAKE) --no-print-directory site

site: $(VENV)/.all ## The documents as a site, in site/: a link or an anchor that leads nowhere fails
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet

coverage: $(VENV)/.all ## The suite again, with what it did not reach
	@$(PY) -m pytest --cov --cov-report=term-missing $(ARGS)

bench: $(VENV)/.all ## Speed beside git's own, the disk's and others', on this repository (ARGS=/path for another)
	@$(PY) bench/history.py $(or $(ARGS),.)
	@$(PY) bench/recorded.py $(or $(ARGS),.)
	@$(PY) bench/replay.py
	@$(PY) bench/large_patches.py
	@$(PY) bench/golden.py
	@$(PY) bench/apply_cost.py
	@$(PY) bench/apply_memory.py
	@$(PY) bench/gates.py
	@$(PY) bench/append.py
	@$(PY) bench/shared.py
	@$(PY) bench/verify.py
	@$(PY) bench/million.py --growth
	@$(PY) bench/rivals.py
	@$(PY) bench/text_encodings.py

campaign: $(VENV)/.all ## The randomised campaigns at length (`make test` runs them short)
	@$(PY) -m pytest -m "campaign or hypothesis" --campaign --hypothesis-profile=campaign -o timeout=14400 $(ARGS)

git-suite: $(VENV)/.all ## Git's own test scripts for apply, mv and am on this engine (ARGS=/path/to/built/git)
	@$(PY) tools/git_suite.py $(ARGS)
	@$(PY) tools/am_agreement.py $(ARGS)
	@$(PY) tools/mailinfo_agreement.py $(ARGS)

test-newest-duckdb: $(NEWEST)/.stamp ## What reads or writes through DuckDB, on the newest one
	@$(NEWEST)/bin/python tools/newest_duckdb.py $(ARGS)

pins: $(VENV)/.core ## Resolve constraints.txt anew, for every supported Python found here
	@$(PY) tools/pin.py

clean: ## Remove the environments and what tools left
	@rm -rf $(VENV) $(NEWEST) build dist site .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache
	@rm -rf .nox .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The newest Python of those found is not chosen over an environment that is there and runs.
$(VENV)/bin/python $(NEWEST)/bin/python:
	@python=$$(PYTHON='$(PYTHON)' sh tools/find_python.sh) && echo "making $(@D:/bin=) with $$python" && \
	"$$python" -m venv --clear '$(@D:/bin=)'

$(VENV)/.core: $(INPUTS) | $(VENV)/bin/python
	@echo "installing the core into $(VENV) (about a minute the first time)"
	@$(PY) -m pip install $(filter-out --no-compile,$(PIP_FLAGS)) -e .
	@$(PY) -m compileall -q src
	@printf '%s\n' '$(CURDIR)' > $(VENV)/.folder
	@touch $@

$(VENV)/.all: $(INPUTS) $(NODEPS) | $(VENV)/bin/python
	@echo "installing the core, all extras and the test tools into $(VENV) (a few minutes the first time)"
	@$(PY) -m pip install $(PIP_FLAGS) -e '.[all,dev]'
	@$(PY) -m pip install -qq --no-input --no-compile --no-deps -r $(NODEPS) || echo "not installed: $(NODEPS)"
	@printf '%s\n' '$(CURDIR)' > $(VENV)/.folder
	@touch $(VENV)/.core $@

# --no-deps: the one requirement that this environment breaks on purpose is the pinned DuckDB.
$(NEWEST)/.stamp: $(INPUTS) | $(NEWEST)/bin/python
	@echo "installing all but the ml extra, and the newest DuckDB, into $(NEWEST)"
	@$(NEWEST)/bin/python -m pip install $(PIP_FLAGS) -e '.[postgres,web]' httpx2 hypothesis jsonschema pytest pytest-timeout pytest-xdist
	@$(NEWEST)/bin/python -m pip install -qq --no-input --no-deps --upgrade 'duckdb>=2'
	@touch $@
