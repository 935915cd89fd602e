"""Turn the columns of a table into the scaled samples of one part."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.data.base import Part, TensorSplit, check_part, cut
from withstand.data.tables.categories import Column, encode, learn_columns, sort_names, warn_of_unknown_levels
from withstand.data.tables.changes import Values, find_changes
from withstand.data.tables.features import Features, Kind, fit_features
from withstand.data.tables.formats import TableFile
from withstand.errors import InputError

Scale = Literal["standard", "none"]


def load_tabular(
    part: Part,
    *,
    file: TableFile,
    test_file: TableFile | None = None,
    target: str,
    features: Sequence[str],
    scale: Scale = "standard",
    validation: float,
    test: float = 0.0,
    categorical: Sequence[str] = (),
    movable: Sequence[str] | None = None,
    changes: Mapping[str, Values] | None = None,
) -> TensorSplit:
    """Return one part of a table; classes, levels and scaling are learned from the training part.

    Args:
        part: The part.
        file: Table to cut into parts.
        test_file: Table of the test part, if it has its own; read for this part only.
        target: Column of the classes.
        features: Columns of the inputs, in order.
        scale: See Table.
        validation: Share of the file for validation.
        test: Share of the file for testing.
        categorical: Features that are categories; the others must be numbers.
        movable: Columns that perturbations may displace; None takes numbers that are not all whole in training.
        changes: Further allowed changes, see `find_changes`.

    Raises:
        InputError: If a cell is invalid, a class has no training row, or a feature is constant in training.
    """
    check_part(file.who, part)
    labels = file.labels(target)
    classes = _learn_classes(file, target, labels)
    y = _number(labels, classes)
    rows = cut(y, validation=validation, test=test)
    _check_training(file, classes, y[rows["train"]])
    columns = learn_columns(file, features, rows["train"], categorical=categorical)
    x = encode(file, columns)
    _check_constant(file, columns, x[rows["train"]])
    known = _describe(file, columns, x[rows["train"]], scale=scale, movable=movable, changes=changes or {})
    chosen = rows[part]
    if part == "test" and test_file is not None:
        file, labels = test_file, test_file.labels(target)
        _check_known(file, target, labels, classes)
        x, y, chosen = encode(file, columns), _number(labels, classes), torch.arange(len(file))
    warn_of_unknown_levels(file, columns, chosen)
    x = _scale(file, x, known)
    return TensorSplit(x[chosen], y[chosen], classes=classes, box=None, numbers=chosen, features=known)


def _learn_classes(file: TableFile, target: str, labels: Sequence[str]) -> tuple[str, ...]:
    classes = sort_names(set(labels))
    if len(classes) < 2:
        raise InputError(
            f"{file.who}: {file.path}, column {target!r}: expected at least two classes, got only {labels[0]!r}."
        )
    return classes


def _scale(file: TableFile, x: Float[Tensor, "row feature"], known: Features) -> Float[Tensor, "row feature"]:
    offset, divisor = (torch.tensor(each, dtype=x.dtype) for each in (known.offset, known.scale))
    x = ((x - offset) / divisor).float()
    too_large = ~divisor.isfinite() | ~x.isfinite().all(0)
    if too_large.any():
        column = known.columns[int(too_large.nonzero()[0])]
        raise InputError(f"{file.who}: {file.path}, column {column!r}: its numbers are too large for 32 bits.")
    return x


def _describe(
    file: TableFile,
    columns: Sequence[Column],
    x: Float[Tensor, "row feature"],
    *,
    scale: Scale,
    movable: Sequence[str] | None,
    changes: Mapping[str, Values],
) -> Features:
    """Return the statistics of the features in the training rows x."""
    owners = [column for column in columns for _ in column.inputs]
    for owner in owners:
        if owner.levels is not None and owner.name in (movable or ()):
            raise InputError(
                f"{file.who}: {file.path}, column {owner.name!r}: movable columns must be numbers, got a category."
            )
    known = fit_features([name for column in columns for name in column.inputs], x)
    is_whole = (x == x.round()).all(0).tolist()
    kinds: list[Kind] = [
        "category" if owner.levels is not None else "integer" if whole else "continuous"
        for owner, whole in zip(owners, is_whole, strict=True)
    ]
    is_scaled = [scale == "standard" and kind != "category" for kind in kinds]
    means, deviations = x.mean(0).tolist(), x.std(0, correction=0).tolist()
    known = known._replace(
        columns=tuple(owner.name for owner in owners),
        kinds=tuple(kinds),
        movable=tuple(
            (kind == "continuous" if movable is None else owner.name in movable) and owner.name not in changes
            for kind, owner in zip(kinds, owners, strict=True)
        ),
        offset=tuple(mean if scaled else 0.0 for mean, scaled in zip(means, is_scaled, strict=True)),
        scale=tuple(std if scaled else 1.0 for std, scaled in zip(deviations, is_scaled, strict=True)),
    )
    return known._replace(changes=find_changes(file, columns, known, changes))


def _number(labels: Sequence[str], classes: Sequence[str]) -> Int[Tensor, " row"]:
    number = {name: k for k, name in enumerate(classes)}
    return torch.tensor([number[name] for name in labels])


def _check_training(file: TableFile, classes: Sequence[str], y: Int[Tensor, " row"]) -> None:
    counts = torch.bincount(y, minlength=len(classes)).tolist()
    if 0 in counts:
        raise InputError(
            f"{file.who}: {file.path}: class {classes[counts.index(0)]!r} has too few rows "
            "to leave any for training; lower validation or test."
        )


def _check_constant(file: TableFile, columns: Sequence[Column], x: Float[Tensor, "row feature"]) -> None:
    is_constant = (x.amin(0) == x.amax(0)).tolist()
    start, constant = 0, []
    for column in columns:
        if all(is_constant[start : start + len(column.inputs)]):
            constant.append(repr(column.name))
        start += len(column.inputs)
    if constant:
        shown = ", ".join(constant[:5]) + (", ..." if len(constant) > 5 else "")
        raise InputError(
            f"{file.who}: {file.path}, column{'s' * (len(constant) > 1)} {shown}: expected at least two values "
            "in the training part, got one; name constant features in drop."
        )


def _check_known(file: TableFile, target: str, labels: Sequence[str], classes: Sequence[str]) -> None:
    known = set(classes)
    for row, label in enumerate(labels):
        if label not in known:
            raise InputError(
                f"{file.who}: {file.path}, {file.place(row)}, column {target!r}: "
                f"label {label!r} does not occur in training."
            )
