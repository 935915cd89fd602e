"""Generators that were trained against a finished model: kept beside its rows, and read back."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from withstand.configuration import identity
from withstand.data.base import Split
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.noise_distance import NoiseDistance
from withstand.experiment import write_weights
from withstand.models.noise_generator import NoiseGenerator
from withstand.models.weights import read_tensors


@dataclass(frozen=True, kw_only=True)
class NoiseLearner:
    """Trains generators against one model, keeps them in a folder, and reads them from there the next time.

    Attributes:
        folder: Of the rows of one model, data and seed.
        shape: Of one input.
        model: Returns the model.
        samples: Returns what the generators are trained on.
        seed: Decides the training.
        engine: Device and processes.
    """

    folder: Path
    shape: tuple[int, ...]
    model: Callable[[], nn.Module]
    samples: Callable[[], Split]
    seed: int
    engine: Engine

    def file(self, evaluation: NoiseDistance) -> Path:
        """Return where the generator of an evaluation is kept; what decides no training decides no name."""
        training = replace(evaluation, noises=("adversarial",), precision=NoiseDistance.precision)
        return self.folder / f"generator-{evaluation.kernel}-{identity(training)}.safetensors"

    def generator(self, evaluation: NoiseDistance) -> NoiseGenerator:
        """Return the generator that is kept, or train it and keep it; all processes come here together.

        Args:
            evaluation: With the box of the data.

        Raises:
            InputError: If the file is damaged.
        """
        path = self.file(evaluation)
        is_kept = path.is_file()
        self.engine.wait()  # the first process must not write before the others have looked
        if not is_kept:
            generator = evaluation.train_generator(self.model(), self.samples(), seed=self.seed, engine=self.engine)
            if self.engine.is_first:
                write_weights(path, generator)
            return generator
        generator = NoiseGenerator(self.shape, kernel=evaluation.kernel, rng=torch.Generator())
        try:
            generator.load_state_dict(read_tensors(path))
        except (InputError, RuntimeError) as problem:
            raise InputError(
                f"evaluate: {path} is damaged; remove it, and the generator is trained again."
            ) from problem
        return generator.to(self.engine.device).requires_grad_(False)
