# make app   sets everything up and starts the app on the embedded family
# make test  sets everything up and runs all tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := $(shell grep '^torch==' requirements.txt)
# Without a GPU the CPU build is enough: 0.2 GB instead of several.
CPU_INDEX := --extra-index-url https://download.pytorch.org/whl/cpu --retries 1 --timeout 15

.PHONY: app test check clean

app: $(VENV)/.app
	$(BIN)/streamlit run app.py

test: $(VENV)/.test
	$(BIN)/python -m pytest -q -rs

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.app: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(TORCH) $(if $(shell command -v nvidia-smi),,$(CPU_INDEX))
	$(BIN)/pip install --quiet -r requirements.txt
	touch $@

$(VENV)/.test: requirements-dev.txt $(VENV)/.app
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) cache
