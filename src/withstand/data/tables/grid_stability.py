"""GridStability: simulated electricity networks, stable or unstable."""

from dataclasses import dataclass

from withstand.data.base import Dataset, Part, TensorSplit, check_shares
from withstand.data.places import find
from withstand.data.tables.formats import TableFile
from withstand.data.tables.preprocessing import load_tabular
from withstand.limits import Share

FILE = "Data_for_UCI_named.csv"
FEATURES = tuple(f"{name}{node}" for name in ("tau", "p", "g") for node in (1, 2, 3, 4))


@dataclass(frozen=True, kw_only=True)
class GridStability(Dataset):
    """10,000 simulated power networks with one producer and three consumers; classes stable and unstable.

    The 12 inputs are each node's reaction time (tau), power (p) and price elasticity (g). The column `stab`, whose sign
    is the class, is not an input.

    Attributes:
        root: Folder that holds `grid/Data_for_UCI_named.csv`, or the file itself; None takes `$WITHSTAND_DATA`.
        validation: Share of the file for validation, at least 0; below 1 in total with `test`.
        test: Share of the file for testing.

    Source:
        UCI set 471, "Electrical Grid Stability Simulated Data" (V. Arzamasov 2018).
    """

    root: str | None = None
    validation: Share = 0.1
    test: Share = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("GridStability", self.validation, self.test)

    def load(self, part: Part) -> TensorSplit:
        """Read, split and scale the rows."""
        return load_tabular(
            part,
            file=TableFile("GridStability", find(self.root, "GridStability", f"grid/{FILE}", FILE)),
            target="stabf",
            features=FEATURES,
            validation=self.validation,
            test=self.test,
        )
