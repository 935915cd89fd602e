"""Lets `python -m withstand` and `accelerate launch -m withstand` run the command line."""

from withstand.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
