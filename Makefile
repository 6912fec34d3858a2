PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

TIMM_VENV ?= $(VENV)-timm

.PHONY: setup demo test test-slow test-timm mutants docs lint format bench clean

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

# timm needs torchvision, whose wheels need another build of torch than tested.txt has.
$(TIMM_VENV)/installed: setup.py requirements/tested.txt requirements/tested_timm.txt
	$(PYTHON) -m venv $(TIMM_VENV)
	$(TIMM_VENV)/bin/pip install --quiet --upgrade pip
	grep -v '^torch==' requirements/tested.txt > $(TIMM_VENV)/requirements.txt
	$(TIMM_VENV)/bin/pip install -r $(TIMM_VENV)/requirements.txt -r requirements/tested_timm.txt -e ".[cpu,tests]"
	touch $@

# Tests that need optional packages, which `make test` skips.
test-timm: $(TIMM_VENV)/installed
	$(TIMM_VENV)/bin/python -m pytest -n auto tests/models/backbones tests/commands/test_backbones.py \
		tests/engine/optimizers/test_layer_decay.py tests/engine/test_checkpoint.py

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
