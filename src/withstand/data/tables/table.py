"""Table: your own CSV or Parquet file, one row per sample."""

from dataclasses import dataclass

from withstand.configuration import later
from withstand.data.base import Dataset, Part, TensorSplit, check_shares
from withstand.data.tables.formats import TableFile
from withstand.data.tables.holes import Missing
from withstand.data.tables.notation import Decimal, Notation, Thousands
from withstand.data.tables.preprocessing import Scale, load_tabular
from withstand.data.tables.suspects import warn_of_suspects
from withstand.errors import InputError, nearest
from withstand.limits import Share
from withstand.reading.places import place_of


@dataclass(frozen=True, kw_only=True)
class Table(Dataset):
    """Rows of a CSV or Parquet file: numeric and categorical columns as inputs, and one column of classes.

    A CSV file may be compressed by gzip. Columns of numbers in another notation than the given one are rejected.
    Categories are one-hot encoded with the levels of the training part; an unseen level is all zeros and is logged.

    Attributes:
        path: The file.
        target: Name of the column of classes: text, or whole numbers.
        test_path: File of the test part, with the same columns; None splits the test part off from `path`.
        validation: Share of `path` for validation, at least 0; below 1 in total with `test`.
        test: Share of `path` for testing; not used with a test file.
        features: Columns to use as inputs, in this order; None takes all except the target, in the order of the file.
        drop: Columns not to use as inputs.
        categorical: Columns to treat as categories although they hold numbers. Columns without numbers are always
            categories.
        movable: Numeric columns that perturbations may change; None takes those with fractional numbers in the training
            part, since whole numbers are usually counts or codes.
        changes: Further changes that perturbations may make: interchangeable levels of a category, and amounts that may
            be added to a numeric column. `{"colour": ["red", "orange"], "rooms": [-1, 1]}` swaps red and orange, and
            adds or subtracts one room. None allows no changes.
        scale: `standard` scales numeric columns to mean 0 and standard deviation 1 in the training part; `none` leaves
            them unchanged.
        missing: Treatment of empty cells. `refuse` rejects them. `drop` leaves out their rows. `impute` fills numbers
            with the median, and categories with the most frequent level, of the training part. `own` gives categories
            a level `(empty)`, and fills numbers with the median and adds an input that marks them. Except with
            `refuse`, rows without a class are left out. The log and the notes of tables count the cells or rows.
        empty: Words that mean an empty cell, such as `?` or `NA`; cells without content always do.
        separator: One character between the cells of a CSV file; `tab` is a tabulator. None takes the most frequent
            comma, semicolon or tabulator of the first line.
        decimal: Decimal mark of the numbers.
        thousands: Separator of groups of three digits; None allows none. A blank is also a non-breaking one.
        encoding: Encoding of a CSV file, such as `cp1252` or `utf-16`.
    """

    path: str
    target: str
    test_path: str | None = None
    validation: Share = 0.1
    test: Share = 0.2
    features: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    movable: tuple[str, ...] | None = None
    scale: Scale = "standard"
    changes: dict[str, tuple[str | bool | int | float, ...]] | None = None
    missing: Missing = later("refuse")  # pyright: ignore[reportIncompatibleMethodOverride]: a table has no cells
    empty: tuple[str, ...] = later(())
    separator: str | None = later(None)
    decimal: Decimal = later(".")
    thousands: Thousands | None = later(None)
    encoding: str = later("utf-8")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_notation()
        check_shares("Table", self.validation, self._test_share)
        if self.target in (self.features or ()):
            raise InputError(f"Table: the target {self.target!r} must not be a feature as well.")
        both = [name for name in self.movable or () if name in self.categorical]
        if both:
            raise InputError(f"Table: column {both[0]!r} must not be both categorical and movable.")
        both = [name for name in self.movable or () if name in self._changes]
        if both:
            raise InputError(f"Table: column {both[0]!r} must not be both in movable and in changes.")

    def load(self, part: Part) -> TensorSplit:
        """Read, check, split and scale the rows."""
        file = TableFile("Table", place_of(self.path), notation=self._notation)
        file.check_columns([self.target, *self.drop, *(self.features or ())])
        features = [name for name in self.features or file.columns if name != self.target and name not in self.drop]
        if not features:
            raise InputError(f"Table: {file.path} has no column left that could be a feature.")
        named_by = {"categorical": self.categorical, "movable": self.movable or (), "changes": self._changes}
        for word, named in named_by.items():
            for name in named:
                if name not in features:
                    raise InputError(f"Table: {word} column {name!r} is no feature; {nearest(name, features)}")
        split = load_tabular(
            part,
            file=file,
            test_file=self._test_file(part),
            target=self.target,
            features=features,
            scale=self.scale,
            validation=self.validation,
            test=self._test_share,
            categorical=[name for name in features if name in self.categorical or file.is_text(name)],
            movable=self.movable,
            changes=self._changes,
            missing=self.missing,
        )
        if part == "train":
            warn_of_suspects(f"Table: {file.path}", split)
        return split

    def _check_notation(self) -> None:
        separator = self._notation.separator
        if separator is not None and (len(separator) != 1 or not separator.isascii() or separator in '"\r\n'):
            raise InputError(f"Table: separator must be one ASCII character or tab, got {separator!r:.40}.")
        if self.thousands == self.decimal:
            raise InputError(f"Table: thousands and decimal must differ, got {self.decimal!r} for both.")
        try:
            "1".encode(self.encoding)
        except (LookupError, ValueError) as problem:
            raise InputError(
                "Table: encoding must be one that Python knows, such as utf-8, cp1252 or utf-16, "
                f"got {self.encoding!r:.40}."
            ) from problem

    @property
    def _notation(self) -> Notation:
        separator = "\t" if self.separator in ("tab", "\\t") else self.separator
        return Notation(separator, self.decimal, self.thousands, self.encoding, self.empty)

    @property
    def _changes(self) -> dict[str, tuple[str | bool | int | float, ...]]:
        """Changes by name; YAML reads a column named 1 as a number."""
        return {str(name): values for name, values in (self.changes or {}).items()}

    @property
    def _test_share(self) -> float:
        return self.test if self.test_path is None else 0.0

    def _test_file(self, part: Part) -> TableFile | None:
        if self.test_path is None or part != "test":
            return None
        return TableFile("Table", place_of(self.test_path), notation=self._notation)
