"""CutMix."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.functional.augmentation.proportions import beta
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Images, PerRow
from withstand.limits import PositiveFloat, Probability
from withstand.perturbations.augmentations.label_mixing import LabelMixing
from withstand.perturbations.base import Perturbation


@dataclass(frozen=True, kw_only=True)
class CutMix(LabelMixing):
    r"""Pastes a rectangle of another image; labels are mixed by area.

    The rectangle has the shape of the image, sides of :math:`\sqrt{1 - \lambda}` of its sides with :math:`\lambda \sim
    Beta(\alpha, \alpha)`, and a uniform centre; borders cut it.

    Attributes:
        alpha: Concentration, above 0; 1 is uniform.
        probability: Of a change; the paper uses 0.5 for CIFAR and 1 for ImageNet.

    Source:
        Yun, Han, Oh, Chun, Choe, Yoo: "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
        Features", ICCV 2019, arXiv 1905.04899.
        Differs: the rectangle, and whether to paste it, are drawn per image, not per batch.
    """

    operations: ClassVar = frozenset({"mixing", "occlusion"})

    alpha: PositiveFloat = 1.0
    probability: Probability = 0.5

    def mix(self, x: Images, others: Images, *, rng: Rng) -> tuple[Images, PerRow]:
        """Paste the rectangles."""
        share = beta(len(x), self.alpha, rng=rng, device=x.device)
        row, column, coin = uniform((len(x), 3), rng=rng, device=x.device).T[..., None]
        within = []
        for size, place in ((x.shape[2], row), (x.shape[3], column)):
            half = (size * (1 - share).sqrt()[:, None]).floor().div(2).floor()
            pixels, centre = torch.arange(size, device=x.device), (place * size).floor()
            within.append((pixels >= centre - half) & (pixels < centre + half) & (coin < self.probability))
        pasted = within[0][:, None, :, None] & within[1][:, None, None, :]
        return torch.where(pasted, others, x), 1 - pasted.float().mean((1, 2, 3))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The published ones for CIFAR and ImageNet."""
        return [cls(), cls(probability=1.0)]
