# `make check` is what CI runs: local green means CI green.
PYTHON ?= python

# Silences a notice at every build of the docs.
export NO_MKDOCS_2_WARNING = 1

.PHONY: check docs fix test faults bench

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

# Hours on two cores; .ci/run makes fewer tries.
faults:
	WITHSTAND_FAULTS=full $(PYTHON) -m pytest -m faults tests/faults tests/sweeps/test_on_ray.py

bench:
	$(PYTHON) benchmarks/training.py
