"""ISO noise of 3DCC."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.kernels.poisson import poisson_counts
from withstand.functional.random import Rng, normal, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.three_dcc.three_dcc import ThreeDCC

_PHOTONS = 25  # at white
_SHARE = 0.7


@dataclass(frozen=True, kw_only=True)
class IsoNoise(ThreeDCC):
    """Add the noise of a sensor: Poisson counts of 25 photons at white, then Gaussian noise with a std of 0.7 c.

    Values are clipped to [0, 1] after each.

    Source:
        3DCC, ISO noise; c is `tables`. See ThreeDCC.
    """

    tables: ClassVar = {224: (0.08, 0.12, 0.18, 0.26, 0.38)}

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> tuple[Images, Images]:
        """Return uniform numbers, at least 2^-25 and below 1, and standard normal ones."""
        photons = uniform(shape, rng=rng, device=device).clamp_(min=2.0**-25)
        return photons, normal(shape, rng=rng, device=device)

    def corrupt(self, x: Images, parameters: tuple[Images, Images]) -> Images:
        """Count photons and add noise."""
        numbers, normals = parameters
        shot = poisson_counts(x, numbers, scale=_PHOTONS).div_(_PHOTONS).clamp_(max=1)
        return shot.add_(normals, alpha=_SHARE * self.published(*x.shape[-2:])).clamp_(0, 1)
