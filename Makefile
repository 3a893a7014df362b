# make demo | test | bench: each works from a clean clone with Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
COMMA := ,
OLD := make: slth needs Python 3.11 or newer; name one: make PYTHON=python3.12
# uv does not read pip's own find-links setting
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
# $(call add,EXTRAS): by uv, ten times as fast, or by pip where uv cannot be had
add = if $(BIN)/python -m pip install --quiet uv; \
	then $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[$(1)]'; \
	else $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$(1)]'; fi

.PHONY: install demo test bench prove prove-coq lint types smoke clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(OLD)")'
	$(PYTHON) -m venv $(VENV)
	$(call add,test)
	touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	$(call add,test$(COMMA)$*)
	touch $@

demo: install
	$(BIN)/python -m sims.width_vs_error

test: install
	$(BIN)/python -m pytest -n 2

bench: $(VENV)/.installed-bench
	$(BIN)/python -m sims.bench

prove: install
	$(BIN)/python -m proofs

# two of the theorems in Coq's kernel (Debian's coq is enough); nothing else here needs it
COQ_PROOFS ?= proofs/coq
COQ_REALS := ^(Axioms:|  |ClassicalDedekindReals\.|FunctionalExtensionality\.)

prove-coq:
	@command -v coqc > /dev/null || { echo "prove-coq: skipped: coqc is not installed"; exit 0; }; \
	set -e; out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; cp $(COQ_PROOFS)/*.v "$$out"; cd "$$out"; \
	for file in *.v; do \
		if grep -nwE 'Admitted|admit|Axiom|Parameter|Conjecture' $$file; then \
			echo "prove-coq: $$file: not proved but declared"; exit 1; fi; \
		coqc -q $$file > log || { echo "prove-coq: $$file: rejected"; exit 1; }; \
		if grep -vE '$(COQ_REALS)' log; then \
			echo "prove-coq: $$file: assumes more than Coq's reals"; exit 1; fi; \
		echo "prove-coq: $$file: accepted by the kernel: $$(sed -n 's/^Theorem \([a-z_]*\).*/\1/p' $$file | xargs)"; \
	done

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# a tiny run of every simulation, each into a folder that goes away
smoke: install
	@set -e; out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	for file in sims/[a-z]*.py; do \
		name=$$(basename "$$file" .py); echo "smoke: $$name"; \
		$(BIN)/python -m sims.$$name --smoke --out "$$out/$$name"; \
	done

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
