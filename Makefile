# `make check` is what CI runs: local green means CI green.
PYTHON ?= python

# Silences a notice at every build of the docs.
export NO_MKDOCS_2_WARNING = 1

.PHONY: check audit docs fix test fuzz faults bench gpu

check:
	ruff format --check .
	ruff check .
	codespell
	pyright
	lint-imports
	$(MAKE) audit
	$(MAKE) docs
	$(PYTHON) -m pytest -n auto --dist worksteal

# Known vulnerabilities of the installed packages; skipped where their index cannot be reached.
audit:
	@$(PYTHON) .ci/audit.py

docs:
	mkdocs build --strict --quiet

fix:
	ruff check --fix .
	ruff format .

test:
	$(PYTHON) -m pytest -n auto --dist worksteal

# Mutations at every entry point, then the readers of binary files, each for TARGET_SECONDS.
INPUTS ?= 5000
SEED ?= 0
TARGET_SECONDS ?= 60

fuzz:
	$(PYTHON) tests/malformed/fuzz.py --inputs $(INPUTS) --seed $(SEED) --targets $(TARGET_SECONDS)

# Hours on two cores; .ci/run makes fewer tries.
faults:
	WITHSTAND_FAULTS=full $(PYTHON) -m pytest -m faults tests/faults tests/sweeps/test_on_ray.py tests/pools/test_cluster.py

bench:
	$(PYTHON) benchmarks/training.py

# On a machine with a CUDA device; status 2 elsewhere. See benchmarks/README.md.
gpu:
	$(PYTHON) benchmarks/gpu.py
