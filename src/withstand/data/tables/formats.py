"""TableFile: strict reader of the table formats, CSV and Parquet."""

import csv
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.data.memory import check_memory
from withstand.data.tables.notation import Notation, other_notation
from withstand.data.tables.text_table import TextTable, held, likely_encoding, source_of
from withstand.errors import InputError, brief, nearest
from withstand.reading.addresses import Address
from withstand.reading.places import quoted

if TYPE_CHECKING:
    import polars

PARQUET = b"PAR1"
VALUES_AT_ONCE = 2**23  # of a table in 64 bits
WORKING_BYTES = 100  # per row: labels, and one column with its copies
MOST_WORD = 40  # characters of a word that may mean an empty cell
MAX_BYTES = 10_000  # of the name of a class or level


class TableFile:
    """The columns of a CSV or Parquet file; errors name file, line and column of an invalid cell.

    Of a Parquet file, only the footer is read at first, and then some columns at a time.

    Attributes:
        columns: Names of the columns, in the order of the file.
    """

    def __init__(
        self, who: str, path: Path | Address, *, columns: Sequence[str] | None = None, notation: Notation | None = None
    ) -> None:
        """Read the file.

        Args:
            who: Name of the data set, for messages.
            path: The file.
            columns: Names of the columns of a CSV file without a header; None reads them from its first line.
            notation: How cells are written; messages then name the options that change it. None is the plain one.

        Raises:
            InputError: If the file is missing, is neither CSV nor Parquet, has no rows, needs more memory than there
                is, or has unnamed or duplicate columns.
        """
        self.who, self.has_header = who, columns is None
        self.has_options, self.notation = notation is not None, notation or Notation()
        if not path.is_file():
            found = "a folder or device" if path.exists() else "none"
            raise InputError(f"{who}: expected a CSV or Parquet file at {path}, found {found}.")
        self.path = held(who, path) if isinstance(path, Address) else path
        with self._reading():
            with self.path.open("rb") as file:
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
        self, names: Sequence[str], *, out: Float[Tensor, "row feature"] | None = None, fill: float | None = None
    ) -> Float[Tensor, "row feature"]:
        """Return columns of numbers, in float64.

        Args:
            names: The columns.
            out: Where to write them; None takes new memory.
            fill: Number for empty cells; None rejects them.

        Raises:
            InputError: If a column is missing or a cell is empty, text, infinite or not a number.
        """
        self.check_columns(names)
        out = torch.empty(len(self), len(names), dtype=torch.float64) if out is None else out
        for column, name in zip(out.numpy().T, names, strict=True):
            start = 0
            for chunk in self._number_column(name, fill).get_chunks():
                column[start : start + len(chunk)] = chunk.to_numpy()
                start += len(chunk)
        return out

    def labels(self, name: str, *, what: str = "a class", keep_empty: bool = False) -> "polars.Series":
        """Return a column of classes or other categories: text, or whole numbers (1 equals 1.0).

        Args:
            name: The column.
            what: Expected content of a cell, for messages.
            keep_empty: Whether empty cells become null; otherwise, they are rejected.

        Raises:
            InputError: If the column is missing or nested, a cell is empty or a long text, or numbers are not whole.
        """
        import polars as pl

        self.check_columns([name])
        what_else = f"{what} (text or a whole number)"
        if self.kinds[name].is_nested():
            self._refuse_column(name, what_else)
        try:
            text = self.notation.filled(self._column(name, nan=not keep_empty).cast(pl.String, strict=False))
        except pl.exceptions.PolarsError:  # such as bytes
            self._refuse_column(name, what_else)
        if not keep_empty and text.has_nulls():
            self._refuse_empty(text.is_null().arg_true()[0], name, what)
        too_long = text.str.len_bytes() > MAX_BYTES
        if too_long.any():
            row = too_long.arg_true()[0]
            self._refuse(row, name, f"{what} of at most {MAX_BYTES:,} bytes", brief(text[row]))
        if self.kinds[name].is_integer():
            return text
        number = text.cast(pl.Float64, strict=False)
        if number.null_count() > text.null_count():
            return text
        wrong = (~number.is_finite() | (number != number.round())).fill_null(False)
        if wrong.any():
            row = wrong.arg_true()[0]
            self._refuse(row, name, what_else, brief(text[row]))
        is_exact = (number.abs() < 2**53).all()
        return number.cast(pl.Int64).cast(pl.String) if is_exact else text

    def is_empty(self, name: str) -> "polars.Series":
        """Return whether the cells of a column are empty: without content, a word for it, or NaN in Parquet."""
        import polars as pl

        cells = self._column(name, nan=False)
        return (self.notation.filled(cells) if cells.dtype == pl.String else cells).is_null()

    def is_text(self, name: str) -> bool:
        """Return whether a column holds words: no cell is a number, and not all are empty.

        Truth values are words, so that Parquet and CSV files give the same categories.

        Raises:
            InputError: If its cells are numbers in another notation.
        """
        import polars as pl

        kind = self.kinds[name]
        if kind == pl.Boolean:
            return True
        if kind not in (pl.Categorical, pl.Enum, pl.String):
            return False
        text = self._column(name).cast(pl.String).str.strip_chars()
        if kind == pl.String and self.notation.numbers(text.head(1)).is_not_null().all():  # fast path
            return False
        text = self.notation.filled(text)
        if kind == pl.String and not (self.notation.numbers(text).is_null().all() and text.count()):
            return False
        self._check_notation(name, text)
        return True

    def place(self, row: int) -> str:
        """Return the location of a row: its line in a CSV file, its number in a Parquet file."""
        if self.is_parquet:
            return f"row {row + 1}"
        wanted = self.records[row] + self.has_header
        return next(f"line {line}" for record, line, _ in self.text.records() if record == wanted)

    def _number_column(self, name: str, fill: float | None = None) -> "polars.Series":
        import polars as pl

        kind = self.kinds[name]
        is_text = kind == pl.String
        if not (is_text or kind.is_numeric() or kind == pl.Boolean):
            self._refuse_column(name, "numbers")
        written = self._column(name, nan=fill is None)
        number = self.notation.numbers(self.notation.filled(written)) if is_text else written.cast(pl.Float64)
        if fill is not None:
            number = number.set(self.is_empty(name), fill)
        wrong = ~number.is_finite().fill_null(False)
        if wrong.any():
            self._refuse_number(name, written, number, wrong.arg_true())
        return number

    def _refuse_number(
        self, name: str, written: "polars.Series", number: "polars.Series", wrong: "polars.Series"
    ) -> NoReturn:
        """Reject a column for its first wrong cell, or the first that is not empty if the others are accepted."""
        import polars as pl

        row, value = wrong[0], written[wrong[0]]
        if self.is_empty(name)[row]:
            self._refuse_empty(row, name, "a finite number", value)
        came = brief(repr(value))
        if self.kinds[name] == pl.String:
            if number.is_null().all():
                self._refuse_column(name, "numbers", f"text such as {came} ({self.place(row)})")
            self._check_notation(name, self.notation.filled(written.gather(wrong)))
            is_word = number[row] is None or number[row] != number[row]
            if self.has_options and is_word and len(value) < MOST_WORD:
                word = quoted(json.dumps([value.strip()], ensure_ascii=False))
                came += f"; if it means an empty cell, add --data.empty {word} --data.missing impute"
                came += ", or name the column in --data.categorical"
        self._refuse(row, name, "a finite number", came)

    def _check_notation(self, name: str, text: "polars.Series") -> None:
        """Reject a column of numbers in another notation."""
        found = other_notation(text) if self.has_options else None
        if found is not None:
            what, advice, cell = found
            advice += ", or name the column in --data.categorical or --data.drop"
            self._refuse_column(name, "plain numbers or words", f"{what} such as {brief(repr(cell))}", advice)

    def _refuse_empty(self, row: int, name: str, expected: str, value: object = None) -> NoReturn:
        came = "an empty cell" if value in (None, "") else brief(repr(value))
        advice = "; --data.missing drop, impute or own accepts empty cells" if self.has_options else ""
        self._refuse(row, name, expected, came + advice)

    def _refuse(self, row: int, column: str, expected: str, came: str) -> NoReturn:
        raise InputError(
            f"{self.who}: {self.path}, {self.place(row)}, column {column!r}: expected {expected}, got {came}."
        )

    def _refuse_column(
        self, column: str, expected: str, came: str | None = None, advice: str = "convert it or name it in drop"
    ) -> NoReturn:
        raise InputError(
            f"{self.who}: {self.path}, column {column!r}: expected {expected}, got "
            f"{came or brief(str(self.kinds[column]))}; {advice}."
        )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what a reader raises into a one-line message."""
        import polars as pl

        failures = (OSError, EOFError, zlib.error, UnicodeError, csv.Error)
        failures += (pl.exceptions.PolarsError, pl.exceptions.PanicException)
        try:
            yield
        except failures as error:
            reason = brief(str(error).strip().partition("\n")[0])
            message = f"{self.who}: {self.path} is not a readable CSV or Parquet file ({reason})"
            if self.has_options and not self.is_parquet and "utf" in reason.lower():
                message += f"; give the encoding of a text, such as --data.encoding {likely_encoding(self.path)}"
            raise InputError(f"{message}.") from error

    def _read_head(self) -> None:
        """Read the kinds of columns and the number of rows of a Parquet file."""
        import polars as pl

        scanned = pl.scan_parquet(source_of(self.path), glob=False)
        self.kinds = dict(scanned.collect_schema())
        self.num_rows = scanned.select(pl.len()).collect().item() if self.kinds else 0
        self._held: dict[str, pl.Series] = {}
        check_memory(self.who, f"{self.path} has {self.num_rows:,} rows and", self.num_rows * WORKING_BYTES)

    def _column(self, name: str, *, nan: bool = True) -> "polars.Series":
        """Return a column, with NaN as null on demand; of a Parquet file, it is read together with those after it."""
        import polars as pl

        if name not in self._held:
            first, some = self.columns.index(name), max(1, VALUES_AT_ONCE // len(self))
            following = [each for each in self.columns[first + 1 : first + some] if not self.kinds[each].is_nested()]
            self._held = {}
            with self._reading():
                frame = pl.read_parquet(source_of(self.path), columns=[name, *following], glob=False)
            self._held = {each.name: each for each in frame}
        found = self._held[name]
        return found.fill_nan(None) if not nan and found.dtype.is_float() else found

    def _read_cells(self, columns: Sequence[str] | None) -> None:
        """Read every cell of a CSV file as text, without the rows of empty cells."""
        import polars as pl

        self.text = TextTable(self.who, self.path, self.notation, has_header=self.has_header)
        frame = self.text.read(tuple(columns or self.text.header()))
        filled = frame.select(~pl.all_horizontal(pl.all().is_null())).to_series()
        frame = frame.filter(filled)
        self.records, self.num_rows = filled.arg_true(), len(frame)
        self.kinds, self._held = dict(frame.schema), {each.name: each for each in frame}
