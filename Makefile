# The project's verbs. `make demo` and `make test` set everything up themselves.
PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed
# The lane of the bridge to spacy-transformers, which wants an older transformers: an environment of its own.
BRIDGE_BIN := .venv-bridge/bin
BRIDGE_INSTALLED := .venv-bridge/.installed
BRIDGE_TESTS := tests/bridge tests/encoder tests/storage/test_fixtures.py tests/benchmarks/test_benchmark.py

# Tests run in so many processes of one thread each.
WORKERS ?= 2
PYTEST := -m pytest -n $(WORKERS) --dist worksteal
# What `make test` measures, in the tests' own processes; `make test COVERAGE=` does without.
COVERAGE ?= -W "ignore:Unable to activate pytest branch coverage" -m slipcover --json --out .coverage.json
# Per cent of lines and branches. Raised to what the whole suite covers, less a point for processors that take other
# ways, and never lowered.
FLOOR := 93

.PHONY: install lint test test-bridge demo clean

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

$(BRIDGE_INSTALLED): setup.cfg pyproject.toml constraints-bridge.txt
	$(PYTHON) -m venv .venv-bridge
	$(BRIDGE_BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-bridge.txt -e ".[dev,bridge]"
	touch $@

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python $(COVERAGE) $(PYTEST) -m "not bridge"
	$(if $(COVERAGE),$(BIN)/python -m slipcover --merge .coverage.json --out .coverage.json --fail-under $(FLOOR))

test-bridge: $(BRIDGE_INSTALLED)
	OMP_NUM_THREADS=1 $(BRIDGE_BIN)/python $(PYTEST) $(BRIDGE_TESTS)

demo: $(INSTALLED)
	$(BIN)/python -m spacy project run all . --vars.corpus corpus/sample --vars.encoder minilm --vars.gpu_id -1 \
		--vars.name bert_ner_sample --vars.license CC0-1.0

clean:
	rm -rf .venv .venv-bridge assets training metrics packages corpus/*.spacy project.lock .coverage.json build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
