# make demo | test | bench: each works from a clean clone with Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv does not read pip's own find-links setting
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

.PHONY: demo test bench lint types smoke prove install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[test]'
	touch $@

demo: install
	$(BIN)/python -m sims.width_vs_error

test: install
	$(BIN)/python -m pytest -n 2

lint: install
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info
