PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: setup demo test test-slow mutants docs lint format bench clean

# Rebuilt when its inputs change.
$(VENV)/installed: setup.py requirements/tested.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install -r requirements/tested.txt -e ".[cpu,tests]"
	touch $@

setup: $(VENV)/installed

demo: setup
	$(BIN)/python tools/train.py configs/pass/pass_s_demo.py --resume

test: setup
	$(BIN)/python -m pytest -n auto

test-slow: setup
	$(BIN)/python -m pytest -m slow

# Do the fast tests notice deliberate mistakes in the lines that matter?
mutants: setup
	$(BIN)/python tests/mutants/run.py

# Warnings, such as broken links, are errors. The result is in docs/_build.
docs: setup
	$(BIN)/pip install --quiet -r requirements/docs.txt
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

lint: setup
	$(BIN)/pip install --quiet -r requirements/lint.txt
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python docs/check_words.py
	$(BIN)/mypy

format: setup
	$(BIN)/pip install --quiet -r requirements/lint.txt
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python benchmarks/bench_evaluation.py

clean:
	rm -rf $(VENV) build dist *.egg-info docs/_build docs/generated
