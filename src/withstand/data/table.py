"""A table of one's own: CSV or Parquet, one row per sample."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from withstand.data.base import Dataset, Part, TensorSplit, check_shares
from withstand.data.table_file import TableFile
from withstand.data.tabular import Scale, load_tabular
from withstand.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Table(Dataset):
    """Rows of a CSV or Parquet file: columns of numbers as inputs, one column of classes.

    Attributes:
        path: The file.
        target: Name of the column of classes: text, or whole numbers.
        test_path: File of the test part, with the same columns; None cuts the test part from `path`.
        validation: Share of `path` for validation, at least 0 and below 1 together with test.
        test: Share of `path` for testing; not used with a test file.
        features: Columns that are inputs, in this order; None takes all but the target, as in the file.
        drop: Columns that are not inputs.
        scale: `standard` gives every feature mean 0 and standard deviation 1 in the training part (a feature
            that is constant there is only centred); `none` leaves the numbers as they are.
    """

    path: str
    target: str
    test_path: str | None = None
    validation: float = 0.1
    test: float = 0.2
    features: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    scale: Scale = "standard"

    def __post_init__(self) -> None:
        check_shares("Table", self.validation, self._test_share)
        if self.scale not in get_args(Scale):
            raise InputError(f"Table: scale must be {' or '.join(get_args(Scale))}, got {self.scale!r}.")
        if self.target in (self.features or ()):
            raise InputError(f"Table: the target {self.target!r} must not be a feature as well.")

    def load(self, part: Part) -> TensorSplit:
        """Read, check, cut and scale the rows."""
        file = TableFile("Table", Path(self.path).expanduser())
        file.check_columns([self.target, *self.drop, *(self.features or ())])
        features = [name for name in self.features or file.columns if name != self.target and name not in self.drop]
        if not features:
            raise InputError(f"Table: {file.path} has no column left that could be a feature.")
        return load_tabular(
            part,
            file=file,
            test_file=self._test_file(part),
            target=self.target,
            features=features,
            scale=self.scale,
            validation=self.validation,
            test=self._test_share,
        )

    @property
    def _test_share(self) -> float:
        return self.test if self.test_path is None else 0.0

    def _test_file(self, part: Part) -> TableFile | None:
        if self.test_path is None or part != "test":
            return None
        return TableFile("Table", Path(self.test_path).expanduser())
