"""From the columns of a file to the scaled samples of one part."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.data.base import Part, Scaling, TensorSplit, check_part, cut
from withstand.data.table_file import TableFile
from withstand.errors import InputError

Scale = Literal["standard", "none"]


def load_tabular(
    part: Part,
    *,
    file: TableFile,
    test_file: TableFile | None,
    target: str,
    features: Sequence[str],
    scale: Scale,
    validation: float,
    test: float,
) -> TensorSplit:
    """Return one part of a table, with its labels numbered and its features scaled as in the training part.

    Args:
        part: The part.
        file: Where the parts are cut from.
        test_file: Where the test part comes from instead; only read for this part.
        target: Column of the classes.
        features: Columns of the inputs, in their order.
        scale: `standard` subtracts the mean of the training part and divides by its standard deviation.
        validation: Share of the file for validation.
        test: Share of the file for testing, 0 if there is a test file.

    Raises:
        InputError: If a cell cannot be used, or a class has no training row.
    """
    check_part(file.who, part)
    labels = file.labels(target)
    classes = _order(labels)
    if len(classes) < 2:
        raise InputError(
            f"{file.who}: {file.path}, column {target!r}: expected at least two classes, got only {labels[0]!r}."
        )
    y = _number(labels, classes)
    rows = cut(y, validation=validation, test=test)
    _check_training(file, classes, y[rows["train"]])
    x = file.numbers(features)
    scaling = fit_scaling(features, x[rows["train"]]) if scale == "standard" else None
    chosen = rows[part]
    if part == "test" and test_file is not None:
        file, labels = test_file, test_file.labels(target)
        _check_known(file, target, labels, classes)
        x, y, chosen = file.numbers(features), _number(labels, classes), torch.arange(len(file))
    too_large = torch.zeros(len(features), dtype=torch.bool)
    if scaling is not None:
        mean, std = (torch.tensor(each, dtype=x.dtype) for each in (scaling.mean, scaling.std))
        x, too_large = (x - mean) / std, ~std.isfinite()
    x = x.float()
    too_large |= ~x.isfinite().all(0)
    if too_large.any():
        column = features[int(too_large.nonzero()[0])]
        raise InputError(f"{file.who}: {file.path}, column {column!r}: its numbers are too large for 32 bits.")
    return TensorSplit(x[chosen], y[chosen], classes=classes, box=None, numbers=chosen, scaling=scaling)


def fit_scaling(features: Sequence[str], x: Float[Tensor, "row feature"]) -> Scaling:
    """Return the means and standard deviations of the training rows (divided by their number, not one less).

    Example:
        >>> fit_scaling(["a", "b"], torch.tensor([[1.0, 7.0], [3.0, 7.0]]))
        Scaling(features=('a', 'b'), mean=(2.0, 7.0), std=(1.0, 1.0))
    """
    constant = x.amin(0) == x.amax(0)
    mean = torch.where(constant, x[0], x.mean(0))
    std = torch.where(constant, 1.0, x.std(0, correction=0))
    return Scaling(tuple(features), tuple(mean.tolist()), tuple(std.tolist()))


def _order(labels: Sequence[str]) -> tuple[str, ...]:
    names = set(labels)
    try:
        return tuple(sorted(names, key=int))
    except ValueError:
        return tuple(sorted(names))


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


def _check_known(file: TableFile, target: str, labels: Sequence[str], classes: Sequence[str]) -> None:
    known = set(classes)
    for row, label in enumerate(labels):
        if label not in known:
            raise InputError(
                f"{file.who}: {file.path}, {file.place(row)}, column {target!r}: "
                f"label {label!r} does not occur in training."
            )
