# Everything runs from the virtual environment that the first target makes.
PYTHON ?= python3
VENV ?= .venv
TEST_PROCESSES ?= 2
FUZZ_FILES ?= 100000
FUZZ_SEED ?= 1
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_LONG := $(VENV)/.ready-long
DICOM_TOOLS := dicom3tools dcmtk
LEGACY_PYTHON ?= python3.11
LEGACY_VENV ?= .venv-legacy
LEGACY_GOLDEN := tests/golden/addons
READY_LEGACY := $(LEGACY_VENV)/.ready
BEAM_VENV ?= .venv-beam
READY_BEAM := $(BEAM_VENV)/.ready

.PHONY: help setup setup-long test test-long test-kill test-fuzz test-beam lint demo demo-long real-sheets api legacy-fixtures clean

help:
	@echo "make demo         a synthetic two-site study, adapted and proven, in about ten minutes"
	@echo "make demo-long    the same, larger: about an hour"
	@echo "make test         linters, types, import rules and the fast tests"
	@echo "make test-long    the tests that take minutes"
	@echo "make test-kill    commands that are killed at random moments and given again: up to an hour"
	@echo "make test-fuzz    100,000 damaged files, within an hour; goes on where it was stopped"
	@echo "make test-beam    records by Apache Beam and in object storage, in an environment of their own"
	@echo "make real-sheets  picture sheets of the real films named by MAMMO_TF_REAL_DATA"
	@echo "make api          pages of all public names, from their docstrings"
	@echo "make legacy-fixtures  the golden models of tensorflow-addons, anew, in an environment of their own (Python 3.11)"
	@echo "make setup-long   what the long tests need beside it"
	@echo "make setup        the virtual environment, and nothing else"

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

$(READY_LONG): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,long]'
	@command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ] \
		&& apt-get install --yes --quiet --no-install-recommends $(DICOM_TOOLS) > /dev/null \
		|| echo "not installed: $(DICOM_TOOLS) (needs apt-get and root); long tests that ask them are skipped"
	@touch $(READY_LONG)

# TensorFlow 2.15 has no wheels for a later Python than 3.11, and tensorflow-addons does not import beside Keras 3
$(READY_LEGACY): $(LEGACY_GOLDEN)/requirements.txt
	$(LEGACY_PYTHON) -m venv --clear $(LEGACY_VENV)
	$(LEGACY_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(LEGACY_GOLDEN)/requirements.txt
	@touch $(READY_LEGACY)

legacy-fixtures: $(READY_LEGACY)
	CUDA_VISIBLE_DEVICES= TF_CPP_MIN_LOG_LEVEL=3 $(LEGACY_VENV)/bin/python $(LEGACY_GOLDEN)/make_fixtures.py $(LEGACY_GOLDEN)

setup: $(READY)

setup-long: $(READY_LONG)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

test: $(READY) lint
	$(BIN)/python -m pytest -m "not long" -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test-long: $(READY_LONG)
	$(BIN)/python -m pytest -m "long and not kill"

# KILLS=20 of each command, KILL_SEED=1
test-kill: $(READY)
	$(BIN)/python -m pytest -m kill -s

# Another seed, other files: make test-fuzz FUZZ_SEED=7. A file that fails is told by its number.
test-fuzz: $(READY)
	TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/fuzzing.py --files $(FUZZ_FILES) --seed $(FUZZ_SEED) --folder fuzz-$(FUZZ_SEED)

# Apache Beam wants older packages than the environment of the other tests has
$(READY_BEAM): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(BEAM_VENV)
	$(BEAM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev-beam]'
	@touch $(READY_BEAM)

test-beam: $(READY_BEAM)
	$(BEAM_VENV)/bin/python -m pytest tests/records/test_on_beam.py tests/records/test_object_storage.py

demo: $(READY)
	$(BIN)/mammo-tf demo -o demo

demo-long: $(READY)
	$(BIN)/mammo-tf demo -o demo-long --long

real-sheets: $(READY)
	$(BIN)/python benchmarks/real_sheets.py -o real-sheets

api: $(READY)
	$(BIN)/python -m pdoc --docformat google -o api $$(find mammo_tf -name '*.py' -not -path '*/cli/*' -not -name '__main__.py' | sort \
	  | sed -e 's|/__init__\.py$$||' -e 's|\.py$$||' -e 's|/|.|g')

clean:
	rm -rf $(VENV) $(LEGACY_VENV) $(BEAM_VENV) demo demo-long real-sheets fuzz-* api build *.egg-info
