"""Low light of 3DCC."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.kernels.poisson import poisson_counts
from withstand.functional.pieces import pieces
from withstand.functional.random import Rng, normal, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.three_dcc.three_dcc import ThreeDCC

_PHOTONS = 120  # at white
_STD = 0.018
_CHUNK = 2**16  # values that are worked on at once on the CPU: more do not stay in its cache


@dataclass(frozen=True, kw_only=True)
class LowLight(ThreeDCC):
    """Darken to ((x - lowest) / (highest - lowest))^2 c, then add noise of Poisson counts and Gaussian noise.

    The counts are those of 120 photons at white, the Gaussian's standard deviation is 0.018; values are clipped to
    [0, 1] after each. The lowest and the highest value are those of the image over all channels.

    Source:
        3DCC, low light; c is `tables`. See ThreeDCC.
        Differs: an image of a single value becomes black, where the rule divides by 0.
    """

    tables: ClassVar = {224: (0.6, 0.5, 0.4, 0.3, 0.2)}

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> tuple[Images, Images]:
        """Return uniform numbers, at least 2^-25 and below 1, and standard normal ones."""
        photons = uniform(shape, rng=rng, device=device).clamp_(min=2.0**-25)
        return photons, normal(shape, rng=rng, device=device)

    def corrupt(self, x: Images, parameters: tuple[Images, Images]) -> Images:
        """Darken, count photons and add noise."""
        numbers, normals = parameters
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        dark = ((x - low) / (high - low).where(high > low, 1)).square_()
        white = self.published(*x.shape[-2:])
        noisy = dark.new_empty(dark.shape)
        for part, own, out in pieces(_CHUNK // x.shape[1:].numel(), dark, numbers, noisy):
            out.copy_(poisson_counts(part, own, scale=_PHOTONS * white))
        return noisy.div_(_PHOTONS).clamp_(max=1).add_(normals, alpha=_STD).clamp_(0, 1)
