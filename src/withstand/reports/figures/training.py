"""How trainings went: the loss and the validation accuracy after every epoch, the median over the seeds per model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from withstand.reports.figures.tools.band import band
from withstand.reports.figures.tools.chart import MOST_SERIES, cross_at, look, lost, point, value_axis
from withstand.reports.figures.tools.labels import End, label_ends, room_for
from withstand.reports.figures.tools.marks import Mark, cautions, combinations, counted, mark_of, signs
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.figures.tools.style import NARROW, WIDTH, new_figure
from withstand.reports.numbers import sentence
from withstand.study.contents import read_histories
from withstand.study.measures.measure import Measure
from withstand.study.study import Study, name_of

# By entry of a history.
MEASURES = {
    "loss": Measure(name="loss", column="loss", words="training loss", unit="nats"),
    "validation": Measure(name="validation", column="correct", words="validation accuracy", percent=True),
}
History = Sequence[Mapping[str, float]]
# Inches.
LEFT, TOP, FOOT, PLOT, BETWEEN, LEAST_ACROSS = 0.62, 0.12, 0.46, 1.75, 0.22, 1.6


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A number of each epoch, over the seeds of a combination.

    Attributes:
        mark: The last epoch, or that there is nothing.
        quantiles: 10 %, 50 % and 90 %, one column per epoch from the first.
    """

    mark: Mark
    quantiles: np.ndarray


def training_pictures(study: Study) -> list[Picture]:
    """Return a picture per eight combinations, if there is a history of any."""
    everyone = combinations(study)
    found: dict[tuple[Any, ...], dict[int, History]] = {labels: {} for labels in everyone}
    own = study.frame.select(*study.axes, "seed", "run").unique(maintain_order=True)
    histories: dict[str, History] = {}
    for run in own["run"] if study.folder is not None else ():
        histories |= study.spare(lambda run=run: dict(read_histories(study.folder or "", [run])), {})
    for *labels, seed, run in own.iter_rows():
        if any(kind in entry for entry in histories.get(run, ()) for kind in MEASURES):
            found[tuple(labels)][seed] = histories[run]
    if not any(found.values()):
        return []
    labels = list(everyone)
    size = ceil(len(labels) / ceil(len(labels) / MOST_SERIES))
    parts = [labels[k : k + size] for k in range(0, len(labels), size)]
    return [
        _picture(study, {each: found[each] for each in part}, (k, len(parts))) for k, part in enumerate(parts, start=1)
    ]


def training_figure(panels: Mapping[str, Mapping[str, Curve]], *, width: float = WIDTH) -> Figure:
    """Return the figure.

    Args:
        panels: By kind, `loss` or `validation`, then by model.
        width: In inches.
    """
    height = TOP + len(panels) * (PLOT + BETWEEN) - BETWEEN + FOOT
    figure = new_figure(height, width=width)
    names = [_title(name, curve.mark) for own in panels.values() for name, curve in own.items()]
    across = width - LEFT - room_for(names)
    last = max(each.quantiles.shape[1] for own in panels.values() for each in own.values())
    for number, (kind, own) in enumerate(panels.items()):
        bottom = height - TOP - PLOT - number * (PLOT + BETWEEN)
        axes = figure.add_axes((LEFT / width, bottom / height, across / width, PLOT / height))
        value_axis(
            axes, MEASURES[kind], [MEASURES[kind].scaled(y) for each in own.values() for y in each.quantiles.flat]
        )
        axes.set(xlim=(1 - 0.03 * last, 1.03 * last), ylabel=MEASURES[kind].label)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.tick_params(labelbottom=number == len(panels) - 1)
        _draw(axes, own, MEASURES[kind], last, width=across)
        axes.set_xlabel("epoch" if number == len(panels) - 1 else "")
    return figure


def _draw(axes: Axes, curves: Mapping[str, Curve], measure: Measure, last: int, *, width: float) -> None:
    ends: list[End] = []
    level = 0
    for number, (name, curve) in enumerate(curves.items()):
        own, mark = look(number), curve.mark
        if mark.middle is None:
            lost(axes, last, mark, own, level=level, height=PLOT, told=False)
            place = axes.transAxes.transform((0, cross_at(level, PLOT)))
            y, level = float(axes.transData.inverted().transform(place)[1]), level + 1
        else:
            epochs = np.arange(1, curve.quantiles.shape[1] + 1)
            low, middle, high = (np.array([measure.scaled(each) for each in line]) for line in curve.quantiles)
            band(axes, epochs.tolist(), low.tolist(), middle.tolist(), high.tolist(), own)
            point(axes, mark.x, measure.scaled(mark.middle), mark, own, told=False)
            y = measure.scaled(mark.middle)
        ends.append(End(mark.x or last, y, _title(name, mark), own.color))
    label_ends(axes, ends, width=width, height=PLOT)


def _picture(
    study: Study, histories: Mapping[tuple[Any, ...], Mapping[int, History]], part: tuple[int, int]
) -> Picture:
    number, num_parts = part
    name = f"training-{number}" if num_parts > 1 else "training"
    everyone = combinations(study)
    panels: dict[str, dict[str, Curve]] = {}
    lines: list[dict[str, Any]] = []
    for kind in MEASURES:
        if not any(kind in entry for own in histories.values() for history in own.values() for entry in history):
            continue
        for k, (labels, own) in enumerate(histories.items()):
            title = name_of(dict(zip(study.axes, labels, strict=True)))
            curve, line = _curve(everyone[labels], own, kind, gid=f"{name}-{kind}-{k}", label=title)
            panels.setdefault(kind, {})[title] = curve
            lines.append(line)
    marks = [curve.mark for own in panels.values() for curve in own.values()]
    several = any(mark.planned > 1 for mark in marks)
    spread = ": median over the seeds, bands from the 10 % to the 90 % quantile" if several else ""
    words = " and ".join(MEASURES[kind].words for kind in panels)
    return Picture(
        name=name,
        title=f"Training, part {number} of {num_parts}" if num_parts > 1 else "Training",
        caption=f"{sentence(words)} after every epoch{spread}; {counted(lines, samples=False)}.{signs(marks)}"
        f"{cautions(study, lines)}",
        alt=f"Line charts of {words} against the epoch. At the end, {'; '.join(mark.text for mark in marks)}.",
        draw=partial(training_figure, panels),
        narrow=partial(training_figure, panels, width=NARROW) if _fits(panels) else None,
        values={mark.gid: mark.text for mark in marks},
        size=max(curve.quantiles.shape[1] for own in panels.values() for curve in own.values()),
    )


def _curve(
    empty: Mapping[str, Any], histories: Mapping[int, History], kind: str, *, gid: str, label: str
) -> tuple[Curve, dict[str, Any]]:
    """Return the curve of a combination, and the line of a summary that its last epoch would have."""
    own = {seed: [each[kind] for each in history if kind in each] for seed, history in histories.items()}
    own = {seed: values for seed, values in own.items() if values and np.isfinite(values).all()}
    last = max((len(values) for values in own.values()), default=0)
    columns = [[values[k] for values in own.values() if len(values) > k] for k in range(last)]
    quantiles = np.array([np.quantile(each, (0.1, 0.5, 0.9)) for each in columns]).T if columns else np.zeros((3, 0))
    absent = [each for each in empty["missing"].split(", ") if int(each) not in own]
    line = dict(empty) | {"done": len(own), "missing": ", ".join(absent)}
    if columns:
        line |= dict(zip(("q10", "q50", "q90"), quantiles[:, -1].tolist(), strict=True))
    where = f"{label}, {MEASURES[kind].words} after epoch {last}" if columns else f"{label}, {MEASURES[kind].words}"
    return Curve(mark=mark_of(line, MEASURES[kind], gid=gid, label=where, x=float(last)), quantiles=quantiles), line


def _fits(panels: Mapping[str, Mapping[str, Curve]]) -> bool:
    """Return whether names leave the curves room enough in a narrow figure."""
    names = [_title(name, curve.mark) for own in panels.values() for name, curve in own.items()]
    return room_for(names) < NARROW - LEFT - LEAST_ACROSS


def _title(name: str, mark: Mark) -> str:
    return name if mark.is_whole else f"{name} ({mark.share})"
