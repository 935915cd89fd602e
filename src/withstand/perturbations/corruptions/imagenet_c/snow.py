"""Snow of ImageNet-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.motion import motion_blur
from withstand.functional.kernels.zoom import enlarge, middle
from withstand.functional.levels import floor_to_8_bits
from withstand.functional.pieces import pieces
from withstand.functional.random import Rng, normal, uniform
from withstand.functional.tensors import Device, Images, PerRow
from withstand.perturbations.base import Corruption

_LARGE = (
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)


@dataclass(frozen=True, kw_only=True)
class Snow(Corruption):
    """Whiten the image; add motion-blurred flakes, and the same flakes rotated by 180 degrees.

    Flakes are the values above a threshold in an enlarged field of normal noise; they fall in a random direction
    within 45 degrees of straight down. The image x becomes m x + (1 - m) max(x, 1.5 g + 0.5), where g is its grey.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `snow`, with ImageMagick; `tables` holds the mean and standard
        deviation of the noise, the factor by which it is enlarged, the threshold, half the length of the motion blur
        and the standard deviation of its weights (both in pixels), and m.
        Differs: only the part of the noise that is enlarged is drawn. Between severities, half the length of the motion
        blur is rounded to whole pixels; where the size of that part changes, flakes fall elsewhere.
    """

    whole: ClassVar = (4,)
    tables: ClassVar = {
        224: _LARGE,
        299: _LARGE,
        64: (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.8),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.8),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
        ),
        32: (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
    }

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> tuple[Float[Tensor, "batch rows columns"], PerRow]:
        """Return standard normal numbers for the part that is enlarged, and angles in degrees."""
        factor = self.published(*shape[-2:])[2]
        rows, columns = (len(range(size)[middle(size, factor)]) for size in shape[-2:])
        numbers = normal((shape[0], rows, columns), rng=rng, device=device)
        return numbers, uniform((shape[0],), rng=rng, device=device) * 90 - 135

    def corrupt(self, x: Images, parameters: tuple[Float[Tensor, "batch rows columns"], PerRow]) -> Images:
        """Whiten and add flakes."""
        mix = self.published(*x.shape[-2:])[-1]
        snowy = torch.empty_like(x)
        for part, layer, out in pieces(1, x, self._layers(*parameters, x), snowy):
            grey = part if part.shape[1] == 1 else _grey(part)
            torch.maximum(part, grey * 1.5 + 0.5, out=out).mul_(1 - mix).add_(part, alpha=mix)
            out.add_(layer + layer.flip((-2, -1))).clamp_(0, 1)
        return snowy

    def _layers(
        self, numbers: Float[Tensor, "batch rows columns"], angle: PerRow, x: Tensor
    ) -> Float[Tensor, "batch 1 height width"]:
        height, width = x.shape[-2:]
        mean, std, factor, threshold, radius, smear, _ = self.published(height, width)
        noise = enlarge(numbers.to(x.dtype) * std + mean, factor, height=height, width=width)[:, None]
        flakes = floor_to_8_bits(noise.masked_fill_(noise < threshold, 0))
        return floor_to_8_bits(motion_blur(flakes, angle, radius=radius, std=smear))


def _grey(x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 height width"]:
    # The weights of ITU-R BT.601, which OpenCV takes.
    red, green, blue = x.split(1, dim=1)
    return (red * 0.299).add_(green, alpha=0.587).add_(blue, alpha=0.114)
