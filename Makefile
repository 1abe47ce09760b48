# `make` says what can be made. Needs Python 3.11 or later (named by PYTHON=, or found) and make; nothing else.
# A PYTHON= of another version than the environment's makes the environment anew.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test pythons check browser faults mutants bench bench-peers clean

VENV := .venv
BIN := $(VENV)/bin
# Where the environment was made. It is made again when it was moved, or when its Python is gone.
PLACE := $(VENV)/.place
MADE_IN := $(shell $(BIN)/python -c 'print(open("$(PLACE)").read())' 2>/dev/null)
# Its version, and the one that PYTHON= asks for.
VERSION := import sys; print("%d.%d.%d" % sys.version_info[:3])
MADE_WITH := $(shell $(BIN)/python -c '$(VERSION)' 2>/dev/null)
ASKED := $(if $(PYTHON),$(shell $(PYTHON) -c '$(VERSION)' 2>/dev/null || echo none))
# Those that are supported, and the tests that depend on which it is: time limits and interrupts, children, forks and
# arguments.
SUPPORTED := 3.11 3.12 3.13 3.14
DEPENDS := $(addprefix tests/worker/,$(addsuffix .py,timeouts/test_deadline timeouts/test_deadline_races timeouts/test_deadline_code timeouts/test_deadline_hammer timeouts/test_async_timeout \
	timeouts/test_thread_frames timeouts/test_unsafe_bytecode attempt/test_limits_live attempt/test_odd_jobs_live \
	children/test_child_pool_live protocol/test_child_result startup/test_statement_warmup supervisor/test_process_group \
	traps/test_stop traps/test_claims traps/test_settling traps/test_effects traps/test_middleware test_async_steps)) \
	$(addprefix tests/jobs/,$(addsuffix .py,definition/test_arguments definition/test_argument_json definition/test_equality client/test_job \
	runtime/test_own_threads test_interpreter database/sqlite/write_queue/test_turns \
	database/sqlite/write_queue/test_order database/sqlite/write_queue/test_files django/backend/test_results django/backend/test_performing \
	django/backend/test_enqueue django/test_connections django/test_pages))
# How many tests run at a time; many of them wait for processes that they started.
TESTS := $(or $(WORKERS),3)
FAULTS := $(or $(WORKERS),2)
# Never with --quiet: mkdocs counts the warnings that it shows, and no others make a strict build fail.
SITE = NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

help: ## say what can be made
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

demo: $(VENV)/.installed ## run thousands of jobs over real files, and check the ledger against them
	@echo "demo: running jobs over the files of Python's standard library; needs no service"
	$(BIN)/jobledger demo $(ARGS)

# With bytecode written, each test module is compiled once and not in each of these processes.
test: $(VENV)/.installed-test ## run every test, of the fault suite a short part (WORKERS=3 at a time; ARGS= goes to pytest)
	@echo "test: running every test, and the short part of the fault suite (make faults), $(TESTS) at a time"
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TESTS) --dist worksteal -m "short or not (faults or long)" $(ARGS)

pythons: $(VENV)/.installed-test ## run the tests that depend on Python under every other supported one that is here
	@for version in $(SUPPORTED); do \
		case $(shell $(BIN)/python -c '$(VERSION)' 2>/dev/null) in $$version.*) continue;; esac; \
		found=; \
		for python in python$$version "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python$$version; do \
			if "$$python" -c 'import sys, venv, ensurepip; sys.exit(not sys._is_gil_enabled() if sys.version_info > (3, 13) else 0)' 2>/dev/null; then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then echo "pythons: Python $$version was not found; nothing is tested under it"; continue; fi; \
		echo "pythons: the tests that depend on it under $$("$$found" --version) ($$found), $(TESTS) at a time"; \
		$(MAKE) --no-print-directory VENV=$(VENV)/python$$version PYTHON="$$found" depends || exit 1; \
	done

.PHONY: depends
depends: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n $(TESTS) -m "short or not (faults or long)" $(DEPENDS) $(ARGS)

check: $(VENV)/.installed-check ## lint, format, types and documentation: ruff, mypy --strict and mkdocs
	@echo "check: ruff check, ruff format --check, mypy --strict, mkdocs build --strict"
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(SITE)

docs: $(VENV)/.installed-check ## build the documentation site into build/site; a broken link or an undocumented name fails
	@echo "docs: mkdocs build --strict"
	$(SITE)

browser: ## install Chromium, for the tests of the pages, where it is missing (Debian, as root)
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then \
		echo "browser: Chromium is here"; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "browser: installing Chromium with apt-get"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null; \
	else \
		echo "browser: Chromium is missing, and cannot be installed here: as root on Debian, apt-get install chromium" >&2; exit 1; \
	fi

faults: $(VENV)/.installed-test ## kill, freeze and flush real processes and servers; takes minutes
	@echo "faults: the whole fault suite, $(FAULTS) at a time, the tests marked alone by themselves; python -m tests.faults.table then writes its table"
	@$(BIN)/python -m pytest -n $(FAULTS) -m "faults and not alone" --timeout 600 $(ARGS); first=$$?; \
	$(BIN)/python -m pytest -m "faults and alone" --timeout 600 $(ARGS); second=$$?; \
	[ $$first = 0 -o $$first = 5 ] && [ $$second = 0 -o $$second = 5 ]

mutants: $(VENV)/.installed-test ## plant breaks one by one, and say which no test notices; takes long (ARGS="--only NAME")
	@echo "mutants: each break of tests/mutants in a copy of the tree; its tests must fail"
	$(BIN)/python -m tests.mutants $(ARGS)

bench: $(VENV)/.installed-test ## measure; figures, not tests (ARGS="drain --repeats 1" for a part)
	@echo "bench: every program that docs/performance.md is made of, one after another; JSON lines in artifacts/"
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(VENV)/.installed-test ## measure other libraries beside ours (ARGS="pgqueuer ours_postgresql --repeats 1")
	@echo "bench-peers: each library in an environment of its own, made in artifacts/peers; JSON lines in artifacts/"
	$(BIN)/python -m benchmarks.peers $(ARGS)

clean: ## remove the environment and whatever was made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis artifacts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment, with more in it as more is asked. A stamp is as old as the pyproject.toml it was made from.
$(VENV)/.installed: EXTRA := [web]
$(VENV)/.installed-test: EXTRA := [test]
$(VENV)/.installed-test: HOLDS := $(VENV)/.installed
$(VENV)/.installed-check: EXTRA := [test,check,docs]
$(VENV)/.installed-check: HOLDS := $(VENV)/.installed $(VENV)/.installed-test
$(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-check: pyproject.toml $(PLACE)
	@echo "environment: installing the project$(EXTRA) and what it needs into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.$(EXTRA)'
	@touch $@ $(HOLDS)

# A shim that is on the path may stand for a Python that is not there, so each is run before it is believed.
$(PLACE): $(if $(findstring |$(CURDIR)|,|$(MADE_IN)|),,moved) $(if $(ASKED),$(if $(filter $(ASKED),$(MADE_WITH)),,moved))
	@for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
		if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "environment: making $(VENV) with $$("$$python" --version) ($$python)"; \
			"$$python" -m venv --clear $(VENV) && printf '%s' "$(CURDIR)" > $(PLACE) && exit 0; \
			echo "environment: $$python could not make $(VENV)" >&2; exit 1; \
		fi; \
	done; \
	echo "No Python 3.11 or later with venv was found. Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
	exit 1

.PHONY: moved
