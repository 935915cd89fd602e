"""APR: amplitude-phase recombination."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.augmentation.frequencies import recombined
from withstand.functional.augmentation.partners import partners
from withstand.functional.levels import to_levels
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Images
from withstand.limits import Probability
from withstand.perturbations.augmentations.aug_mix import OperationLevel, random_operation
from withstand.perturbations.augmentations.augmentation import Augmentation
from withstand.perturbations.base import Perturbation

Variant = Literal["paired", "single"]
PUBLISHED: dict[Variant, float] = {"paired": 0.6, "single": 0.5}
NUMBERS = 8  # uniform numbers per image of the variant `single`
Join = Callable[[Images, Images, Tensor], Images]


@dataclass(frozen=True, kw_only=True)
class APR(Augmentation):
    """Gives an image the amplitudes of another one and keeps its phases and its label: APR-P and APR-S.

    Train on clean and changed images: `PerturbedRisk` with this in a `Mixture`, or a fold that takes the clean input.
    For APR-SP, apply both variants in a `Compose`.

    Attributes:
        variant: `paired` (APR-P) takes the amplitudes of another image of the batch, among those of the same process.
            `single` (APR-S) changes the image by a random operation of AugMix, then recombines it with its image after
            a second operation: the phases of one, the amplitudes of the other.
        probability: Of a recombination; None takes the published 0.6 for paired and 0.5 for single. With `single`, the
            first operation is applied in any case.
        severity: Highest level of the operations of `single`, from 0.1 to 10.

    Source:
        Chen, Peng, Ma et al.: "Amplitude-Phase Recombination: Rethinking Robustness of Convolutional Neural Networks in
        Frequency Domain", ICCV 2021, arXiv 2108.08487; iCGY96/APR.
        Differs: whether to recombine is drawn per image, not per batch; results are clipped to [0, 1], and `single`
        does not wrap around at 8 bits.
    """

    variant: Variant = "paired"
    probability: Probability | None = None
    severity: OperationLevel = 3.0

    @property
    def operations(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A change of amplitudes is a filter; `single` applies operations of AugMix."""
        return frozenset({"filter", "mixing"} if self.variant == "paired" else {"filter", "tone", "geometry"})

    @property
    def mixes_samples(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether partners are taken from the batch."""
        return self.variant == "paired"

    def augment(self, x: Images, *, rng: Rng) -> Images:
        """Recombine the images with others of the batch, or with themselves after an operation."""
        probability = PUBLISHED[self.variant] if self.probability is None else self.probability
        if self.variant == "paired":
            return with_amplitudes_of_others(x, probability, rng=rng)
        numbers = uniform((len(x), NUMBERS), rng=rng, device=x.device)
        return with_own_amplitudes(x, numbers, probability, severity=self.severity)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Both variants."""
        return [cls(), cls(variant="single")]


def with_amplitudes_of_others(x: Images, probability: float, *, rng: Rng) -> Images:
    """Return images of which some have the amplitudes of other images."""
    coin = uniform((len(x), 1), rng=rng, device=x.device)[:, 0]
    others = partners(len(x), rng=rng, device=x.device)
    result, rows = x.clone(), (coin < probability).nonzero()[:, 0]
    if len(rows):
        result[rows] = recombined(x[rows], x[others[rows]])
    return result


def with_own_amplitudes(x: Images, numbers: Float[Tensor, "batch 8"], probability: float, *, severity: float) -> Images:
    """Return images after an operation, some with the amplitudes of the image after a second one, or the reverse."""
    return joined_after_operations(x, numbers, probability, lambda a, b, _: recombined(a, b), severity=severity)


def joined_after_operations(
    x: Images, numbers: Float[Tensor, "batch numbers"], probability: float, join: Join, *, severity: float
) -> Images:
    """Return images after an operation of AugMix, some joined with the image after a second operation.

    Args:
        x: The images.
        numbers: Uniform in [0, 1), at least 8 per image.
        probability: Of joining.
        join: Called with both images in random order, and with the rows of `numbers`.
        severity: Highest level of the operations.
    """
    first = random_operation(to_levels(x), numbers[:, :3], severity=severity)
    result = first.to(x.dtype).div_(255)
    rows = (numbers[:, 6] < probability).nonzero()[:, 0]
    if len(rows):
        one = result[rows]
        other = random_operation(first[rows], numbers[rows, 3:6], severity=severity).to(x.dtype).div_(255)
        swapped = (numbers[rows, 7] < 0.5)[:, None, None, None]
        result[rows] = join(torch.where(swapped, other, one), torch.where(swapped, one, other), numbers[rows])
    return result
