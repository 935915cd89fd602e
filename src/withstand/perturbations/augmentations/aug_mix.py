"""AugMix."""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Le
from jaxtyping import Bool, Float
from torch import Tensor

from withstand.functional.augmentation import operations
from withstand.functional.augmentation.proportions import beta, dirichlet
from withstand.functional.levels import to_levels
from withstand.functional.pieces import pieces
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Images, Levels
from withstand.limits import PositiveFloat, PositiveInt, Within
from withstand.perturbations.augmentations.augmentation import Augmentation
from withstand.perturbations.base import VALUES_AT_ONCE, Perturbation

# Levels of operations, whose parameters are those of Pillow at level / 10 of their ranges.
OperationLevel = Annotated[float, Within(Ge(0.1), Le(10))]
_LEAST = 0.1
_LONGEST = 3


@dataclass(frozen=True, kw_only=True)
class AugMix(Augmentation):
    r"""Mixes an image with chains of random operations.

    .. math:: (1 - m) x + m \sum_k w_k \, c_k(x), \quad w \sim Dirichlet(\alpha), \quad m \sim Beta(\alpha, \alpha)

    Each chain applies random operations one after the other: autocontrast, equalize, posterize, solarize, rotate, shear
    and translate along both axes. Tone operations equal Pillow's; moves equal Pillow's up to one 8-bit level.

    Attributes:
        severity: Highest level of an operation, from 0.1 to 10; each level is uniform from 0.1. The paper uses 3 for
            CIFAR and 1 for ImageNet. At level 10, rotations reach 30 degrees and translations a third of the image.
        width: Number of chains.
        depth: Operations per chain; None draws 1, 2 or 3 for each.
        alpha: Concentration of both mixing weights, above 0; 1 is uniform.
        all_ops: Also color, contrast, brightness and sharpness, which are corruptions of ImageNet-C.

    Source:
        Hendrycks, Mu, Cubuk et al.: "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty",
        ICLR 2020, arXiv 1912.02781, algorithm 1; google-research/augmix, augment_and_mix.py.
        Differs: images need not be square; chains start from the image floored to 8 bits.
    """

    severity: OperationLevel = 3.0
    width: PositiveInt = 3
    depth: PositiveInt | None = None
    alpha: PositiveFloat = 1.0
    all_ops: bool = False

    def augment(self, x: Images, *, rng: Rng) -> Images:
        """Draw all numbers, then run the chains step by step and mix them; on a CPU a few images at a time."""
        batch, device, longest = len(x), x.device, self.depth or _LONGEST
        weights = dirichlet(batch, self.width, self.alpha, rng=rng, device=device)
        share = beta(batch, self.alpha, rng=rng, device=device)
        choices = uniform((batch, self.width, longest, 3), rng=rng, device=device)
        depth = uniform((batch, self.width), rng=rng, device=device).mul_(longest).long() + 1
        if self.depth is not None:
            depth.fill_(longest)
        mixed = torch.empty_like(x)
        some = max(1, VALUES_AT_ONCE // x[0].numel())
        for image, w, m, own, steps, out in pieces(some, x, weights, share, choices, depth, mixed):
            torch.mul(image, (1 - m)[:, None, None, None], out=out)
            chains = self._chains(to_levels(image), own, steps)
            for chain, weight in zip(chains.unbind(1), (w * m[:, None]).unbind(1), strict=True):
                out.addcmul_(chain.to(x.dtype), weight[:, None, None, None], value=1 / 255)
        return mixed

    def _chains(self, levels: Levels, choices: Tensor, depth: Tensor) -> Tensor:
        """Return the ends of the chains (batch, chain, channel, height, width), in levels."""
        states = levels.repeat_interleave(self.width, 0)
        for step, numbers in enumerate(choices.flatten(0, 1).unbind(1)):
            is_over = depth.flatten() <= step
            states = random_operation(states, numbers, severity=self.severity, all_ops=self.all_ops, left_out=is_over)
        return states.view(len(levels), self.width, *levels.shape[1:])

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The published one for CIFAR, and one with other fields."""
        return [cls(), cls(severity=5, width=2, depth=2, alpha=0.5, all_ops=True)]


def random_operation(
    levels: Levels,
    numbers: Float[Tensor, "batch 3"],
    *,
    severity: float,
    all_ops: bool = False,
    left_out: Bool[Tensor, " batch"] | None = None,
) -> Levels:
    """Return every image after one random operation of AugMix.

    Args:
        levels: The images.
        numbers: Uniform in [0, 1): which operation, its level, and its direction.
        severity: Highest level.
        all_ops: Whether operations that are corruptions of ImageNet-C are among them.
        left_out: The images that stay unchanged.
    """
    known = operations.ALL if all_ops else operations.NINE
    which = (numbers[:, 0] * len(known)).long()
    if left_out is not None:
        which = which.masked_fill(left_out, len(operations.ALL))
    level = _LEAST + (severity - _LEAST) * numbers[:, 1]
    return operations.apply(levels, which, level, torch.where(numbers[:, 2] < 0.5, -1.0, 1.0))
