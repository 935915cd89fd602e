"""Sandwiches: certified and worst-case accuracy in the same balls, and sentences about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from withstand.conditions import along
from withstand.rendering.cell import DOUBT
from withstand.reports.numbers import number
from withstand.reports.series import RADIUS_UNITS, unit_of
from withstand.study.digest import Digest
from withstand.study.measures.measure import Measure
from withstand.study.study import Study

MOST_NAMED = 6  # in a sentence
CHANGES = {"l1": "with an l1 norm of", "l2": "with an l2 norm of", "linf": "of"}


@dataclass(frozen=True, kw_only=True)
class Sandwich:
    """Balls with a certified and a worst-case accuracy, by the same attacks and certificates.

    Attributes:
        certified: The certified accuracy.
        attacked: The worst-case accuracy.
        text: The condition, with `[]` in the place of the radius if there is one.
        conditions: By radius, ascending; by 0 where there is a radius per feature.
    """

    certified: Measure
    attacked: Measure
    text: str
    conditions: Mapping[float, str]

    @property
    def ball(self) -> str:
        """The balls as text."""
        return self.text.partition(", ")[0]

    @property
    def attacks(self) -> str:
        """The budget of the attacks, or their names."""
        return self.text.partition(", ")[2].rpartition(" + ")[0]

    @property
    def method(self) -> str:
        """The strongest method of the certificates."""
        return self.text.rpartition(" + ")[2]

    @property
    def has_radius(self) -> bool:
        """Whether the balls have one radius each."""
        return bool(unit_of(self.text))


def sandwiches_of(study: Study) -> list[Sandwich]:
    """Return the conditions with both a certified and a worst-case accuracy, grouped by all but the radius."""
    summary = study.summary.select("measure", "condition").drop_nulls().unique(maintain_order=True)
    names = {kind: _of_kind(study, kind) for kind in ("certified", "attacked")}
    both: dict[str, dict[str, Measure]] = {}
    for name, condition in summary.iter_rows():
        for kind, known in names.items():
            if name in known:
                both.setdefault(condition, {}).setdefault(kind, known[name])
    found: dict[str, tuple[dict[str, Measure], dict[float, str]]] = {}
    for condition, measures in both.items():
        if len(measures) == len(names):
            place = along(condition)
            text, value = (place.text, place.value) if place and unit_of(place.text) else (condition, 0.0)
            found.setdefault(text, (measures, {}))[1][value] = condition
    return [
        Sandwich(**measures, text=text, conditions=dict(sorted(own.items()))) for text, (measures, own) in found.items()
    ]


def sandwich_findings(digest: Digest) -> list[tuple[str, str]]:
    """Return a sentence per ball: which share of the samples is proved to withstand it, and which is not broken.

    For one combination up to three balls, for several the middle one; combinations keep their order, since neither
    share alone ranks them.

    Returns:
        The ball, and the sentence.
    """
    found = []
    for each in sandwiches_of(digest.study):
        radii, middle = list(each.conditions), (len(each.conditions) - 1) / 2
        places = (0.0, middle, 2 * middle) if len(digest.combinations) == 1 else (middle,)
        for radius in dict.fromkeys(radii[int(place)] for place in places):
            found += _finding(digest, each, radius)
    return found


def _of_kind(study: Study, kind: str) -> dict[str, Measure]:
    known = study.measures.values()
    return {each.name: each for each in known if each.kind == kind and each.primary and each.percent}


def _finding(digest: Digest, sandwich: Sandwich, radius: float) -> list[tuple[str, str]]:
    condition, measures = sandwich.conditions[radius], (sandwich.certified, sandwich.attacked)
    pairs: dict[str, tuple[str, ...]] = {}
    seeds, doubt = 1, ""
    for each in digest.combinations:
        lines = [digest.lines.get((each.index, measure.name, condition)) for measure in measures]
        there = [line for line in lines if line is not None and line["mean"] is not None]
        if len(there) == len(measures):
            texts = zip(measures, there, strict=True)
            pairs[each.name] = tuple(number(measure, line["mean"], line["samples"]) for measure, line in texts)
            seeds = max(seeds, *(line["done"] for line in there))
            doubt += f" The higher number{DOUBT} of {each.name} is not trustworthy." if there[1]["doubt"] else ""
    if not pairs:
        return []
    what = f"any change {_within(digest, sandwich, radius)}"
    mean = f"; means over {seeds} seeds" if seeds > 1 else ""
    if len(digest.combinations) == 1:
        ((low, high),) = pairs.values()
        text = f"between {low} % and {high} % of the samples withstand {what}: proved for {low} % ({sandwich.method})"
        text += f", no attack found for {high} % ({sandwich.attacks}){mean}.{doubt}"
    else:
        named = [f"{low} to {high} % with {name}" for name, (low, high) in pairs.items()]
        named = [*named[:MOST_NAMED], *([f"{len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else [])]
        text = f"share of the samples that withstand {what}: {', '.join(named)}. The lower number is proved "
        text += f"({sandwich.method}), for the higher one no attack was found ({sandwich.attacks}){mean}.{doubt}"
    return [(f"Certified and worst-case accuracy, {condition.partition(', ')[0]}", text)]


def _within(digest: Digest, sandwich: Sandwich, radius: float) -> str:
    """Return the size of the changes as text, such as `of up to 0.05 per pixel`."""
    if not sandwich.has_radius:
        return f"within {sandwich.ball}"
    norm, _, unit = sandwich.ball.replace(" []", "").partition(" ")
    size = f"{CHANGES[norm]} up to {radius:g}{f' {RADIUS_UNITS[unit]}' if unit else ''}"
    return f"{size} per {_value(digest)}" if norm == "linf" else size


def _value(digest: Digest) -> str:
    """Return the name of one input value, such as `pixel`."""
    runs = (trial.run for each in digest.combinations for trial in each.trials if trial.status == "done")
    tables = (digest.study.table_of(run) for run in runs)
    shape: tuple[Any, ...] = next((each.shape for each in tables if each is not None), ())
    return {1: "feature", 3: "pixel"}.get(len(shape), "input value")
