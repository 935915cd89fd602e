"""Errors under every corruption, models down and corruptions across, with the numbers."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import ceil
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from withstand.reports.chart import SMALL, faint, paper
from withstand.reports.figure import BLUE, ON_DARK, WIDTH, new_figure
from withstand.reports.marks import Mark, combinations, counted, lines_of, mark_of, missing_sentence
from withstand.reports.measures import Measure, slug
from withstand.reports.picture import Picture
from withstand.study.aggregate import aggregate
from withstand.study.condition import CLEAN, JPEG, NOISE, Saved
from withstand.study.corruption_means import MEAN, accuracy_of, averaged, corruption_cells, corruption_means
from withstand.study.corruption_rows import ALL, MCE, references, with_corruption_rows
from withstand.study.study import Study, name_of

RATIO = "mCE"
Table = Mapping[str, Mapping[str, Mark]]
MOST_MODELS, LONGEST_NAME = 20, 24
LIGHTEST, STRONGEST = 0.03, 0.62  # share of the colour in a cell without errors, and in the one with the most
# Inches.
CELL, HEAD, MARGIN, LETTER, APART = 0.235, 0.92, 0.1, 0.059, 0.07


def heat_map_pictures(study: Study) -> list[Picture]:
    """Return a picture per way of saving the corrupted images, and per twenty combinations."""
    found: list[Picture] = []
    measure = accuracy_of(study.frame)
    for saved in ("", JPEG):
        kinds = list(corruption_cells(study.frame, measure=measure, saved=saved))
        mce = _mce(study) if saved and kinds else {}
        labels = list(combinations(study))
        size = ceil(len(labels) / ceil(len(labels) / MOST_MODELS))
        for k in range(0, len(labels) if kinds else 0, size):
            part = (k // size + 1, ceil(len(labels) / size))
            found.append(_picture(study, measure, kinds, labels[k : k + size], saved, part, mce))
    return found


def heat_map_figure(table: Table, *, mce: Mapping[str, Mark] = MappingProxyType({})) -> Figure:
    """Return the figure.

    Args:
        table: By column, then by model; the values are errors. The columns `clean` and `mean` stand apart.
        mce: By model, of those that may be compared with AlexNet; the others have a dash. Empty: no such column.
    """
    columns, models = list(table), list(next(iter(table.values())))
    marks = {name: [table[each][name] for each in columns] + ([mce[name]] if name in mce else []) for name in models}
    names = {name: _short(name) + _share(own) for name, own in marks.items()}
    left = MARGIN + LETTER * max(len(each) for each in names.values())
    height = HEAD + CELL * len(models) + MARGIN
    figure = new_figure(height)
    axes = figure.add_axes(
        (left / WIDTH, MARGIN / height, (WIDTH - left - MARGIN) / WIDTH, 1 - (HEAD + MARGIN) / height)
    )
    # Seeds that are missing all along a line are told beside its name.
    starred = {name: len({mark.share for mark in own}) > 1 for name, own in marks.items()}
    apart = {name for name in columns if name in (CLEAN, "mean")}
    last = 1 if mce else 0
    gap = APART / ((WIDTH - left - MARGIN - APART * (len(apart) + 2 * last)) / (len(columns) + last))
    places: dict[str, float] = {}
    x = 0.0
    for name in columns:
        x += gap if name == "mean" and places else 0
        places[name] = x
        x += 1 + (gap if name == CLEAN else 0)
    if mce:
        places[RATIO], x = x + 2 * gap, x + 2 * gap + 1
    axes.set(xlim=(0, x), ylim=(len(models), 0))
    axes.set_axis_off()
    largest = max(
        (mark.middle for own in table.values() for mark in own.values() if mark.middle is not None), default=1.0
    )
    for name, column in (*table.items(), *([(RATIO, mce)] if mce else [])):
        text = name.replace("_", " ")
        weight = "bold" if name in (*apart, RATIO) else "normal"
        axes.text(places[name] + 0.5, -0.2, text, rotation=60, rotation_mode="anchor", size=6.5, weight=weight)
        least = min((mark.middle for mark in column.values() if mark.middle is not None), default=None)
        for k, model in enumerate(models):
            if model not in column:
                _dash(axes, places[name], k)
                continue
            mark = column[model]
            best = len(column) > 1 and mark.middle is not None and mark.middle == least
            scale = None if name == RATIO else largest or 1.0
            _cell(axes, places[name], k, mark, scale, best=best, starred=starred[model])
    for k, name in enumerate(names.values()):
        axes.text(-0.12, k + 0.5, name, ha="right", va="center", size=7)
    return figure


def _cell(axes: Axes, x: float, y: float, mark: Mark, largest: float | None, *, best: bool, starred: bool) -> None:
    """Draw a cell, shaded as a share of the largest value; without shade where there is no such."""
    if mark.middle is None:
        box = Rectangle((x, y), 1, 1, facecolor="none", edgecolor=faint(), linewidth=0.4, hatch="////", alpha=0.5)
        box.set_gid(mark.gid)
        axes.add_patch(box)
        return
    edge = {"edgecolor": paper(), "linewidth": 0.8} if largest else {"edgecolor": faint(), "linewidth": 0.4}
    strongest = ON_DARK[BLUE] if paper() in ON_DARK.values() else BLUE
    colors = LinearSegmentedColormap.from_list("errors", [paper(), strongest])
    shade = colors(LIGHTEST + (STRONGEST - LIGHTEST) * mark.middle / largest) if largest else to_rgb(paper())
    box = Rectangle((x, y), 1, 1, facecolor=shade, clip_on=bool(largest), **edge)
    box.set_gid(mark.gid)
    axes.add_patch(box)
    ink = max((mpl.rcParams["text.color"], paper()), key=lambda each: _contrast(each, shade))
    star = "*" if starred and not mark.is_whole else ""
    text = f"{100 * mark.middle:.1f}{star}"
    axes.text(
        x + 0.5, y + 0.53, text, ha="center", va="center", size=SMALL, color=ink, weight="bold" if best else "normal"
    )


def _dash(axes: Axes, x: float, y: float) -> None:
    axes.text(x + 0.5, y + 0.53, "\N{EN DASH}", ha="center", va="center", size=SMALL, color=faint())


def _picture(
    study: Study,
    measure: str,
    kinds: Sequence[str],
    combos: Sequence[tuple[Any, ...]],
    saved: Saved,
    part: tuple[int, int],
    ratios: Mapping[tuple[Any, ...], dict[str, Any]],
) -> Picture:
    name = slug(f"heat map{saved}") + (f"-{part[0]}" if part[1] > 1 else "")
    which = f", part {part[0]} of {part[1]}" if part[1] > 1 else ""
    summary = aggregate(corruption_means(study.frame, measure=measure, saved=saved))
    clean = study.summary.filter((study.summary["measure"] == measure) & (study.summary["condition"] == CLEAN + saved))
    if saved and clean.is_empty():
        clean = study.summary.filter((study.summary["measure"] == measure) & (study.summary["condition"] == CLEAN))
    columns = {} if clean.is_empty() else {CLEAN: lines_of(study, clean)}
    columns |= {kind: lines_of(study, summary.filter(summary["condition"] == kind)) for kind in kinds}
    columns["mean"] = lines_of(study, summary.filter(summary["condition"] == MEAN))
    table: dict[str, dict[str, Mark]] = {}
    for k, (column, lines) in enumerate(columns.items()):
        for j, labels in enumerate(combos):
            title = name_of(dict(zip(study.axes, labels, strict=True)))
            where = f"{title}, {'mean over the corruptions' if column == 'mean' else column.replace('_', ' ')}, error"
            mark = mark_of(_error(lines[labels]), Measure(measure), gid=f"{name}-{k}-{j}", label=where)
            table.setdefault(column, {})[title] = mark
    mce: dict[str, Mark] = {}
    for j, labels in enumerate(combos):
        if labels in ratios:
            title = name_of(dict(zip(study.axes, labels, strict=True)))
            where = f"{title}, mCE (AlexNet = 100 %)"
            mce[title] = mark_of(ratios[labels], Measure(MCE), gid=f"{name}-mce-{j}", label=where)
    lines = [own[labels] for own in (*columns.values(), ratios) for labels in combos if labels in own]
    marks = [mark for own in (*table.values(), mce) for mark in own.values()]
    members = averaged(list(kinds))
    without = [each for each in kinds if each not in members]
    rest = f" (not {', '.join(each.replace('_', ' ') for each in without)})" if without else ""
    noise = f", {len([each for each in members if each in NOISE])} of them noise" if set(members) & set(NOISE) else ""
    several = "Median over the seeds of the error" if any(each.planned > 1 for each in marks) else "Error"
    stars = (
        " Beside names, or as a star: seeds are missing." if any(0 < each.done < each.planned for each in marks) else ""
    )
    hatched = " Hatched: no result." if any(not each.done for each in marks) else ""
    best = " Bold: the lowest of a column." if len(combos) > 1 else ""
    ratio = (
        " mCE, not shaded: mean over the 15 published corruptions of the error divided by AlexNet's, in percent "
        "(AlexNet = 100)."
        if mce
        else ""
    )
    ratio += (
        " A dash: not ImageNet's 1,000 classes at 224 pixels, for which it is known."
        if len(table["mean"]) > len(mce) > 0
        else ""
    )
    saving = ", saved as JPEG in between" if saved else ""
    return Picture(
        name=name,
        title=f"Errors by corruption{saving}{which}",
        caption=f"{several} in percent, mean over the severities, under {len(kinds)} corruptions{saving}; mean: over "
        f"{len(members)} corruptions{noise}{rest}; {counted(lines)}.{ratio}{best}{stars}{hatched}"
        f"{missing_sentence(study, lines)}",
        alt=_alt(table, mce),
        draw=partial(heat_map_figure, table, mce=mce),
        values={mark.gid: mark.text for mark in marks},
    )


def _mce(study: Study) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return a line of a summary of the mCE by combination, of those whose runs may be compared with AlexNet."""
    own = references(study.folder, study.frame["run"].unique())
    summary = aggregate(with_corruption_rows(study.frame, references=own)) if own else study.summary
    summary = summary.filter((summary["measure"] == MCE) & (summary["condition"] == ALL + JPEG))
    lines = {} if summary.is_empty() else lines_of(study, summary)
    runs = study.frame.filter(study.frame["run"].is_in(own)).select(study.axes).unique(maintain_order=True)
    return {labels: lines[labels] for labels in runs.iter_rows() if lines}


def _error(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of accuracies as one of errors."""
    if line["q50"] is None:
        return dict(line)
    return dict(line) | {"q10": 1 - line["q90"], "q50": 1 - line["q50"], "q90": 1 - line["q10"]}


def _alt(table: Table, mce: Mapping[str, Mark]) -> str:
    told = [mark.text for own in (table["mean"], mce) for mark in own.values()]
    beside = ", beside them the mCE" if mce else ""
    return f"Table of errors, models down and {len(table)} conditions across{beside}. {'; '.join(told)}."


def _share(marks: Sequence[Mark]) -> str:
    least = min(marks, key=lambda mark: mark.done)
    return "" if least.is_whole else f" ({least.share})"


def _short(name: str) -> str:
    half = LONGEST_NAME // 2 - 1
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}...{name[-half:]}"


def _contrast(one: Any, other: Any) -> float:
    """Return the ratio of the luminances, as the Web Content Accessibility Guidelines define it."""
    dark, bright = sorted((_luminance(one), _luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def _luminance(color: Any) -> float:
    red, green, blue = to_rgb(color)
    return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
