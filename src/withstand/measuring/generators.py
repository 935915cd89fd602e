"""Noise generators that were trained against a finished model: kept in its folder, and read back."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from withstand.configuration import identity
from withstand.data.base import Split
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.base import Evaluation
from withstand.evaluation.loop import prepare
from withstand.evaluation.noise_distance import NoiseDistance
from withstand.models.noise_generator import NoiseGenerator
from withstand.models.weights import read_tensors, write_weights


def prepared(
    evaluation: Evaluation,
    model: nn.Module,
    split: Split,
    *,
    fit_on: Callable[[], Split],
    folder: Path | None,
    seed: int,
    engine: Engine,
) -> Any:
    """Return what an evaluation needs besides the samples; a noise generator is read from the folder, or kept there.

    All processes must call it together.

    Args:
        evaluation: Adapted to the split.
        model: On the engine's device.
        split: The samples.
        fit_on: Returns the samples that something may be trained on.
        folder: Of what is kept of the model; None keeps nothing.
        seed: Decides the training.
        engine: Device and processes.

    Raises:
        InputError: If a file is damaged.
    """
    path = generator_file(evaluation, folder)
    # Whether the file is there is asked once, before the first process may write it.
    if path is not None and engine.of_first(path.is_file()):
        assert isinstance(evaluation, NoiseDistance)
        return read_generator(path, evaluation, split).to(engine.device)
    samples = fit_on() if evaluation.needs_training_samples else split
    state = prepare(evaluation, model, samples, split, seed=seed, engine=engine)
    if path is not None and engine.is_first:
        write_weights(path, state)
    engine.wait()
    return state


def generator_file(evaluation: Evaluation, folder: Path | None) -> Path | None:
    """Return where the generator of an evaluation is kept; None if it has none, or nothing is kept.

    What does not affect its training does not affect the file's name.
    """
    if folder is None or not isinstance(evaluation, NoiseDistance) or not evaluation.needs_training_samples:
        return None
    training = replace(evaluation, noises=("adversarial",), precision=NoiseDistance.precision)
    return folder / f"generator-{evaluation.kernel}-{identity(training)}.safetensors"


def read_generator(path: Path, evaluation: NoiseDistance, split: Split) -> NoiseGenerator:
    """Return the generator that a file holds, on the CPU.

    Raises:
        InputError: If the file is damaged.
    """
    generator = NoiseGenerator(split.shape, kernel=evaluation.kernel, rng=torch.Generator())
    try:
        generator.load_state_dict(read_tensors(path))
    except (InputError, RuntimeError) as problem:
        raise InputError(f"evaluate: {path} is damaged; remove it, and the generator is trained again.") from problem
    return generator.requires_grad_(False)
