"""Spatter of MNIST-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.gaussian import gaussian_filter
from withstand.functional.pieces import pieces
from withstand.functional.random import Rng, normal
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistCorruption

_MUD = 63 / 255
_COVERS = 0.8  # share from which mud is seen


@dataclass(frozen=True, kw_only=True)
class MnistSpatter(MnistCorruption):
    """Add mud of level 63, as in ImageNet-C.

    Normal noise with mean a and std b is smoothed by a Gaussian with a std of c pixels; there is mud where it exceeds
    d. Its edges are smoothed by a Gaussian with a std of e pixels.

    Source:
        mnist-c, `spatter`; (a, b, c, d, e) are `tables`. See MnistCorruption.
        Differs: computed in float32 instead of float64.
    """

    tables: ClassVar = {28: ((0.65, 0.3, 1, 0.65, 1.5),)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> Float[Tensor, "batch height width"]:
        """Return standard normal numbers, one per pixel."""
        return normal((shape[0], *shape[-2:]), rng=rng, device=device)

    def corrupt(self, x: Images, parameters: Float[Tensor, "batch height width"]) -> Images:
        """Add mud."""
        mean, std, smooth, threshold, edge = self.published(*x.shape[-2:])
        spattered = torch.empty_like(x)
        # One at a time: batching changes the rounding of sums, which may then cross a threshold.
        for part, numbers, out in pieces(1, x, parameters, spattered):
            liquid = gaussian_filter(mean + std * numbers, smooth, border="nearest")
            covered = gaussian_filter((liquid > threshold).to(x.dtype), edge, border="nearest")[:, None]
            torch.lerp(part, torch.full_like(part, _MUD), torch.where(covered < _COVERS, 0.0, covered), out=out)
        return spattered
