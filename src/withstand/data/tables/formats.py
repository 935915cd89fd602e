"""TableFile: strict reader of the table formats, CSV and Parquet."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.data.memory import check_memory
from withstand.errors import InputError, brief, nearest

if TYPE_CHECKING:
    import polars

PARQUET = b"PAR1"
SEPARATORS = ",;\t"
VALUES_AT_ONCE = 2**23  # of a table in 64 bits
WORKING_BYTES = 100  # per row: labels, and one column with its copies
BYTES_PER_CELL = 16  # of text, besides its characters
MAX_BYTES = 10_000  # of the name of a class or level


class TableFile:
    """The columns of a CSV or Parquet file; errors name file, line and column of an invalid cell.

    The separator of a CSV file is the most frequent comma, semicolon or tab of its first line; blank lines are skipped.
    Of a Parquet file, only the footer is read at first, and then some columns at a time.

    Attributes:
        columns: Names of the columns, in the order of the file.
    """

    def __init__(self, who: str, path: Path, *, columns: Sequence[str] | None = None) -> None:
        """Read the file.

        Args:
            who: Name of the data set, for messages.
            path: The file.
            columns: Names of the columns of a CSV file without a header; None reads them from its first line.

        Raises:
            InputError: If the file is missing, is neither CSV nor Parquet, has no rows, needs more memory than there
                is, or has unnamed or duplicate columns.
        """
        self.who, self.path, self.has_header = who, path, columns is None
        if not path.is_file():
            found = "a folder or device" if path.exists() else "none"
            raise InputError(f"{who}: expected a CSV or Parquet file at {path}, found {found}.")
        with self._reading():
            with path.open("rb") as file:
                self.is_parquet = file.read(len(PARQUET)) == PARQUET
            if self.is_parquet:
                self._read_head()
            else:
                self._read_cells(columns)
        self.columns = tuple(self.kinds)
        if not all(self.columns):
            raise InputError(f"{who}: {path}: column {self.columns.index('') + 1} has no name.")
        if not len(self):
            raise InputError(f"{who}: {path} has no rows.")

    def __len__(self) -> int:
        return self.num_rows

    def check_columns(self, names: Sequence[str]) -> None:
        """Reject unknown columns.

        Raises:
            InputError: If one is unknown.
        """
        for name in names:
            if name not in self.columns:
                raise InputError(f"{self.who}: {self.path} has no column {name!r}; {nearest(name, self.columns)}")

    def numbers(
        self, names: Sequence[str], *, out: Float[Tensor, "row feature"] | None = None
    ) -> Float[Tensor, "row feature"]:
        """Return columns of numbers, in float64.

        Args:
            names: The columns.
            out: Where to write them; None takes new memory.

        Raises:
            InputError: If a column is missing or a cell is empty, text, infinite or not a number.
        """
        self.check_columns(names)
        out = torch.empty(len(self), len(names), dtype=torch.float64) if out is None else out
        for column, name in zip(out.numpy().T, names, strict=True):
            start = 0
            for chunk in self._number_column(name).get_chunks():
                column[start : start + len(chunk)] = chunk.to_numpy()
                start += len(chunk)
        return out

    def labels(self, name: str, *, what: str = "a class") -> "polars.Series":
        """Return a column of classes or other categories: text, or whole numbers (1 equals 1.0).

        Args:
            name: The column.
            what: Expected content of a cell, for messages.

        Raises:
            InputError: If the column is missing or nested, a cell is empty or a long text, or numbers are not whole.
        """
        import polars as pl

        self.check_columns([name])
        what_else = f"{what} (text or a whole number)"
        if self.kinds[name].is_nested():
            self._refuse_column(name, what_else)
        try:
            text = self._column(name).cast(pl.String, strict=False).str.strip_chars()
        except pl.exceptions.PolarsError:  # such as bytes
            self._refuse_column(name, what_else)
        missing = text.is_null() | (text == "")
        if missing.any():
            self._refuse(missing.arg_true()[0], name, what, "an empty cell")
        too_long = text.str.len_bytes() > MAX_BYTES
        if too_long.any():
            row = too_long.arg_true()[0]
            self._refuse(row, name, f"{what} of at most {MAX_BYTES:,} bytes", brief(text[row]))
        if self.kinds[name].is_integer():
            return text
        number = text.cast(pl.Float64, strict=False)
        if number.is_null().any():
            return text
        wrong = ~number.is_finite() | (number != number.round())
        if wrong.any():
            row = wrong.arg_true()[0]
            self._refuse(row, name, what_else, brief(text[row]))
        is_exact = (number.abs() < 2**53).all()
        return number.cast(pl.Int64).cast(pl.String) if is_exact else text

    def is_text(self, name: str) -> bool:
        """Return whether a column holds words: no cell is a number, and not all are empty.

        Truth values are words, so that Parquet and CSV files give the same categories.
        """
        import polars as pl

        kind = self.kinds[name]
        if kind in (pl.Boolean, pl.Categorical, pl.Enum):
            return True
        if kind != pl.String:
            return False
        text = self._column(name).str.strip_chars()
        if text.head(1).cast(pl.Float64, strict=False).is_not_null().all():  # fast path
            return False
        return text.cast(pl.Float64, strict=False).is_null().all() and bool((text.fill_null("") != "").any())

    def place(self, row: int) -> str:
        """Return the location of a row: its line in a CSV file, its number in a Parquet file."""
        if self.is_parquet:
            return f"row {row + 1}"
        wanted = self.records[row] + self.has_header
        return next(f"line {line}" for record, line, _ in self._records() if record == wanted)

    def _number_column(self, name: str) -> "polars.Series":
        import polars as pl

        kind = self.kinds[name]
        is_text = kind == pl.String
        if not (is_text or kind.is_numeric() or kind == pl.Boolean):
            self._refuse_column(name, "numbers")
        written = self._column(name)
        number = (written.str.strip_chars() if is_text else written).cast(pl.Float64, strict=not is_text)
        wrong = ~number.is_finite().fill_null(False)
        if wrong.any():
            row = wrong.arg_true()[0]
            value = written[row]
            if is_text and value and number.is_null().all():
                self._refuse_column(name, "numbers", f"text such as {brief(repr(value))} ({self.place(row)})")
            came = "an empty cell" if value in (None, "") else brief(repr(value))
            self._refuse(row, name, "a finite number", came)
        return number

    def _refuse(self, row: int, column: str, expected: str, came: str) -> NoReturn:
        raise InputError(
            f"{self.who}: {self.path}, {self.place(row)}, column {column!r}: expected {expected}, got {came}."
        )

    def _refuse_column(self, column: str, expected: str, came: str | None = None) -> NoReturn:
        raise InputError(
            f"{self.who}: {self.path}, column {column!r}: expected {expected}, got "
            f"{came or brief(str(self.kinds[column]))}; convert it or name it in drop."
        )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what a reader raises into a one-line message."""
        import polars as pl

        failures = (OSError, UnicodeError, csv.Error, pl.exceptions.PolarsError, pl.exceptions.PanicException)
        try:
            yield
        except failures as error:
            reason = brief(str(error).strip().partition("\n")[0])
            raise InputError(f"{self.who}: {self.path} is not a readable CSV or Parquet file ({reason}).") from error

    def _read_head(self) -> None:
        """Read the kinds of columns and the number of rows of a Parquet file."""
        import polars as pl

        scanned = pl.scan_parquet(self.path, glob=False)
        self.kinds = dict(scanned.collect_schema())
        self.num_rows = scanned.select(pl.len()).collect().item() if self.kinds else 0
        self._held: dict[str, pl.Series] = {}
        check_memory(self.who, f"{self.path} has {self.num_rows:,} rows and", self.num_rows * WORKING_BYTES)

    def _column(self, name: str) -> "polars.Series":
        """Return a column; of a Parquet file, it is read together with those that follow it."""
        import polars as pl

        if name not in self._held:
            first, some = self.columns.index(name), max(1, VALUES_AT_ONCE // len(self))
            following = [each for each in self.columns[first + 1 : first + some] if not self.kinds[each].is_nested()]
            self._held = {}
            with self._reading():
                frame = pl.read_parquet(self.path, columns=[name, *following], glob=False)
            self._held = {each.name: each for each in frame}
        return self._held[name]

    def _read_cells(self, columns: Sequence[str] | None) -> None:
        """Read every cell of a CSV file as text, without the rows of empty cells."""
        import polars as pl

        self.separator = self._guess_separator()
        columns = tuple(columns or self._header())
        with self.path.open("rb") as file:
            start = file.read(2**16)
        size = self.path.stat().st_size
        cells = sum(start.count(each) for each in (self.separator.encode(), b"\n")) + 1
        needed = size + BYTES_PER_CELL * size * cells // max(1, len(start))
        check_memory(self.who, f"{self.path} has {size / 1e9:,.1f} GB and", needed)
        frame = self._read_text(columns)
        filled = frame.select(~pl.all_horizontal(pl.all().is_null())).to_series()
        frame = frame.filter(filled)
        self.records, self.num_rows = filled.arg_true(), len(frame)
        self.kinds, self._held = dict(frame.schema), {each.name: each for each in frame}

    def _read_text(self, columns: Sequence[str]) -> "polars.DataFrame":
        """Return every cell of a CSV file as text."""
        import polars as pl

        options = {"has_header": self.has_header, "infer_schema": False, "separator": self.separator, "glob": False}
        try:
            frame = pl.read_csv(self.path, **options)
        except pl.exceptions.ComputeError:
            for _, line, cells in self._records():
                if len(cells) > len(columns):
                    raise InputError(
                        f"{self.who}: {self.path}, line {line}: expected {len(columns)} cells, got {len(cells)}."
                    ) from None
            raise
        if frame.width != len(columns):
            raise InputError(f"{self.who}: {self.path} must have {len(columns)} columns, got {frame.width}.")
        frame.columns = list(columns)
        return frame

    def _header(self) -> list[str]:
        _, _, cells = next(self._records(), (0, 1, []))
        names = [cell.strip() for cell in cells]
        for column, name in enumerate(names):
            if not name:
                raise InputError(f"{self.who}: {self.path}, line 1: column {column + 1} has no name.")
            if name in names[:column]:
                raise InputError(f"{self.who}: {self.path} has more than one column {name!r}.")
        return names

    def _records(self) -> Iterator[tuple[int, int, list[str]]]:
        """Yield (number of the record from 0, its first line from 1, its cells) of a CSV file."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=self.separator)
            line = 1
            for record, cells in enumerate(reader):
                yield record, line, cells
                line = reader.line_num + 1

    def _guess_separator(self) -> str:
        with self.path.open(encoding="utf-8-sig") as file:
            first = file.readline()
        return max(SEPARATORS, key=first.count)
