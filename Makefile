# Mercer needs Python >= 3.11, pip and make; `make` alone lists what it can do.
PYTHON ?= python3
UV = .tools/bin/uv
RUN = .venv/bin/python
# uv trusts its own certificates unless told to use the machine's.
export UV_SYSTEM_CERTS = 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-bench demo serve test check check-api check-deploy chaos fix lock openapi clean

help:           ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

setup: .venv/.runtime          ## put everything that running needs into .venv
setup-dev: .venv/.dev          ## and what testing needs

demo: setup     ## run the whole service once on a real data set
	$(RUN) -m deploy demo

serve: setup    ## run the whole service on 127.0.0.1:8000 (MERCER_PORT), Ctrl-C drains it
	$(RUN) -m deploy serve

test: setup-dev ## every check that CI runs
	$(MAKE) --no-print-directory check
	$(RUN) -m pytest -q -n 2 --dist loadfile --max-worker-restart 0

check: setup-dev ## format, lint, types and the dependency rule
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

chaos: setup-dev ## break everything while 5,000 jobs run, and count what was lost; five minutes
	$(RUN) -m benchmarks.chaos

setup-bench: setup-dev ## and the peers that benchmarks/ measures against
	$(UV) pip install --quiet --python .venv --group bench

fix: setup-dev  ## format and mend what can be mended
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

check-deploy: setup-dev ## the files of deploy/ against the public validators
	$(UV) pip install --quiet --python .venv --group deploy-check
	$(RUN) -m pytest -q tests/deploy/check_deploy.py

check-api: setup-dev ## requests made from openapi.yaml against a running service; five minutes
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .tools/api
	$(UV) pip install --quiet --python .tools/api --group api-check
	$(RUN) -m tests.api.check_api .tools/api/bin/st

openapi: setup  ## write openapi.yaml from the service
	$(RUN) -m service.openapi > openapi.yaml

lock: $(UV)     ## resolve the dependencies anew; names and versions only
	$(UV) pip compile --quiet --universal --python-version 3.11 $(EXTRAS) \
	    --no-emit-index-url --no-header -o requirements.lock pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.11 $(EXTRAS) --group dev \
	    --constraint requirements.lock --no-emit-index-url --no-header -o requirements-dev.lock pyproject.toml

clean:          ## remove what setup made
	rm -rf .venv .tools

EXTRAS = --extra plot --extra s3 --extra service --extra worker

$(UV):
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .tools uv

.venv/bin/python: | $(UV)
	$(UV) venv --quiet --python $(PYTHON) .venv

.venv/.runtime: requirements.lock pyproject.toml | .venv/bin/python
	$(UV) pip install --quiet --python .venv -r requirements.lock -e .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.runtime
	$(UV) pip install --quiet --python .venv -r requirements-dev.lock
	@touch $@
