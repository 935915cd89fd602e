"""Runs the command line for `python -m withstand` and `torchrun -m withstand`."""

from withstand.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
