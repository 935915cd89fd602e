"""Noise generators trained against a model, kept in its folder."""

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
    """Return the state of an evaluation; a noise generator is read from the folder, or trained and kept there.

    All processes must call this together. `fit_on` returns training samples; without a folder nothing is kept.

    Raises:
        InputError: If a file is damaged.
    """
    path = generator_file(evaluation, folder)
    # Checked once, before the first process may write the file.
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
    """Return the path of an evaluation's generator; None without one. It depends only on settings of its training."""
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
        raise InputError(f"evaluate: {path} is damaged; remove it to train the generator again.") from problem
    return generator.requires_grad_(False)
