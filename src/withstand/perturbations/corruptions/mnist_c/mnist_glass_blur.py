"""Glass blur of MNIST-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Int
from torch import Tensor

from withstand.functional.kernels.gaussian import gaussian_weights, in_float64, sum_in_order
from withstand.functional.kernels.glass import exchange_in_order
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistCorruption

_NONE = 3  # of the choices: a pixel stays
_CHOICES = 8  # equally likely, of which only the first three exchange pixels


@dataclass(frozen=True, kw_only=True)
class MnistGlassBlur(MnistCorruption):
    """Exchange pixels with random neighbours, between two Gaussian blurs along the columns.

    Source:
        mnist-c, `glass_blur`; `tables` holds the standard deviation of the blurs in pixels and how many times all
        pixels are exchanged. As in that code, which takes the columns of a grey image for its channels, rows are not
        blurred; a pixel is exchanged half of the time, with the one to the left, above, both, or itself; and the image
        is floored to 8 bits after the first blur. See MnistCorruption.
    """

    tables: ClassVar = {28: ((0.7, 2),)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> Int[Tensor, "batch iteration rows columns"]:
        """Return, per iteration and pixel below and right of the first two, the neighbour that it is exchanged with.

        0 is the one above and to the left, 1 the one above, 2 the one to the left, and 3 none.
        """
        _, iterations = self.published(*shape[-2:])
        inner = (max(shape[-2] - 2, 0), max(shape[-1] - 2, 0))
        numbers = uniform((shape[0], iterations, *inner), rng=rng, device=device)
        return numbers.mul_(_CHOICES).long().clamp_(max=_NONE)

    def corrupt(self, x: Images, parameters: Int[Tensor, "batch iteration rows columns"]) -> Images:
        """Blur, exchange pixels, blur again."""
        std, _ = self.published(*x.shape[-2:])
        weights = gaussian_weights(std, int(4 * std + 0.5))
        levels = sum_in_order(in_float64(x), weights, border="nearest", axes=(-2,)).mul_(255).floor_()
        levels = exchange_in_order(levels, parameters.to(levels.device))
        return sum_in_order(levels.div_(255), weights, border="nearest", axes=(-2,)).to(x).clamp_(0, 1)
