"""Canny edges of MNIST-C."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.kernels.edges import smooth_canny
from withstand.functional.tensors import Images
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistCorruption


@dataclass(frozen=True, kw_only=True)
class MnistCannyEdges(MnistCorruption):
    """Replace the image by its edges, white on black; nothing is random.

    Source:
        mnist-c, `canny_edges`, which calls scikit-image's `canny`; `tables` holds the standard deviation of the
        Gaussian in pixels and the two thresholds. See MnistCorruption.
    """

    tables: ClassVar = {28: ((1, 0.1, 0.2),)}

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Find the edges of every channel."""
        std, low, high = self.published(*x.shape[-2:])
        return smooth_canny(x.flatten(0, 1), std=std, low=low, high=high).view(x.shape).to(x)
