"""HybridAugment and HybridAugment++."""

from dataclasses import dataclass

import torch
from torch import Tensor

from withstand.functional.augmentation.frequencies import low_pass
from withstand.functional.augmentation.partners import partners
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Images
from withstand.limits import PositiveFloat, PositiveInt, Probability
from withstand.perturbations.augmentations.apr import (
    NUMBERS,
    PUBLISHED,
    Variant,
    joined_after_operations,
    with_amplitudes_of_others,
    with_own_amplitudes,
)
from withstand.perturbations.augmentations.aug_mix import OperationLevel
from withstand.perturbations.augmentations.augmentation import Augmentation
from withstand.perturbations.base import Perturbation


@dataclass(frozen=True, kw_only=True)
class HybridAugment(Augmentation):
    """Combines the low frequencies of an image, and its label, with the high frequencies of another image.

    HA-P, HA-S, HA++-P and HA++-S. Train on clean and changed images, as with `APR`.

    Attributes:
        variant: `paired` takes the high frequencies of another image of the batch, among those of the same process.
            `single` changes the image by a random operation of AugMix, and combines it with its image after a second
            operation; either of the two provides the low frequencies.
        plus: HybridAugment++: first recombines the low frequencies by `APR` of the same variant.
        probability: Of each of the two changes; None takes the published 0.6 for paired and 0.5 for single. With
            `single`, the first operation is applied in any case.
        severity: Highest level of the operations of `single`, from 0.1 to 10.
        blur_std: Standard deviation of the Gaussian low pass, in pixels; 0.5 for CIFAR, 1 for ImageNet (paired).
        blur_radius: Radius of its kernel: 2 r + 1 pixels per side.

    Source:
        Yucel, Cinbis, Duygulu: "HybridAugment++: Unified Frequency Spectra Perturbations for Model Robustness", ICCV
        2023, arXiv 2307.11823; MKYucel/hybrid_augment.
        Differs: whether to change is drawn per image, not per batch; results are clipped to [0, 1].
    """

    variant: Variant = "paired"
    plus: bool = True
    probability: Probability | None = None
    severity: OperationLevel = 3.0
    blur_std: PositiveFloat = 0.5
    blur_radius: PositiveInt = 1

    @property
    def operations(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Those of `APR`, and a low pass."""
        return frozenset({"filter", "mixing"} if self.variant == "paired" else {"filter", "tone", "geometry"})

    @property
    def mixes_samples(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether partners are taken from the batch."""
        return self.variant == "paired"

    def augment(self, x: Images, *, rng: Rng) -> Images:
        """Split the images into low and high frequencies and combine those of two."""
        return self._paired(x, rng) if self.variant == "paired" else self._single(x, rng)

    def _paired(self, x: Images, rng: Rng) -> Images:
        coin = uniform((len(x), 1), rng=rng, device=x.device)
        others = partners(len(x), rng=rng, device=x.device)
        low = self._low(x)
        high = (x - low)[others]
        if self.plus:
            low = with_amplitudes_of_others(low, self._probability, rng=rng)
        return torch.where((coin < self._probability)[:, :, None, None], low + high, x)

    def _single(self, x: Images, rng: Rng) -> Images:
        def join(high: Images, low: Images, numbers: Tensor) -> Images:
            kept = self._low(low)
            if self.plus:
                kept = with_own_amplitudes(kept, numbers[:, NUMBERS:], self._probability, severity=self.severity)
            return kept.add_(high).sub_(self._low(high))

        numbers = uniform((len(x), 2 * NUMBERS), rng=rng, device=x.device)
        return joined_after_operations(x, numbers, self._probability, join, severity=self.severity)

    def _low(self, x: Images) -> Images:
        return low_pass(x, std=self.blur_std, radius=self.blur_radius)

    @property
    def _probability(self) -> float:
        return PUBLISHED[self.variant] if self.probability is None else self.probability

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """HybridAugment++ in both variants, and the paired HybridAugment."""
        return [cls(), cls(variant="single"), cls(plus=False)]
