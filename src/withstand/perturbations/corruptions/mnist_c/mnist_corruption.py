"""MnistCorruption: what the corruptions of MNIST-C share."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.procedural.sampling import bilinear
from withstand.functional.precision import in_double
from withstand.functional.random import Rng, integers
from withstand.functional.tensors import Device, Images
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class MnistCorruption(Corruption):
    """A corruption of MNIST-C, which has one severity, 1, and parameters for grey images of 28 x 28 pixels.

    Names begin with `mnist_`, since many are in ImageNet-C, too. Images of other sizes need `pixels`: 28; names
    such as `mnist-c` give it. Then places follow the size of the image, while widths and distances stay in pixels. The
    channels of images with several are corrupted alike.

    Attributes:
        severity: 1.
        pixels: 28, or None for images of that size.

    Source:
        Mu, Gilmer: "MNIST-C: A Robustness Benchmark for Computer Vision", 2019, arXiv 1906.02337;
        google-research/mnist-c, corruptions.py, commit bba57e4, with the default severities of its functions.
        Differs: before values are cut to whole levels, a thousandth of a level is added, as everywhere.
    """

    severity: Literal[1] = 1
    pixels: Literal[28] | None = None  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class MnistAsImagenetC(MnistCorruption):
    """A corruption of MNIST-C that is one of ImageNet-C with the parameters for 224 pixels."""

    @property
    @abstractmethod
    def original(self) -> Corruption:
        """The corruption of ImageNet-C."""

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Any:
        """Return what the corruption of ImageNet-C draws."""
        return self.original.sample(shape, rng=rng, device=device)

    def corrupt(self, x: Images, parameters: Any) -> Images:
        """Corrupt as in ImageNet-C."""
        self.published(*x.shape[-2:])  # only for its check of the size
        return self.original.corrupt(x, parameters)


def moved(x: Images, inverse: Float[Tensor, "batch 2 2"], shift: Float[Tensor, "batch 2"] | None = None) -> Images:
    """Return images moved by linear maps about their centre, linearly between pixels, black outside.

    Args:
        x: Images of any values.
        inverse: Per image the map from a place to the one that it is read from, both as column and row.
        shift: How far to the right and below it is read from there, in pixels.
    """
    light = in_double(x)
    inverse = inverse.to(light)[..., None, None]
    height, width = x.shape[-2:]
    down, across = (torch.arange(size, device=inverse.device) - (size - 1) / 2 for size in (height, width))
    # One product after the other, since sums of several at once may depend on the number of images.
    columns, rows = (inverse[:, axis, 0] * across + inverse[:, axis, 1] * down[:, None] for axis in (0, 1))
    if shift is not None:
        right, below = shift.to(light)[..., None, None].unbind(1)
        columns, rows = columns + right, rows + below
    return bilinear(light, rows + (height - 1) / 2, columns + (width - 1) / 2).to(x)


def signs(shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Float[Tensor, "*shape"]:
    """Return -1 or 1, equally likely; the first axis of the shape is the batch."""
    return integers(shape, 0, 2, rng=rng, device=device).mul_(2).sub_(1).float()
