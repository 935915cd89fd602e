"""Encoding: the columns of a table as numbers, and their categories as one-hot inputs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np

from withstand.data.tables.categories import MAX_LEVELS, key_of
from withstand.errors import InputError, brief, nearest, told
from withstand.estimators.rows import NotANumber, warn

WORDS = ("String", "Utf8", "Categorical", "Enum", "Boolean")  # types of polars that are no numbers
INFINITE = (-np.inf, np.inf)  # no levels, since they are refused
Levels = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoding:
    """How the columns of a table become inputs.

    A row is read as one number per column: categories are the numbers of their levels, -1 for a level unseen in
    training. Inputs have one column per level instead.

    Attributes:
        names: The columns.
        levels: Levels of the columns that are categories, sorted, an empty cell last; None for numbers.
        fills: What an empty cell of each column is taken for; None refuses empty cells.
    """

    names: tuple[str, ...]
    levels: tuple[Levels | None, ...]
    fills: tuple[float, ...] | None = None

    @property
    def texts(self) -> tuple[tuple[str, ...] | None, ...]:
        """The levels as text, as rules and changes name them."""
        return tuple(None if each is None else tuple(map(text_of, each)) for each in self.levels)

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of inputs of each column."""
        return tuple(1 if each is None else len(each) for each in self.levels)

    def numbered(self, who: str, X: Any) -> Any:
        """Return a table with numbers instead of categories; a table of another shape is returned unchanged.

        Warns of levels that are unseen in training.
        """
        chosen = {place: own for place, own in enumerate(self.levels) if own is not None}
        if not chosen:
            return X
        table = _Table.of(X)
        if table is None or table.num != len(self.names):
            return X
        numbers = {}
        for place, own in chosen.items():
            cells = table.cells(place)
            numbers[place] = _numbers(cells, own, self.fills is not None)
            _warn_of_unseen(f"{who}: column {self.names[place]!r}", cells, numbers[place] == -1)
        return table.replaced(numbers)

    def without_unused(self, x: np.ndarray) -> tuple["Encoding", np.ndarray]:
        """Return the encoding without the levels that no row has, and the rows (row, column) under it."""
        levels = list(self.levels)
        for place, own in enumerate(levels):
            used = range(0) if own is None else np.unique(x[:, place]).astype(int)
            if own is not None and len(used) < len(own):
                x[:, place] = np.searchsorted(used, x[:, place])
                levels[place] = tuple(own[number] for number in used)
        return replace(self, levels=tuple(levels)), x

    def with_fills(self, x: np.ndarray, whole: Iterable[int]) -> "Encoding":
        """Return the encoding that takes empty cells for the medians of these rows (row, column), 0 if all are empty.

        Args:
            x: Rows with NaN in empty cells.
            whole: Places of columns whose medians are rounded.
        """
        known = [column[~np.isnan(column)] for column in x.T]
        fills = [float(np.median(each)) if len(each) else 0.0 for each in known]
        for place in whole:
            fills[place] = float(np.round(fills[place]))
        return replace(self, fills=tuple(fills))

    def filled(self, x: np.ndarray) -> np.ndarray:
        """Return rows (row, column) with empty cells filled."""
        if self.fills is None or not np.isnan(x).any():
            return x
        return np.where(np.isnan(x), np.array(self.fills, dtype=x.dtype), x)

    def one_hot(self, x: np.ndarray) -> np.ndarray:
        """Return the unscaled inputs (row, input) of rows (row, column)."""
        if not any(self.levels):
            return x
        parts = [
            x[:, place, None] if own is None else x[:, place, None] == np.arange(len(own), dtype=x.dtype)
            for place, own in enumerate(self.levels)
        ]
        return np.concatenate(parts, axis=1, dtype=x.dtype)


def learn_encoding(who: str, X: Any, categorical: Any, *, fills: bool) -> Encoding:
    """Return the encoding of a training table; without categories, one without columns.

    Args:
        who: Name at the beginning of errors.
        X: The table.
        categorical: Columns that are categories, by name or place, or as a mask; `from_dtype` takes the columns of a
            data frame that hold text, categories or booleans; None takes none.
        fills: Whether an empty cell of a category is a level.

    Raises:
        InputError: If a column is unknown, or a category has too many levels.
    """
    table = None if categorical is None else _Table.of(X)
    if table is None or not table.num:
        return Encoding(names=(), levels=())
    names = _names_of(table)
    if isinstance(categorical, str) and categorical == "from_dtype":
        chosen = tuple(place for place, kind in enumerate(table.kinds) if _is_category(kind))
    else:
        chosen = places_of(who, "categorical", categorical, names)
    levels: list[Levels | None] = [None] * len(names)
    for place in chosen:
        levels[place] = _learn_levels(f"{who}: column {names[place]!r}", table.cells(place), fills)
    return Encoding(names=tuple(names), levels=tuple(levels), fills=(0.0,) * len(names) if fills else None)


def places_of(who: str, what: str, given: Any, names: Sequence[str]) -> tuple[int, ...]:
    """Return the places of columns that are given by name or place, or as a mask.

    Raises:
        InputError: If one is unknown, or the mask has another length.
    """
    given = given.tolist() if hasattr(given, "tolist") else given
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(f"{who}: {what} must be a list of columns, or a mask, got {brief(given)}.")
    if given and all(isinstance(each, bool) for each in given):
        if len(given) != len(names):
            raise InputError(f"{who}: {what} must be a mask of one per column ({len(names)}), got {len(given)}.")
        return tuple(place for place, each in enumerate(given) if each)
    return tuple(dict.fromkeys(place_of(who, what, each, names) for each in given))


def place_of(who: str, what: str, column: Any, names: Sequence[str]) -> int:
    """Return the place of a column that is given by name or place.

    Raises:
        InputError: If it is unknown.
    """
    if isinstance(column, str) and column in names:
        return list(names).index(column)
    if isinstance(column, Integral) and not isinstance(column, bool) and 0 <= int(column) < len(names):
        return int(column)
    raise InputError(f"{who}: {what}: there is no column {column!r}; {nearest(str(column), names)}")


def by_place(who: str, what: str, given: Mapping[Any, Any], names: Sequence[str]) -> dict[int, Any]:
    """Return the entries of a dictionary by the place of their column.

    Raises:
        InputError: If a column is unknown, or given twice.
    """
    found: dict[int, Any] = {}
    for column, each in given.items():
        place = place_of(who, what, column, names)
        if place in found:
            raise InputError(f"{who}: {what}: column {names[place]!r} is given twice, by name and by place.")
        found[place] = each
    return found


def text_of(level: Any) -> str:
    """Return a level as text: whole numbers without a fraction, an empty cell as `missing`.

    Example:
        >>> text_of(2.0), text_of("red"), text_of(True), text_of(None)
        ('2', 'red', 'True', 'missing')
    """
    if key_of(level) is None:
        return "missing"
    return str(int(level)) if isinstance(level, float) and level.is_integer() else str(level)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Table:
    """Columns of a data frame of pandas or polars, or of an array."""

    X: Any
    is_frame: bool
    kinds: Sequence[Any]

    @classmethod
    def of(cls, X: Any) -> "_Table | None":
        """Look at a table; None if it is something else, which scikit-learn refuses."""
        if hasattr(X, "columns") and hasattr(X, "dtypes"):
            return cls(X=X, is_frame=True, kinds=list(X.dtypes))
        array = np.asarray(X) if hasattr(X, "dtype") else np.array(X, dtype=object)
        return cls(X=array, is_frame=False, kinds=[None] * array.shape[1]) if array.ndim == 2 else None

    @property
    def num(self) -> int:
        return len(self.kinds)

    def cells(self, place: int) -> list[Any]:
        """Return a column as objects of Python."""
        if not self.is_frame:
            return self.X[:, place].tolist()
        return self.X.iloc[:, place].tolist() if hasattr(self.X, "iloc") else self.X.to_series(place).to_list()

    def replaced(self, numbers: dict[int, np.ndarray]) -> Any:
        """Return the table with other columns in some places."""
        if not self.is_frame:
            kind = np.result_type(self.X.dtype, np.float32) if self.X.dtype.kind in "iufb" else object
            found = self.X.astype(kind)
            for place, own in numbers.items():
                found[:, place] = own
        elif hasattr(self.X, "iloc"):
            found = self.X.copy(deep=False)
            for place, own in numbers.items():
                found.isetitem(place, own)
        else:
            series = type(self.X.to_series(0))
            found = self.X.with_columns([series(self.X.columns[place], own) for place, own in numbers.items()])
        return found


def _names_of(table: _Table) -> list[str]:
    """Return the names of the columns: those of a data frame if all are text, else `x0`, `x1` and so on."""
    own = list(table.X.columns) if table.is_frame else []
    return own if own and all(isinstance(each, str) for each in own) else [f"x{place}" for place in range(table.num)]


def _is_category(kind: Any) -> bool:
    """Return whether a column type of pandas or polars holds text, categories or booleans."""
    return getattr(kind, "kind", "") in ("O", "U", "S", "b") or str(kind).partition("(")[0] in WORDS


def _learn_levels(who: str, cells: Sequence[Any], fills: bool) -> Levels:
    try:
        found = {key_of(each) for each in set(cells)}
    except TypeError as problem:
        raise NotANumber(
            f"{who}: the argument must be a category of string, boolean or number ({told(problem)})."
        ) from None
    levels: list[Any] = sorted(found - {None, *INFINITE}, key=text_of)
    try:
        levels = sorted(levels)
    except TypeError:
        pass  # of several types
    levels += [None] * (fills and None in found)
    if len(levels) > MAX_LEVELS:
        raise InputError(f"{who}: expected a category of at most {MAX_LEVELS} levels, got {len(levels):,}; group them.")
    texts = list(map(text_of, levels))
    twice = next((each for each in texts if texts.count(each) > 1), None)
    if twice is not None:
        raise InputError(f"{who}: two levels read {twice!r}; give all cells one type.")
    return tuple(levels)


def _numbers(cells: Sequence[Any], levels: Levels, fills: bool) -> np.ndarray:
    """Return the number of each cell's level: -1 for an unseen one; NaN and infinity where they are refused."""
    places: dict[Any, float] = {each: each for each in INFINITE} | {own: number for number, own in enumerate(levels)}
    if not fills:
        places[None] = np.nan
    try:
        found = [places[each] if each in places else places.get(key_of(each), -1.0) for each in cells]
    except TypeError:  # no level is unhashable
        found = [-1.0 for _ in cells]
    return np.array(found, dtype=np.float32)


def _warn_of_unseen(who: str, cells: Sequence[Any], is_unseen: np.ndarray) -> None:
    if is_unseen.any():
        first, count = text_of(cells[int(is_unseen.argmax())]), int(is_unseen.sum())
        text = f"{who}: {count:,} of {len(cells):,} rows have a level unseen in training ({first!r}), encoded as 0."
        warn(text)
