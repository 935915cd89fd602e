"""Learned noise: example images and densities, as arrays."""

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np


class NoisyImages(NamedTuple):
    """A few images under one kind of noise.

    Attributes:
        moved: The images under the noise, clipped, at the radius from the clean ones: (image, row, column, channel).
        noise: The noise alone, before clipping, scaled to the length of the radius: the same shape.
    """

    moved: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseExamples:
    """A generator's noise next to Gaussian noise of the same length, on a few images.

    Attributes:
        condition: Name of the learned noise in rows, e.g. `adversarial noise 1x1`.
        radius: l2 distance of the noisy images, in the units of the images.
        images: The clean images in [0, 1]: (image, row, column, channel), with 1 or 3 channels.
        gaussian: The same images under Gaussian noise.
        learned: The same images under the learned noise.
        edges: Borders of the bins of the density, in the units of the images, ascending.
        density: Density of the learned noise before clipping, scaled to the length of the radius: (channel, bin).
            Values outside the bins are left out, so a channel may integrate to less than 1.
    """

    condition: str
    radius: float
    images: np.ndarray
    gaussian: NoisyImages
    learned: NoisyImages
    edges: np.ndarray
    density: np.ndarray

    @property
    def std(self) -> float:
        """Standard deviation of Gaussian noise of that length, and root mean square of the learned noise."""
        return self.radius / sqrt(self.images[0].size)
