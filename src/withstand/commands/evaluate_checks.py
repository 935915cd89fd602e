"""Rejects invalid options of `withstand evaluate` before anything is loaded."""

import os
import re
from pathlib import Path
from typing import Any

from withstand.errors import InputError, brief
from withstand.limits import Location, refusal_of
from withstand.limits.checks import error_of
from withstand.measuring.words import DISTANCES, OVER_BALLS, is_known

FILES = ("figures", "keep_points", "samples")
# Conditions that an option is for.
USERS = {
    "radius": ("worst-case", "sandwich", "smoothing", "calibration", "distance/l0"),
    "budget": tuple(OVER_BALLS),
    "unit": tuple(DISTANCES),  # and whatever takes a radius
}


def check(found: Any) -> None:
    """Reject options that do not exist or do not fit together.

    Args:
        found: The parsed options.
    """
    for each in found.models:
        option = "--on" if is_known(each) else "--radius" if re.fullmatch(r"[\d.]+", each) else ""
        if option and not Path(each).exists():
            raise InputError(f"evaluate: expected a run or a model, got {each}; write it directly after {option}.")
    if found.weights is not None and not Path(found.weights).exists():
        raise InputError(f"weights: expected a file, found none at {brief(found.weights)}.")
    for name, path in [*(("model", each) for each in found.models), *((name, getattr(found, name)) for name in FILES)]:
        if path is not None and (refusal := refusal_of(Location, path)):
            raise error_of("evaluate", name.replace("_", "-"), refusal)
    for option in ("figures", "keep_points"):
        path = getattr(found, option)
        if path is not None and Path(path).exists() and not Path(path).is_dir():
            raise InputError(f"evaluate: {option.replace('_', '-')}: expected a folder, found a file at {path}.")
    if found.samples is not None:
        _check_writable(Path(found.samples))
    words = {part for each in found.on or () for part in (each, each.partition("/")[0])}
    for option, users in USERS.items():
        is_of_balls = option == "unit" and found.radius is not None
        if getattr(found, option) is not None and not is_of_balls and words.isdisjoint(users):
            others = "--radius, or " if option == "unit" else ""
            raise InputError(f"evaluate: --{option} needs {others}{', '.join(users[:-1])} or {users[-1]} in --on.")
    if found.norm is not None and found.radius is None:
        raise InputError("evaluate: --norm needs --radius.")
    if found.norm not in (None, "linf") and words.intersection(USERS["radius"]) == {"distance/l0"}:
        raise InputError(f"evaluate: --norm must be linf for distance/l0, got {found.norm}.")
    radii = found.radius or []
    for each in radii:
        if radii.count(each) > 1:
            raise InputError(f"evaluate: --radius must be different numbers, got {each:g} twice.")


def _check_writable(path: Path) -> None:
    """Reject a file that cannot be written."""
    if path.is_dir():
        raise InputError(f"evaluate: samples: expected a file, found a folder at {path}.")
    folder = next(each for each in path.absolute().parents if each.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"evaluate: samples: cannot write {path}; {folder} is not a writable folder.")
