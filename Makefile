# Everything here can be typed by hand as well; README.md has the forms for machines without make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
SEED ?= 1
SEEDS ?= 200
MINUTES ?= 10
HOSTS ?= 3

.PHONY: run test soak sim chaos check format bench clean

run: $(VENV)/run.stamp
	$(BIN)/durable start samples/hello_sequence --storage embedded --run hello_sequence

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n $(WORKERS)

soak: $(VENV)/test.stamp
	PYTHONHASHSEED=0 $(BIN)/python -m pytest -n $(WORKERS) -m soak

sim: $(VENV)/test.stamp
	PYTHONHASHSEED=0 $(BIN)/python -m tests.sim --seed $(SEED) --seeds $(SEEDS) --workers $(WORKERS)

chaos: $(VENV)/test.stamp
	$(BIN)/python -m tests.chaos --minutes $(MINUTES) --hosts $(HOSTS) --seed $(SEED)

check: $(VENV)/check.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright

# Programs to measure against, if there are any: make bench YARDSTICK=folder BENCH="--stores azurite --rounds 5"
bench: $(VENV)/bench.stamp
	$(BIN)/python -m tests.bench $(if $(YARDSTICK),--yardstick $(YARDSTICK)) --write docs/benchmarks.md $(BENCH)

format: $(VENV)/check.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) azurite/node_modules tests/http/node_client/node_modules

$(VENV)/venv.stamp:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/run.stamp: $(VENV)/venv.stamp pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/test.stamp: $(VENV)/venv.stamp pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@

$(VENV)/check.stamp: $(VENV)/venv.stamp pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[check,test]"
	touch $@

$(VENV)/bench.stamp: $(VENV)/venv.stamp pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[bench]"
	touch $@
