"""LaionC: what the corruptions of LAION-C share."""

from dataclasses import dataclass

from withstand.perturbations.base import Corruption

_SIDE = 224  # of the published images, in pixels


@dataclass(frozen=True, kw_only=True)
class LaionC(Corruption):
    """A corruption of LAION-C, a suite outside the distribution of web-scale data; those that need no other images.

    Lengths are published for 224 pixels and scale with the side of the image; of an image that is not square, with the
    shorter side. Images of other sizes need `pixels`; names such as `laion-c` give it.

    Source:
        Li et al.: "LAION-C: An Out-of-Distribution Benchmark for Web-Scale Vision Models", ICML 2025, arXiv
        2506.16950; FanfeiLi/LAION-C, distortions/apply_distortions.py, commit 3c6cad5.
        Differs: without the published JPEG files' compression (quality 100); before values are cut to whole levels, a
        thousandth of a level is added, as everywhere.
    """

    def _pixels(self, length: float, height: int, width: int) -> float:
        """Return a length in images of this size that is published for 224 pixels."""
        return length * min(height, width) / _SIDE
