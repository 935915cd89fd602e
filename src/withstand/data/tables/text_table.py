"""TextTable: the cells of a CSV file, compressed by gzip or not, as text."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from withstand.data.memory import check_memory
from withstand.data.tables.notation import Notation
from withstand.errors import InputError, told
from withstand.reading.addresses import Address
from withstand.reading.held import Held
from withstand.reading.places import open_packed

if TYPE_CHECKING:
    import polars

GZIP = b"\x1f\x8b"
BYTE_ORDER = (b"\xff\xfe", b"\xfe\xff")  # marks of UTF-16
SEPARATORS = ",;\t"
OTHER_SEPARATORS = (";", "\t", "|", ",", ":", " ")  # in a first line without the given one
BYTES_PER_CELL = 16  # of text, besides its characters
MOST_UNPACKED, MARGIN = 100, 1 << 24  # a file may unpack to this many times its size, and as many bytes more
BYTES_AT_ONCE = 1 << 20


class TextTable:
    """A CSV file; blank lines are skipped.

    Attributes:
        separator: Of the cells: the given one, or the most frequent comma, semicolon or tab of the first line.
    """

    def __init__(self, who: str, path: Path | Held, notation: Notation, *, has_header: bool) -> None:
        """Check the size of an unpacked file, and find the separator.

        Raises:
            InputError: If the file unpacks to much more than its size.
        """
        self.who, self.path, self.has_header = who, path, has_header
        is_utf8 = codecs.lookup(notation.encoding).name == "utf-8"  # which has many names
        self.encoding = "utf-8-sig" if is_utf8 else notation.encoding
        with path.open("rb") as file:
            self.is_packed = file.read(len(GZIP)) == GZIP
        self.size = self._unpacked_size() if self.is_packed else path.stat().st_size
        with self._opened() as text:
            first = text.readline()
        self.separator = notation.separator or max(SEPARATORS, key=first.count)

    def header(self) -> list[str]:
        """Return the names in the first line.

        Raises:
            InputError: If one is empty or occurs twice, or all are in one cell.
        """
        _, _, cells = next(self.records(), (0, 1, []))
        names = [cell.strip() for cell in cells]
        for column, name in enumerate(names):
            if not name:
                hint = "name it, or leave out a column of row numbers (such as by index=False in pandas)"
                raise InputError(f"{self.who}: {self.path}, line 1: column {column + 1} has no name; {hint}.")
            if name in names[:column]:
                raise InputError(f"{self.who}: {self.path} has more than one column {name!r}.")
        others = [each for each in OTHER_SEPARATORS if len(names) == 1 and each in names[0]]
        if others:
            raise InputError(
                f"{self.who}: {self.path}, line 1: expected names separated by {self.separator!r}, got only "
                f"{names[0]!r:.80}; the separator may be --data.separator {others[0]!r}."
            )
        return names

    def records(self) -> Iterator[tuple[int, int, list[str]]]:
        """Yield (number of the record from 0, its first line from 1, its cells)."""
        with self._opened(newline="") as file:
            reader = csv.reader(file, delimiter=self.separator)
            line = 1
            for record, cells in enumerate(reader):
                yield record, line, cells
                line = reader.line_num + 1

    def read(self, columns: Sequence[str]) -> "polars.DataFrame":
        """Return every cell as text.

        Raises:
            InputError: If the table needs more memory than there is, or has another number of columns.
        """
        import polars as pl

        self._check_memory()
        source = source_of(self.path) if self._is_plain else self._content()
        options = {"has_header": self.has_header, "infer_schema": False, "separator": self.separator, "glob": False}
        try:
            frame = pl.read_csv(source, **options)
        except pl.exceptions.ComputeError:
            for _, line, cells in self.records():
                if len(cells) > len(columns):
                    raise InputError(
                        f"{self.who}: {self.path}, line {line}: expected {len(columns)} cells, got {len(cells)}."
                    ) from None
            raise
        if frame.width != len(columns):
            raise InputError(f"{self.who}: {self.path} must have {len(columns)} columns, got {frame.width}.")
        frame.columns = list(columns)
        return frame

    @property
    def _is_plain(self) -> bool:
        return not self.is_packed and self.encoding == "utf-8-sig"

    def _bytes(self) -> BinaryIO:
        return open_packed(self.path) if self.is_packed else self.path.open("rb")

    def _opened(self, newline: str | None = None) -> TextIO:
        return io.TextIOWrapper(self._bytes(), encoding=self.encoding, newline=newline)

    def _content(self) -> bytes:
        with self._opened(newline="") as file:
            return file.read().encode()

    def _unpacked_size(self) -> int:
        size, most = 0, MOST_UNPACKED * self.path.stat().st_size + MARGIN
        with self._bytes() as file:
            while part := file.read(BYTES_AT_ONCE):
                size += len(part)
                if size > most:
                    raise InputError(
                        f"{self.who}: {self.path} must unpack to at most {most:,} bytes, got more; "
                        "if that is right, unpack it first."
                    )
        return size

    def _check_memory(self) -> None:
        with self._bytes() as file:
            start = file.read(2**16)
        cells = sum(start.count(each) for each in (self.separator.encode(), b"\n")) + 1
        needed = self.size + BYTES_PER_CELL * self.size * cells // max(1, len(start))
        needed += 0 if self._is_plain else 2 * self.size  # as text and in UTF-8
        check_memory(self.who, f"{self.path} has {self.size / 1e9:,.1f} GB and", needed)


def held(who: str, path: Address) -> Held:
    """Return a file of an object store with its content, which is read in whole.

    Raises:
        InputError: If it needs more memory than there is, or cannot be read.
    """
    size = path.stat().st_size
    check_memory(who, f"{path} has {size / 1e9:,.1f} GB and", size)
    try:
        return Held(place=path, content=path.read_bytes(most=size))
    except OSError as problem:
        raise InputError(f"{who}: {path} cannot be read ({told(problem)}).") from problem


def source_of(path: Path | Held) -> Path | BinaryIO:
    """Return what a reader of polars takes: a path, or an open file."""
    return path if isinstance(path, Path) else path.open("rb")


def likely_encoding(path: Path | Held) -> str:
    """Return the encoding that text of another encoding than UTF-8 probably has."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in BYTE_ORDER else "cp1252"
