"""Categories: one-hot encoding of columns of words."""

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.data.tables.formats import VALUES_AT_ONCE, TableFile
from withstand.data.tables.holes import EMPTY, Missing, empty_cells, typical_level, typical_number
from withstand.errors import InputError

if TYPE_CHECKING:
    import polars

MAX_LEVELS = 256  # columns with more levels are names or remarks, not categories

log = logging.getLogger("withstand")


class Column(NamedTuple):
    """A column of inputs.

    Attributes:
        name: Its name.
        levels: Levels of a category in the training part, sorted; None for a column of numbers. `(empty)` alone is the
            input that marks empty cells of a column of numbers.
        fill: Number or level for empty cells; None rejects them.
    """

    name: str
    levels: tuple[str, ...] | None = None
    fill: float | str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs of the column."""
        return (self.name,) if self.levels is None else tuple(f"{self.name}={level}" for level in self.levels)


def learn_columns(
    file: TableFile,
    names: Sequence[str],
    training: Int[Tensor, " row"],
    *,
    categorical: Sequence[str],
    missing: Missing = "refuse",
) -> tuple[Column, ...]:
    """Return the columns, with the levels of categories among the training rows.

    Args:
        file: The file.
        names: Columns of the inputs, in order.
        training: The training rows.
        categorical: Columns that are categories.
        missing: See Table.

    Raises:
        InputError: If a category has an empty cell or too many levels.
    """
    found: list[Column] = []
    for name in names:
        if name in categorical:
            found.append(_learn_levels(file, name, training, missing))
        elif missing == "refuse":
            found.append(Column(name))
        else:
            middle, differ, has_empty = typical_number(file, name, training)
            is_marked = missing == "own" and has_empty
            found += [Column(name, None, middle)] if differ or not is_marked else []
            found += [Column(name, (EMPTY,), EMPTY)] if is_marked else []
    return tuple(found)


def pieces(columns: Sequence[Column], num_rows: int) -> Iterator[list[Column]]:
    """Yield the columns in order, as many at a time as fit in memory; a category may be split into some of its levels.

    Example:
        >>> [[each.inputs for each in own] for own in pieces([Column("a"), Column("b", ("x", "y", "z"))], 2**22)]
        [[('a',), ('b=x',)], [('b=y', 'b=z')]]
    """
    most = max(1, VALUES_AT_ONCE // num_rows)
    own: list[Column] = []
    left = most
    for column in columns:
        levels = column.levels or ("",)
        while levels:
            some, levels = levels[:left], levels[left:]
            own.append(column if column.levels is None else column._replace(levels=some))
            left -= len(some)
            if not left:
                yield own
                own, left = [], most
    if own:
        yield own


def encode(file: TableFile, columns: Sequence[Column]) -> Float[Tensor, "row feature"]:
    """Return the inputs in float64: numbers unchanged, categories one-hot; levels unseen in training are all zero.

    Raises:
        InputError: If a column is missing or a cell cannot be used.
    """
    x = torch.empty(len(file), sum(len(column.inputs) for column in columns), dtype=torch.float64)
    first = 0
    for column in columns:
        part = slice(first, first + len(column.inputs))
        if column.levels is None:
            fill = column.fill if isinstance(column.fill, float) else None
            file.numbers([column.name], out=x[:, part], fill=fill)
        elif column.levels == (EMPTY,):
            x[:, part] = empty_cells(file, column.name)[:, None]
        else:
            cells = positions(cells_of(file, column), column.levels)
            torch.eq(cells[:, None], torch.arange(len(column.levels)), out=x[:, part])
        first = part.stop
    return x


def cells_of(file: TableFile, column: Column) -> "polars.Series":
    """Return the cells of a category, with the empty ones filled."""
    is_filled = isinstance(column.fill, str)
    cells = file.labels(column.name, what="a category", keep_empty=is_filled)
    return cells.fill_null(column.fill) if is_filled else cells


def positions(cells: "polars.Series", names: Sequence[str]) -> Int[Tensor, " row"]:
    """Return the position of each cell among the names, -1 for other cells."""
    import polars as pl

    numbers = cells.cast(pl.Enum(names), strict=False).to_physical().cast(pl.Int64).fill_null(-1)
    return torch.from_numpy(numbers.to_numpy(writable=True))


def warn_of_unknown_levels(file: TableFile, columns: Sequence[Column], rows: Int[Tensor, " row"]) -> None:
    """Log levels of these rows that are unseen in training."""
    for column in columns:
        if column.levels is None or column.levels == (EMPTY,):
            continue
        cells = cells_of(file, column)[rows.numpy()]
        cells = cells.filter(~cells.is_in(column.levels))
        unknown = sorted(cells.unique().to_list())
        if unknown:
            shown = ", ".join(map(repr, unknown[:3])) + (", ..." if len(unknown) > 3 else "")
            log.warning(
                "%s: %s, column %r: %s of %s rows have a level unseen in training (%s); it is encoded as all zeros.",
                file.who,
                file.path,
                column.name,
                f"{len(cells):,}",
                f"{len(rows):,}",
                shown,
            )


def key_of(value: Any) -> Any:
    """Return what stands for the value of a cell among levels: None for empty cells of every kind.

    Example:
        >>> key_of("red"), key_of(float("nan"))
        ('red', None)
    """
    is_empty = value is None or type(value).__name__ in ("NAType", "NaTType") or value != value
    return None if is_empty else value


def sort_names(names: set[str]) -> tuple[str, ...]:
    """Return names sorted as whole numbers if they all are, else as text.

    Example:
        >>> sort_names({"10", "9"}), sort_names({"10", "9", "x"})
        (('9', '10'), ('10', '9', 'x'))
    """
    try:
        return tuple(sorted(names, key=int))
    except ValueError:
        return tuple(sorted(names))


def _learn_levels(file: TableFile, name: str, training: Int[Tensor, " row"], missing: Missing) -> Column:
    cells = file.labels(name, what="a category", keep_empty=missing != "refuse")[training.numpy()]
    levels = sort_names(set(cells.drop_nulls().unique().to_list()))
    if len(levels) > MAX_LEVELS:
        raise InputError(
            f"{file.who}: {file.path}, column {name!r}: expected a category of at most {MAX_LEVELS} levels, "
            f"got {len(levels):,} such as {cells.drop_nulls()[0]!r}; group them or name the column in drop."
        )
    if missing == "refuse":
        return Column(name, levels)
    if missing == "own":
        return Column(name, (*levels, EMPTY) if cells.has_nulls() and EMPTY not in levels else levels, EMPTY)
    return Column(name, levels, typical_level(file, name, cells, levels))
