"""Turn the columns of a table into the scaled samples of one part."""

import logging
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.data.base import Part, TensorSplit, check_part, cut
from withstand.data.memory import check_memory
from withstand.data.tables.categories import (
    Column,
    encode,
    learn_columns,
    pieces,
    positions,
    sort_names,
    warn_of_unknown_levels,
)
from withstand.data.tables.changes import Values, find_changes
from withstand.data.tables.features import Features, Kind, fit_features
from withstand.data.tables.formats import WORKING_BYTES, TableFile
from withstand.data.tables.holes import EMPTY, Holes, Missing, usable_rows
from withstand.errors import InputError, nearest

Scale = Literal["standard", "none"]
LARGE = 10**8  # bytes of a table whose size is logged

log = logging.getLogger("withstand")


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
    missing: Missing = "refuse",
) -> TensorSplit:
    """Return one part of a table; classes, levels, scaling and fillings are learned from the training part.

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
        missing: See Table.

    Raises:
        InputError: If a cell is invalid, a class has no training row, or a feature is constant in training.
    """
    check_part(file.who, part)
    usable = usable_rows(file, target, features, missing=missing)
    y, classes = _read_classes(file, target, usable)
    rows = {name: usable[own] for name, own in cut(y[usable], validation=validation, test=test).items()}
    _check_training(file, classes, y[rows["train"]])
    columns = learn_columns(file, features, rows["train"], categorical=categorical, missing=missing)
    source, chosen = file, rows[part]
    if part == "test" and test_file is not None:
        source, usable = test_file, _usable_test_rows(test_file, file, target, features, missing=missing)
        chosen, y = usable, _read_known_classes(source, target, classes, usable)
    _announce(file, columns, len(file) if part == "train" else len(chosen), to_log=part == "train")
    y, holes = y[chosen], Holes(source, chosen, left_out=len(source) - len(usable))
    x, known = _read_inputs(file, columns, holes, rows["train"], scale=scale, movable=movable, changes=changes or {})
    warn_of_unknown_levels(source, columns, chosen)
    notes = holes.report(missing, to_log=part == "train")
    return TensorSplit(x, y, classes=classes, box=None, numbers=chosen, features=known, notes=notes)


def _usable_test_rows(
    source: TableFile, file: TableFile, target: str, features: Sequence[str], *, missing: Missing
) -> Int[Tensor, " row"]:
    """Return the usable rows of a file of the test part; rejects one that lacks columns."""
    absent = [name for name in (*features, target) if name not in source.columns]
    if absent:
        shown = ", ".join(map(repr, absent[:5])) + (", ..." if len(absent) > 5 else "")
        raise InputError(
            f"{source.who}: {source.path} has no column{'s' * (len(absent) > 1)} {shown} of {file.path}; "
            f"{nearest(absent[0], source.columns)}"
        )
    return usable_rows(source, target, features, missing=missing)


def _read_classes(
    file: TableFile, target: str, rows: Int[Tensor, " row"]
) -> tuple[Int[Tensor, " row"], tuple[str, ...]]:
    """Return the number of each row's class, -1 for empty ones, and the names of the classes of some rows."""
    labels = file.labels(target, keep_empty=len(rows) < len(file))
    classes = sort_names(set(labels[rows.numpy()].unique().to_list()))
    if len(classes) < 2:
        only = labels[int(rows[0])]
        raise InputError(
            f"{file.who}: {file.path}, column {target!r}: expected at least two classes, got only {only!r}."
        )
    return positions(labels, classes), classes


def _read_known_classes(
    file: TableFile, target: str, classes: Sequence[str], rows: Int[Tensor, " row"]
) -> Int[Tensor, " row"]:
    labels = file.labels(target, keep_empty=len(rows) < len(file))
    y = positions(labels, classes)
    unknown = rows[y[rows] < 0]
    if len(unknown):
        row = int(unknown[0])
        raise InputError(
            f"{file.who}: {file.path}, {file.place(row)}, column {target!r}: "
            f"label {labels[row]!r} does not occur in training."
        )
    return y


def _announce(file: TableFile, columns: Sequence[Column], num_rows: int, *, to_log: bool) -> None:
    """Log the memory that a large table needs, and reject a table that needs more than is available."""
    num = sum(len(column.inputs) for column in columns)
    needed = 4 * num * num_rows + WORKING_BYTES * len(file)
    check_memory(file.who, f"{num_rows:,} rows x {num:,} features", needed)
    if to_log and needed > LARGE:
        line = f"{num_rows:,} rows x {num:,} features: {needed / 1e9:.1f} GB of memory."
        log.info("%s: %s", file.who, line)


def _read_inputs(
    file: TableFile,
    columns: Sequence[Column],
    holes: Holes,
    training: Int[Tensor, " row"],
    *,
    scale: Scale,
    movable: Sequence[str] | None,
    changes: Mapping[str, Values],
) -> tuple[Float[Tensor, "row feature"], Features]:
    """Return the rows of `holes`, scaled by the training rows of the file, some columns at a time."""
    source, chosen = holes.file, holes.rows
    x = torch.empty(len(chosen), sum(len(column.inputs) for column in columns))
    found: list[Features] = []
    varied: set[str] = set()
    too_large: list[str] = []
    first = 0
    for own in pieces(columns, max(len(file), len(source))):
        values = encode(file, own)
        fitted = values[training]
        varied |= _varied(own, fitted)
        found.append(_describe(file, own, fitted, scale=scale, movable=movable, changes=changes))
        del fitted
        if source is not file:
            values = encode(source, own)
        for column in own:
            if column.fill is not None:
                holes.add(column.name)
        part = slice(first, first + values.shape[1])
        values = _scaled(values, found[-1])
        too_large += _too_large(found[-1], values)
        x[:, part] = values[chosen]
        first = part.stop
        del values  # before the next are read
    _check_constant(file, columns, varied)
    if too_large:
        raise InputError(
            f"{source.who}: {source.path}, column {too_large[0]!r}: its numbers are too large for 32 bits."
        )
    known = Features(*(tuple(chain.from_iterable(each)) for each in zip(*found, strict=True)))
    return x, known._replace(changes=find_changes(file, columns, known, changes), typical=_typical(known))


def _typical(known: Features) -> tuple[float, ...]:
    """Return the inputs of empty cells from the scaled medians of numbers and the shares of levels."""
    found, best = list(known.typical), dict[str, tuple[float, int]]()
    for number, (kind, name, share) in enumerate(zip(known.kinds, known.columns, known.typical, strict=True)):
        if kind == "category":
            is_empty = known.names[number] == f"{name}={EMPTY}"
            best[name] = max(best.get(name, (-1.0, 0)), (2.0 if is_empty else share, -number))
            found[number] = 0.0
    for _, number in best.values():
        found[-number] = 1.0
    return tuple(found)


def _scaled(x: Float[Tensor, "row feature"], known: Features) -> Float[Tensor, "row feature"]:
    """Return the inputs in float32; overwrites x."""
    offset, divisor = (torch.tensor(each, dtype=x.dtype) for each in (known.offset, known.scale))
    return x.sub_(offset).div_(divisor).float()


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
    offset = [mean if scaled else 0.0 for mean, scaled in zip(means, is_scaled, strict=True)]
    divisor = [std if scaled else 1.0 for std, scaled in zip(deviations, is_scaled, strict=True)]
    typical = [
        mean if kind == "category" else (value - own) / (std or 1.0)  # constant columns are rejected later
        for kind, mean, value, own, std in zip(kinds, means, known.typical, offset, divisor, strict=True)
    ]
    return known._replace(
        columns=tuple(owner.name for owner in owners),
        kinds=tuple(kinds),
        movable=tuple(
            (kind == "continuous" if movable is None else owner.name in movable) and owner.name not in changes
            for kind, owner in zip(kinds, owners, strict=True)
        ),
        offset=tuple(offset),
        scale=tuple(divisor),
        typical=tuple(typical),
    )


def _check_training(file: TableFile, classes: Sequence[str], y: Int[Tensor, " row"]) -> None:
    counts = torch.bincount(y, minlength=len(classes)).tolist()
    if 0 in counts:
        raise InputError(
            f"{file.who}: {file.path}: class {classes[counts.index(0)]!r} has too few rows "
            "to leave any for training; lower validation or test."
        )


def _varied(columns: Sequence[Column], x: Float[Tensor, "row feature"]) -> set[str]:
    """Return the names of the columns with two values or more in these rows."""
    varies = iter((x.amin(0) != x.amax(0)).tolist())
    return {column.name for column in columns for _ in column.inputs if next(varies)}


def _check_constant(file: TableFile, columns: Sequence[Column], varied: set[str]) -> None:
    constant = [repr(column.name) for column in columns if column.name not in varied]
    if constant:
        shown = ", ".join(constant[:5]) + (", ..." if len(constant) > 5 else "")
        raise InputError(
            f"{file.who}: {file.path}, column{'s' * (len(constant) > 1)} {shown}: expected at least two values "
            "in the training part, got one; name constant features in drop."
        )


def _too_large(known: Features, x: Float[Tensor, "row feature"]) -> list[str]:
    """Return the names of the columns whose scaled numbers x, or their deviations, are not finite."""
    wrong = ~torch.tensor(known.scale, dtype=torch.float64).isfinite() | ~x.isfinite().all(0)
    return [known.columns[each] for each in wrong.nonzero()[:, 0].tolist()]
