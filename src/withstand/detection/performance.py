"""Mean performance under corruption."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Annotated, Any, NamedTuple

from withstand.errors import InputError, brief
from withstand.limits import NonEmpty, NonNegativeInt, checked

CLEAN = 0  # the severity of images without a corruption


class Performance(NamedTuple):
    """Performance of one model over all corruptions, in the unit of its scores.

    Attributes:
        mpc: Mean performance under corruption: over severities, then over corruptions.
        rpc: Relative performance under corruption, mpc divided by clean; None without a clean score.
        clean: Performance on clean images, or None.
        by_corruption: Mean over the severities of each corruption.
    """

    mpc: float
    rpc: float | None
    clean: float | None
    by_corruption: dict[str, float]


@checked
def mpc(
    results: Any,
    *,
    clean: float | None = None,
    corruptions: Iterable[str] | None = None,
    severities: Annotated[Sequence[NonNegativeInt], NonEmpty] = (1, 2, 3, 4, 5),
) -> Performance:
    """Return mPC and rPC from a score (such as AP) per corruption and severity.

    Args:
        results: {corruption: {severity: score}} or {(corruption, severity): score}. Scores of severity 0 are those of
            clean images; keys may be strings, as in JSON.
        clean: Clean score, if it is not in the results.
        corruptions: Names that must be there; None takes those of the results.
        severities: Severities over which to average; every corruption needs all of them.

    Raises:
        InputError: If a cell is missing or given twice, a severity is not a whole number, a score is not finite, or
            clean scores differ or are 0.

    Source:
        Michaelis et al.: "Benchmarking Robustness in Object Detection", 2019, arXiv 1907.07484, mPC and rPC.

    Example:
        >>> scores = {"fog": {0: 40.0, 1: 30.0, 2: 20.0}, "snow": {1: 10.0, 2: 20.0}}
        >>> mpc(scores, severities=(1, 2))
        Performance(mpc=20.0, rpc=0.5, clean=40.0, by_corruption={'fog': 25.0, 'snow': 15.0})
    """
    cells = _cells(results)
    found = {score for (_, severity), score in cells.items() if severity == CLEAN}
    found |= set() if clean is None else {_score("clean", clean)}
    if len(found) > 1:
        raise InputError(f"mpc: expected one clean score, got {', '.join(str(each) for each in sorted(found))}.")
    named = dict.fromkeys(name for name, severity in cells if severity != CLEAN)
    names = list(named) if corruptions is None else list(corruptions)
    if not names:
        raise InputError("mpc: corruptions: expected at least one, got none.")
    missing = [f"{name}/{each}" for name in names for each in severities if (name, each) not in cells]
    if missing:
        raise InputError(f"mpc: expected a score for every cell, missing {', '.join(missing)}.")
    means = {name: fmean(cells[name, each] for each in severities) for name in names}
    mean, own = fmean(means.values()), found.pop() if found else None
    if own == 0:
        raise InputError("mpc: expected a clean score other than 0, by which to divide, got 0.")
    return Performance(mean, None if own is None else mean / own, own, means)


def _cells(results: Any) -> dict[tuple[str, int], float]:
    if not isinstance(results, Mapping) or not results:
        raise InputError(f"mpc: expected scores by corruption and severity, got {brief(results)}.")
    cells: dict[tuple[str, int], float] = {}
    for key, value in results.items():
        if isinstance(key, tuple) and len(key) == 2:
            given = [(*key, value)]
        elif isinstance(value, Mapping):
            given = [(key, severity, score) for severity, score in value.items()]
        else:
            raise InputError(f"mpc: {brief(key)}: expected scores by severity, got {brief(value)}.")
        for name, severity, score in given:
            cell = str(name), _severity(severity)
            if cell in cells:
                raise InputError(f"mpc: expected one score per cell, got two for {cell[0]}/{cell[1]}.")
            cells[cell] = _score(f"{cell[0]}/{cell[1]}", score)
    return cells


def _severity(given: Any) -> int:
    try:
        severity = int(given)
    except (TypeError, ValueError, OverflowError):
        severity = -1
    if severity < 0 or (not isinstance(given, str) and severity != given):
        raise InputError(f"mpc: a severity must be a whole number, at least 0, got {brief(given)}.")
    return severity


def _score(place: Any, given: Any) -> float:
    try:
        score = float(given)
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score):
        raise InputError(f"mpc: {brief(place)}: expected a finite score, got {brief(given)}.")
    return score
