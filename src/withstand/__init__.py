"""Train classifiers that withstand noise, corruption and shift, and measure how much.

The public names are imported when they are first used, so that `import withstand` costs nothing; `__init__.pyi` lists
them, for Python and for type checkers.
"""

import importlib
import re
from pathlib import Path
from typing import Any

_LIST = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
_FOUND = re.findall(r"^from (\S+) import \(?\s*\w+ as (\w+)", _LIST, re.MULTILINE)
_MODULES = {name: module for module, name in _FOUND if module != __name__}
_PACKAGES = [name for module, name in _FOUND if module == __name__]

__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"withstand.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'withstand' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, *_PACKAGES]
