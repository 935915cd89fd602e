"""Reliability diagrams: accuracy against confidence, in bins of confidence."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from withstand.reports.figures.tools.curves import bands_picture
from withstand.reports.figures.tools.marks import Mark, combinations, mark_of
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.numbers import sentence, slug
from withstand.reports.series import Axis
from withstand.study.combination import Combination, combinations_of
from withstand.study.measures.intervals import wilson
from withstand.study.measures.measure import Measure
from withstand.study.study import Study, name_of

SHOWN = Measure(name="reliability", column="correct", words="accuracy", percent=True)
PERFECT = "accuracy = confidence"
LEAST = 10  # samples in a bin

Bins = dict[int, tuple[float, int]]  # by number of the bin: share of correct samples, and how many there are


def reliability_pictures(study: Study) -> list[Picture]:
    """Return a picture per calibration error and condition, for runs whose outcomes were kept."""
    measures = [each for each in study.measures.values() if each.reduction == "calibration_error" and each.primary]
    if not measures:
        return []
    bins = {each.index: list(_bins(study, each, measures)) for each in combinations_of(study)}
    names = dict.fromkeys((name, condition) for own in bins.values() for name, condition, _ in own)
    known = {each.name: each for each in measures}
    return [_picture(study, known[name], condition, bins) for name, condition in names]


def _bins(study: Study, combination: Combination, measures: list[Measure]) -> Iterator[tuple[str, str, Bins]]:
    """Yield name of the measure, condition and bins, for every run of a combination."""
    for trial in combination.trials:
        table = study.table_of(trial.run)
        for own in table.conditions if table is not None else ():
            declared = {each.name for each in own.measures}
            for measure in measures:
                if measure.name in declared:
                    yield measure.name, own.condition, _binned(own.frame, measure)


def _binned(frame: Any, measure: Measure) -> Bins:
    num = measure.parameters.get("bins", 15)
    right = measure.parameters.get("correct", "correct")
    kept = frame.select(measure.column, right).drop_nulls()
    place = np.clip(np.ceil(kept[measure.column].to_numpy() * num).astype(int) - 1, 0, num - 1)
    counts = np.bincount(place, minlength=num)
    hits = np.bincount(place, weights=kept[right].cast(float).to_numpy(), minlength=num)
    return {k: (float(hits[k] / counts[k]), int(counts[k])) for k in range(num) if counts[k] >= LEAST}


def _picture(study: Study, measure: Measure, condition: str, bins: dict[int, list[tuple[str, str, Bins]]]) -> Picture:
    num = measure.parameters.get("bins", 15)
    middles = tuple((k + 0.5) / num for k in range(num))
    name = slug(f"reliability {measure.name} {condition}")
    series: dict[str, list[Mark]] = {}
    lines: list[dict[str, Any]] = []
    for index, (labels, empty) in enumerate(combinations(study).items()):
        title = name_of(dict(zip(study.axes, labels, strict=True)))
        own = [each for what, where, each in bins[index] if (what, where) == (measure.name, condition)]
        for k, x in enumerate(middles):
            if found := [each[k] for each in own if k in each]:
                line = empty | _line(found, empty["planned"])
                gid, label = f"{name}-{index}-{k}", f"{title} at confidence {x:.0%}"
                series.setdefault(title, []).append(mark_of(line, SHOWN, gid=gid, label=label, x=100 * x))
                lines.append(line)
    shown = {each: 100 * each for each in middles}
    diagonal = [
        mark_of(
            {"q10": x, "q50": x, "q90": x, "done": 1, "planned": 1, "missing": ""},
            SHOWN,
            gid=f"{name}-perfect-{k}",
            label=PERFECT,
            x=at,
        )
        for k, (x, at) in enumerate(shown.items())
    ]
    axis = Axis(name="confidence", values=tuple(shown.values()), unit="%")
    title = f"Reliability: accuracy against confidence, {condition}" + (", scaled" if "scaled" in measure.name else "")
    note = f" Condition: {condition}. {sentence(measure.words)} in {num} bins; those with {LEAST} samples are shown."
    series = series | {PERFECT: diagonal}
    return bands_picture(study, series, lines, name=name, measure=SHOWN, axis=axis, title=title, note=note)


def _line(found: list[tuple[float, int]], planned: int) -> dict[str, Any]:
    """Return what a line of a summary has, from a share and a number of samples per run."""
    shares = [share for share, _ in found]
    line = dict(zip(("q10", "q50", "q90"), np.quantile(shares, (0.1, 0.5, 0.9)).tolist(), strict=True))
    line |= {"done": min(len(found), planned), "samples": None}
    if len(found) == 1:
        line |= dict(zip(("sample_low", "sample_high"), wilson(*found[0]), strict=True))
    return line
