"""Case: one input, as a command line in its folder, or as lines of Python."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Case:
    """One input.

    Attributes:
        words: A command line, run in the folder `inside`; empty for Python.
        code: Lines of Python, run in the same folder; empty for a command.
        damage: What was done, for people.
        may_be_long: Whether the input may ask for more work than there is time: it is stopped early, and is accepted.
        errors: Further types of exceptions that Python code may raise.
    """

    words: tuple[str, ...] = ()
    code: str = ""
    damage: str = ""
    may_be_long: bool = False
    errors: tuple[str, ...] = ()


Door = Callable[[random.Random, Path, Path], Case]  # the generator, the folder to fill, and the folder of fixtures
