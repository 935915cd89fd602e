"""Mixup."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.augmentation.proportions import beta
from withstand.functional.random import Rng
from withstand.functional.tensors import Images, PerRow
from withstand.limits import PositiveFloat
from withstand.perturbations.augmentations.label_mixing import LabelMixing
from withstand.perturbations.base import Perturbation


@dataclass(frozen=True, kw_only=True)
class Mixup(LabelMixing):
    r"""Interpolates between two images, and between their labels.

    .. math:: \lambda x_i + (1 - \lambda) x_j, \quad \lambda \sim Beta(\alpha, \alpha)

    Attributes:
        alpha: Concentration, above 0: 1 is uniform, small ones leave one of the two nearly unchanged. The paper uses 1
            for CIFAR and 0.2 for ImageNet.

    Source:
        Zhang, Cisse, Dauphin, Lopez-Paz: "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv 1710.09412.
        Differs: the share is drawn per image, not per batch.
    """

    operations: ClassVar = frozenset({"mixing"})

    alpha: PositiveFloat = 1.0

    def mix(self, x: Images, others: Images, *, rng: Rng) -> tuple[Images, PerRow]:
        """Interpolate."""
        share = beta(len(x), self.alpha, rng=rng, device=x.device)
        return others.lerp(x, share[:, None, None, None].to(x.dtype)), share

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The published ones for CIFAR and ImageNet."""
        return [cls(), cls(alpha=0.2)]
