"""Accuracy over balls against their radius, of models that were measured at several radii."""

from typing import Any

from withstand.reports.bands_figure import bands_picture
from withstand.reports.families import Axis, ball_radius
from withstand.reports.marks import Mark, combinations, lines_of, mark_of
from withstand.reports.measures import Measure, sentence, slug
from withstand.reports.picture import Picture
from withstand.study.condition import CLEAN
from withstand.study.study import Study, name_of

MEASURES = ("worst_case_top1", "adversarial_top1", "mean_top1")


def robust_curves_pictures(study: Study) -> list[Picture]:
    """Return a picture per measure and attack that a combination was measured under at two or more radii."""
    found: list[Picture] = []
    for measure in MEASURES:
        attacks: dict[str, dict[float, str]] = {}
        for condition in study.summary.filter(study.summary["measure"] == measure)["condition"].unique(
            maintain_order=True
        ):
            if (ball := ball_radius(condition)) is not None:
                attacks.setdefault(ball[0], {})[ball[1]] = condition
        for attack, conditions in attacks.items():
            picture = _picture(study, measure, attack, conditions, len(found))
            found += [picture] if picture else []
    return found


def _picture(study: Study, measure: str, attack: str, conditions: dict[float, str], number: int) -> Picture | None:
    norm, _, budget = attack.partition(", ")
    name = slug(f"{measure} curves {norm.partition(' ')[0]}") + (f"-{number + 1}" if number else "")
    summary = study.summary
    clean = lines_of(study, summary.filter((summary["measure"] == "top1") & (summary["condition"] == CLEAN)))
    own = {
        radius: lines_of(study, summary.filter((summary["measure"] == measure) & (summary["condition"] == condition)))
        for radius, condition in sorted(conditions.items())
    }
    series: dict[str, list[Mark]] = {}
    lines: list[dict[str, Any]] = []
    for labels in combinations(study):
        curve = {0.0: clean[labels]} | {radius: at[labels] for radius, at in own.items()}
        there = [radius for radius, line in curve.items() if radius and line["q50"] is not None]
        # A combination that was measured at one radius, which may be its own, has no curve.
        if len(there) == 1:
            continue
        title = name_of(dict(zip(study.axes, labels, strict=True)))
        shown = {radius: line for radius, line in curve.items() if radius or line["q50"] is not None}
        series[title] = [
            mark_of(line, Measure(measure), gid=f"{name}-{len(series)}-{k}", label=f"{title} at {radius:g}", x=radius)
            for k, (radius, line) in enumerate(shown.items())
        ]
        lines += shown.values()
    if not any(mark.middle is not None and mark.x for marks in series.values() for mark in marks):
        return None
    axis = Axis(name="radius of the ball", values=(0.0, *own), unit=norm)
    note = f" Condition: {budget}, at each radius; at 0 the clean accuracy."
    own = Measure(measure, attack)
    title = f"{sentence(own.words)} against the radius of the ball, {norm.partition(' ')[0]}"
    return bands_picture(study, series, lines, name=name, measure=own, axis=axis, title=title, note=note)
