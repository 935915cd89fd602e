"""Accuracy under random errors in the entries of a table."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from withstand.data.space import Space
from withstand.data.tables.categories import MAX_LEVELS
from withstand.data.tables.features import Features
from withstand.data.tables.rules import HOLE
from withstand.functional.random import RowStreams, derive_seed
from withstand.perturbations.table_errors.suite import table_errors
from withstand.perturbations.table_errors.table_error import TableError
from withstand.tables.columns import Columns
from withstand.tables.subject import subject_of


def right_under_errors(
    model: Any, table: Any, y: Any, *, names: Sequence[str], probability: float, num_draws: int, seed: int, who: str
) -> torch.Tensor:
    """Return the share of correct predictions per row (row,), over kinds of errors and draws.

    Args:
        model: As `robustness` takes it.
        table: The rows.
        y: A label per row.
        names: Names of the columns of an array.
        probability: Probability that an entry is wrong, in [0, 1].
        num_draws: Draws per kind of error.
        seed: Of all draws.
        who: Name at the beginning of errors.
    """
    columns = Columns.of(table, names=names, who=who)
    words = [
        each.name
        for each in columns.columns
        if each.kind == "category" and 1 < len(each.levels) <= MAX_LEVELS and None not in each.levels
    ]
    columns = Columns.of(table, names=names, split=words, who=who)
    matrix = columns.matrix()
    features, holes = _features(columns, matrix), matrix == HOLE
    offset, scale = np.array(features.offset), np.array(features.scale)
    own = np.where(np.isinf(scale), 1.0, scale)
    x = torch.from_numpy((np.where(holes, np.array(features.typical) * own + offset, matrix) - offset) / own)
    subject = subject_of(model, columns, y, (False,) * columns.num_inputs, who=who)
    labels, space = subject.numbers(y, columns.num_rows, who=who), Space(shape=(x.shape[1],), features=features)
    right = torch.zeros(len(x), dtype=torch.float64)
    kinds = [replace(each, probability=probability) for each in table_errors(features) if isinstance(each, TableError)]
    whole = [each.inputs[0] for each in columns.columns if each.kind == "integer"]
    for each in kinds:
        rng = RowStreams(derive_seed(seed, "errors", type(each).__name__), torch.arange(len(x)), device=x.device)
        drawn = each.draw(x, labels, subject.module, space=space, num_draws=num_draws, rng=rng).inputs
        for copy in drawn.numpy() * own + offset:
            copy[:, whole] = copy[:, whole].round()
            copy[holes] = HOLE
            with torch.no_grad():
                right += (subject.module(torch.from_numpy(copy)).argmax(1) == labels) / (num_draws * len(kinds))
    return right.clamp(max=1)


def _features(columns: Columns, matrix: np.ndarray) -> Features:
    """Return the features of a table whose categories are one-hot."""
    owners = [each for each in columns.columns for _ in each.inputs]
    is_split = np.array([len(each.inputs) > 1 for each in owners])
    numbers = np.where(matrix == HOLE, np.nan, matrix)
    keep = np.array([each.kind != "category" for each in owners])
    with np.errstate(all="ignore"):
        is_empty = np.isnan(numbers).all(0)
        filled = np.where(is_empty, 0.0, numbers)
        offset, std = np.nanmean(filled, 0), np.nanstd(filled, 0)
        middle = np.nanquantile(filled, 0.5, axis=0, method="lower")
        quarters = np.nanquantile(filled, (0.25, 0.75), axis=0)
    offset, scale = np.where(keep, offset, 0.0), np.where(keep, std, 1.0)
    # Constant columns have no errors, and neither have categories of too many levels, which are one number.
    scale = np.where((scale == 0) | ~(keep | is_split), np.inf, scale)
    frequent = {each.name: int(matrix[:, list(each.inputs)].mean(0).argmax()) for each in columns.columns}
    typical = [
        float(number == frequent[each.name])
        if len(each.inputs) > 1
        else float((middle[place] - offset[place]) / scale[place])
        for each in columns.columns
        for number, place in enumerate(each.inputs)
    ]
    return Features(
        names=tuple(str(each.name) for each in owners),
        columns=tuple(str(each.name) for each in owners),
        kinds=tuple(each.kind for each in owners),
        movable=(True,) * len(owners),
        offset=tuple(offset.tolist()),
        scale=tuple(scale.tolist()),
        iqr=tuple((quarters[1] - quarters[0]).tolist()),
        typical=tuple(typical),
    )
