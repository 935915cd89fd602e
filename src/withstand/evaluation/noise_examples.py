"""Examples of a trained generator's noise, for figures."""

import math

import numpy as np
import torch
from torch import Tensor

from withstand.data.base import Split
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.noise_distance import Noise, NoiseDistance, draw_directions
from withstand.functional.random import RowStreams, stream
from withstand.functional.sphere import move_to_distance
from withstand.models.noise_generator import NoiseGenerator
from withstand.objectives.adversarial_noise import radius_for
from withstand.study.noise_examples import NoiseExamples, NoisyImages

# Densities: bins out to some standard deviations, from this many pixels, a part at a time.
NUM_BINS, NUM_STDS = 256, 8.0
NUM_PIXELS, PIXELS_AT_ONCE = 2**20, 2**17


@torch.no_grad()
def draw_examples(
    evaluation: NoiseDistance,
    generator: NoiseGenerator,
    split: Split,
    *,
    num_images: int = 3,
    seed: int,
    engine: Engine,
) -> NoiseExamples:
    """Return examples of a generator's noise on some images, with Gaussian noise of the same length.

    Args:
        evaluation: Holds the radius.
        generator: Trained by the evaluation; on the engine's device.
        split: The images; samples are spread over it, since files are often sorted by class.
        num_images: Maximum number of images.
        seed: Seed of the evaluation, whose directions are repeated.
        engine: Device.

    Raises:
        InputError: If the samples are not images of 1 or 3 channels.
    """
    check_picturable(split.shape)
    radius = radius_for(evaluation.radius, split.shape)
    chosen = torch.linspace(0, len(split) - 1, min(num_images, len(split))).round().long()
    x, _, number = next(iter(split.batches([chosen], device=engine.device)))[:3]

    def noisy(noise: Noise) -> NoisyImages:
        direction = draw_directions(x, noise, generator, RowStreams(seed, number, device=engine.device))
        moved = move_to_distance(x, direction, radius, box=split.box)
        return NoisyImages(_channels_last(moved), _channels_last(_of_length(direction, radius)))

    edges, density = _density(generator, split.shape, radius=radius, seed=seed, engine=engine)
    return NoiseExamples(
        condition=evaluation.condition_of("adversarial"),
        radius=radius,
        images=_channels_last(x),
        gaussian=noisy("gaussian"),
        learned=noisy("adversarial"),
        edges=edges,
        density=density,
    )


def check_picturable(shape: tuple[int, ...]) -> None:
    """Reject samples that cannot be drawn.

    Raises:
        InputError: If they are not images of 1 or 3 channels.
    """
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise InputError(f"figures: noise is shown on images of 1 or 3 channels, got inputs of shape {shape}.")


def _density(
    generator: NoiseGenerator, shape: tuple[int, ...], *, radius: float, seed: int, engine: Engine
) -> tuple[np.ndarray, np.ndarray]:
    """Return borders of bins, and the density of each channel in them."""
    size = shape[1] * shape[2]
    edges = np.linspace(-NUM_STDS, NUM_STDS, NUM_BINS + 1) * (radius / math.prod(shape) ** 0.5)
    at_once = max(1, PIXELS_AT_ONCE // size)
    num_parts = math.ceil(NUM_PIXELS / (at_once * size))
    rng = stream(seed, "noise distance/density", device=engine.device)
    counts = np.zeros((shape[0], NUM_BINS))
    for _ in range(num_parts):
        noise = generator.draw(torch.zeros(1, *shape, device=engine.device).expand(at_once, *shape), rng=rng)
        values = _of_length(noise, radius).transpose(0, 1).flatten(1).cpu().numpy()
        counts += np.stack([np.histogram(channel, edges)[0] for channel in values])
    return edges, counts / (num_parts * at_once * size * np.diff(edges))


def _of_length(noise: Tensor, length: float) -> Tensor:
    return noise * (length / noise.flatten(1).norm(dim=1).clamp_min(1e-30)).view(-1, 1, 1, 1)


def _channels_last(x: Tensor) -> np.ndarray:
    return x.permute(0, 2, 3, 1).cpu().numpy()
