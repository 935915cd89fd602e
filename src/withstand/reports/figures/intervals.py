"""Intervals: shares of several models under several measures, each with its 95 % interval."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from withstand.reports.figures.tools.chart import look
from withstand.reports.figures.tools.style import WIDTH, figure_style, new_figure

LINE, FOOT, LEGEND, APART = 0.42, 0.45, 0.3, 0.13  # inches; the last: of a line, between the marks of a model


def intervals_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return a figure: a line per model, a mark per measure.

    Args:
        rows: `model`, `measure`, `value`, `low` and `high`, from 0 to 1.
    """
    models = list(dict.fromkeys(each["model"] for each in rows))
    measures = list(dict.fromkeys(each["measure"] for each in rows))
    with figure_style():
        height = LINE * len(models) + FOOT + LEGEND
        figure = new_figure(height)
        left = min(0.4, 0.1 + 0.075 * max(map(len, models)) / WIDTH)
        axes = figure.add_axes((left, FOOT / height, 0.97 - left, 1 - (FOOT + LEGEND) / height))
        for number, measure in enumerate(measures):
            own, shift = look(number), APART * (number - (len(measures) - 1) / 2)
            shown = [each for each in rows if each["measure"] == measure]
            places = [models.index(each["model"]) + shift for each in shown]
            for each, place in zip(shown, places, strict=True):
                axes.plot([100 * each["low"], 100 * each["high"]], [place, place], color=own.color, linewidth=1)
            values = [100 * each["value"] for each in shown]
            axes.plot(values, places, own.marker, color=own.color, markersize=4.5, label=measure)
        axes.set_yticks(range(len(models)), models)
        axes.set_ylim(len(models) - 0.5, -0.5)
        axes.set_xlabel("right answers in percent of the rows, with 95 % intervals")
        axes.grid(axis="x", linewidth=0.3, alpha=0.5)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(measures), borderaxespad=0.2, handlelength=1)
    return figure
