"""Suites: means and errors over the cells of ImageNet-C, as further rows with intervals."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

from withstand.conditions import (
    BEYOND,
    CLEAN,
    IMAGENET_C,
    JPEG,
    MEAN,
    NOISE,
    OUTSIDE,
    SEVERITIES,
    SUITES,
    Saved,
    parse_cell,
    severities_of,
)
from withstand.study.measures.cells import members_of, whole_cells
from withstand.study.measures.corruption_error import ALEXNET_CLEAN_ERROR, ALEXNET_MEANS
from withstand.study.measures.intervals import normal, share
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.measures.row import Row, Rows

if TYPE_CHECKING:
    import numpy as np

ALL, ALL_BUT_NOISE = "15 corruptions", "12 corruptions without noise"
TOP1 = "top1"  # what AlexNet's errors are known for
ERRORS = "Corruption errors relative to AlexNet's"
ERROR, MEAN_ERROR = "corruption_error", "mean_corruption_error"
CE, MCE, RELATIVE_MCE = "ce_alexnet", "mce_alexnet", "relative_mce_alexnet"
MEASURES = {
    each.name: each
    for each in (
        Measure(name=ERROR, column="correct", topic=ACCURACY, primary=False, better="lower", percent=True),
        Measure(name=MEAN_ERROR, column="correct", topic=ACCURACY, primary=False, better="lower", percent=True),
        Measure(name=CE, column="correct", words="CE", topic=ERRORS, primary=False, better="lower", percent=True),
        Measure(name=MCE, column="correct", words="mCE", topic=ERRORS, primary=False, better="lower", percent=True),
        Measure(
            name=RELATIVE_MCE,
            column="correct",
            words="relative mCE",
            topic=ERRORS,
            primary=False,
            better="lower",
            percent=True,
        ),
    )
}


class Suite:
    """The accuracies of one model under its conditions, and sums of them, above all over the cells of corruptions.

    Cells with parameters of different sizes of images have no means: there are no cells then.

    A sum over cells has the interval of its value per sample: samples count as independent, the cells of one sample do
    not, since a sample that is hard under one cell is hard under others.
    """

    def __init__(
        self, rows: Iterable[Row], measure: Measure, table: OutcomeTable | None = None, *, saved: Saved = ""
    ) -> None:
        """Keep the rows.

        Args:
            rows: Rows of one model.
            measure: An accuracy.
            table: The outcomes that they come from; None gives no intervals.
            saved: Which cells belong to the suite.
        """
        self.measure, self.table, self.saved = measure, table, saved
        own = {row.condition: row for row in rows if row.measure == measure.name}
        self.rows = own
        cells = whole_cells({name: row.count for name, row in own.items()}, saved=saved)
        # Those of other suites have parameters for other sizes.
        others = [{kind: cells.pop(kind) for kind in kinds if kind in cells} for kinds in BEYOND.values()]
        self.kinds: dict[str, list[str]] = {}
        for number, group in enumerate((cells, *others)):
            if _has_one_size(table, [name for own in group.values() for name in own]):
                self.kinds |= group
            elif number == 0:
                break

    @property
    def members(self) -> list[str]:
        """The corruptions that the mean over all is made of."""
        return members_of(self.kinds)

    @property
    def complete(self) -> list[str]:
        """The corruptions that have all severities."""
        return [name for name, cells in self.kinds.items() if len(cells) == len(severities_of(name))]

    def mean(self, kinds: Sequence[str], condition: str) -> Row:
        """Return the mean accuracy over all cells of some corruptions."""
        cells = [cell for each in kinds for cell in self.kinds[each]]
        return self.sum(self.measure.name, condition, dict.fromkeys(cells, 1 / len(cells)))

    def error(self, measure: str, condition: str, kinds: Mapping[str, float]) -> Row:
        """Return a sum of the errors of complete corruptions, each with a weight."""
        cells = {each: self.kinds[each] for each in kinds}
        weights = {cell: -weight / len(cells[each]) for each, weight in kinds.items() for cell in cells[each]}
        return self.sum(measure, condition, weights, constant=sum(kinds.values()))

    def sum(self, measure: str, condition: str, weights: Mapping[str, float], *, constant: float = 0.0) -> Row:
        """Return a constant plus the accuracies under some conditions, each with a weight, and its interval."""
        value = constant + sum(weight * self.rows[name].value for name, weight in weights.items())
        count = min(self.rows[name].count for name in weights)
        low = high = None
        if (error := self._error(weights)) is not None:
            low, high = _interval(value, error, list(weights.values()), constant, count)
        return Row(measure=measure, condition=condition, value=value, count=count, low=low, high=high)

    def _error(self, weights: Mapping[str, float]) -> float | None:
        """Return the standard error of a sum; None without the outcomes of every condition."""
        if self._influences is None or not weights.keys() <= self._influences.keys():
            return None
        whole = sum(weight * self._influences[name] for name, weight in weights.items())
        count = min(self.rows[name].count for name in weights)
        return math.sqrt(float((whole**2).sum()) * count / max(1, count - 1))  # type: ignore[operator]

    @cached_property
    def _influences(self) -> "dict[str, np.ndarray] | None":
        """Influence of every sample on the mean of each condition; 0 if it is missing."""
        import polars

        if self.table is None:
            return None
        found = {}
        for own in self.table.conditions:
            if own.condition not in self.rows or own.condition in found or self.measure.column not in own.frame.columns:
                continue
            values, mean = own.frame[self.measure.column].cast(polars.Float64), self.rows[own.condition].value
            influence = self.table.empty()
            count = len(values) - values.null_count()
            influence[self.table.places(own)] = (values.fill_null(mean).to_numpy() - mean) / max(1, count)
            found[own.condition] = influence
        return found


def suite_rows(rows: Iterable[Row], measures: Mapping[str, Measure], table: OutcomeTable | None = None) -> Rows:
    """Return the rows that the cells of one model make, of those that it has not yet.

    They are, for each way of saving (`+jpeg` ends the condition): every accuracy under `corruptions`, its mean over the
    cells of all corruptions but extras (with the number of cells, where a corruption lacks severities, or is of another
    suite than ImageNet-C), its mean over every other complete suite (`corruptions of cifar10-c-bar`), and, of top-1,
    `corruption_error` per corruption with all severities, `mean_corruption_error`, and for images of ImageNet that were
    saved as JPEG `ce_alexnet`, `mce_alexnet` and `relative_mce_alexnet`.

    Args:
        rows: Rows of one model.
        measures: Measures of these rows, by name.
        table: The outcomes that they come from; None gives no intervals and nothing relative to AlexNet.
    """
    rows = list(rows)
    found: list[Row] = []
    for saved in get_args(Saved):
        for measure in measures.values():
            if measure.topic != ACCURACY or measure.reduction != "mean":
                continue
            suite = Suite(rows, measure, table, saved=saved)
            if not suite.kinds:
                continue
            found.append(suite.mean(suite.members, mean_condition(suite)))
            found += _other_suites(suite)
            if measure.name == TOP1:
                found += _errors(suite, reference=table is not None and has_reference(table) and saved == JPEG)
    there = {(row.measure, row.condition) for row in rows}
    found = [row for row in found if (row.measure, row.condition) not in there]
    used = dict.fromkeys(row.measure for row in found)
    known = MEASURES | {name: measures[name] for name in used if name in measures}
    columns = {name: replace(known[name], column=measures[TOP1].column) for name in MEASURES if TOP1 in measures}
    return Rows(found, {name: columns.get(name, known[name]) for name in used})


def mean_condition(suite: Suite) -> str:
    """Return the condition of the mean over all cells.

    Only a mean over corruptions of ImageNet-C with all severities is called `corruptions`; that over another suite has
    the name of the suite, and any other the number of its cells.

    Example:
        >>> top1 = Measure(name="top1", column="correct")
        >>> mean_condition(Suite([Row(measure="top1", condition="fog/1", value=0.5, count=9)], top1))
        'corruptions (1 cell)'
    """
    name, members, complete = MEAN + suite.saved, set(suite.members), set(suite.complete)
    if members <= complete:
        if members.isdisjoint(OUTSIDE):
            return name
        if suites := [own for own, kinds in SUITES.items() if members == set(kinds)]:
            return f"{MEAN} of {suites[0]}{suite.saved}"
    cells = sum(len(suite.kinds[each]) for each in suite.members)
    return f"{name} ({cells} cell{'s' * (cells != 1)})"


def _other_suites(suite: Suite) -> list[Row]:
    """Return the mean over every complete suite, unless it is the mean over all."""
    members, complete = set(suite.members), set(suite.complete)
    return [
        suite.mean(kinds, f"{MEAN} of {name}{suite.saved}")
        for name, kinds in SUITES.items()
        if members != set(kinds) <= complete
    ]


def has_reference(table: OutcomeTable) -> bool:
    """Return whether errors may be divided by AlexNet's: ImageNet's 1,000 classes, parameters for 224 pixels."""
    is_imagenet = table.shape == (3, 224, 224) and len(table.classes) == len(set(table.classes)) == 1000
    cells = ((parse_cell(each.condition), each.evaluation) for each in table.conditions)
    own = (evaluation for cell, evaluation in cells if cell is None or cell.corruption not in OUTSIDE)
    return is_imagenet and all(_pixels(each) <= {None, 224} for each in own)


def _has_one_size(table: OutcomeTable | None, names: Sequence[str]) -> bool:
    """Return whether the parameters of all cells are for images of one size; None is the size of the images."""
    if table is None:
        return True
    chosen = set(names)
    sizes = set().union(*(_pixels(each.evaluation) for each in table.conditions if each.condition in chosen))
    return len({table.shape[-1] if each is None and table.shape else each for each in sizes}) <= 1


def _pixels(plain: Any) -> set[Any]:
    """Return the sizes that a plain configuration takes its parameters for."""
    if isinstance(plain, Mapping):
        own = {plain["pixels"]} if "pixels" in plain else set()
        return own.union(*map(_pixels, plain.values()))
    return set().union(*map(_pixels, plain)) if isinstance(plain, list | tuple) else set()


def _errors(suite: Suite, *, reference: bool) -> list[Row]:
    """Return the rows of errors: per corruption, and their means over the published sets."""
    saved, complete = suite.saved, suite.complete
    found = [suite.error(ERROR, name + saved, {name: 1.0}) for name in complete]
    if reference:
        found += [
            suite.error(CE, name + saved, {name: 1 / ALEXNET_MEANS[name]}) for name in complete if name in ALEXNET_MEANS
        ]
    for where, excluded in ((ALL, ()), (ALL_BUT_NOISE, NOISE)):
        names = [each for each in IMAGENET_C if each not in excluded]
        if not set(names) <= set(complete):
            continue
        found.append(suite.error(MEAN_ERROR, where + saved, dict.fromkeys(names, 1 / len(names))))
        if not reference:
            continue
        found.append(suite.error(MCE, where + saved, {each: 1 / ALEXNET_MEANS[each] / len(names) for each in names}))
        if CLEAN in suite.rows:
            found.append(_relative(suite, where + saved, names))
    for where, names in SUITES.items():
        if set(names) <= set(complete):
            found.append(suite.error(MEAN_ERROR, where + saved, dict.fromkeys(names, 1 / len(names))))
    return found


def _relative(suite: Suite, condition: str, names: Sequence[str]) -> Row:
    """Return the mean over corruptions of what each adds to the clean error over what it adds to AlexNet's."""
    weights = {each: 1 / (ALEXNET_MEANS[each] - ALEXNET_CLEAN_ERROR) / len(names) for each in names}
    cells = {cell: -weight / len(SEVERITIES) for each, weight in weights.items() for cell in suite.kinds[each]}
    return suite.sum(RELATIVE_MCE, condition, cells | {CLEAN: sum(weights.values())})


def _interval(value: float, error: float, weights: Sequence[float], constant: float, count: int) -> tuple[float, float]:
    """Return the interval of a sum: of shares, where all weights have one sign, the one of their weighted mean."""
    size = sum(weights)
    if not (min(weights) > 0 or max(weights) < 0):
        return normal(value, error)
    low, high = share(min(1.0, max(0.0, (value - constant) / size)), error / abs(size), count)
    ends = sorted((constant + size * low, constant + size * high))
    return ends[0], ends[1]
