"""CBar: what the corruptions of ImageNet-C-bar and CIFAR-10-C-bar share."""

from dataclasses import dataclass

from torch import Tensor

from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class CBar(Corruption):
    """A corruption of ImageNet-C-bar or CIFAR-10-C-bar, suites that were chosen to differ from ImageNet-C.

    `tables` holds the published levels: 224 pixels are those of ImageNet-C-bar, 32 those of CIFAR-10-C-bar. Lengths
    scale with the side of the image, S in pixels; of an image that is not square, S is the shorter side. Images of
    other sizes need `pixels`; names such as `c-bar` take the nearest size that has levels.

    Source:
        Mintun, Kirillov, Xie: "On Interaction Between Augmentations and Corruptions in Natural Corruption Robustness",
        NeurIPS 2021, arXiv 2102.11273; facebookresearch/augmentation-corruption, imagenet_c_bar.
        Differs: before values are cut to whole levels, a thousandth of a level is added, as everywhere.
    """

    def _level(self, x: Tensor) -> float:
        """Return the published level for images of this size."""
        return self.published(*x.shape[-2:])
