"""Curves of a measure against a number in its conditions, such as the radius of a ball."""

from typing import Any

from withstand.conditions import CLEAN, along
from withstand.rendering.cell import DOUBT
from withstand.reports.figures.tools.curves import bands_picture
from withstand.reports.figures.tools.marks import Mark, combinations, lines_of, mark_of
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.numbers import sentence, slug, titled
from withstand.reports.sandwiches import sandwiches_of
from withstand.reports.series import Axis, axis_along
from withstand.study.measures.measure import Measure
from withstand.study.study import Study, name_of

OF_ACCURACY = ("attacked", "estimated")  # kinds of shares that are the clean accuracy where nothing is perturbed


def robust_curves_pictures(study: Study) -> list[Picture]:
    """Return a picture per primary measure and kind of condition, if some combination has two values or more.

    Conditions with a certified and a worst-case accuracy are left to their own figure.
    """
    found: list[Picture] = []
    between = [condition for each in sandwiches_of(study) for condition in each.conditions.values()]
    pairs = study.summary.select("measure", "condition").drop_nulls().unique(maintain_order=True)
    pairs = pairs.filter(~pairs["condition"].is_in(between))
    for measure in study.measures.values():
        kinds: dict[str, dict[float, str]] = {}
        for condition in pairs.filter(pairs["measure"] == measure.name)["condition"] if measure.primary else ():
            if (place := along(condition)) is not None:
                kinds.setdefault(place.text, {})[place.value] = condition
        for text, conditions in kinds.items():
            picture = _picture(study, measure, text, conditions, [each.name for each in found])
            found += [picture] if picture else []
    return found


def _picture(
    study: Study, measure: Measure, text: str, conditions: dict[float, str], names: list[str]
) -> Picture | None:
    where, _, budget = text.partition(", ")
    measure = titled(measure)
    name = slug(f"{measure.name} curves {where}")
    name += f"-{len(names) + 1}" if name in names else ""
    summary = study.summary
    start = _start(study, measure)
    clean = lines_of(study, summary.filter((summary["measure"] == start) & (summary["condition"] == CLEAN)))
    own = {
        value: lines_of(
            study, summary.filter((summary["measure"] == measure.name) & (summary["condition"] == conditions[value]))
        )
        for value in sorted(conditions)
    }
    series: dict[str, list[Mark]] = {}
    lines: list[dict[str, Any]] = []
    for labels in combinations(study):
        curve = {0.0: clean[labels]} | {value: at[labels] for value, at in own.items()}
        there = [value for value, line in curve.items() if value and line["q50"] is not None]
        # A combination that was measured at one value, which may be its own, has no curve.
        if len(there) == 1:
            continue
        title = name_of(dict(zip(study.axes, labels, strict=True)))
        shown = {value: line for value, line in curve.items() if value or line["q50"] is not None}
        title += DOUBT if any(line.get("doubt") for line in shown.values()) else ""
        series[title] = [
            mark_of(line, measure, gid=f"{name}-{len(series)}-{k}", label=f"{title} at {value:g}", x=value)
            for k, (value, line) in enumerate(shown.items())
        ]
        lines += shown.values()
    if not any(mark.middle is not None and mark.x for marks in series.values() for mark in marks):
        return None
    words, unit = axis_along(text)
    axis = Axis(name=words, values=(0.0, *own) if start else tuple(own), unit=unit)
    note = f" Condition: {budget}, at each value." if budget else ""
    note += " At 0 the clean accuracy." if any(mark.x == 0 for marks in series.values() for mark in marks) else ""
    title = f"{sentence(measure.words)} against the {words}" + (f", {unit.partition(' ')[0]}" if unit else "")
    texts = {"title": title, "note": note, "detail": budget}
    return bands_picture(study, series, lines, name=name, measure=measure, axis=axis, **texts)


def _start(study: Study, measure: Measure) -> str:
    """Return the measure whose clean value a curve has at 0; empty if there is none."""
    summary = study.summary
    if not summary.filter((summary["measure"] == measure.name) & (summary["condition"] == CLEAN)).is_empty():
        return measure.name
    return study.accuracy.name if study.accuracy and measure.kind in OF_ACCURACY and measure.percent else ""
