"""Table: your own CSV or Parquet file, one row per sample."""

from dataclasses import dataclass
from pathlib import Path

from withstand.data.base import Dataset, Part, TensorSplit, check_shares
from withstand.data.tables.formats import TableFile
from withstand.data.tables.preprocessing import Scale, load_tabular
from withstand.errors import InputError, nearest
from withstand.limits import Share


@dataclass(frozen=True, kw_only=True)
class Table(Dataset):
    """Rows of a CSV or Parquet file: numeric and categorical columns as inputs, and one column of classes.

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

    def __post_init__(self) -> None:
        super().__post_init__()
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
        file = TableFile("Table", Path(self.path).expanduser())
        file.check_columns([self.target, *self.drop, *(self.features or ())])
        features = [name for name in self.features or file.columns if name != self.target and name not in self.drop]
        if not features:
            raise InputError(f"Table: {file.path} has no column left that could be a feature.")
        named_by = {"categorical": self.categorical, "movable": self.movable or (), "changes": self._changes}
        for word, named in named_by.items():
            for name in named:
                if name not in features:
                    raise InputError(f"Table: {word} column {name!r} is no feature; {nearest(name, features)}")
        return load_tabular(
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
        )

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
        return TableFile("Table", Path(self.test_path).expanduser())
