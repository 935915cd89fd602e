"""Avila: layout features of pages of a medieval Bible, labelled by copyist."""

from dataclasses import dataclass
from typing import Literal

from withstand.data.base import Dataset, Part, TensorSplit
from withstand.data.places import find
from withstand.data.tables.formats import TableFile
from withstand.data.tables.preprocessing import load_tabular
from withstand.limits import Share

FEATURES = (
    "intercolumnar distance",
    "upper margin",
    "lower margin",
    "exploitation",
    "row number",
    "modular ratio",
    "interlinear spacing",
    "weight",
    "peak number",
    "modular ratio / interlinear spacing",
)
LEFT_OUT = ("modular ratio", "modular ratio / interlinear spacing")  # index 5 and 9
Columns = Literal["published", "all"]


@dataclass(frozen=True, kw_only=True)
class Avila(Dataset):
    """10,430 + 10,437 rows with 10 features of page layout; 12 imbalanced classes.

    Attributes:
        root: Folder that holds `avila/avila-tr.txt` and `avila/avila-ts.txt`, or the files themselves; None takes
            `$WITHSTAND_DATA`.
        validation: Share of the training file for validation, at least 0 and below 1.
        columns: `published` keeps the 8 features of the published experiments and drops the two modular ratios; `all`
            keeps all 10.

    Source:
        UCI set 459; De Stefano, Maniaci, Fontanella, Scotto di Freca 2018, Engineering Applications of Artificial
        Intelligence 72, 99-110.
        Differs: the features are already normalised in the files; they are standardised again on the training part.
    """

    root: str | None = None
    validation: Share = 0.1
    columns: Columns = "published"

    def load(self, part: Part) -> TensorSplit:
        """Read the two text files."""
        return load_tabular(
            part,
            file=self._file("avila-tr.txt"),
            test_file=self._file("avila-ts.txt") if part == "test" else None,
            target="copyist",
            features=[name for name in FEATURES if self.columns == "all" or name not in LEFT_OUT],
            validation=self.validation,
        )

    def _file(self, name: str) -> TableFile:
        path = find(self.root, "Avila", f"avila/{name}", name)
        return TableFile("Avila", path, columns=(*FEATURES, "copyist"))
