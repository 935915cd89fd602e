"""Certified and worst-case accuracy in balls, with what is unknown between them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from withstand.conditions import CLEAN
from withstand.rendering.cell import DOUBT
from withstand.reports.figures.balls.sandwich_bands import (
    ACCURACY,
    MOST_PANELS,
    Between,
    fits_narrow,
    sandwich_bands,
)
from withstand.reports.figures.balls.sandwich_bars import Stack, sandwich_bars
from withstand.reports.figures.tools.marks import (
    cautions,
    combinations,
    counted,
    lines_of,
    longest,
    mark_of,
    signs,
)
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.figures.tools.style import NARROW
from withstand.reports.numbers import MANY_SAMPLES, number, slug
from withstand.reports.sandwiches import Sandwich, sandwiches_of
from withstand.reports.series import Axis, axis_along, norm_notes
from withstand.study.study import Study, name_of

LEAST_RADII = 3  # of a band, with 0; of fewer there are bars
MOST_BARS = 24
COINCIDE = 0.005  # lines this close look like one

Line = dict[str, Any]


def sandwich_pictures(study: Study) -> list[Picture]:
    """Return a picture per kind of ball and means: bands against the radius, or bars where there are too few radii."""
    found: list[Picture] = []
    for each in sandwiches_of(study):
        name = slug(f"sandwich {each.ball}")
        name += f"-{len(found) + 1}" if name in [other.name for other in found] else ""
        found += _picture(study, each, name)
    return found


def _picture(study: Study, sandwich: Sandwich, name: str) -> list[Picture]:
    """Return the picture of a sandwich, if any combination has a result."""
    models: dict[str, list[Between]] = {}
    lines: list[Line] = []
    clean = _means(study, study.accuracy.name if study.accuracy else "", CLEAN)
    both = {
        radius: [_means(study, each.name, condition) for each in (sandwich.certified, sandwich.attacked)]
        for radius, condition in sandwich.conditions.items()
    }
    for labels in combinations(study):
        title = name_of(dict(zip(study.axes, labels, strict=True)))
        own = {radius: [each[labels] for each in two] for radius, two in both.items()}
        lines += [line for two in own.values() for line in two]
        title += DOUBT if any(line.get("doubt") for two in own.values() for line in two) else ""
        pairs = _pairs(sandwich, own, title, gid=f"{name}-{len(models)}")
        if pairs:
            models[title] = [*_start(clean[labels], title, gid=f"{name}-{len(models)}"), *pairs]
    if not models:
        return []
    size = longest([each.attacked for each in own] for own in models.values())
    draw = _bands if size >= LEAST_RADII else _bars
    return [draw(study, sandwich, models, lines, name)]


def _means(study: Study, measure: str, condition: str) -> dict[tuple[Any, ...], Line]:
    """Return the lines of a summary by combination, with the mean over the seeds as their middle."""
    summary = study.summary
    own = lines_of(study, summary.filter((summary["measure"] == measure) & (summary["condition"] == condition)))
    return {labels: line | {"q50": line.get("mean")} for labels, line in own.items()}


def _start(clean: Line, title: str, *, gid: str) -> list[Between]:
    """Return the clean accuracy as a band without height, if it was measured."""
    if clean["q50"] is None:
        return []
    mark = mark_of(clean, ACCURACY, gid=f"{gid}-clean", label=f"{title}, clean accuracy")
    return [Between(mark, mark)]


def _pairs(sandwich: Sandwich, lines: Mapping[float, Sequence[Line]], title: str, *, gid: str) -> list[Between]:
    """Return the accuracies of a model in the balls that have both."""
    found = []
    for place, (radius, own) in enumerate(lines.items()):
        ball = sandwich.conditions[radius].partition(", ")[0]
        marks = [
            mark_of(line, each, gid=f"{gid}-{place}-{each.kind}", label=f"{title}, {each.words}, {ball}", x=radius)
            for line, each in zip(own, (sandwich.certified, sandwich.attacked), strict=True)
        ]
        if all(each.middle is not None for each in marks):
            found.append(Between(*marks))
    return found


def _bands(
    study: Study, sandwich: Sandwich, models: Mapping[str, Sequence[Between]], lines: Sequence[Line], name: str
) -> Picture:
    shown = dict([*models.items()][:MOST_PANELS])
    words, unit = axis_along(sandwich.text)
    radii = sorted({each.attacked.x for own in shown.values() for each in own})
    axis = Axis(name=words, values=tuple(radii), unit=unit)
    marks = [mark for own in shown.values() for each in own for mark in dict.fromkeys(each)]
    rest = f" {len(models) - len(shown)} more models are not drawn." if len(models) > len(shown) else ""
    ends = [f"{model}: {_said(own[-1])} at {own[-1].attacked.x:g}" for model, own in shown.items()]
    zero = ", from the clean accuracy at 0" if radii[0] == 0 else ""
    return Picture(
        name=name,
        title=f"Certified and worst-case accuracy against the {words}, {unit.partition(' ')[0]}",
        caption=f"The worst-case accuracy lies in the band between what is certified ({sandwich.method}) and what no "
        f"attack breaks (budget: {sandwich.attacks}){zero}; {_spread(lines)}.{_coinciding(shown)}{rest}{signs(marks)}"
        f"{cautions(study, lines)}",
        alt=f"Bands between certified and worst-case accuracy against the {words}. {'; '.join(ends)}.",
        draw=partial(sandwich_bands, shown, axis=axis),
        narrow=partial(sandwich_bands, shown, axis=axis, width=NARROW) if fits_narrow(list(shown)) else None,
        values={each.gid: each.text for each in marks},
        size=longest([each.attacked for each in own] for own in shown.values()),
        detail=sandwich.text.partition(", ")[2],
    )


def _bars(
    study: Study, sandwich: Sandwich, models: Mapping[str, Sequence[Between]], lines: Sequence[Line], name: str
) -> Picture:
    stacks = [each for model, own in models.items() for each in _stacks(sandwich, model, own)]
    shown = stacks[:MOST_BARS]
    rest = f" {len(stacks) - len(shown)} more bars are not drawn." if len(stacks) > len(shown) else ""
    where = next(iter(sandwich.conditions.values())).partition(", ")[0] if len(sandwich.conditions) == 1 else "balls"
    notes = " ".join(["", *norm_notes([sandwich.ball])])
    return Picture(
        name=name,
        title=f"Certified and worst-case accuracy, {where}",
        caption=f"Shares of the samples that are certified ({sandwich.method}), that are broken by an attack (budget: "
        f"{sandwich.attacks}), and between them those of which neither is known; {_spread(lines)}.{notes}{rest}"
        f"{cautions(study, lines)}",
        alt=f"Bars of certified and worst-case accuracy. {'; '.join(each.text for each in shown)}.",
        draw=partial(sandwich_bars, shown),
        narrow=partial(sandwich_bars, shown, width=NARROW),
        values={each.gid: each.text for each in shown},
        form="bars",
        size=len(stacks),
        detail=sandwich.text.partition(", ")[2],
    )


def _stacks(sandwich: Sandwich, model: str, pairs: Sequence[Between]) -> list[Stack]:
    """Return the bars of a model."""
    clean = next((each.attacked.middle for each in pairs if each.attacked is each.certified), None)
    found = []
    for each in pairs:
        low, high = each.certified.middle, each.attacked.middle
        if each.certified is each.attacked or low is None or high is None:
            continue
        where = f", {each.attacked.x:g}" if len(sandwich.conditions) > 1 else ""
        shown = f"{number(sandwich.certified, low)} to {number(sandwich.attacked, high)}"
        stack = {"gid": each.attacked.gid, "name": f"{model}{where}", "certified": low, "attacked": high}
        found.append(Stack(**stack, clean=clean, shown=shown, text=f"{model}{where}: {_said(each)}"))
    return found


def _said(pair: Between) -> str:
    """Return the accuracies of a model in a ball as text."""
    low, high = (0.0 if each.middle is None else each.middle for each in pair)
    return f"{number(ACCURACY, low)} % certified, {number(ACCURACY, high)} % not broken"


def _coinciding(models: Mapping[str, Sequence[Between]]) -> str:
    """Return a sentence about the models whose lines can hardly be told apart, after a space; empty without any."""
    gaps = {
        name: max((each.attacked.middle or 0.0) - (each.certified.middle or 0.0) for each in own)
        for name, own in models.items()
    }
    near = {name: gap for name, gap in gaps.items() if gap < COINCIDE}
    if not near:
        return ""
    of = "" if len(models) == 1 else f" of {', '.join(near)}"
    most = max(near.values())
    rest = f"at most {number(ACCURACY, most, MANY_SAMPLES)} % of the samples are" if most else "no sample is"
    return f" Both lines{of} coincide: {rest} neither certified nor broken."


def _spread(lines: Sequence[Line]) -> str:
    """Return how many samples and seeds the numbers are from."""
    return ("means over the seeds; " if any(each["done"] > 1 for each in lines) else "") + counted(lines)
