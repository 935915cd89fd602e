"""Spatter of ImageNet-C, an extra corruption."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.drops import shine
from withstand.functional.kernels.gaussian import gaussian_filter
from withstand.functional.pieces import pieces
from withstand.functional.random import Rng, normal
from withstand.functional.tensors import Device, Images
from withstand.perturbations.base import Corruption

_WATER = (175 / 255, 238 / 255, 238 / 255)  # pale turquoise
_MUD = (63 / 255, 42 / 255, 20 / 255)
_COVERS = 0.8  # share from which mud is seen


@dataclass(frozen=True, kw_only=True)
class Spatter(Corruption):
    """Add bright water drops (severities 1 to 3) or opaque mud (4 and 5).

    Normal noise with mean a and std b is smoothed by a Gaussian with a std of c pixels; there is liquid where it
    exceeds d. Water brightens the image with strength e; the edges of mud are smoothed by a Gaussian with a std of e
    pixels.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `spatter`; (a, b, c, d, e, mud or not) are `tables`.
        Differs: computed in float32 instead of float64; for images with one channel, a liquid has the mean of its
        colour; if there are no drops, the image stays unchanged, whereas the original divides by 0. Water becomes mud
        in the middle between severities 3 and 4, and e with it, since it means something else.
    """

    tables: ClassVar = {
        224: (
            (0.65, 0.3, 4, 0.69, 0.6, False),
            (0.65, 0.3, 3, 0.68, 0.6, False),
            (0.65, 0.3, 2, 0.68, 0.5, False),
            (0.65, 0.3, 1, 0.65, 1.5, True),
            (0.67, 0.4, 1, 0.65, 1.5, True),
        ),
        299: (
            (0.65, 0.3, 4, 0.69, 0.9, False),
            (0.65, 0.3, 3.5, 0.68, 0.9, False),
            (0.65, 0.3, 3, 0.68, 0.8, False),
            (0.65, 0.3, 1.2, 0.65, 1.8, True),
            (0.67, 0.4, 1.2, 0.65, 1.8, True),
        ),
        64: (
            (0.62, 0.1, 0.7, 0.7, 0.6, False),
            (0.65, 0.1, 0.8, 0.7, 0.6, False),
            (0.65, 0.3, 1, 0.69, 0.6, False),
            (0.65, 0.1, 0.7, 0.68, 0.6, True),
            (0.65, 0.1, 0.5, 0.67, 0.6, True),
        ),
        32: (
            (0.62, 0.1, 0.7, 0.7, 0.5, False),
            (0.65, 0.1, 0.8, 0.7, 0.5, False),
            (0.65, 0.3, 1, 0.69, 0.5, False),
            (0.65, 0.1, 0.7, 0.69, 0.6, True),
            (0.65, 0.1, 0.5, 0.68, 0.6, True),
        ),
    }

    @classmethod
    def between(cls, low: Any, high: Any, share: float) -> Any:
        """Interpolate, except that the last two parameters belong together: those of the nearer severity."""
        mixed = super().between(low, high, share)
        return mixed if low[-1] == high[-1] else (*mixed[:-2], *(low if share < 0.5 else high)[-2:])

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> Float[Tensor, "batch height width"]:
        """Return standard normal numbers, one per pixel."""
        return normal((shape[0], *shape[-2:]), rng=rng, device=device)

    def corrupt(self, x: Images, parameters: Float[Tensor, "batch height width"]) -> Images:
        """Add drops or mud."""
        mean, std, smooth, threshold, strength, mud = self.published(*x.shape[-2:])
        spattered = torch.empty_like(x)
        # One at a time: batching changes the rounding of sums, which may then cross a threshold.
        for part, numbers, out in pieces(1, x, parameters, spattered):
            liquid = gaussian_filter(mean + std * numbers, smooth, border="nearest")
            colour = torch.tensor(_MUD if mud else _WATER, dtype=x.dtype, device=x.device)[:, None, None]
            colour = colour if x.shape[1] == 3 else colour.mean(0, keepdim=True)
            if mud:
                covered = gaussian_filter((liquid > threshold).to(x.dtype), strength, border="nearest")[:, None]
                torch.lerp(part, colour, torch.where(covered < _COVERS, 0.0, covered), out=out)
            else:
                # Beyond 255 levels begin again at 0, as they do in numpy.
                levels = torch.where(liquid < threshold, 0.0, liquid).mul_(255).int().bitwise_and_(255)
                drops = shine(levels)[:, None]
                torch.addcmul(part, drops, colour, value=strength, out=out).clamp_(0, 1)
        return spattered
