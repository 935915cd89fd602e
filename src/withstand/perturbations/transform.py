"""Perturbations as transforms of single images and batches, outside the package's loops."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.errors import InputError, brief
from withstand.functional.levels import to_levels
from withstand.functional.random import Rng, RowStreams, derive_seed, seeded_globally
from withstand.perturbations.base import Corruption, Perturbation
from withstand.perturbations.image_kinds import as_batch
from withstand.perturbations.mixing import refuse_mixing


def transform(
    perturbation: Perturbation,
    image: Any,
    *,
    seed: int | None = None,
    index: int | Sequence[int] | None = None,
    rng: Rng | None = None,
) -> Any:
    """Return a changed image of the same kind; every perturbation that needs no model is callable this way.

    For `torchvision.transforms.v2.Compose`, `map` of data sets, and plain loops. A batch of MAITE, (inputs, targets,
    metadata), is changed image by image; its inputs are arrays or tensors (channel, height, width).

    Args:
        perturbation: One that needs neither a model nor labels.
        image: See `as_batch`.
        seed: Seed of the draw; the same seed and index give the image on which `evaluate` measures. None takes a seed
            from PyTorch's global generator (`torch.manual_seed`), as torchvision does, so that workers of a loader
            differ.
        index: Number of the image in its data set, or of each image of a batch; None counts from 0.
        rng: Source of randomness, instead of a seed.

    Raises:
        InputError: If the perturbation needs a model or labels, or mixes samples, or the image or seed is invalid.

    Example:
        >>> from withstand.perturbations.gaussian import Gaussian
        >>> noisy = Gaussian(std=0.1)(np.zeros((32, 48, 3), np.uint8), seed=0)
        >>> noisy.shape, noisy.dtype
        ((32, 48, 3), dtype('uint8'))
    """
    if isinstance(image, tuple) and len(image) == 3:
        inputs, targets, metadata = image
        own = {"seed": seed, "index": index, "rng": rng}
        return [_of_planes(perturbation, each, **own) for each in inputs], targets, metadata
    images, restore = as_batch(image, who=type(perturbation).__name__)
    return restore(changed(perturbation, images, seed=seed, index=index, rng=rng))


def changed(
    perturbation: Perturbation,
    images: Tensor,
    *,
    seed: int | None = None,
    index: int | Sequence[int] | None = None,
    rng: Rng | None = None,
) -> Tensor:
    """Return changed images (batch, channel, height, width) of type uint8 or float32; arguments as in `transform`."""
    who = type(perturbation).__name__
    if needs_model(perturbation):
        raise InputError(f"{who}: expected a perturbation without a model; use ws.attack, or ws.evaluate(on=...).")
    refuse_mixing(perturbation)
    source = _source(perturbation, len(images), seed, index, rng, images.device)
    in_levels = images.dtype == torch.uint8
    if in_levels and isinstance(perturbation, Corruption):
        return perturbation.draw_levels(images, rng=source)
    values = images.float().contiguous() / 255 if in_levels else images
    labels = torch.zeros(len(images), dtype=torch.int64, device=images.device)
    space = Space(shape=tuple(images.shape[1:]), box=(0.0, 1.0))
    draws = perturbation.draw(values, labels, nn.Identity(), space=space, num_draws=1, rng=source)
    if draws.targets is not None:
        raise InputError(f"{who}: expected a perturbation that keeps labels, got one that mixes classes.")
    return to_levels(draws.inputs[0]) if in_levels else draws.inputs[0]


def _of_planes(perturbation: Perturbation, image: Any, **options: Any) -> Any:
    """Change one image with the channels in front, as MAITE has them."""
    if isinstance(image, np.ndarray):
        return transform(perturbation, torch.from_numpy(np.ascontiguousarray(image)), **options).numpy()
    return transform(perturbation, image, **options)


def _source(
    perturbation: Perturbation,
    count: int,
    seed: int | None,
    index: int | Sequence[int] | None,
    rng: Rng | None,
    device: torch.device,
) -> Rng:
    who = type(perturbation).__name__
    if rng is not None:
        if seed is not None or index is not None:
            raise InputError(f"{who}: expected seed and index, or rng, got both.")
        return rng
    if seed is None:
        if index is not None:
            raise InputError(f"{who}: index: expected a seed with it, got None.")
        return seeded_globally(device)
    numbers = torch.arange(count) if index is None else torch.as_tensor(index).reshape(-1)
    if len(numbers) != count or numbers.is_floating_point() or numbers.dtype == torch.bool or (numbers < 0).any():
        wanted = f"{count} whole numbers of at least 0, one per image"
        raise InputError(f"{who}: index: expected {wanted}, got {brief(index)}.")
    return RowStreams(derive_seed(int(seed), perturbation.noise), numbers, device=device)


def needs_model(perturbation: Perturbation) -> bool:
    """Return whether copies depend on a model, also because of a perturbation that is held."""
    parts = (each for each in perturbation.held() if isinstance(each, Perturbation))
    return perturbation.needs_model or any(map(needs_model, parts))
