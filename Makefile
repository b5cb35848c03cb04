# Two commands do everything on a fresh machine: `make demo` and `make test`.
.DEFAULT_GOAL := help
# twice as many as two cores: tests wait for servers half of the time; whole files stay together until a worker is idle
PARALLEL ?= -n 4 --dist worksteal
DENO_FOLDERS = templates/functions autosync_db/local/edge
SHELL_SCRIPTS = .ci/bootstrap .ci/containers .ci/run autosync_db/local/docker/entrypoint
# each worker, and each command that tests start, would compile every module again
export PYTHONDONTWRITEBYTECODE =
.PHONY: help setup demo test test-all test-containers chaos faults fuzz fuzz-coverage vulnerabilities bench lint format generate docs docs-links new-check lock clean

help:    ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup:   ## install what is missing: system packages and .venv
	@.ci/bootstrap

demo:    ## show the whole chain at work on this machine (KEEP=1 leaves it running)
	@.ci/bootstrap demo
	@.venv/bin/autosync-db local demo $(if $(filter 1,$(KEEP)),--keep)
	@echo "      here the program is .venv/bin/autosync-db$(if $(filter 1,$(KEEP)),,; make demo KEEP=1 leaves all of it running)" >&2

test: setup  ## run the tests on private PostgreSQL clusters, but for the long ones
	@.venv/bin/pytest $(PARALLEL) -m "not long" $(ARGS)

test-all: setup  ## run all tests, also those that are too long for every push
	@.venv/bin/pytest $(PARALLEL) $(ARGS)

test-containers: setup  ## run the tests that depend on the server on PostgreSQL 17 with pg_cron 1.6, in a container
	@.ci/containers run .venv/bin/python .ci/suite.py $(PARALLEL) -m "server and not one_version and not long" $(ARGS)

# make hands what is set on its command line to the tests; the rest of CHAOS_… is in tests/README.md
chaos: setup  ## end commands midway, cut them off, let two meet, and all faults for twenty minutes: CHAOS_SECONDS=120 CHAOS_SEED=7
	@.venv/bin/pytest $(PARALLEL) tests/chaos $(ARGS)

faults: setup  ## measure what verify says of every fault, and write docs/reference/faults.md
	@.venv/bin/pytest $(PARALLEL) tests/health/faults --write-table docs/reference/faults.md $(ARGS)

# how many times the examples of `make test`: 200 takes a night
FACTOR ?= 25
SEED ?= $(shell date +%s)
fuzz: setup  ## put many random inputs in, from a seed that is printed: FACTOR=200 SEED=1 ARGS=tests/fuzz/test_keys.py
	@echo "make fuzz FACTOR=$(FACTOR) SEED=$(SEED)"
	@AUTOSYNC_FUZZ=$(FACTOR) .venv/bin/pytest $(PARALLEL) --timeout 3600 --hypothesis-seed=$(SEED) $(if $(ARGS),$(ARGS),tests/fuzz)

fuzz-coverage: setup  ## let coverage lead one test of tests/fuzz, by atheris where it is installed: TEST=keys.a_key_is_judged_and_never_shown
	@.venv/bin/python -m tests.fuzz.coverage $(TEST) $(ARGS)

vulnerabilities: setup  ## ask PyPI and npm for known vulnerabilities of the locked versions: 1 if there are any, 3 if it could not check
	@.venv/bin/python .ci/audit.py

bench: setup  ## measure speed and memory beside what people use instead: ARGS='commands --runs 5'
	@.venv/bin/python -m benchmarks $(ARGS)

lint: setup  ## check style, types, the direction of imports, and the functions and scripts that come along
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports --no-logo --no-cache
	@for folder in $(DENO_FOLDERS); do \
		.venv/bin/deno fmt --check --quiet --config $$folder/deno.json $$folder && \
		.venv/bin/deno lint --quiet --config $$folder/deno.json $$folder || exit 1; done
	@if [ -x .venv/bin/shellcheck ]; then .venv/bin/shellcheck $(SHELL_SCRIPTS); fi
	@.venv/bin/mypy

format: setup  ## format Python and TypeScript
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .
	@for folder in $(DENO_FOLDERS); do .venv/bin/deno fmt --quiet --config $$folder/deno.json $$folder; done

generate: setup  ## write the pages and references that come from the code
	@.venv/bin/python .ci/generate.py

docs: setup  ## build docs/ as a site in build/docs, and check every link between its pages
	@.venv/bin/python .ci/docs.py

docs-links: setup  ## fetch what the pages link to elsewhere; needs the internet
	@.venv/bin/python .ci/docs.py --links

new-check:  ## write module, query and page of a new check as stubs that fail: NAME=job_is_quick
	@.venv/bin/python .ci/new_check.py $(NAME)

lock: setup  ## update .ci/requirements.txt and .ci/runtime.txt to the newest versions
	@.venv/bin/python -m pip install --quiet uv
	@.venv/bin/python .ci/lock.py

clean:   ## stop the local stack and delete what was made here
	@if [ -x .venv/bin/autosync-db ]; then .venv/bin/autosync-db local down --purge; fi
	@rm -rf .venv .autosync .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build *.egg-info
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
