"""Mistakes of a model, kept beside its rows: found once, and again when other conditions are asked for."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from withstand.console import Console
from withstand.data.base import Split
from withstand.engine import Engine
from withstand.evaluation.mistakes import find_mistakes
from withstand.perturbations.base import Perturbation
from withstand.study.mistakes import MISTAKES, read_mistakes, write_mistakes


@dataclass(frozen=True, kw_only=True)
class Album:
    """The mistakes of one model.

    Attributes:
        folder: Of the rows of one model, data and seed.
        perturbations: The conditions that are wanted, settled by the samples; none asks for nothing.
    """

    folder: Path
    perturbations: tuple[Perturbation, ...]

    @property
    def file(self) -> Path:
        """Where the mistakes are kept."""
        return self.folder / MISTAKES

    def is_kept(self) -> bool:
        """Return whether every condition that is wanted is there already.

        Raises:
            InputError: If the file is damaged.
        """
        if not self.perturbations or not self.file.is_file():
            return not self.perturbations
        known = {each.condition for each in read_mistakes(self.file).conditions}
        return known >= {each.condition for each in self.perturbations}

    def fill(self, model: nn.Module, split: Split, *, data: str, seed: int, engine: Engine, console: Console) -> None:
        """Find the mistakes and write them; all processes come here together.

        Args:
            model: Maps inputs to logits; on the engine's device.
            split: The samples.
            data: Name of the data set.
            seed: Of the measurement.
            engine: Device and processes.
            console: Is told how far it is.
        """
        with console.counting(len(split), "mistakes") as tell:
            found = find_mistakes(model, split, self.perturbations, data=data, seed=seed, engine=engine, tell=tell)
        if engine.is_first:
            write_mistakes(self.file, found)
        engine.wait()
        console.say(f"Mistakes: {self.file}")
