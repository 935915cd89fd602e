"""RunBlock: one run of a sweep."""

from dataclasses import dataclass
from pathlib import Path

from withstand.engine import Engine
from withstand.errors import BusyError
from withstand.experiment import ROWS, Experiment, run
from withstand.files import hold
from withstand.pools.block import Block
from withstand.study.sweep import FAILED, write_failure
from withstand.sweeps.latest_data import latest_data


@dataclass(frozen=True)
class RunBlock(Block):
    """A run of a sweep; why it failed is written into its folder.

    Attributes:
        experiment: The run.
        root: Folder of the runs.
    """

    experiment: Experiment
    root: Path

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.experiment.folder(self.root)

    def do(self, engine: Engine) -> None:
        """Do or resume the run."""
        run(self.experiment, self.root, engine=engine, load=latest_data)
        (self.folder / FAILED).unlink(missing_ok=True)

    @property
    def marker(self) -> Path:
        """The rows of the run."""
        return self.folder / ROWS

    def is_busy(self) -> bool:
        """Return whether a process works on the run."""
        if not self.folder.exists():
            return False
        try:
            with hold(self.folder):
                return False
        except BusyError:
            return True

    def record(self, sentence: str, trace: str) -> None:
        """Write why the run failed into its folder."""
        write_failure(self.folder, sentence, trace)
