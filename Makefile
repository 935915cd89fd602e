# `make check` is what CI runs: local green means CI green.
PYTHON ?= python

.PHONY: check fix test bench

check:
	ruff format --check .
	ruff check .
	codespell
	pyright
	lint-imports
	$(PYTHON) -m pytest -n auto --dist worksteal

fix:
	ruff check --fix .
	ruff format .

test:
	$(PYTHON) -m pytest -n auto --dist worksteal

bench:
	$(PYTHON) benchmarks/training.py
