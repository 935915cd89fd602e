"""TableFile: strict reader of the table formats, CSV and Parquet."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.errors import InputError, nearest

PARQUET = b"PAR1"
SEPARATORS = ",;\t"


class TableFile:
    """The columns of a CSV or Parquet file; errors name file, line and column of an invalid cell.

    The separator of a CSV file is the most frequent comma, semicolon or tab of its first line; blank lines are skipped.

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
            InputError: If the file is missing, is neither CSV nor Parquet, has no rows, or has unnamed or duplicate
                columns.
        """
        import polars as pl

        self.who, self.path, self.has_header = who, path, columns is None
        if not path.is_file():
            raise InputError(f"{who}: expected a CSV or Parquet file at {path}, found none.")
        try:
            with path.open("rb") as file:
                self.is_parquet = file.read(len(PARQUET)) == PARQUET
            if self.is_parquet:
                frame = pl.read_parquet(path)
                filled = pl.Series([True] * len(frame))
            else:
                self.separator = self._guess_separator()
                frame = self._read_text(tuple(columns or self._header()))
                filled = frame.select(~pl.all_horizontal(pl.all().is_null())).to_series()
        except (OSError, UnicodeDecodeError, csv.Error, pl.exceptions.PolarsError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"{who}: {path} is not a readable CSV or Parquet file ({reason}).") from error
        self.columns = tuple(frame.columns)
        self.records, self.frame = filled.arg_true(), frame.filter(filled)
        if not len(self):
            raise InputError(f"{who}: {path} has no rows.")

    def __len__(self) -> int:
        return len(self.frame)

    def check_columns(self, names: Sequence[str]) -> None:
        """Reject unknown columns.

        Raises:
            InputError: If one is unknown.
        """
        for name in names:
            if name not in self.columns:
                raise InputError(f"{self.who}: {self.path} has no column {name!r}; {nearest(name, self.columns)}")

    def numbers(self, names: Sequence[str]) -> Float[Tensor, "row feature"]:
        """Return columns of numbers, in float64.

        Raises:
            InputError: If a column is missing or a cell is empty, text, infinite or not a number.
        """
        self.check_columns(names)
        return torch.stack([self._number_column(name) for name in names], dim=1)

    def labels(self, name: str, *, what: str = "a class") -> list[str]:
        """Return a column of classes or other categories: text, or whole numbers (1 equals 1.0).

        Args:
            name: The column.
            what: Expected content of a cell, for messages.

        Raises:
            InputError: If the column is missing, a cell is empty, or numbers are not whole.
        """
        import polars as pl

        self.check_columns([name])
        text = self.frame[name].cast(pl.String, strict=False).str.strip_chars()
        missing = text.is_null() | (text == "")
        if missing.any():
            self._refuse(missing.arg_true()[0], name, what, "an empty cell")
        number = text.cast(pl.Float64, strict=False)
        if number.is_null().any():
            return text.to_list()
        wrong = ~number.is_finite() | (number != number.round())
        if wrong.any():
            row = wrong.arg_true()[0]
            self._refuse(row, name, f"{what} (text or a whole number)", text[row])
        is_exact = (number.abs() < 2**53).all()
        return (number.cast(pl.Int64).cast(pl.String) if is_exact else text).to_list()

    def is_text(self, name: str) -> bool:
        """Return whether a column holds words: no cell is a number, and not all are empty.

        Truth values are words, so that Parquet and CSV files give the same categories.
        """
        import polars as pl

        written = self.frame[name]
        if written.dtype in (pl.Boolean, pl.Categorical, pl.Enum):
            return True
        if written.dtype != pl.String:
            return False
        text = written.str.strip_chars()
        if text.head(1).cast(pl.Float64, strict=False).is_not_null().all():  # fast path
            return False
        return text.cast(pl.Float64, strict=False).is_null().all() and bool((text.fill_null("") != "").any())

    def place(self, row: int) -> str:
        """Return the location of a row: its line in a CSV file, its number in a Parquet file."""
        if self.is_parquet:
            return f"row {row + 1}"
        wanted = self.records[row] + self.has_header
        return next(f"line {line}" for record, line, _ in self._records() if record == wanted)

    def _number_column(self, name: str) -> Float[Tensor, " row"]:
        import polars as pl

        written = self.frame[name]
        is_text = written.dtype == pl.String
        if is_text:
            number = written.str.strip_chars().cast(pl.Float64, strict=False)
        elif written.dtype.is_numeric() or written.dtype == pl.Boolean:
            number = written.cast(pl.Float64)
        else:
            self._refuse_column(name, str(written.dtype))
        wrong = ~number.is_finite().fill_null(False)
        if wrong.any():
            row = wrong.arg_true()[0]
            value = written[row]
            if is_text and value and number.is_null().all():
                self._refuse_column(name, f"text such as {value!r} ({self.place(row)})")
            came = "an empty cell" if value in (None, "") else repr(value)
            self._refuse(row, name, "a finite number", came)
        return torch.from_numpy(number.to_numpy(writable=True))

    def _refuse(self, row: int, column: str, expected: str, came: str) -> NoReturn:
        raise InputError(
            f"{self.who}: {self.path}, {self.place(row)}, column {column!r}: expected {expected}, got {came}."
        )

    def _refuse_column(self, column: str, came: str) -> NoReturn:
        raise InputError(
            f"{self.who}: {self.path}, column {column!r}: expected numbers, got {came}; "
            "convert it to numbers or name it in drop."
        )

    def _read_text(self, columns: Sequence[str]):
        """Return every cell of a CSV file as text."""
        import polars as pl

        options = {"has_header": self.has_header, "infer_schema": False, "separator": self.separator}
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
