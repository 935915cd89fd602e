# `make check` is what CI runs: local green means CI green.
PYTHON ?= python

# Silences a notice at every build of the docs.
export NO_MKDOCS_2_WARNING = 1

.PHONY: check docs fix test bench

check:
	ruff format --check .
	ruff check .
	codespell
	pyright
	lint-imports
	$(MAKE) docs
	$(PYTHON) -m pytest -n auto --dist worksteal

docs:
	mkdocs build --strict --quiet

fix:
	ruff check --fix .
	ruff format .

test:
	$(PYTHON) -m pytest -n auto --dist worksteal

bench:
	$(PYTHON) benchmarks/training.py
