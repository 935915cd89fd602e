"""Fog of MNIST-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.plasma import plasma
from withstand.functional.pieces import pieces
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistCorruption

_SIDE = 256  # of the fractal, in pixels


@dataclass(frozen=True, kw_only=True)
class MnistFog(MnistCorruption):
    """Add 3 times a plasma fractal in [0, 1] and rescale, as in ImageNet-C.

    The fractal has 256 x 256 values, of which the upper left corner is used, so that fog hardly varies in an image.

    Source:
        mnist-c, `fog`; amount and decay of the fractal are `tables`. See MnistCorruption.
        Differs: the fractal doubles its side until it covers a larger image; computed in float32 instead of float64.
    """

    tables: ClassVar = {28: ((3, 1.4),)}

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Float[Tensor, "batch numbers"]:
        """Return the uniform numbers that the fractal is made of."""
        side = _SIDE
        while side < max(shape[-2:]):
            side *= 2
        return uniform((shape[0], side**2 - 1), rng=rng, device=device)

    def corrupt(self, x: Images, parameters: Float[Tensor, "batch numbers"]) -> Images:
        """Add the fog and darken."""
        height, width = x.shape[-2:]
        amount, decay = self.published(height, width)
        foggy = x.new_empty(x.shape)
        for part, numbers, out in pieces(4, x, parameters.to(x.dtype), foggy):
            highest = part.amax((-3, -2, -1), keepdim=True)
            clouds = plasma(numbers, decay=decay)[:, None, :height, :width] * amount
            out.copy_((part + clouds).mul_(highest / (highest + amount)).clamp_(0, 1))
        return foggy
