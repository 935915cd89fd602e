"""The tables of a report: the main one, corruption errors, differences to a baseline, and all numbers."""

from collections.abc import Mapping
from typing import Any, Literal

from withstand.reports.measures import Measure, sentence
from withstand.reports.sheet import Cell, Head, Line, Sheet
from withstand.study.axes import words_of
from withstand.study.combination import Combination
from withstand.study.condition import IMAGENET_C, JPEG
from withstand.study.corruption_rows import CE, ERROR, MCE, MEAN_ERROR
from withstand.study.digest import LEAST_PAIRS, Digest
from withstand.study.headline import Column, direction

Spread = Literal["quantiles", "interval"]
SPREADS = {
    "quantiles": "Median over the seeds, and the range from the 10 % to the 90 % quantile",
    "interval": "Mean over the seeds, and its 95 % interval (Student's t)",
}
MANY_SAMPLES = 5000  # from here on a second decimal of a percentage says something
MOST_LINES = 5000
IN_PERCENT = {ERROR, MEAN_ERROR, CE, MCE, "error"}
NOT_MEASURED = "\N{EN DASH}"


def sheets(digest: Digest, *, spread: Spread = "quantiles") -> list[Sheet]:
    """Return every table of a report; the table of all numbers comes last."""
    found = [main_sheet(digest, spread=spread)]
    found += [each for saved in ("", JPEG) if (each := errors_sheet(digest, saved=saved, spread=spread))]
    found += [differences_sheet(digest)] if digest.is_compared else []
    return [*found, all_sheet(digest)]


def main_sheet(digest: Digest, *, spread: Spread = "quantiles") -> Sheet:
    """Return the table with a line per combination and the most wanted measures across."""
    heads = tuple(Head(text=_words(each), more=_condition(each)) for each in digest.columns)
    fraction = any(Measure(each.measure).is_fraction for each in digest.columns)
    caption = f"{_spread(digest, spread)}{'; accuracies in percent' if fraction else ''}. {_samples(digest)}"
    own = any(each.condition is None for each in digest.columns)
    notes = ["Own ball: each combination under its own condition, named in the table of all numbers."] if own else []
    left = len({(line["measure"], line["condition"]) for line in digest.lines.values()}) - len(digest.columns)
    if left > 0:
        notes.append(f"In the table of all numbers: {left} more, such as single corruptions, classes or budgets.")
    return _combinations_down(
        digest, "main", "Results", caption, digest.columns, heads, spread, notes=(*notes, *digest.holes)
    )


def errors_sheet(digest: Digest, *, saved: str, spread: Spread = "quantiles") -> Sheet | None:
    """Return the table of errors per corruption, images kept as they are or saved as JPEG; None without corruptions."""
    found = {
        (measure, condition): None for _, measure, condition in digest.lines if condition.endswith(JPEG) == bool(saved)
    }
    kinds = [condition for measure, condition in found if measure == ERROR]
    if not kinds:
        return None
    order = {name + saved: place for place, name in enumerate(IMAGENET_C)}
    names = [(measure, condition) for measure, condition in found if measure in (MCE, MEAN_ERROR)]
    names += [(ERROR, kind) for kind in sorted(kinds, key=lambda each: order.get(each, len(order)))]
    names += [(measure, condition) for measure, condition in found if measure == CE]
    words = {ERROR: "", MEAN_ERROR: "mean error", CE: "CE", MCE: "mCE"}
    heads = []
    for measure, condition in names:
        text = condition.removesuffix(saved).replace("_", " ")
        heads.append(Head(text=words[measure], more=text) if words[measure] else Head(text=text))
    title = "Corruption errors" + (", images saved as JPEG" if saved else "")
    caption = (
        f"Error in percent per corruption, mean over its five severities; lower is better. {_spread(digest, spread)}."
    )
    lost = [name for name in IMAGENET_C if name + saved not in kinds]
    notes = [f"No mean over the published 15 corruptions: {', '.join(lost)} not measured at all severities."] * bool(
        lost
    )
    if any(measure == MCE for measure, _ in names):
        notes.append("CE and mCE: errors divided by AlexNet's, in percent.")
    else:
        notes.append(
            "Errors are divided by nothing: AlexNet's are known for ImageNet at 224 pixels, saved as JPEG, only."
        )
    columns = [Column(measure=measure, condition=condition) for measure, condition in names]
    name = "corruption-errors" + ("-jpeg" if saved else "")
    holes = tuple(digest.study.holes)
    return _combinations_down(digest, name, title, caption, columns, tuple(heads), spread, notes=(*notes, *holes))


def differences_sheet(digest: Digest) -> Sheet:
    """Return the table of paired differences to the baseline."""
    columns = [each for each in digest.columns if any(digest.pair(one.index, each) for one in digest.combinations)]
    heads = [Head(text=_words(each), more=_condition(each)) for each in columns]
    lines = []
    for each in digest.combinations:
        if each.index not in digest.baseline_indices:
            cells = [_difference(digest, each, column) for column in columns]
            against = digest.baseline_of(each)
            lines.append(Line(index=each.index, cells=(*_labels(digest, each), *cells), against=against))
    among = " that agrees in everything else" if len(digest.baseline_indices) > 1 else ""
    caption = (
        f"Difference to {digest.baseline_name}{among}, seed by seed: mean and its 95 % interval over the seeds "
        f"(Student's t), accuracies in percentage points. Bold, or with a star, where {LEAST_PAIRS} seeds or more have "
        "an interval that excludes 0; every interval stands for itself, and with many of them some exclude 0 by chance."
    )
    neither = [head.text for head, each in zip(heads, columns, strict=True) if not direction(each.measure)]
    if neither:
        caption += f" Without a better direction, and so without a star: {'; '.join(dict.fromkeys(neither))}."
    heads = (*_label_heads(digest), *heads)
    title = f"Differences to {digest.baseline_name}"
    notes = tuple(digest.study.holes)
    return Sheet(name="differences", title=title, caption=caption, heads=heads, lines=tuple(lines), notes=notes)


def all_sheet(digest: Digest, *, index: int | None = None) -> Sheet:
    """Return every line of the summary, or those of one combination."""
    chosen = digest.summary if index is None else digest.summary.filter(digest.summary["combination"] == index)
    texts, numbers = ("combination", "measure", "condition"), ("median", "10 %", "90 %", "mean", "low", "high", "std")
    heads = [*(Head(text=each, is_number=False) for each in texts), *(Head(text=each) for each in numbers)]
    heads += [Head(text="runs"), Head(text="n"), Head(text="missing seeds", is_number=False)]
    lines = []
    for line in chosen.head(MOST_LINES).iter_rows(named=True):
        lines.append(_summary_line(digest, line))
    notes = list(digest.study.holes)
    if len(chosen) > MOST_LINES:
        notes.append(f"Only the first {MOST_LINES:,} of {len(chosen):,} lines are here; all are in summary.csv.")
    caption = (
        "Every measure and condition over the seeds: quantiles, mean, the 95 % interval of the mean, standard "
        "deviation. Accuracies and errors in percent."
    )
    return Sheet(
        name="all", title="All numbers", caption=caption, heads=tuple(heads), lines=tuple(lines), notes=tuple(notes)
    )


def number(measure: str, value: float, samples: int | None = None, *, sign: bool = False) -> str:
    """Return a value as a text, with as many decimals as the samples support.

    Example:
        >>> number("top1", 0.98765, 2087), number("top1", 0.98765, 10000), number("noise_distance", 12.3456)
        ('98.8', '98.77', '12.35')
        >>> number("top1", 0.012, sign=True), number("top1", -0.0001, sign=True)
        ('+1.2', '0.0')
    """
    if _in_percent(measure):
        text = f"{100 * value:{'+' if sign else ''}.{2 if samples is not None and samples >= MANY_SAMPLES else 1}f}"
    elif abs(value) >= 1e4:
        text = f"{value:{'+' if sign else ''},.0f}"
    else:
        text = f"{value:{'+' if sign else ''}#.4g}".removesuffix(".")
    return text.lstrip("+-") if not any(each in text for each in "123456789") else text


def _in_percent(measure: str) -> bool:
    return Measure(measure).is_fraction or measure in IN_PERCENT


def _combinations_down(
    digest: Digest,
    name: str,
    title: str,
    caption: str,
    columns: list[Column],
    heads: tuple[Head, ...],
    spread: Spread,
    *,
    notes: tuple[str, ...],
) -> Sheet:
    """Return a table with a line per combination."""
    lines = []
    for each in digest.combinations:
        cells = (*_labels(digest, each), *(_value(digest, each, column, spread) for column in columns))
        tag = "baseline" if digest.is_compared and each.index in digest.baseline_indices else ""
        lines.append(Line(index=each.index, cells=cells, tag=tag))
    heads = (*_label_heads(digest), *heads)
    return Sheet(name=name, title=title, caption=caption, heads=heads, lines=tuple(lines), notes=notes)


def _varied(digest: Digest) -> list[str]:
    """Return the axes that have columns of their own: several that take more than one value."""
    axes = [name for name in digest.study.axes if len({each.labels[name] for each in digest.combinations}) > 1]
    return axes if len(axes) > 1 else []


def _label_heads(digest: Digest) -> tuple[Head, ...]:
    own = [Head(text=words_of(name), is_number=False, is_axis=True) for name in _varied(digest)]
    return (Head(text="combination", is_number=False), *own, Head(text="runs"))


def _labels(digest: Digest, combination: Combination) -> tuple[Cell, ...]:
    axes = []
    for name in _varied(digest):
        value = combination.labels[name]
        numeric = isinstance(value, int | float)
        axes.append(
            Cell(
                text="" if value is None else f"{value:g}" if numeric else str(value), value=value if numeric else None
            )
        )
    lost = ", ".join(map(str, combination.missing))
    plural = "s" if len(combination.missing) > 1 else ""
    aside = f"without seed{plural} {lost}" if lost else ""
    runs = Cell(text=combination.share, value=float(combination.num_done), flag="!" if lost else "", aside=aside)
    return (Cell(text=combination.name, value=float(combination.index)), *axes, runs)


def _value(digest: Digest, combination: Combination, column: Column, spread: Spread) -> Cell:
    """Return the cell of a combination in a column."""
    line = digest.line(combination.index, column)
    if line is None:
        return Cell(text=NOT_MEASURED, flag="no result" if combination.num_done == 0 else "not measured")
    names = ("q50", "q10", "q90") if spread == "quantiles" else ("mean", "low", "high")
    middle, low, high = (number(column.measure, line[name], line["samples"]) for name in names)
    lost = line["done"] < combination.num_done
    return Cell(
        text=middle,
        low=low if line["done"] > 1 else "",
        high=high if line["done"] > 1 else "",
        value=line[names[0]],
        flag=f"{line['done']}/{line['planned']}" if lost else "",
        measure=line["measure"],
        condition=line["condition"],
    )


def _difference(digest: Digest, combination: Combination, column: Column) -> Cell:
    """Return the cell of a difference; its tone where enough pairs have an interval that excludes 0."""
    line, own = digest.pair(combination.index, column), digest.line(combination.index, column)
    if line is None or own is None:
        return Cell(text=NOT_MEASURED, flag="no pair")
    names = ("difference", "low", "high")
    middle, low, high = (number(column.measure, line[name], own["samples"], sign=True) for name in names)
    sure = line["pairs"] >= LEAST_PAIRS and (line["low"] > 0 or line["high"] < 0) and middle.strip("0.") != ""
    better = direction(column.measure) * line["difference"]
    return Cell(
        text=middle,
        low=low if line["pairs"] > 1 else "",
        high=high if line["pairs"] > 1 else "",
        value=line["difference"],
        flag=f"{line['pairs']}/{own['planned']} pairs" if line["pairs"] < own["planned"] else "",
        tone="" if not sure or not better else "better" if better > 0 else "worse",
        measure=column.measure,
        condition=line["condition"],
    )


def _summary_line(digest: Digest, line: Mapping[str, Any]) -> Line:
    """Return a line of the summary as texts."""
    combination = digest.combinations[line["combination"]]
    name = Cell(text=combination.name, value=float(combination.index))
    flag = "missing" if line["done"] < line["planned"] else ""
    end = (Cell(text=f"{line['done']}/{line['planned']}", value=float(line["done"]), flag=flag),)
    if line["measure"] is None:
        empty = (Cell(text=NOT_MEASURED),) * 7
        cells = (
            name,
            Cell(text="nothing"),
            Cell(text=""),
            *empty,
            *end,
            Cell(text=NOT_MEASURED),
            Cell(text=line["missing"]),
        )
        return Line(index=combination.index, cells=cells)
    columns = ("q50", "q10", "q90", "mean", "low", "high", "std")
    several = line["done"] > 1
    scale = 100 if _in_percent(line["measure"]) else 1
    values = [
        Cell(text=number(line["measure"], line[each], line["samples"]), value=scale * line[each])
        if several or each in ("q50", "mean")
        else Cell(text=NOT_MEASURED)
        for each in columns
    ]
    texts = (Cell(text=line["measure"]), Cell(text=line["condition"]))
    count = Cell(text=f"{line['samples']:,}", value=float(line["samples"]))
    return Line(index=combination.index, cells=(name, *texts, *values, *end, count, Cell(text=line["missing"])))


def _words(column: Column) -> str:
    return sentence(Measure(column.measure).words)


def _condition(column: Column) -> str:
    return "own ball" if column.condition is None else column.condition.partition(", ")[0].replace("_", " ")


def _spread(digest: Digest, spread: Spread) -> str:
    """Return what the numbers are: of one run each, or over the seeds."""
    return SPREADS[spread] if any(line["done"] > 1 for line in digest.lines.values()) else "Values of one run each"


def _samples(digest: Digest) -> str:
    shown = [digest.line(each.index, column) for each in digest.combinations for column in digest.columns]
    counts = sorted({line["samples"] for line in shown if line is not None and Measure(line["measure"]).is_fraction})
    return f"n = {counts[0]:,}{'' if counts[0] == counts[-1] else f' to {counts[-1]:,}'} samples." if counts else ""
